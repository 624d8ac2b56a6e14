"""The node with an engine that fails as a GPU does: out of memory for frames 64 pixels wide and for several at once,
device lost for frames 96 pixels wide."""

import torch

from unet_seg_ros.engine import pytorch
from unet_seg_ros.ros.node import main

call = pytorch.TorchEngine.__call__


def failing(self: pytorch.TorchEngine, images: torch.Tensor) -> torch.Tensor:
    with pytorch.device_errors():
        if images.shape[2] == 64 or len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        if images.shape[2] == 96:
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
    return call(self, images)


pytorch.TorchEngine.__call__ = failing  # type: ignore[method-assign]
main()
