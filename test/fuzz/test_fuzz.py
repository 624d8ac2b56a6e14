"""Runs each fuzzer for a few seconds with a fixed seed; ``python -m test.fuzz`` runs longer."""

from __future__ import annotations

import pytest

from test.fuzz.__main__ import try_cases
from test.fuzz.targets import TARGETS

CASES = {"messages": 5000, "compressed": 4000, "bundles": 200, "texts": 400, "bags": 150, "launch": 400}


@pytest.mark.parametrize("name", TARGETS)
def test_any_input_is_accepted_or_refused_in_one_line(name: str) -> None:
    findings, taken = try_cases(name, range(CASES[name]))
    assert findings == []
    assert 0 < taken < CASES[name]
