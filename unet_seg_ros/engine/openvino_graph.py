"""The UNet as an OpenVINO graph, built from a bundle's configuration and tensors alone: PyTorch is not needed.

Every operation whose result a convolution, a sum or a concatenation reads has a name. With the ranges that calibration
measured for these names (NNCF, see ``training.quantize``) the graph holds the FakeQuantize operations from which
OpenVINO makes an int8 network; activations are asymmetric with one range a tensor, weights symmetric with one a
channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from unet_seg_ros.model.bundle import Bundle
from unet_seg_ros.model.config import DILATIONS, UNetConfig, context_groups

Array = NDArray[np.float32]
Ranges = Mapping[str, tuple[float, float]]
"""An operation's name → the lowest and the highest value of its output in calibration."""
LEVELS = 256
EPS = 1e-5
"""The number that batch normalisation adds to the variance."""
LOGITS, WINNER, PROBABILITY = "logits", "winner", "probability"


def build_graph(bundle: Bundle, ranges: Ranges | None = None) -> ov.Model:
    """The bundle's network for one frame of any size that is a multiple of the stride.

    Input: RGB uint8[1, H, W, 3]. Outputs, at the logits' resolution h×w: LOGITS float32[C, h, w], WINNER
    uint8[h, w], their argmax, and PROBABILITY float32[h, w], its softmax. With ``ranges`` it is
    an int8 network. Raises ValueError if they name an operation that the network does not have.
    """
    images = op.parameter([1, -1, -1, 3], ov.Type.u8, name="images")
    std = np.array(bundle.manifest.std)
    graph = _Graph(bundle.manifest.config, bundle.tensors, ranges or {})
    scaled = op.multiply(op.convert(images, "f32"), (1 / (255 * std)).astype(np.float32))
    x = graph.named(op.add(scaled, (-np.array(bundle.manifest.mean) / std).astype(np.float32)), "normalised")
    logits = graph.network(op.transpose(x, np.array([0, 3, 1, 2])))
    unknown = graph.ranges.keys() - graph.names
    if unknown:
        raise ValueError(f"int8_ranges name {min(unknown)}, but this network has no operation of that name")
    best = op.topk(logits, op.constant(np.array(1, np.int32)), 1, "max", "none", "i32")
    frame, both = np.array([0]), np.array([0, 1])
    outputs = {
        LOGITS: op.squeeze(logits, frame),
        WINNER: op.squeeze(op.convert(best.output(1), "u8"), both),
        PROBABILITY: op.squeeze(op.reduce_max(op.softmax(logits, 1), np.array([1]), True), both),
    }
    for name, node in outputs.items():
        node.output(0).get_tensor().set_names({name})
    return ov.Model([op.result(node) for node in outputs.values()], [images], bundle.manifest.name)


