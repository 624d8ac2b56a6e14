"""Fixtures that the tests of the replay share."""

from __future__ import annotations

from pathlib import Path

import pytest

from test.replay.models import write_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")
