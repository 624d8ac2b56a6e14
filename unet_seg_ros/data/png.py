"""The header of a PNG file (ISO/IEC 15948), read strictly: a file with anything unknown in it is refused.

The length of each chunk must lie within the data, and its checksum must be right. The decoder then gets only the chunks
that hold the picture, because compressed texts and colour profiles can expand to gigabytes. The decoder itself refuses
a file with too few pixels.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from unet_seg_ros.data.jpeg import PictureError

START = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel, by colour type: grey, RGB, palette, grey with alpha, RGB with alpha."""
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}


class PngHeader(NamedTuple):
    """``width`` and ``height`` in pixels; ``channels`` (1 grey or palette, 2, 3, 4); ``depth`` is the bits of a sample;
    ``palette``: the pixels are indices into a table of colours."""

    width: int
    height: int
    channels: int
    depth: int
    palette: bool


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """For each chunk up to IEND: its type, and where its contents start and end."""
    at = len(START)
    while True:
        if at + 12 > len(data):
            raise PictureError("it is cut short: its end marker is missing")
        length, kind = struct.unpack_from(">I4s", data, at)
        start, end = at + 8, at + 8 + length
        if end + 4 > len(data):
            raise PictureError("it is cut short, or a chunk's length is wrong")
        if not kind.isalpha():
            raise PictureError(f"there is no chunk at byte {at}")
        if kind in _KEPT and zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise PictureError(f"the checksum of its chunk {kind.decode()} is wrong")
        yield kind, start, end
        if kind == b"IEND":
            return
        at = end + 4


def read_header(data: bytes) -> PngHeader:
    """The header of a PNG, which is its first chunk. Raises PictureError."""
    if len(data) < 33 or struct.unpack_from(">I4s", data, 8) != (13, b"IHDR"):
        raise PictureError(f"PNG of {len(data)} bytes has no header")
    width, height, depth, color, compression, filters, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    if color not in _CHANNELS or depth not in _DEPTHS[color] or compression or filters or interlace > 1:
        raise PictureError(f"PNG of {len(data)} bytes: its header is damaged")
    return PngHeader(width, height, _CHANNELS[color], depth, color == 3)


def checked(data: bytes) -> bytes:
    """The file without chunks that are not needed for the pixels; each chunk is checked. Raises PictureError."""
    kept = [START]
    for number, (kind, start, end) in enumerate(_chunks(data)):
        if (kind == b"IHDR") != (number == 0):
            raise PictureError("its header must be the first chunk, and the only one")
        if kind in _ANIMATION:
            raise PictureError("it is animated: a frame must be a single picture")
        if kind not in _KEPT:
            if kind[:1].isupper():
                raise PictureError(f"its chunk {kind.decode('ascii')} is not known")
            continue
        kept.append(data[start - 8 : end + 4])
    return b"".join(kept)
