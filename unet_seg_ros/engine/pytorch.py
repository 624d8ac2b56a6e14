"""PyTorch, eager: on CUDA in bf16 (fp16 where the GPU lacks it), on a CPU in bf16 where it is native, else fp32."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from unet_seg_ros.engine import DeviceLost, OutOfMemory
from unet_seg_ros.model.bundle import Bundle
from unet_seg_ros.model.fold import fold

DEFAULT_THREADS = torch.get_num_threads()
ACCELERATOR_ERROR: type[RuntimeError] | tuple[()] = getattr(torch, "AcceleratorError", ())  # not in older PyTorch
PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


def pick_device(name: str) -> torch.device:
    """``auto`` (CUDA where there is a GPU, else the CPU), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises ValueError for another name and for a GPU that PyTorch cannot use.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N, not {name!r}")
    if name == "cpu":
        return torch.device("cpu")
    index, gpus = int(name.removeprefix("cuda").removeprefix(":") or 0), torch.cuda.device_count()
    if index >= gpus:
        found = f"PyTorch {torch.__version__} finds {gpus} usable GPUs"
        raise ValueError(f"device {name!r}: {found}; use device auto or cpu")
    return torch.device("cuda", index)


def pick_precision(device: torch.device) -> torch.dtype:
    """The fastest arithmetic that the device has natively."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    cpuinfo = Path("/proc/cpuinfo")
    native = re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", cpuinfo.read_text() if cpuinfo.exists() else "")
    return torch.bfloat16 if native else torch.float32


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn PyTorch's device errors into OutOfMemory and DeviceLost."""
    try:
        yield
    except (OutOfMemory, DeviceLost):
        raise
    except RuntimeError as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, torch.OutOfMemoryError) or re.search("can't allocate memory|out of memory", first):
            torch.cuda.empty_cache()
            raise OutOfMemory(first) from error
        if isinstance(error, ACCELERATOR_ERROR) or "CUDA error" in first:
            raise DeviceLost(first) from error
        raise


class TorchEngine:
    """Runs a bundle's network on ``device`` (see ``pick_device``); ``threads`` CPU threads, 0 = PyTorch's choice."""

    def __init__(self, bundle: Bundle, device: str = "auto", threads: int = 0) -> None:
        if threads < 0:
            raise ValueError(f"threads must not be negative, not {threads}")
        target = pick_device(device)
        torch.set_num_threads(threads or DEFAULT_THREADS)  # it is the process's: an earlier engine may have set it
        dtype = pick_precision(target)
        model = fold(bundle.build())
        self.stride = model.config.stride
        self.device = str(target)
        self.precision = PRECISIONS[dtype]
        with device_errors():
            self._model = model.to(target, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
            mean, std = (torch.tensor(v, device=target) for v in (bundle.manifest.mean, bundle.manifest.std))
        self._scale, self._shift = 1 / (255 * std), -mean / std

    def allocate(self, frames: int, height: int, width: int) -> Tensor:
        with device_errors():
            return torch.empty(frames, height, width, 3, dtype=torch.uint8, pin_memory=self.device != "cpu")

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        with device_errors():
            x = images.to(self.device, non_blocking=True).float() * self._scale + self._shift
            parameter = next(self._model.parameters())
            logits: Tensor = self._model(x.permute(0, 3, 1, 2).to(parameter.dtype)).float()
            if logits.is_cuda:
                torch.cuda.synchronize(logits.device)
            return logits
