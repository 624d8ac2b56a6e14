"""Raw images compared with loops over bytes and with textbook formulas."""

from __future__ import annotations

import array
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from unet_seg_ros.data.ros_images import ENCODINGS, MAX_PIXELS, ImageError, compressed_to_rgb, fill, to_rgb

CONTAINERS: dict[str, Callable[[bytes], Any]] = {
    "array": lambda data: array.array("B", data),
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "ndarray": lambda data: np.frombuffer(data, np.uint8),
}
CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0), "mono8": (0, 0, 0)}
PIXEL_BYTES = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
BAYER = ("bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8")
YUV422 = ("uyvy", "yuv422", "yuyv", "yuv422_yuy2")
YUV420 = ("nv12", "nv21")
DEEP = {f"{name[:-1]}16": name for name in (*PIXEL_BYTES, *BAYER)}
"""Encodings of 16 bits per sample, and the matching encodings of 8 bits."""
BYTES_PER_ROW = {**PIXEL_BYTES, **dict.fromkeys(BAYER, 1), **dict.fromkeys(YUV422, 2), **dict.fromkeys(YUV420, 1)}
BYTES_PER_ROW |= {deep: 2 * BYTES_PER_ROW[name] for deep, name in DEEP.items()}


def message(encoding: str, width: int, height: int, step: int, data: Any) -> Any:
    return SimpleNamespace(encoding=encoding, width=width, height=height, step=step, is_bigendian=0, data=data)


def noise(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8).tobytes()


def rows_of(encoding: str, height: int) -> int:
    return height * 3 // 2 if encoding in YUV420 else height


def good(encoding: str, width: int = 8, height: int = 6, padding: int = 0, seed: int = 0) -> Any:
    step = width * BYTES_PER_ROW[encoding] + padding
    return message(encoding, width, height, step, noise(step * rows_of(encoding, height), seed))


def yuv_to_rgb(y: int, u: int, v: int) -> list[float]:
    """BT.601, studio range."""
    luma = 255 / 219 * max(y - 16, 0)
    r = luma + 255 / 112 * (1 - 0.299) * (v - 128)
    b = luma + 255 / 112 * (1 - 0.114) * (u - 128)
    g = luma - 255 / 112 * (1 - 0.114) * 0.114 / 0.587 * (u - 128) - 255 / 112 * (1 - 0.299) * 0.299 / 0.587 * (v - 128)
    return [min(max(channel, 0), 255) for channel in (r, g, b)]


def test_every_encoding_has_a_test_in_this_module() -> None:
    assert set(ENCODINGS) == set(BYTES_PER_ROW)


@given(
    encoding=st.sampled_from(sorted(CHANNELS)),
    width=st.integers(1, 9),
    height=st.integers(1, 7),
    padding=st.integers(0, 9),
    cut=st.booleans(),
    container=st.sampled_from(sorted(CONTAINERS)),
    seed=st.integers(0, 99),
)
def test_interleaved_encodings_become_rgb(
    encoding: str, width: int, height: int, padding: int, cut: bool, container: str, seed: int
) -> None:
    msg = good(encoding, width, height, padding, seed)
    raw = msg.data
    if cut:  # a last row without its padding
        raw = raw[: len(raw) - padding]
    msg.data = CONTAINERS[container](raw)
    rgb = to_rgb(msg)
    assert rgb.shape == (height, width, 3)
    assert rgb.dtype == np.uint8
    for y in range(height):
        for x in range(width):
            at = y * msg.step + x * PIXEL_BYTES[encoding]
            assert rgb[y, x].tolist() == [raw[at + channel] for channel in CHANNELS[encoding]]


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("container", sorted(CONTAINERS))
def test_rgb8_is_a_view_of_the_message(container: str, padding: int) -> None:
    msg = good("rgb8", padding=padding)
    msg.data = CONTAINERS[container](msg.data)
    assert np.shares_memory(to_rgb(msg), np.frombuffer(msg.data, np.uint8))


