"""The random generators of Python, NumPy and PyTorch: seeding, and their states in a form that JSON can hold."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def _plain(value: Any) -> Any:
    """NumPy's state with arrays as lists."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def seed_all(seed: int) -> None:
    """Seed the generators of Python, NumPy and PyTorch with ``seed``."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def random_states() -> dict[str, Any]:
    """The states of Python's, NumPy's and PyTorch's generators, as integers."""
    return {
        "python": random.getstate(),
        "numpy": _plain(np.random.get_state(legacy=False)),  # noqa: NPY002
        "torch": torch.get_rng_state().tolist(),
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Restore the states that ``random_states`` returned; they may have been written as JSON and read again."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    inner = states["numpy"]["state"]
    numpy_state = {**states["numpy"], "state": {**inner, "key": np.array(inner["key"], np.uint32)}}
    np.random.set_state(numpy_state)  # noqa: NPY002
    torch.set_rng_state(torch.tensor(states["torch"], dtype=torch.uint8))
