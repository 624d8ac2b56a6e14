"""The shape of a UNet, without PyTorch: what the manifest of a bundle holds and what every engine builds from."""

from __future__ import annotations

from dataclasses import dataclass

from unet_seg_ros.data.labels import NUM_CLASSES

DILATIONS = (1, 2, 4)
"""Dilations of the parallel convolutions in the context block, see ``unet.Context``."""


def context_groups(channels: int) -> int:
    """Groups of the convolutions in the context block: 8 where the channels can be divided by 8, else 1."""
    return 8 if channels % 8 == 0 else 1


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a UNet. ``widths[i]`` and ``depths[i]`` are channels and blocks of the encoder's i-th scale.

    With ``norm`` = False, batch normalisation is merged into the convolutions (see ``fold``).
    Raises ValueError, naming the field, for a shape that cannot be built.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    stem_stride: int = 2
    residual: bool = True
    context: bool = True
    decoder_convs: int = 1
    num_classes: int = NUM_CLASSES
    norm: bool = True

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or len(self.widths) != len(self.depths):
            raise ValueError(f"widths and depths need one number for each of at least 2 scales: {self}")
        numbers = (*self.widths, *self.depths, self.stem_stride, self.decoder_convs, self.num_classes)
        if not all(isinstance(number, int) for number in numbers):
            raise ValueError(f"widths, depths, stem_stride, decoder_convs and num_classes must be integers: {self}")
        if min(*self.widths, *self.depths, self.decoder_convs, self.num_classes) < 1:
            raise ValueError(f"widths, depths, decoder_convs and num_classes must be at least 1: {self}")
        if self.context and self.widths[-1] < 2:
            raise ValueError(f"the last of widths must be at least 2 if context is true: {self}")
        if self.stem_stride not in (1, 2):
            raise ValueError(f"stem_stride must be 1 or 2, not {self.stem_stride}")
        if self.num_classes > 255:
            raise ValueError(f"num_classes must be at most 255 to fit a uint8 mask, not {self.num_classes}")

    @property
    def stride(self) -> int:
        """Input sizes are padded to a multiple of this."""
        return self.stem_stride << (len(self.widths) - 1)

    @property
    def inputs(self) -> tuple[int, ...]:
        """Channels that each scale of the encoder reads."""
        return (self.widths[0] if self.stem_stride == 2 else 3, *self.widths[:-1])


CONFIGS: dict[str, UNetConfig] = {
    "unet_classic": UNetConfig(
        widths=(64, 128, 256, 512, 1024),
        depths=(2, 2, 2, 2, 2),
        stem_stride=1,
        residual=False,
        context=False,
        decoder_convs=2,
    ),
    "nano": UNetConfig(widths=(16, 32, 64, 128, 192), depths=(1, 1, 2, 2, 2)),
    "s": UNetConfig(widths=(32, 64, 128, 256, 384), depths=(1, 2, 3, 3, 3)),
}