@pytest.mark.parametrize("encoding", BAYER)
@pytest.mark.parametrize(("width", "height"), [(8, 6), (9, 7), (3, 3), (4, 3)])
def test_bayer_equals_bilinear_interpolation(encoding: str, width: int, height: int) -> None:
    """Away from the border: a pixel keeps its own colour, and the two others are means over its 3×3 neighbours."""
    msg = good(encoding, width, height, padding=3)
    rgb = to_rgb(msg)
    pattern = encoding.removeprefix("bayer_")

    def color_at(y: int, x: int) -> int:
        return "rgb".index(pattern[y % 2 * 2 + x % 2])

    for y in range(1, height - 1):
        for x in range(1, width - 1):
            around: dict[int, list[int]] = {0: [], 1: [], 2: []}
            for v in (y - 1, y, y + 1):
                for u in (x - 1, x, x + 1):
                    around[color_at(v, u)].append(msg.data[v * msg.step + u])
            around[color_at(y, x)] = [msg.data[y * msg.step + x]]
            assert rgb[y, x].tolist() == [int(np.mean(around[channel]) + 0.5) for channel in range(3)]


@pytest.mark.parametrize("encoding", BAYER)
def test_bayer_mosaic_of_one_color_is_that_color(encoding: str) -> None:
    color = {"r": 200, "g": 90, "b": 30}
    pattern = [color[letter] for letter in encoding.removeprefix("bayer_")[:4]]
    mosaic = np.tile(np.array(pattern, np.uint8).reshape(2, 2), (4, 5))
    rgb = to_rgb(message(encoding, 10, 8, 10, mosaic.tobytes()))
    assert (rgb == (200, 90, 30)).all()


