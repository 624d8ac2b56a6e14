"""OpenVINO: the CPU engine. It uses int8 if the bundle was calibrated for it, else bf16 if the CPU has it, else fp32.

The graph is built from the bundle and compiled at loading; one compiled network takes frames of any size. Compiled
networks are not cached on disk: compiling takes 0.1 s, about as long as reading a cache.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from unet_seg_ros.engine import OutOfMemory, Scores
from unet_seg_ros.engine.cpu_features import has_bf16
from unet_seg_ros.engine.decode import decode
from unet_seg_ros.engine.openvino_graph import LOGITS, PROBABILITY, WINNER, build_graph
from unet_seg_ros.engine.threads import thread_count
from unet_seg_ros.model.bundle import Bundle
from unet_seg_ros.model.geometry import Axis
from unet_seg_ros.text import quoted

HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "bf16" if has_bf16() else "f32"}
"""OpenVINO's precision for operations that are not int8. For an int8 network it is bf16, because in fp32 the
transposition of the logits for the softmax would take a third of the time."""


def pick_precision(bundle: Bundle, precision: str) -> str:
    """``auto``: int8 if the bundle was calibrated for it, else bf16 if the CPU has it, else fp32.

    Raises ValueError if bundle or CPU do not support ``precision``; the message says why.
    """
    if precision == "auto":
        return "int8" if bundle.manifest.int8_ranges else "bf16" if has_bf16() else "fp32"
    if precision not in HINTS:
        raise ValueError(f"precision must be one of auto, {', '.join(HINTS)} on a CPU, not {quoted(precision)}")
    if precision == "int8" and not bundle.manifest.int8_ranges:
        raise ValueError(
            f"precision int8: {bundle.model_id} is not calibrated for int8; see python -m training.quantize"
        )
    if precision == "bf16" and not has_bf16():
        raise ValueError("precision bf16: this CPU does not have bf16; use auto or fp32")
    return precision


@functools.cache
def _core() -> ov.Core:
    """The only Core of the process; it is never freed. Each Core installs a signal stack and frees it at its end. With
    two of them, the second one reinstalls the freed stack of the first, and the next signal (Ctrl-C) crashes."""
    return ov.Core()


class OpenVinoEngine:
    """Runs a bundle's network on the CPU with ``threads`` threads (see ``thread_count``).

    Raises ValueError for a precision that is not possible (see ``pick_precision``) or a negative number of threads.
    """

    device = "cpu"

    def __init__(self, bundle: Bundle, precision: str = "auto", threads: int = 0) -> None:
        self.precision = pick_precision(bundle, precision)
        self.stride = bundle.manifest.config.stride
        graph = build_graph(bundle, bundle.manifest.int8_ranges if self.precision == "int8" else None)
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": HINTS[self.precision],
            "INFERENCE_NUM_THREADS": thread_count(threads),
            "ENABLE_CPU_PINNING": False,  # a thread that is bound to a busy core waits for it
        }
        self._request = _core().compile_model(graph, "CPU", settings).create_infer_request()
        self._buffers: dict[tuple[int, ...], NDArray[np.uint8]] = {}

    def allocate(self, frames: int, height: int, width: int) -> NDArray[np.uint8]:
        """Returns the same buffer for the same size, because ``__call__`` has read it when it returns."""
        shape = (frames, height, width, 3)
        if shape not in self._buffers:
            self._buffers = {shape: np.empty(shape, np.uint8)}
        return self._buffers[shape]

    def __call__(self, images: NDArray[np.uint8]) -> Sequence[Scores]:
        return [self._scores(images[place : place + 1], len(images) > 1) for place in range(len(images))]

    def _scores(self, image: NDArray[np.uint8], copied: bool) -> Scores:
        """The scores of one image uint8[1, H, W, 3]; with ``copied``, the next image does not overwrite them."""
        try:
            self._request.infer({0: image}, share_inputs=True)
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, MemoryError) or "alloc" in str(error):
                raise OutOfMemory((str(error).splitlines() or ["out of memory"])[0]) from error
            raise
        arrays = [self._request.get_tensor(name).data for name in (LOGITS, WINNER, PROBABILITY)]
        return Scores(*(np.array(array) if copied else array for array in arrays))

    def decode(self, scores: Scores, ys: Axis, xs: Axis) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return decode(*scores, ys, xs)
