"""Reads pictures (JPEG, PNG, BMP) from files and messages; all code of the project uses these functions.

* The size is checked against ``MAX_PIXELS`` before anything is decoded. A picture that is cut short or damaged is
  refused, although a decoder would fill the missing part with grey.
* An EXIF orientation is not applied: labels and calibrations are for the pixels as the camera stored them.
* Python reads a file, and it is decoded from memory. So any file name works, whatever its characters.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from unet_seg_ros.data import jpeg, png
from unet_seg_ros.data.jpeg import PictureError as PictureError
from unet_seg_ros.files import read_bytes, write_atomically
from unet_seg_ros.text import last_words, listed, quoted

Array = NDArray[np.uint8]

LIMIT_VARIABLE = "UNET_SEG_MAX_IMAGE_PIXELS"
"""The environment variable that sets ``MAX_PIXELS``."""


def _limit() -> int:
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    if text.isdecimal() and 1 <= int(text[:12]) <= 2**30:
        return int(text)
    if text:
        logging.getLogger(__name__).warning(
            "%s is %s, must be a whole number of pixels up to 2^30; 2^24 is used", LIMIT_VARIABLE, quoted(text)
        )
    return 2**24


MAX_PIXELS = _limit()
"""Pictures and images with more pixels are refused. 4096×4096, unless the environment sets another limit, up to
2^30."""
MAX_BYTES = 2**28
"""Largest file that is read, bytes."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
"""Suffixes of the files that count as pictures, in lower case."""
OTHERS = (".webp", ".tif", ".tiff", ".gif", ".jp2", ".j2k", ".ppm", ".pgm", ".heic", ".avif", ".exr", ".jxl")
"""Suffixes of pictures that are not read, in lower case."""
LABEL_SUFFIXES = (".png", ".bmp")
"""Suffixes of the files that count as label images, in lower case: those of formats without loss."""
NO_LABEL = "not an 8-bit single-channel image, as label ids are"
_CMYK = 4


class Picture(NamedTuple):
    """``pixels`` is uint8[H, W, 3] RGB or, if one channel was asked for, uint8 or uint16[H, W]. ``orientation`` is
    EXIF's, which is not applied (1 = not turned)."""

    pixels: NDArray[Any]
    orientation: int = 1


def is_picture(path: Path) -> bool:
    """Whether a file is a picture, by its name. Hidden files, such as the ``._NAME`` files of macOS, are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def is_label(path: Path) -> bool:
    """Whether a file is a picture that can hold labels, by its name."""
    return is_picture(path) and path.suffix.lower() in LABEL_SUFFIXES


def left_out(files: Iterable[Path]) -> str:
    """A sentence for the pictures among ``files`` that are of a format that is not read; empty if there are none."""
    found = [path for path in files if path.suffix.lower() in OTHERS and not path.name.startswith(".")]
    if not found:
        return ""
    kinds = listed(sorted({path.suffix.lower() for path in found}))
    return f"{found[0]}: {len(found)} pictures of formats that are not read ({kinds}) are left out; convert them to PNG"


def check_size(width: int, height: int) -> None:
    """Raises PictureError for an empty picture and for one with more than ``MAX_PIXELS``."""
    if width < 1 or height < 1:
        raise PictureError(f"image of {width}×{height}: width and height must be at least 1")
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"image of {width}×{height}: more than {MAX_PIXELS} pixels; if it is not damaged, set {LIMIT_VARIABLE}"
        )


def decode(data: bytes, grey: bool = False) -> Picture:
    """Decode a picture to 8-bit RGB. With ``grey``, a picture of one channel keeps it and its 8 or 16 bits. Raises
    PictureError."""
    for start, decoder in _KINDS:
        if data.startswith(start):
            return decoder(data, grey)
    raise PictureError(f"data of {len(data)} bytes is neither a JPEG nor a PNG")


def read_image(path: Path) -> Array:
    """A picture file as H×W×3 uint8 RGB, not turned. Raises ValueError, which names the file."""
    return read_picture(path).pixels


def read_picture(path: Path) -> Picture:
    """The same, with the orientation that the file states. Raises ValueError, which names the file."""
    try:
        return decode(read_bytes(path, MAX_BYTES))
    except OSError as error:
        raise ValueError(f"{path}: not an image that can be read: {last_words(error)}") from error
    except PictureError as error:
        raise ValueError(f"{path}: {error}") from error


def read_label(path: Path) -> Array:
    """A file of label ids as H×W uint8. Raises ValueError if it is not a single-channel 8-bit image."""
    try:
        return decode_label(read_bytes(path, MAX_BYTES))
    except (OSError, PictureError) as error:
        text = last_words(error)
        raise ValueError(f"{path}: {text if text == NO_LABEL else f'{NO_LABEL}: {text}'}") from error


def decode_label(data: bytes) -> Array:
    """A picture of label ids as H×W uint8. Raises PictureError if it is not a single-channel 8-bit image, or a JPEG."""
    if data.startswith(jpeg.START):
        raise PictureError("a JPEG changes the ids of labels; use a PNG")
    pixels = decode(data, grey=True).pixels
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise PictureError(NO_LABEL)
    return pixels


def write_image(path: Path, pixels: Array) -> None:
    """Write H×W×3 uint8 RGB or H×W uint8 pixels; the suffix says in which format. Raises OSError."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    write_atomically(path, cv2.imencode(path.suffix, bgr)[1].tobytes())


