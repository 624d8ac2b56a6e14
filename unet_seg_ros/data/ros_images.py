"""Converts ROS image messages to arrays and arrays to messages. Imports no ROS.

The functions take any object with the attributes of ``sensor_msgs/Image`` or ``sensor_msgs/CompressedImage``: messages
of rclpy (``data`` is an ``array('B')``) as well as those of rosbags (``data`` is an ndarray).
"""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.image_files import MAX_PIXELS as MAX_PIXELS
from unet_seg_ros.data.image_files import PictureError, check_size, decode
from unet_seg_ros.text import last_words, one_line, quoted

MAX_FORMAT = 200
"""Only so many characters of a compressed image's format are read."""
DEPTH = ("16UC1", "32FC1")
"""Encodings of depth images (REP 118), which are not segmented."""
_HOLDS_DEPTH = "holds depth, not colours: subscribe to the colour image"

Array = NDArray[np.uint8]


class ImageError(ValueError):
    """A message that holds no usable image. The text says in one line what is wrong and what would be right."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


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
    """The layout of an encoding's bytes, and the function that converts them to RGB."""

    channels: int  # samples per pixel within a row
    to_rgb: Callable[[Array], Array]  # rows×W×channels, rows at any stride → H×W×3
    block: tuple[int, int] = (1, 1)  # width and height must be multiples of these, since pixels share a colour
    rows: tuple[int, int] = (1, 1)  # rows of data for rows of pixels; not 1:1 if a colour plane follows
    smallest: int = 1  # least width and height
    sample: int = 1  # bytes of a sample; of two, the upper one is taken, as in a PNG of 16 bits


def _as_is(pixels: Array) -> Array:
    return pixels


def _by(code: int) -> Callable[[Array], Array]:
    """Convert by OpenCV. It reads rows at any stride and is 20 times faster than copying a NumPy view of the
    channels."""
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
_ENCODINGS |= {f"{name[:-1]}16": read._replace(sample=2) for name, read in _ENCODINGS.items() if name.endswith("8")}

_MOSAICS = {
    f"bayer_{pattern}{bits}": code
    for pattern, code in (
        ("rggb", cv2.COLOR_BayerBG2RGB),
        ("bggr", cv2.COLOR_BayerRG2RGB),
        ("gbrg", cv2.COLOR_BayerGR2RGB),
        ("grbg", cv2.COLOR_BayerGB2RGB),
    )
    for bits in (8, 16)
}
"""OpenCV's conversion of a Bayer mosaic that was compressed as a grey picture."""

_COLORS = {f"{order}{bits}" for order in ("rgb", "bgr", "rgba", "bgra") for bits in (8, 16)}
"""Encodings whose channels ``compressed_image_transport`` may exchange."""

ENCODINGS: tuple[str, ...] = tuple(_ENCODINGS)
"""Encodings that this module converts itself. If cv_bridge is installed, it is used for all others."""


def to_rgb(msg: ImageMessage) -> Array:
    """The frame as an H×W×3 uint8 RGB array.

    The array of an ``rgb8`` message is a view of the message's memory (read-only if that is): do not write to it.
    YUV is converted as BT.601 with studio range (16 to 235), as cameras send it. The last row may lack its padding.
    Raises ImageError.
    """
    width, height, step = int(msg.width), int(msg.height), int(msg.step)
    try:
        check_size(width, height)
    except PictureError as error:
        raise ImageError(str(error)) from error
    encoding = _ENCODINGS.get(msg.encoding)
    if msg.encoding in DEPTH:
        raise ImageError(f"encoding {quoted(msg.encoding)} {_HOLDS_DEPTH}")
    if encoding is None:
        return _by_cv_bridge(msg)
    what = f"{msg.encoding} image of {width}×{height}"
    for side, length, block in (("width", width, encoding.block[0]), ("height", height, encoding.block[1])):
        if length % block:
            raise ImageError(f"{what}: the {side} of this encoding must be a multiple of {block}")
        if length < encoding.smallest:
            raise ImageError(f"{what}: the {side} of this encoding must be at least {encoding.smallest}")
    pixel = encoding.channels * encoding.sample
    row = width * pixel
    if step < row:
        raise ImageError(f"{what}: step is {step} bytes, a row needs {row}")
    rows = height * encoding.rows[0] // encoding.rows[1]
    size = memoryview(msg.data).nbytes
    if size < step * (rows - 1) + row:
        raise ImageError(f"{what}: data has {size} bytes, {rows} rows with a step of {step} need {step * rows}")
    upper = encoding.sample - 1 if not msg.is_bigendian else 0
    strides = (step, pixel, encoding.sample)
    pixels: Array = np.ndarray((rows, width, encoding.channels), np.uint8, msg.data, upper, strides)
    return encoding.to_rgb(pixels if encoding.sample == 1 else np.ascontiguousarray(pixels))


