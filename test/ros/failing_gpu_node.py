"""The node with an engine that fails as a GPU does: out of memory for frames 64 pixels wide and for several at once,
device lost for frames 96 pixels wide."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from unet_seg_ros.engine import Scores
from unet_seg_ros.engine.openvino import OpenVinoEngine
from unet_seg_ros.engine.pytorch import device_errors
from unet_seg_ros.ros.node import main

call = OpenVinoEngine.__call__


def failing(self: OpenVinoEngine, images: NDArray[np.uint8]) -> Sequence[Scores]:
    with device_errors():
        if images.shape[2] == 64 or len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        if images.shape[2] == 96:
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
    return call(self, images)


OpenVinoEngine.__call__ = failing  # type: ignore[method-assign]
main()
