"""Chooses the engine of a bundle: PyTorch on a GPU, OpenVINO on a CPU, PyTorch on a CPU without OpenVINO.

Only the library that is needed is imported: on a CPU with OpenVINO, PyTorch is not.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from unet_seg_ros.engine import PRECISIONS, Engine
from unet_seg_ros.model.bundle import Bundle
from unet_seg_ros.text import quoted

GPU_FILES = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/dxg", "/dev/kfd")
"""A computer with a GPU has one of these files: NVIDIA, Jetson (two), Windows (WSL), AMD."""


def make_engine(bundle: Bundle, device: str = "auto", precision: str = "auto", threads: int = 0) -> Engine:
    """The engine for ``device``: ``auto`` (CUDA if there is a GPU, else the CPU), ``cpu``, ``cuda`` or ``cuda:N``.

    ``threads`` is the number of CPU threads, 0: one for each core that the process may use. Raises ValueError for a
    value that is unknown or not possible here, ImportError if neither PyTorch nor OpenVINO is installed.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {quoted(precision)}")
    on_cpu = device == "cpu" or (device == "auto" and not any(Path(name).exists() for name in GPU_FILES))
    if not on_cpu:
        from unet_seg_ros.engine.pytorch import TorchEngine, pick_device

        target = str(pick_device(device))
        if target != "cpu":
            return TorchEngine(bundle, target, threads, precision)
    if importlib.util.find_spec("openvino"):
        from unet_seg_ros.engine.openvino import OpenVinoEngine

        return OpenVinoEngine(bundle, precision, threads)
    _calm_openmp()
    from unet_seg_ros.engine.pytorch import TorchEngine

    return TorchEngine(bundle, "cpu", threads, precision)


def _calm_openmp() -> None:
    """Make PyTorch's threads spin only for a short time while they wait for each other: beside another busy process,
    the p95 latency falls to a quarter. It works only before PyTorch is imported, and it keeps a setting of the user."""
    if "torch" not in sys.modules and not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "1000"
