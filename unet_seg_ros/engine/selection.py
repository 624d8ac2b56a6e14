"""Which engine runs a bundle: PyTorch on a GPU, OpenVINO on a CPU, and there PyTorch where OpenVINO is missing.

Neither library is loaded before it is needed: without a GPU and with OpenVINO, PyTorch never is.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from unet_seg_ros.engine import PRECISIONS, Engine
from unet_seg_ros.model.bundle import Bundle

GPU_FILES = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/dxg", "/dev/kfd")
"""One of them is there where there may be a GPU: NVIDIA's, Jetson's (two), Windows' (WSL), AMD's."""


def make_engine(bundle: Bundle, device: str = "auto", precision: str = "auto", threads: int = 0) -> Engine:
    """The engine for ``device``: ``auto`` (CUDA where there is a GPU, else the CPU), ``cpu``, ``cuda`` or ``cuda:N``.

    ``threads``: of the CPU, 0 = one for each core that the process may use. Raises ValueError for a value that is none
    or cannot be here, ImportError where neither PyTorch nor OpenVINO is installed.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
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
    """Let PyTorch's threads wait for each other without keeping a core busy for long: where another process has taken
    one of the cores, p95 is a quarter. Has an effect before PyTorch is loaded; a setting of the user's stays."""
    if "torch" not in sys.modules and not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "1000"
