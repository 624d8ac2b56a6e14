"""ROS image messages ⇄ arrays, without importing ROS.

Every function takes any object with the attributes of ``sensor_msgs/Image`` or ``sensor_msgs/CompressedImage``:
messages of rclpy (``data`` is an ``array('B')``) and of rosbags (``data`` is an ndarray) alike.
"""

from __future__ import annotations

import array
import struct
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_PIXELS = 2**26
"""Larger frames (8192×8192) are refused: their headers are taken for damaged."""

Array = NDArray[np.uint8]


class ImageError(ValueError):
    """A message that holds no usable image; the text says in one line what is wrong and what would be right."""


class ImageMessage(Protocol):
    """The attributes of ``sensor_msgs/Image``; ``data`` is anything with a contiguous buffer of bytes."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class CompressedImageMessage(Protocol):
    """The attributes of ``sensor_msgs/CompressedImage``; ``data`` is anything with a contiguous buffer of bytes."""

    format: str
    data: Any


class _Encoding(NamedTuple):
    """How the bytes of an encoding lie and what makes RGB of them."""

    channels: int  # bytes per pixel within a row
    to_rgb: Callable[[Array], Array]  # rows×W×channels, rows at any stride → H×W×3
    block: tuple[int, int] = (1, 1)  # width and height are multiples of these: pixels that share a colour
    rows: tuple[int, int] = (1, 1)  # rows of data per rows of pixels; more than 1 where a colour plane follows
    smallest: int = 1  # least width and height


def _as_is(pixels: Array) -> Array:
    return pixels


def _by(code: int) -> Callable[[Array], Array]:
    """OpenCV reads rows at any stride, and is twenty times faster here than copying a numpy view of the channels."""
    return lambda pixels: cast(Array, cv2.cvtColor(pixels, code))


# ROS names a Bayer pattern by its first four pixels, OpenCV by those that start at the second row and column.
# The demosaicing interpolates from both sides and blackens pictures narrower than three pixels.
_ENCODINGS: dict[str, _Encoding] = {
    "rgb8": _Encoding(3, _as_is),
    "bgr8": _Encoding(3, _by(cv2.COLOR_BGR2RGB)),
    "rgba8": _Encoding(4, _by(cv2.COLOR_RGBA2RGB)),
    "bgra8": _Encoding(4, _by(cv2.COLOR_BGRA2RGB)),
    "mono8": _Encoding(1, _by(cv2.COLOR_GRAY2RGB)),
    "bayer_rggb8": _Encoding(1, _by(cv2.COLOR_BayerBG2RGB), smallest=3),
    "bayer_bggr8": _Encoding(1, _by(cv2.COLOR_BayerRG2RGB), smallest=3),
    "bayer_gbrg8": _Encoding(1, _by(cv2.COLOR_BayerGR2RGB), smallest=3),
    "bayer_grbg8": _Encoding(1, _by(cv2.COLOR_BayerGB2RGB), smallest=3),
    "uyvy": _Encoding(2, _by(cv2.COLOR_YUV2RGB_UYVY), block=(2, 1)),
    "yuv422": _Encoding(2, _by(cv2.COLOR_YUV2RGB_UYVY), block=(2, 1)),
    "yuyv": _Encoding(2, _by(cv2.COLOR_YUV2RGB_YUY2), block=(2, 1)),
    "yuv422_yuy2": _Encoding(2, _by(cv2.COLOR_YUV2RGB_YUY2), block=(2, 1)),
    "nv12": _Encoding(1, _by(cv2.COLOR_YUV2RGB_NV12), block=(2, 2), rows=(3, 2)),
    "nv21": _Encoding(1, _by(cv2.COLOR_YUV2RGB_NV21), block=(2, 2), rows=(3, 2)),
}

ENCODINGS: tuple[str, ...] = tuple(_ENCODINGS)
"""Encodings that need nothing but this module; cv_bridge, where it is installed, is asked for any other."""


def to_rgb(msg: ImageMessage) -> Array:
    """The frame as an H×W×3 uint8 RGB array.

    The array of an ``rgb8`` message is a view of the message's own memory (and read-only where that is): do not
    write to it. YUV is taken as BT.601 with studio range (16 to 235), as cameras send it. A last row without its
    padding is accepted. Raises ImageError.
    """
    width, height, step = int(msg.width), int(msg.height), int(msg.step)
    _check_size(width, height)
    encoding = _ENCODINGS.get(msg.encoding)
    if encoding is None:
        return _by_cv_bridge(msg)
    what = f"{msg.encoding} image of {width}×{height}"
    for side, length, block in (("width", width, encoding.block[0]), ("height", height, encoding.block[1])):
        if length % block:
            raise ImageError(f"{what}: the {side} of this encoding must be a multiple of {block}")
        if length < encoding.smallest:
            raise ImageError(f"{what}: the {side} of this encoding must be at least {encoding.smallest}")
    row = width * encoding.channels
    if step < row:
        raise ImageError(f"{what}: step is {step} bytes, a row needs {row}")
    rows = height * encoding.rows[0] // encoding.rows[1]
    size = memoryview(msg.data).nbytes
    if size < step * (rows - 1) + row:
        raise ImageError(f"{what}: data has {size} bytes, {rows} rows with a step of {step} need {step * rows}")
    strides = (step, encoding.channels, 1)
    return encoding.to_rgb(np.ndarray((rows, width, encoding.channels), np.uint8, msg.data, strides=strides))


def compressed_to_rgb(msg: CompressedImageMessage) -> Array:
    """The frame as an H×W×3 uint8 RGB array, from JPEG or PNG, whatever ``format`` says.

    An EXIF orientation is ignored: pixels stay where the camera's calibration has them. A picture that was cut
    short is refused, though a decoder would fill its rest with grey. Raises ImageError.
    """
    data = bytes(msg.data)
    if data.startswith(b"\xff\xd8"):
        kind, width, height, complete = "JPEG", *_jpeg_header(data)
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        kind, width, height, complete = "PNG", *_png_header(data)
    else:
        raise ImageError(f"data of format '{msg.format}' ({len(data)} bytes) is neither a JPEG nor a PNG")
    _check_size(width, height)
    if not complete:
        raise ImageError(f"{kind} of {width}×{height} is cut short: its {len(data)} bytes have no end marker")
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(f"{kind} of {width}×{height} can't be decoded: {error.err}") from error
    if bgr is None or bgr.shape[:2] != (height, width):
        raise ImageError(f"{kind} of {width}×{height} can't be decoded: its contents are damaged")
    return cast(Array, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def fill(msg: ImageMessage, pixels: Array) -> None:
    """Put an H×W (``mono8``) or H×W×3 (``rgb8``) uint8 array into ``msg``: everything but its header.

    Raises ImageError for an array of any other shape or type.
    """
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ImageError(f"an array of {pixels.shape} {pixels.dtype} is neither H×W nor H×W×3 uint8")
    msg.encoding = "mono8" if pixels.ndim == 2 else "rgb8"
    msg.height, msg.width = pixels.shape[:2]
    msg.step = msg.width * (1 if pixels.ndim == 2 else 3)
    msg.is_bigendian = 0
    msg.data = _bytes(np.ascontiguousarray(pixels))


def fill_compressed(msg: CompressedImageMessage, mask: Array) -> None:
    """Put an H×W uint8 array into ``msg`` as a PNG, without loss: everything but its header.

    Raises ImageError for an array of any other shape or type.
    """
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise ImageError(f"an array of {mask.shape} {mask.dtype} is not H×W uint8")
    # OpenCV's defaults are tuned for speed; naming any compression level makes it three times slower, for nothing
    png = cv2.imencode(".png", mask)[1]
    msg.format = "png"
    msg.data = _bytes(cast(Array, png))


def _bytes(contiguous: Array) -> array.array[int]:
    """What rclpy takes without looking at each byte: hundreds of times faster than giving it an ndarray."""
    data = array.array("B")
    data.frombytes(contiguous.data)
    return data


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"image of {width}×{height}: width and height must be at least 1")
    if width * height > MAX_PIXELS:
        raise ImageError(f"image of {width}×{height}: more than {MAX_PIXELS} pixels are taken for a damaged header")


def _by_cv_bridge(msg: ImageMessage) -> Array:
    try:
        from cv_bridge import CvBridge  # type: ignore[import]

        return cast(Array, CvBridge().imgmsg_to_cv2(msg, "rgb8"))
    except ImportError:
        raise ImageError(
            f"unknown encoding '{msg.encoding}': known without cv_bridge are {', '.join(ENCODINGS)}"
        ) from None
    except Exception as error:  # cv_bridge raises whatever numpy, OpenCV or its C++ half do
        raise ImageError(f"encoding '{msg.encoding}' is left to cv_bridge, which fails: {error}") from error


def _png_header(data: bytes) -> tuple[int, int, bool]:
    """Width, height and whether the last chunk is there."""
    if len(data) < 24 or data[12:16] != b"IHDR":
        raise ImageError(f"PNG of {len(data)} bytes has no header")
    width, height = struct.unpack(">II", data[16:24])
    return width, height, data.rfind(b"IEND\xaeB\x60\x82") > 0


def _jpeg_header(data: bytes) -> tuple[int, int, bool]:
    """Width, height and whether an end marker follows the start of the pixels (a thumbnail before them has one too)."""
    size: tuple[int, int] | None = None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header, of any JPEG process
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            size = width, height
        if marker == 0xDA and size is not None:  # start of scan
            return *size, data.rfind(b"\xff\xd9", at) > 0
        at += 2 + length
    raise ImageError(f"JPEG of {len(data)} bytes: its header is damaged or cut short")