def _jpeg(data: bytes, grey: bool) -> Picture:
    header = jpeg.read_header(data)
    check_size(header.width, header.height)
    space = "CMYK" if header.components == _CMYK else "GRAY" if grey and header.components == 1 else "RGB"
    try:
        pixels = simplejpeg.decode_jpeg(data, space, strict=True)  # strict: libjpeg's warnings are errors
    except Exception as error:  # its errors are of several kinds
        size = f"{header.width}×{header.height}"
        raise PictureError(f"JPEG of {size} can't be decoded: {last_words(error)}") from error
    if space == "CMYK":
        pixels = _by_opencv(data, cv2.IMREAD_COLOR)
    if pixels.shape[:2] != (header.height, header.width):
        raise PictureError(f"JPEG decodes to {pixels.shape[1]}×{pixels.shape[0]}, not {header.width}×{header.height}")
    return Picture(pixels[..., 0] if space == "GRAY" else pixels, header.orientation)


def _png(data: bytes, grey: bool) -> Picture:
    header = png.read_header(data)
    check_size(header.width, header.height)
    # a decoder stretches grey of fewer bits to 0..255, and a label id must stay as it is
    single = grey and header.channels == 1 and header.depth >= 8 and not header.palette
    try:
        plain, orientation = png.checked(data)
        return Picture(_by_opencv(plain, cv2.IMREAD_UNCHANGED if single else cv2.IMREAD_COLOR), orientation)
    except PictureError as error:
        raise error.of("PNG", f"{header.width}×{header.height}") from error


def _bmp(data: bytes, grey: bool) -> Picture:
    if len(data) < 54:
        raise PictureError("BMP: its header is cut short")
    offset, size = struct.unpack_from("<II", data, 10)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)
    check_size(width, height)
    compressions = (0, 3) if bits in (16, 32) else (0,)
    if not 40 <= size <= 124 or compression not in compressions or bits not in (1, 4, 8, 16, 24, 32):
        raise PictureError("BMP: its kind is not supported")
    colors = struct.unpack_from("<I", data, 46)[0] or 1 << bits
    if bits <= 8 and colors > 1 << bits:
        raise PictureError(f"BMP: it has {colors} colours, {1 << bits} at most")
    row = (width * bits + 31) // 32 * 4
    if offset < 54 or len(data) < offset + row * height:
        raise PictureError(f"BMP of {width}×{height} is cut short: its pixels need {offset + row * height} bytes")
    # the pixels of a label are ids: the colours must be those of grey, in order
    single = False
    if grey and bits == 8:
        table = np.frombuffer(data[14 + size :][: 4 * colors], np.uint8)
        greys = np.arange(colors).repeat(3).reshape(-1, 3)
        single = table.size == 4 * colors and np.array_equal(table.reshape(-1, 4)[:, :3], greys)
    return Picture(_by_opencv(data, cv2.IMREAD_UNCHANGED if single else cv2.IMREAD_COLOR))


def _by_opencv(data: bytes, flags: int) -> NDArray[Any]:
    """H×W×3 RGB for ``IMREAD_COLOR``, else the channels and bits of the file."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise PictureError(f"it can't be decoded: {last_words(error)}") from error
    if pixels is None:
        raise PictureError("it can't be decoded: its contents are damaged")
    return cast(Array, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)) if flags == cv2.IMREAD_COLOR else pixels


_KINDS: tuple[tuple[bytes, Callable[[bytes, bool], Picture]], ...] = (
    (jpeg.START, _jpeg),
    (png.START, _png),
    (b"BM", _bmp),
)