@pytest.mark.parametrize("encoding", sorted(DEEP))
@pytest.mark.parametrize("big", [0, 1])
@pytest.mark.parametrize(("width", "height", "padding"), [(3, 3, 0), (8, 6, 0), (7, 5, 3)])
def test_encodings_of_16_bits_are_read_like_a_png_of_16_bits(
    encoding: str, big: int, width: int, height: int, padding: int
) -> None:
    msg = good(encoding, width, height, padding)
    msg.is_bigendian = big
    samples = width * BYTES_PER_ROW[encoding] // 2
    words = np.stack([np.frombuffer(msg.data, ">u2" if big else "<u2", samples, y * msg.step) for y in range(height)])
    upper = (words // 256).astype(np.uint8)
    same = message(DEEP[encoding], width, height, upper.shape[1], upper.tobytes())
    assert np.array_equal(to_rgb(msg), to_rgb(same))
    if encoding in ("mono16", "rgb16"):
        pixels = words.reshape(height, width, -1).astype(np.uint16)
        png = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
        assert np.array_equal(to_rgb(msg), compressed_to_rgb(SimpleNamespace(format="png", data=png)))


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_is_refused_by_its_encoding(encoding: str) -> None:
    with pytest.raises(ImageError, match=f"encoding '{encoding}' holds depth, not colours"):
        to_rgb(message(encoding, 8, 6, 32, bytes(192)))


@pytest.mark.parametrize("encoding", YUV422)
@pytest.mark.parametrize(("width", "height", "padding"), [(2, 1, 0), (6, 5, 0), (8, 3, 5)])
def test_yuv422_is_converted_by_bt601(encoding: str, width: int, height: int, padding: int) -> None:
    msg = good(encoding, width, height, padding)
    rgb = to_rgb(msg)
    luma, u, v = (1, 0, 2) if encoding in ("uyvy", "yuv422") else (0, 1, 3)
    for y in range(height):
        for x in range(width):
            pair = msg.data[y * msg.step + x // 2 * 4 :]
            expected = yuv_to_rgb(pair[luma + x % 2 * 2], pair[u], pair[v])
            assert np.abs(rgb[y, x] - expected).max() <= 1


@pytest.mark.parametrize("encoding", YUV420)
@pytest.mark.parametrize(("width", "height", "padding"), [(2, 2, 0), (6, 4, 0), (10, 6, 6)])
def test_yuv420_is_converted_by_bt601(encoding: str, width: int, height: int, padding: int) -> None:
    msg = good(encoding, width, height, padding)
    rgb = to_rgb(msg)
    for y in range(height):
        for x in range(width):
            chroma = msg.data[(height + y // 2) * msg.step + x // 2 * 2 :]
            u, v = (chroma[0], chroma[1]) if encoding == "nv12" else (chroma[1], chroma[0])
            assert np.abs(rgb[y, x] - yuv_to_rgb(msg.data[y * msg.step + x], u, v)).max() <= 1


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_only_the_padding_of_the_last_row_may_be_missing(encoding: str) -> None:
    msg = good(encoding, padding=7)
    whole = to_rgb(msg).copy()
    msg.data = msg.data[:-7]
    assert (to_rgb(msg) == whole).all()
    msg.data = msg.data[:-1]
    with pytest.raises(ImageError, match=f"data has {len(msg.data)} bytes, .* need {msg.step * rows_of(encoding, 6)}"):
        to_rgb(msg)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_missing_data_is_refused(encoding: str) -> None:
    for container in CONTAINERS.values():
        msg = good(encoding)
        msg.data = container(b"")
        with pytest.raises(ImageError, match="data has 0 bytes"):
            to_rgb(msg)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_step_that_is_smaller_than_a_row_is_refused(encoding: str) -> None:
    msg = good(encoding)
    msg.step -= 1
    with pytest.raises(ImageError, match=f"step is {msg.step} bytes, a row needs {msg.step + 1}$"):
        to_rgb(msg)
    msg.step = 0
    with pytest.raises(ImageError, match="step is 0 bytes"):
        to_rgb(msg)


@pytest.mark.parametrize("encoding", [*ENCODINGS, "nonsense"])
@pytest.mark.parametrize(("width", "height"), [(0, 6), (8, 0), (0, 0)])
def test_a_size_of_zero_is_refused(encoding: str, width: int, height: int) -> None:
    with pytest.raises(ImageError, match="must be at least 1"):
        to_rgb(message(encoding, width, height, 24, bytes(144)))


@pytest.mark.parametrize(("width", "height"), [(2**32 - 1, 2**32 - 1), (MAX_PIXELS + 1, 1), (8193, 8192)])
def test_an_image_with_too_many_pixels_is_refused(width: int, height: int) -> None:
    with pytest.raises(ImageError, match=f"more than {MAX_PIXELS} pixels"):
        to_rgb(message("rgb8", width, height, (3 * width) % 2**32, bytes(100)))


def test_the_largest_fields_of_a_message_do_not_overflow() -> None:
    with pytest.raises(ImageError, match="data has 100 bytes"):
        to_rgb(message("mono8", 4096, 4096, 2**32 - 1, bytes(100)))
    one_row = message("rgb8", 2, 1, 2**32 - 1, b"abcdef")
    assert to_rgb(one_row).tolist() == [[[97, 98, 99], [100, 101, 102]]]


@pytest.mark.parametrize("encoding", [*YUV422, *YUV420])
def test_an_odd_width_is_refused_if_two_pixels_share_a_colour(encoding: str) -> None:
    with pytest.raises(ImageError, match="width of this encoding must be a multiple of 2"):
        to_rgb(message(encoding, 7, 6, 16, bytes(200)))


@pytest.mark.parametrize("encoding", YUV420)
def test_an_odd_height_is_refused_if_two_rows_share_a_colour(encoding: str) -> None:
    with pytest.raises(ImageError, match="height of this encoding must be a multiple of 2"):
        to_rgb(message(encoding, 8, 5, 8, bytes(200)))


@pytest.mark.parametrize("encoding", BAYER)
@pytest.mark.parametrize(("width", "height", "side"), [(2, 8, "width"), (8, 1, "height")])
def test_a_mosaic_that_is_too_small_is_refused(encoding: str, width: int, height: int, side: str) -> None:
    with pytest.raises(ImageError, match=f"{side} of this encoding must be at least 3"):
        to_rgb(message(encoding, width, height, 8, bytes(64)))


@pytest.mark.parametrize("encoding", ["", "RGB8", "8UC3", "jpeg"])
def test_an_unknown_encoding_is_refused_without_cv_bridge(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    with pytest.raises(ImageError, match=f"unknown encoding '{encoding}'.*rgb8, bgr8.*nv21") as caught:
        to_rgb(message(encoding, 8, 6, 24, bytes(144)))
    assert "\n" not in str(caught.value)


def test_other_encodings_are_converted_by_cv_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    class CvBridge:
        def imgmsg_to_cv2(self, msg: Any, desired_encoding: str) -> Any:
            if msg.encoding != "16UC3":
                raise TypeError("not a color format")
            assert desired_encoding == "rgb8"
            return np.frombuffer(msg.data, np.uint16).reshape(msg.height, msg.width, 3).astype(np.uint8)

    module = ModuleType("cv_bridge")
    monkeypatch.setattr(module, "CvBridge", CvBridge, raising=False)
    monkeypatch.setitem(sys.modules, "cv_bridge", module)
    values = np.arange(2 * 5 * 3, dtype=np.uint16).reshape(2, 5, 3)
    assert (to_rgb(message("16UC3", 5, 2, 30, values.tobytes())) == values).all()
    with pytest.raises(ImageError, match=r"'8UC2' is read by cv_bridge, which fails: not a color format"):
        to_rgb(message("8UC2", 5, 2, 20, bytes(40)))


@given(height=st.integers(1, 9), width=st.integers(1, 9), color=st.booleans(), layout=st.sampled_from("CTR"))
def test_fill_writes_what_to_rgb_reads(height: int, width: int, color: bool, layout: str) -> None:
    pixels: Any = np.frombuffer(noise(height * width * 3), np.uint8).reshape(height, width, 3)
    pixels = pixels if color else pixels[..., 0]
    if layout == "T":
        pixels = pixels.swapaxes(0, 1)
    elif layout == "R":
        pixels = pixels[::-1, ::-1]
    msg = message("", 0, 0, 0, b"")
    fill(msg, pixels)
    assert msg.encoding == ("rgb8" if color else "mono8")
    assert (msg.height, msg.width) == pixels.shape[:2]
    assert msg.step == msg.width * (3 if color else 1)
    assert msg.is_bigendian == 0
    assert isinstance(msg.data, array.array)
    assert msg.data.typecode == "B"
    assert msg.data.tobytes() == pixels.tobytes()
    assert (to_rgb(msg) == (pixels if color else pixels[..., None])).all()


@pytest.mark.parametrize(
    "pixels",
    [np.zeros(5, np.uint8), np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 1), np.uint8), np.zeros((2, 3), np.uint16)],
)
def test_fill_refuses_other_arrays(pixels: Any) -> None:
    msg = message("old", 1, 1, 1, b"x")
    with pytest.raises(ImageError, match="neither H×W nor H×W×3 uint8"):
        fill(msg, pixels)
    assert vars(msg) == vars(message("old", 1, 1, 1, b"x"))


def test_messages_of_rosbags_are_read() -> None:
    """A frame that rosbags serialised and deserialised."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = store.types
    header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](1, 2), "front")
    pixels = np.frombuffer(noise(24 * 40 * 3), np.uint8)
    frame = types["sensor_msgs/msg/Image"](header, 24, 40, "rgb8", 0, 120, pixels)
    read: Any = store.deserialize_cdr(store.serialize_cdr(frame, frame.__msgtype__), frame.__msgtype__)
    assert (to_rgb(read) == pixels.reshape(24, 40, 3)).all()
