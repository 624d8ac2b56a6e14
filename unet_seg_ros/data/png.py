"""The header of a PNG file (ISO/IEC 15948), read strictly: a file with anything unknown in it is refused.

The length of each chunk must lie within the data, and its checksum must be right. The pixels are unpacked here, up to
the size that the header states, because 1 MB of data can expand to 1 GB, which a decoder unpacks and then throws away.
The decoder gets a file that holds nothing but these pixels, and so has no reason to print warnings.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from unet_seg_ros.data.jpeg import PictureError, orientation_of

START = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 100_000
"""Most chunks of a file. The largest picture has 25,000 in files that are written in pieces of 8 KB."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel, by colour type: grey, RGB, palette, grey with alpha, RGB with alpha."""
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_READ = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
_FILTERS = 5
"""A row begins with the number of its filter, which is less than this."""
_BLOCK = 2**16 - 1
"""Most bytes of a block that is not compressed."""
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The first column and row of each pass of an interlaced picture, and the steps to the next ones."""


class PngHeader(NamedTuple):
    """``width`` and ``height`` in pixels; ``channels`` (1 grey or palette, 2, 3, 4); ``depth`` is the bits of a sample;
    ``palette``: the pixels are indices into a table of colours; ``interlaced``: as Adam7."""

    width: int
    height: int
    channels: int
    depth: int
    palette: bool
    interlaced: bool = False

    def passes(self) -> list[tuple[int, int]]:
        """The number of rows, and the bytes of a row, of each part that the pixels consist of."""
        parts = _ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        sizes = [(-(-(self.width - x) // dx), -(-(self.height - y) // dy)) for x, y, dx, dy in parts]
        bits = self.channels * self.depth
        return [(rows, 1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 and rows > 0]


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """For each chunk up to IEND: its type, and where its contents start and end."""
    at = len(START)
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            raise PictureError("it is cut short: its end marker is missing")
        length, kind = struct.unpack_from(">I4s", data, at)
        start, end = at + 8, at + 8 + length
        if end + 4 > len(data):
            raise PictureError("it is cut short, or a chunk's length is wrong")
        if not kind.isalpha():
            raise PictureError(f"there is no chunk at byte {at}")
        if kind in _READ and zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise PictureError(f"the checksum of its chunk {kind.decode()} is wrong")
        yield kind, start, end
        if kind == b"IEND":
            return
        at = end + 4
    raise PictureError(f"it has more than {MAX_CHUNKS} chunks")


def read_header(data: bytes) -> PngHeader:
    """The header of a PNG, which is its first chunk. Raises PictureError."""
    if len(data) < 33 or struct.unpack_from(">I4s", data, 8) != (13, b"IHDR"):
        raise PictureError(f"PNG of {len(data)} bytes has no header")
    width, height, depth, color, compression, filters, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    if color not in _CHANNELS or depth not in _DEPTHS[color] or compression or filters or interlace > 1:
        raise PictureError(f"PNG of {len(data)} bytes: its header is damaged")
    return PngHeader(width, height, _CHANNELS[color], depth, color == 3, interlace == 1)


def checked(data: bytes) -> tuple[bytes, int]:
    """The file with nothing but its pixels, not compressed, and the orientation of its EXIF block (1: not turned). Each
    chunk is checked. Raises PictureError."""
    header, colors, orientation = read_header(data), b"", 1
    packed: list[bytes] = []
    for number, (kind, start, end) in enumerate(_chunks(data)):
        if (kind == b"IHDR") != (number == 0):
            raise PictureError("its header must be the first chunk, and the only one")
        if kind in _ANIMATION:
            raise PictureError("it is animated: a frame must be a single picture")
        if kind not in _READ and kind[:1].isupper():
            raise PictureError(f"its chunk {kind.decode('ascii')} is not known")
        if kind == b"IDAT":
            packed.append(data[start:end])
        elif kind == b"PLTE":
            colors = data[start:end]
        elif kind == b"eXIf":
            orientation = orientation_of(data[start : min(end, start + 2**16)])
    if header.palette and (not colors or len(colors) % 3 or len(colors) > 3 << header.depth):
        raise PictureError("its palette is missing or damaged")
    table = [(b"PLTE", [colors.ljust(3 << header.depth, b"\0")])] if header.palette else []
    pixels = _stored(*_unpacked(b"".join(packed), header))
    parts = [START]
    for kind, contents in [(b"IHDR", [data[16:29]]), *table, (b"IDAT", pixels), (b"IEND", [])]:
        checksum = zlib.crc32(kind)
        for content in contents:
            checksum = zlib.crc32(content, checksum)
        parts += [struct.pack(">I", sum(map(len, contents))), kind, *contents, struct.pack(">I", checksum)]
    return b"".join(parts), orientation


def _stored(pixels: bytes, checksum: bytes) -> list[bytes]:
    """The parts of a zlib stream (RFC 1950, RFC 1951) that holds the pixels in blocks that are not compressed."""
    parts = [b"\x78\x01"]
    for start in range(0, len(pixels), _BLOCK):
        block = pixels[start : start + _BLOCK]
        last = start + _BLOCK >= len(pixels)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    return [*parts, checksum]


def _unpacked(packed: bytes, header: PngHeader) -> tuple[bytes, bytes]:
    """The pixels with their filters, exactly as many as the header states, and their checksum."""
    passes = header.passes()
    size = sum(rows * row for rows, row in passes)
    inflate = zlib.decompressobj()
    try:
        pixels = inflate.decompress(packed, size + 1)
    except zlib.error as error:
        raise PictureError(f"its pixels are damaged: {error}") from error
    if len(pixels) > size:
        raise PictureError("it holds more pixels than its header states")
    if len(pixels) < size or not inflate.eof:
        raise PictureError("a part of its pixels is missing")
    at = 0
    for rows, row in passes:
        if np.frombuffer(pixels, np.uint8, rows * row, at)[::row].max() >= _FILTERS:
            raise PictureError("its pixels are damaged: a row has an unknown filter")
        at += rows * row
    end = len(packed) - len(inflate.unused_data)
    return pixels, packed[end - 4 : end]