class _Graph:
    """Builds operations. ``x`` and the methods' results are outputs of operations, float32[1, channels, h, w]."""

    def __init__(self, config: UNetConfig, tensors: Mapping[str, Array], ranges: Ranges) -> None:
        self.config = config
        self.tensors = tensors
        self.ranges = ranges
        self.names: set[str] = set()

    def network(self, x: Any) -> Any:
        if self.config.stem_stride == 2:
            x = self.conv_norm(x, "stem", stride=2)
        skips = []
        for scale, depth in enumerate(self.config.depths):
            if scale:
                x = op.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
            for block in range(depth):
                x = self.block(x, f"encoder.{scale}.{block}")
            skips.append(x)
        x = skips.pop()
        if self.config.context:
            x = self.context(x)
        for scale in range(len(skips)):
            x = self.up(x, skips.pop(), f"decoder.{scale}")
        return self.conv(x, "head")

    def block(self, x: Any, name: str) -> Any:
        if not self.config.residual:
            return self.conv_norm(x, name)
        y = self.conv_norm(self.conv_norm(x, f"{name}.body.0"), f"{name}.body.1", act=False)
        if f"{name}.shortcut.0.weight" in self.tensors:
            x = self.conv_norm(x, f"{name}.shortcut", act=False)
        return self.named(op.relu(op.add(y, x)), name)

    def context(self, x: Any) -> Any:
        y = self.conv_norm(x, "context.reduce")
        mean = self.named(op.reduce_mean(y, np.array([2, 3]), True), "context.mean")
        y = self.named(op.add(y, self.conv(mean, "context.image")), "context.with_image")
        inner = len(self.tensors["context.image.bias"])
        branches = []
        for branch, dilation in enumerate(DILATIONS):
            part = slice(branch * inner, (branch + 1) * inner)
            weight, bias = self.folded(f"context.branches.{branch}", "context.norm", part)
            weight = self.grouped(self.weight(weight, 0), context_groups(inner), weight.shape)
            z = self.dilated(y, weight, dilation)
            branches.append(self.named(op.relu(op.add(z, bias)), f"context.branches.{branch}"))
        y = self.named(op.concat(branches, 1), "context.branches")
        return self.named(op.relu(op.add(x, self.conv_norm(y, "context.expand", act=False))), "context")

    @staticmethod
    def dilated(x: Any, weight: Any, dilation: int) -> Any:
        """A 3×3 group convolution. It is padded on the right and cut again: of an image that is narrower than the
        dilation OpenVINO 2026.4 makes something else in bf16."""
        right = op.pad(x, np.array([0, 0, 0, 0]), np.array([0, 0, 0, dilation]), "constant", np.float32(0))
        y = op.group_convolution(right, weight, [1, 1], [dilation] * 2, [dilation] * 2, [dilation] * 2)
        return op.slice(y, np.array([0]), np.array([-dilation]), np.array([1]), np.array([3]))

    def up(self, x: Any, skip: Any, name: str) -> Any:
        weight, bias = self.folded(f"{name}.up")
        y = op.add(op.convolution_backprop_data(x, self.weight(weight, 1), [2, 2]), bias)
        y = self.named(op.concat([self.named(y, f"{name}.up"), skip], 1), f"{name}.concat")
        for conv in range(self.config.decoder_convs):
            y = self.conv_norm(y, f"{name}.fuse.{conv}")
        return y

    def conv_norm(self, x: Any, name: str, stride: int = 1, act: bool = True) -> Any:
        weight, bias = self.folded(f"{name}.0", f"{name}.1")
        y = op.add(self.convolution(x, weight, stride), bias)
        return self.named(op.relu(y) if act else y, name)

    def conv(self, x: Any, name: str) -> Any:
        weight, bias = self.folded(name)
        return self.named(op.add(self.convolution(x, weight), bias), name)

    def convolution(self, x: Any, weight: Array, stride: int = 1) -> Any:
        padding = [weight.shape[2] // 2] * 2
        return op.convolution(x, self.weight(weight, 0), [stride] * 2, padding, padding, [1, 1])

    def folded(self, conv: str, norm: str = "", part: slice = slice(None)) -> tuple[Array, Array]:
        """A convolution's weight and bias[1, channels, 1, 1]. The normalisation after it (its channels ``part``) is
        merged into them, as in ``model.fold``."""
        weight, bias = self.tensors[f"{conv}.weight"], self.tensors.get(f"{conv}.bias")
        if norm and self.config.norm:
            keys = ("weight", "bias", "running_mean", "running_var")
            gain, shift, mean, variance = (self.tensors[f"{norm}.{key}"][part].astype(np.float64) for key in keys)
            scale = gain / np.sqrt(variance + EPS)
            weight = (weight * scale[:, None, None, None]).astype(np.float32)
            bias = (shift - mean * scale).astype(np.float32)
        assert bias is not None  # a convolution without a bias has a normalisation
        return weight, bias.reshape(1, -1, 1, 1)

    @staticmethod
    def grouped(weight: Any, groups: int, shape: tuple[int, ...]) -> Any:
        return op.reshape(weight, np.array([groups, shape[0] // groups, *shape[1:]]), False)

    def weight(self, weight: Array, axis: int) -> Any:
        """A constant. In an int8 network it is quantized with one range per output channel, which is dimension
        ``axis``."""
        if not self.ranges:
            return op.constant(weight)
        others = tuple(other for other in range(weight.ndim) if other != axis)
        high = np.abs(weight).max(axis=others, keepdims=True).clip(min=np.finfo(np.float32).tiny)
        return op.fake_quantize(op.constant(weight), -high, high, -high, high, LEVELS - 1)

    def named(self, node: Any, name: str) -> Any:
        """Names an operation and returns its output, which in an int8 network is quantized if it has a range."""
        node.set_friendly_name(name)
        self.names.add(name)
        if name not in self.ranges:
            return node.output(0)
        low, high = (np.full((1, 1, 1, 1), value, np.float32) for value in self.ranges[name])
        return op.fake_quantize(node, low, high, low, high, LEVELS).output(0)
