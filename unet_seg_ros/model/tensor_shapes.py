"""Names and shapes of a UNet's tensors, without PyTorch. A bundle must hold these tensors."""

from __future__ import annotations

from collections.abc import Iterator

from unet_seg_ros.model.config import DILATIONS, UNetConfig, context_groups

Shape = tuple[int, ...]
COUNTER = "num_batches_tracked"
"""The only tensor of a normalisation that holds an integer."""
VARIANCE = "running_var"
"""The only tensor of a normalisation that must not be negative: its root is taken."""


def tensor_shapes(config: UNetConfig) -> dict[str, Shape]:
    """Every tensor's name and shape, equal to those of ``UNet(config).state_dict()``."""
    return dict(_network(config))


def _network(config: UNetConfig) -> Iterator[tuple[str, Shape]]:
    widths = config.widths
    if config.stem_stride == 2:
        yield from _conv_norm("stem", (widths[0], 3, 3, 3), config.norm)
    for scale, (inputs, outputs, depth) in enumerate(zip(config.inputs, widths, config.depths, strict=True)):
        for block in range(depth):
            yield from _block(f"encoder.{scale}.{block}", outputs if block else inputs, outputs, config)
    if config.context:
        yield from _context(widths[-1], config.norm)
    for scale, (inputs, outputs) in enumerate(zip(widths[:0:-1], widths[-2::-1], strict=True)):
        name = f"decoder.{scale}"
        yield from _conv(f"{name}.up", (inputs, outputs, 2, 2), bias=outputs)
        for conv in range(config.decoder_convs):
            yield from _conv_norm(f"{name}.fuse.{conv}", (outputs, outputs * (1 if conv else 2), 3, 3), config.norm)
    yield from _conv("head", (config.num_classes, widths[0], 1, 1), bias=config.num_classes)


def _block(name: str, inputs: int, outputs: int, config: UNetConfig) -> Iterator[tuple[str, Shape]]:
    if not config.residual:
        yield from _conv_norm(name, (outputs, inputs, 3, 3), config.norm)
        return
    yield from _conv_norm(f"{name}.body.0", (outputs, inputs, 3, 3), config.norm)
    yield from _conv_norm(f"{name}.body.1", (outputs, outputs, 3, 3), config.norm)
    if inputs != outputs:
        yield from _conv_norm(f"{name}.shortcut", (outputs, inputs, 1, 1), config.norm)


def _context(width: int, norm: bool) -> Iterator[tuple[str, Shape]]:
    inner = width // 2
    yield from _conv_norm("context.reduce", (inner, width, 1, 1), norm)
    for branch in range(len(DILATIONS)):
        shape = (inner, inner // context_groups(inner), 3, 3)
        yield from _conv(f"context.branches.{branch}", shape, bias=0 if norm else inner)
    yield from _conv("context.image", (inner, inner, 1, 1), bias=inner)
    yield from _norm("context.norm", inner * len(DILATIONS), norm)
    yield from _conv_norm("context.expand", (width, inner * len(DILATIONS), 1, 1), norm)


def _conv_norm(name: str, weight: Shape, norm: bool) -> Iterator[tuple[str, Shape]]:
    yield from _conv(f"{name}.0", weight, bias=0 if norm else weight[0])
    yield from _norm(f"{name}.1", weight[0], norm)


def _conv(name: str, weight: Shape, bias: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", weight
    if bias:
        yield f"{name}.bias", (bias,)


def _norm(name: str, channels: int, norm: bool) -> Iterator[tuple[str, Shape]]:
    """Tensors of a normalisation or, if it was folded, the mean and standard deviation that are kept of it."""
    for key in ("weight", "bias", "running_mean", "running_var") if norm else ("mean", "std"):
        yield f"{name}.{key}", (channels,)
    if norm:
        yield f"{name}.{COUNTER}", ()
