"""Compressed images compared with Pillow, and pictures that are damaged in many ways."""

from __future__ import annotations

import array
import io
import struct
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from rosbags.typesys import Stores, get_typestore

from unet_seg_ros.data import image_files
from unet_seg_ros.data.ros_images import MAX_PIXELS, ImageError, compressed_to_rgb, fill_compressed


def compressed(data: bytes, name: str = "jpeg") -> Any:
    return SimpleNamespace(format=name, data=array.array("B", data))


def picture(height: int = 24, width: int = 40) -> Any:
    """A smooth picture, so that JPEG changes it little, that differs in every channel and corner."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 6, y * 10, 255 - x * 3 - y * 5], -1).astype(np.uint8)


def encode(rgb: Any, name: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(rgb).save(out, name, **options)
    return out.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 95, "subsampling": 0}])
def test_jpeg_equals_pillow(options: dict[str, Any]) -> None:
    data = encode(picture(), "jpeg", **options)
    expected = np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert np.abs(compressed_to_rgb(compressed(data)) - expected).max() <= 2


@pytest.mark.parametrize("container", [bytes, memoryview, lambda data: np.frombuffer(data, np.uint8)])
def test_png_is_exact(container: Callable[[bytes], Any]) -> None:
    data = container(encode(picture(), "png"))
    assert (compressed_to_rgb(SimpleNamespace(format="rgb8; png compressed bgr8", data=data)) == picture()).all()


def test_grey_alpha_and_16_bits_become_rgb() -> None:
    gray = picture()[..., 0]
    assert (compressed_to_rgb(compressed(encode(gray, "png"))) == gray[..., None]).all()
    assert compressed_to_rgb(compressed(encode(gray, "jpeg"))).shape == (24, 40, 3)
    rgba = np.dstack([picture(), gray])
    assert (compressed_to_rgb(compressed(encode(rgba, "png"))) == picture()).all()
    deep = cv2.imencode(".png", picture()[..., ::-1].astype(np.uint16) * 256)[1].tobytes()
    assert (compressed_to_rgb(compressed(deep)) == picture()).all()


def with_exif(jpeg: bytes, thumbnail: bytes = b"") -> bytes:
    """Adds an EXIF block that asks viewers to turn the picture by 90 degrees."""
    tiff = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0" + thumbnail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(tiff) + 2) + tiff + jpeg[2:]


def test_the_exif_orientation_is_ignored() -> None:
    plain = encode(picture(), "jpeg")
    turned = with_exif(plain)
    assert Pillow.open(io.BytesIO(turned)).getexif()[0x0112] == 6
    assert (compressed_to_rgb(compressed(turned)) == compressed_to_rgb(compressed(plain))).all()


@pytest.mark.parametrize("name", ["jpeg", "png"])
def test_a_picture_that_is_cut_anywhere_is_refused(name: str) -> None:
    data = encode(picture(8, 9), name)
    assert compressed_to_rgb(compressed(data)).shape == (8, 9, 3)
    for length in range(len(data)):
        with pytest.raises(ImageError):
            compressed_to_rgb(compressed(data[:length]))


def test_a_thumbnail_does_not_hide_a_cut() -> None:
    data = with_exif(encode(picture(), "jpeg"), thumbnail=encode(picture(8, 9), "jpeg"))
    assert compressed_to_rgb(compressed(data)).shape == (24, 40, 3)
    with pytest.raises(ImageError, match="JPEG of 40×24 is cut short"):
        compressed_to_rgb(compressed(data[:-50]))


@pytest.mark.parametrize("name", ["jpeg", "png"])
def test_data_after_the_end_is_ignored(name: str) -> None:
    data = encode(picture(), name)
    assert (compressed_to_rgb(compressed(data + bytes(100))) == compressed_to_rgb(compressed(data))).all()


@pytest.mark.parametrize("data", [b"", b"\xff", b"GIF89a" + bytes(100), bytes(1000)])
def test_data_that_is_neither_jpeg_nor_png_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"format 'h264'.*neither a JPEG nor a PNG"):
        compressed_to_rgb(compressed(data, "h264"))


def patch_jpeg_size(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def patch_png_size(data: bytes, width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize(
    "data",
    [
        patch_jpeg_size(encode(picture(), "jpeg"), 65535, 65535),
        patch_png_size(encode(picture(), "png"), 2**31 - 1, 2**31 - 1),
        patch_png_size(encode(picture(), "png"), 8193, 8192),
    ],
)
def test_a_header_with_a_gigantic_size_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match=f"more than {MAX_PIXELS} pixels"):
        compressed_to_rgb(compressed(data))


def test_a_header_with_a_size_of_zero_is_refused() -> None:
    with pytest.raises(ImageError, match="must be at least 1"):
        compressed_to_rgb(compressed(patch_jpeg_size(encode(picture(), "jpeg"), 40, 0)))


def test_damaged_contents_are_refused() -> None:
    data = encode(picture(), "png")
    damaged = bytearray(data)
    damaged[data.index(b"IDAT") + 10] ^= 0xFF
    with pytest.raises(ImageError, match="checksum of its chunk IDAT is wrong"):
        compressed_to_rgb(compressed(bytes(damaged)))


@settings(deadline=None)
@given(
    name=st.sampled_from(["jpeg", "png"]), changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=5)
)
def test_damaged_bytes_give_a_picture_or_an_image_error(name: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(encode(picture(), name))
    for at, value in changes:
        data[at % len(data)] = value
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(image_files, "MAX_PIXELS", 2**18)
        try:
            rgb = compressed_to_rgb(compressed(bytes(data)))
        except ImageError:
            return
    assert rgb.ndim == 3
    assert rgb.shape[2] == 3
    assert rgb.dtype == np.uint8


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (360, 480)])
def test_fill_compressed_is_lossless(shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    msg = SimpleNamespace(format="", data=b"")
    fill_compressed(msg, mask)
    assert msg.format == "png"
    assert isinstance(msg.data, array.array)
    decoded = Pillow.open(io.BytesIO(msg.data.tobytes()))
    assert decoded.mode == "L"
    assert (np.asarray(decoded) == mask).all()
    assert (compressed_to_rgb(msg) == mask[..., None]).all()


@pytest.mark.parametrize("mask", [np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.int64)])
def test_fill_compressed_refuses_other_arrays(mask: Any) -> None:
    with pytest.raises(ImageError, match="not H×W uint8"):
        fill_compressed(SimpleNamespace(format="", data=b""), mask)


def test_messages_of_rosbags_are_read() -> None:
    """A picture that rosbags serialised and deserialised."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = store.types
    header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](1, 2), "front")
    png = types["sensor_msgs/msg/CompressedImage"](header, "png", np.frombuffer(encode(picture(), "png"), np.uint8))
    read: Any = store.deserialize_cdr(store.serialize_cdr(png, png.__msgtype__), png.__msgtype__)
    assert (compressed_to_rgb(read) == picture()).all()