def compressed_to_rgb(msg: CompressedImageMessage) -> Array:
    """The frame as an H×W×3 uint8 RGB array, from JPEG, PNG or BMP, as ``data.image_files`` reads them.

    A picture whose ``format`` names a Bayer mosaic (``bayer_rggb8; jpeg compressed``) is demosaiced; one whose
    ``format`` names depth is refused. Red and blue are exchanged, as ``compressed_image_transport`` does, if
    ``format`` says that the pixels were compressed as RGB (``rgb8; jpeg compressed rgb8``): encoders take them for BGR.
    A picture whose ``format`` does not say it keeps its own colours. Raises ImageError.
    """
    if reason := not_a_picture(msg.format):
        raise ImageError(reason)
    encoding = encoding_of(msg.format)
    mosaic = encoding.lower().startswith("bayer")
    try:
        pixels = decode(memoryview(msg.data).tobytes(), grey=mosaic).pixels
    except PictureError as error:
        raise ImageError(f"format {quoted(msg.format)}: {error}") from error
    if pixels.ndim == 3:
        exchanged = encoding in _COLORS and "compressed rgb" in msg.format[:MAX_FORMAT]
        return cast(Array, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)) if exchanged else pixels
    return _demosaiced(pixels, msg.format)


def _demosaiced(pixels: NDArray[Any], compressed_format: str) -> Array:
    """The colours of a mosaic that was compressed as a grey picture. Raises ImageError."""
    encoding = encoding_of(compressed_format)
    if encoding not in _MOSAICS:
        raise ImageError(f"format {quoted(compressed_format)}: a mosaic must be one of {', '.join(_MOSAICS)}")
    if min(pixels.shape) < 3:
        raise ImageError(
            f"format {quoted(compressed_format)}: a mosaic of {pixels.shape[1]}×{pixels.shape[0]}: too small"
        )
    mosaic = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    return cast(Array, cv2.cvtColor(mosaic, _MOSAICS[encoding]))


def encoding_of(compressed_format: str) -> str:
    """The encoding of the image before it was compressed, as image_transport writes it; empty if there is none."""
    encoding, semicolon, _ = compressed_format[:MAX_FORMAT].partition(";")
    return encoding.strip() if semicolon else ""


def not_a_picture(compressed_format: str) -> str:
    """The reason why a compressed image of this format is not segmented; empty if it is segmented."""
    encoding = encoding_of(compressed_format)
    if encoding in DEPTH or "compressedDepth" in compressed_format[:MAX_FORMAT]:
        return f"format {quoted(compressed_format)} {_HOLDS_DEPTH}"
    return ""


def fill(msg: ImageMessage, pixels: Array) -> None:
    """Put an H×W (``mono8``) or H×W×3 (``rgb8``) uint8 array into ``msg``. Its header stays as it is.

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
    """Put an H×W uint8 array into ``msg`` as a PNG, without loss. Its header stays as it is.

    Raises ImageError for an array of any other shape or type.
    """
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise ImageError(f"an array of {mask.shape} {mask.dtype} is not H×W uint8")
    # OpenCV's defaults are fast; any explicit compression level makes it three times slower and the file no smaller
    png = cv2.imencode(".png", mask)[1]
    msg.format = "png"
    msg.data = _bytes(cast(Array, png))


def _bytes(contiguous: Array) -> array.array[int]:
    """The type that rclpy accepts without checking each byte; an ndarray takes it hundreds of times longer."""
    data = array.array("B")
    data.frombytes(contiguous.data)
    return data


def _by_cv_bridge(msg: ImageMessage) -> Array:
    try:
        from cv_bridge import CvBridge  # type: ignore[import]

        return cast(Array, CvBridge().imgmsg_to_cv2(msg, "rgb8"))
    except ImportError:
        raise ImageError(
            f"unknown encoding {quoted(msg.encoding)}: without cv_bridge, these can be read: {', '.join(ENCODINGS)}"
        ) from None
    except Exception as error:  # cv_bridge raises whatever NumPy, OpenCV or its C++ part raises
        text = f"encoding {quoted(msg.encoding)} is read by cv_bridge, which fails: {last_words(error)}"
        raise ImageError(text) from error


def stamp_ns(header: Any) -> int:
    """The stamp of a ``std_msgs/Header`` in nanoseconds."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)
