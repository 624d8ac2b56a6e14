"""Files are complete or absent, and names mean what the user means."""

from __future__ import annotations

from pathlib import Path

import pytest

from unet_seg_ros.files import of_user


def test_an_unknown_home_folder_is_kept_as_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert of_user("~/x") == tmp_path / "x"
    assert of_user("~no such user/x") == Path("~no such user/x")
