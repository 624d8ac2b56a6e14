"""The header of a JPEG file (ITU-T T.81), read strictly: a file with anything unknown in it is refused.

A decoder allocates the memory that the header asks for. So the header is read first, exactly as a decoder would read
it. All marker segments up to the end of the image are read. A file that is cut short, or in which a part between
restart markers or a scan of a progressive picture is missing, is refused too.
"""

from __future__ import annotations

import re
from typing import NamedTuple

START = b"\xff\xd8"
MAX_SCANS = 100
"""Most scans that a file may have. A progressive JPEG has about ten; a decoder goes over all pixels for each."""
MAX_SCANNED = 2**28
"""Most pixels times scans: 16 scans of the largest picture, which take a second or two to decode."""
MAX_SEGMENTS = 10_000
"""Most segments of a file. The data of applications, which takes the most of them, seldom needs a thousand."""

_FRAME_HEADERS = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
"""The kinds that decoders know: baseline, extended and progressive, with Huffman or arithmetic coding."""
_OTHER_FRAME_HEADERS = {0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF}
_SEGMENTS = {0xC4, 0xCC, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}
"""Segments that may stand before a scan: tables, the restart interval, comments, data of applications."""
_FILL = re.compile(rb"\xff+")
_MARKER_IN_SCAN = re.compile(rb"\xff[\x01-\xfe]")
"""Within coded data a 0xFF is followed by 0, or belongs to a marker."""
_ORIENTATION_TAG = 0x0112
_COEFFICIENTS = 64
"""Of a block of 8×8 samples. The scans of a progressive picture give a part of them each, or one more bit of them."""


class PictureError(ValueError):
    """A picture that is refused; the text says in one line what is wrong."""

    def of(self, kind: str, size: str) -> PictureError:
        """The same error with the picture's kind and size before it."""
        text = str(self)
        return PictureError(f"{kind} of {size}{text[2:] if text.startswith('it ') else f': {text}'}")


class JpegHeader(NamedTuple):
    """``width`` and ``height`` in pixels; ``components`` (1 grey, 3 colour, 4 CMYK); ``orientation`` as in EXIF (1 =
    not turned)."""

    width: int
    height: int
    components: int
    orientation: int = 1


