"""PyTorch in eager mode: on CUDA in bf16 (fp16 if the GPU has no bf16), on a CPU in bf16 or fp32."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from unet_seg_ros.engine import DeviceLost, OutOfMemory, Scores
from unet_seg_ros.engine.cpu_features import has_bf16
from unet_seg_ros.engine.decode import decode
from unet_seg_ros.engine.pytorch_decode import decode_on_device
from unet_seg_ros.engine.threads import thread_count
from unet_seg_ros.model.bundle import Bundle
from unet_seg_ros.model.fold import fold
from unet_seg_ros.model.geometry import Axis
from unet_seg_ros.text import quoted

ACCELERATOR_ERROR: type[RuntimeError] | tuple[()] = getattr(torch, "AcceleratorError", ())  # missing in older PyTorch
OWN_THREADS = torch.get_num_threads()
"""PyTorch's own number of threads, which follows OMP_NUM_THREADS. An engine changes it for the whole process."""
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str) -> torch.device:
    """The device of a name: ``auto`` (CUDA if there is a GPU, else the CPU), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises ValueError for another name and for a GPU that PyTorch cannot use.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N, not {quoted(name)}")
    if name == "cpu":
        return torch.device("cpu")
    index, gpus = int(name.removeprefix("cuda").removeprefix(":") or 0), torch.cuda.device_count()
    if index >= gpus:
        found = f"PyTorch {torch.__version__} finds {gpus} usable GPUs"
        raise ValueError(f"device {quoted(name)}: {found}; use device auto or cpu")
    return torch.device("cuda", index)


def pick_precision(device: torch.device, precision: str = "auto") -> str:
    """``auto``: the fastest precision that the device has natively. Raises ValueError for one that it does not have."""
    if device.type == "cuda":
        native = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    else:
        native = "bf16" if has_bf16() else "fp32"
    if precision == "auto":
        return native
    if precision not in ("fp32", native):
        raise ValueError(f"precision {precision}: PyTorch on {device} runs the network in {native} or fp32")
    return precision


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
    """Runs a bundle's network on ``device`` (see ``pick_device``) in ``precision`` (see ``pick_precision``) with
    ``threads`` CPU threads (see ``thread_count``)."""

    def __init__(self, bundle: Bundle, device: str = "auto", threads: int = 0, precision: str = "auto") -> None:
        target = pick_device(device)
        self.precision = pick_precision(target, precision)
        torch.set_num_threads(thread_count(threads, OWN_THREADS))
        model = fold(bundle.build())
        self.stride = model.config.stride
        self.device = str(target)
        with device_errors():
            self._model = model.to(target, PRECISIONS[self.precision], memory_format=torch.channels_last)  # type: ignore[call-overload]
            mean, std = (torch.tensor(v, device=target) for v in (bundle.manifest.mean, bundle.manifest.std))
        self._scale, self._shift = 1 / (255 * std), -mean / std

    def allocate(self, frames: int, height: int, width: int) -> NDArray[np.uint8]:
        with device_errors():
            buffer = torch.empty(frames, height, width, 3, dtype=torch.uint8, pin_memory=self.device != "cpu")
        return buffer.numpy()

    @torch.inference_mode()
    def __call__(self, images: NDArray[np.uint8]) -> Sequence[Scores]:
        with device_errors():
            x = torch.from_numpy(images).to(self.device, non_blocking=True).float() * self._scale + self._shift
            logits = self._model(x.permute(0, 3, 1, 2).to(PRECISIONS[self.precision])).float()
            best, winner = logits.max(dim=1)
            probability = (best - logits.logsumexp(dim=1)).exp()
            winner = winner.to(torch.uint8)
            if logits.is_cuda:
                torch.cuda.synchronize(logits.device)
                return [Scores(*frame) for frame in zip(logits, winner, probability, strict=True)]
            arrays = (logits.contiguous().numpy(), winner.numpy(), probability.numpy())
            return [Scores(*frame) for frame in zip(*arrays, strict=True)]

    @torch.inference_mode()
    def decode(self, scores: Scores, ys: Axis, xs: Axis) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        if isinstance(scores.logits, np.ndarray):
            return decode(*scores, ys, xs)
        with device_errors():
            return decode_on_device(scores, ys, xs)
