"""What the format of a compressed image says about its pixels: a mosaic, depth, the order of colours."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from test.data.test_image_files import WHOLE, by_opencv, encode, picture
from unet_seg_ros.data.ros_images import ImageError, compressed_to_rgb


def mosaic(pattern: str, rgb: Any) -> Any:
    """The picture as a camera with that colour filter sees it."""
    found = np.zeros(rgb.shape[:2], np.uint8)
    for index, color in enumerate(pattern):
        y, x = divmod(index, 2)
        found[y::2, x::2] = rgb[y::2, x::2, "rgb".index(color)]
    return found


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_mosaic_that_was_compressed_is_demosaiced(pattern: str, bits: int) -> None:
    y, x = np.mgrid[:60, :80]
    rgb = np.stack([100 + x, 60 + y, 200 - x], -1).astype(np.uint8)
    grey = mosaic(pattern, rgb) if bits == 8 else mosaic(pattern, rgb).astype(np.uint16) * 256
    data = cv2.imencode(".png", grey)[1].tobytes()
    found = compressed_to_rgb(SimpleNamespace(format=f"bayer_{pattern}{bits}; png compressed ", data=data))
    assert np.abs(found.astype(int) - rgb)[2:-2, 2:-2].max() <= 2


def test_a_demosaiced_picture_is_not_demosaiced_again() -> None:
    message = SimpleNamespace(format="bayer_rggb8; jpeg compressed bgr8", data=WHOLE["baseline"])
    assert np.array_equal(compressed_to_rgb(message), by_opencv(WHOLE["baseline"]))


@pytest.mark.parametrize("said", ["bayer_rggb12; png compressed", "BAYER_RGGB8; png compressed", "bayer_; jpeg"])
def test_a_mosaic_of_an_unknown_kind_is_refused(said: str) -> None:
    data = encode(mosaic("rggb", picture()), ".png")
    with pytest.raises(ImageError, match="a mosaic must be one of bayer_rggb8, "):
        compressed_to_rgb(SimpleNamespace(format=said, data=data))


@pytest.mark.parametrize(
    ("said", "exchanged"),
    [
        ("rgb8; jpeg compressed bgr8", False),
        ("bgr8; jpeg compressed bgr8", False),
        ("rgba16; png compressed bgr16", False),
        ("rgb8; jpeg compressed rgb8", True),
        ("rgb8; jpeg compressed ", False),
        ("bgr8; png compressed rgb8", True),
        ("bgra8; png compressed", False),
        ("mono8; jpeg compressed ", False),
        ("jpeg", False),
        ("rgb8", False),
    ],
)
def test_red_and_blue_are_exchanged_if_the_format_says_so(said: str, exchanged: bool) -> None:
    """As compressed_image_transport's subscriber: what was compressed as RGB was taken for BGR by the encoder."""
    found = compressed_to_rgb(SimpleNamespace(format=said, data=encode(picture(), ".png")))
    assert np.array_equal(found, picture()[..., ::-1] if exchanged else picture())


@pytest.mark.parametrize(
    "said", ["16UC1; png compressed", "32FC1; compressedDepth", "16UC1; compressedDepth png", "compressedDepth"]
)
def test_depth_is_refused_by_its_format(said: str) -> None:
    data = cv2.imencode(".png", np.full((8, 8), 1000, np.uint16))[1].tobytes()
    with pytest.raises(ImageError, match="holds depth, not colours"):
        compressed_to_rgb(SimpleNamespace(format=said, data=data))


def test_a_long_format_with_line_breaks_gives_an_error_of_one_line() -> None:
    for said in ("jpeg\n[ERROR] forged", "x" * 2**20, "\x1b[31mred", "; jpeg compressed\r\n"):
        with pytest.raises(ImageError) as error:
            compressed_to_rgb(SimpleNamespace(format=said, data=b"nothing"))
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 600