class _Walk:
    """Reads the segments of a file one after another, from the start marker to the end marker."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.header: JpegHeader | None = None
        self.sampling: dict[int, tuple[int, int]] = {}
        self.restart_interval = 0
        self.scans = 0
        self.missing: dict[int, list[int | None]] = {}
        """For each component, how many low bits each coefficient still lacks; None: all bits."""
        self.orientation = 0
        """Of the first EXIF block; 0 before it."""

    def run(self) -> JpegHeader:
        at = 2
        for _ in range(MAX_SEGMENTS):
            marker, at = self._marker(at)
            if marker == 0xD9:
                break
            end = at + self._length(at)
            self._segment(marker, at + 2, end)
            at = self._after_scan(at + 2, end) if marker == 0xDA else end
        else:
            raise PictureError(f"it has more than {MAX_SEGMENTS} segments")
        if self.header is None or not self.scans:
            raise PictureError("it has no frame header or no scan")
        for missing in self.missing.values():
            if missing[0] is None:
                raise PictureError("a part of its colours is missing: not every component has a scan")
            if any(bits != 0 for bits in missing):
                raise PictureError("its last scans are missing, so that it would be blurred")
        return self.header._replace(orientation=self.orientation or 1)

    def _marker(self, at: int) -> tuple[int, int]:
        data = self.data
        if at >= len(data):
            raise PictureError("it is cut short: its end marker is missing")
        fill = _FILL.match(data, at)
        if fill is None:
            raise PictureError(f"there is no marker at byte {at}")
        if fill.end() >= len(data):
            raise PictureError("it is cut short: its end marker is missing")
        return data[fill.end()], fill.end() + 1

    def _length(self, at: int) -> int:
        length = int.from_bytes(self.data[at : at + 2], "big")
        if length < 2 or at + length > len(self.data):
            raise PictureError("it is cut short, or a segment's length is wrong")
        return length

    def _segment(self, marker: int, start: int, end: int) -> None:
        if marker in _FRAME_HEADERS:
            self._frame_header(start, end)
        elif marker in _OTHER_FRAME_HEADERS:
            raise PictureError(f"its kind (SOF{marker - 0xC0}) is not supported")
        elif marker == 0xDD:
            self.restart_interval = int.from_bytes(self.data[start:end], "big")
        elif marker == 0xE1 and not self.orientation and self.data[start : start + 6] == b"Exif\0\0":
            self.orientation = orientation_of(self.data[start + 6 : end])
        elif marker != 0xDA and marker not in _SEGMENTS:
            raise PictureError(f"marker FF {marker:02X} does not belong there")

    def _frame_header(self, start: int, end: int) -> None:
        data = self.data
        if self.header is not None:
            raise PictureError("it has two frame headers")
        if end - start < 9 or end - start != 6 + 3 * data[start + 5]:
            raise PictureError("its frame header is damaged")
        if data[start] != 8:
            raise PictureError(f"its samples have {data[start]} bits, not 8")
        components = data[start + 5]
        if components not in (1, 3, 4):
            raise PictureError(f"it has {components} components, not 1, 3 or 4")
        height, width = (int.from_bytes(data[start + at : start + at + 2], "big") for at in (1, 3))
        for at in range(start + 6, end, 3):
            across, down = divmod(data[at + 1], 16)
            if not (1 <= across <= 4 and 1 <= down <= 4) or data[at] in self.sampling:
                raise PictureError("its frame header is damaged")
            self.sampling[data[at]] = across, down
            self.missing[data[at]] = [None] * _COEFFICIENTS
        self.header = JpegHeader(width, height, components)

    def _after_scan(self, start: int, end: int) -> int:
        """Check a scan whose header lies from ``start`` to ``end``; returns where the marker after it is."""
        if self.header is None:
            raise PictureError("a scan comes before the frame header")
        self.scans += 1
        pixels = self.header.width * self.header.height
        if self.scans > MAX_SCANS or (self.scans > 1 and self.scans * pixels > MAX_SCANNED):
            raise PictureError(f"it has more than {self.scans - 1} scans")
        count = self.data[start] if end > start else 0
        if not 1 <= count <= 4 or end - start != 4 + 2 * count:
            raise PictureError("its scan header is damaged")
        components = [self.data[start + 1 + 2 * i] for i in range(count)]
        if not set(components) <= set(self.sampling):
            raise PictureError("a scan is of a component that there is not")
        for component in components:
            self._take_coefficients(component, *self.data[end - 3 : end])
        for restarts, found in enumerate(_MARKER_IN_SCAN.finditer(self.data, end)):
            marker = self.data[found.start() + 1]
            if not 0xD0 <= marker <= 0xD7:
                self._check_restarts(restarts, components)
                return found.start()
            if marker != 0xD0 + restarts % 8 or not self.restart_interval:
                raise PictureError("a part of its pixels is missing: its restart markers are out of order")
        raise PictureError(f"it is cut short: no end marker after byte {end}")

    def _take_coefficients(self, component: int, first: int, last: int, bits: int) -> None:
        """Note what a scan gives: the coefficients from ``first`` to ``last``, without their ``bits & 15`` lowest bits.

        The upper half of ``bits`` is 0 for the first scan of these coefficients, else the bits that were missing."""
        before, after = divmod(bits, 16)
        if not first <= last < _COEFFICIENTS or (before and before != after + 1):
            raise PictureError("its scan header is damaged")
        missing = self.missing[component]
        if any(found != (before or None) for found in missing[first : last + 1]):
            raise PictureError("one of its scans is missing or repeated")
        missing[first : last + 1] = [after] * (last + 1 - first)

    def _check_restarts(self, found: int, components: list[int]) -> None:
        """All restart markers of a scan must be there, else rows of the picture are missing."""
        if not self.restart_interval or self.header is None:
            return
        across, down = (max(factors[i] for factors in self.sampling.values()) for i in (0, 1))
        block = 8 * across, 8 * down
        width, height = self.header.width, self.header.height
        if len(components) == 1:  # a scan of one component counts that component's own blocks
            own = self.sampling[components[0]]
            width, height = -(-width * own[0] // across), -(-height * own[1] // down)
            block = 8, 8
        units = -(-width // block[0]) * -(-height // block[1])
        expected = max(0, -(-units // self.restart_interval) - 1)
        if found != expected:
            raise PictureError(f"a part of its pixels is missing: {found} restart markers, not {expected}")


def read_header(data: bytes) -> JpegHeader:
    """The header of a whole JPEG, all of whose segments were walked. Raises PictureError."""
    walk = _Walk(data)
    try:
        return walk.run()
    except PictureError as error:
        size = f"{walk.header.width}×{walk.header.height}" if walk.header else f"{len(data)} bytes"
        raise error.of("JPEG", size) from error


def orientation_of(tiff: bytes) -> int:
    """The orientation (1..8) in an EXIF block, which begins as a TIFF file does; 1 if there is none."""
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(tiff[:4])
    if order is None:
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)  # type: ignore[arg-type]

    first = number(4, 4)
    for entry in range(min(number(first, 2), 1000)):
        at = first + 2 + 12 * entry
        if number(at, 2) == _ORIENTATION_TAG:
            found = number(at + 8, 2)
            return found if 1 <= found <= 8 else 1
    return 1
