"""Names and shapes of a UNet's tensors: those of PyTorch's module."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.model.config import CONFIGS, UNetConfig
from unet_seg_ros.model.tensor_shapes import tensor_shapes
from unet_seg_ros.model.unet import UNet


def of_pytorch(config: UNetConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in UNet(config).state_dict().items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_shapes_of_the_named_configurations(name: str) -> None:
    assert tensor_shapes(CONFIGS[name]) == of_pytorch(CONFIGS[name])


@given(
    scales=st.lists(st.tuples(st.integers(2, 24), st.integers(1, 2)), min_size=2, max_size=3),
    stem_stride=st.sampled_from([1, 2]),
    residual=st.booleans(),
    context=st.booleans(),
    decoder_convs=st.integers(1, 2),
    norm=st.booleans(),
)
def test_shapes_of_any_configuration(
    scales: list[tuple[int, int]], stem_stride: int, residual: bool, context: bool, decoder_convs: int, norm: bool
) -> None:
    widths, depths = zip(*scales, strict=True)
    config = UNetConfig(widths, depths, stem_stride, residual, context, decoder_convs, num_classes=5, norm=norm)
    assert tensor_shapes(config) == of_pytorch(config)
