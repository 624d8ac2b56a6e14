"""Random states can be written as JSON and restored."""

from __future__ import annotations

import json
import random

import numpy as np
import torch

from training.run.random_states import random_states, set_random_states


def drawn() -> list[float]:
    return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), float(torch.rand(()))]  # noqa: NPY002


def test_random_states_are_restored_from_json() -> None:
    drawn()  # both keep a second gaussian number
    text = json.dumps(random_states())
    expected = drawn()
    drawn()
    set_random_states(json.loads(text))
    assert drawn() == expected
