"""JPEGs with many settings of encoders are read. A file is refused if a scan is missing, repeated or out of order."""

from __future__ import annotations

import io
import re
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from unet_seg_ros.data.image_files import PictureError, decode


def noise(height: int, width: int) -> Any:
    """Smoothed noise, so that no coefficient of a block is always 0."""
    pixels = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(pixels, (3, 3), 0)


def by_pillow(height: int, width: int, mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    if mode == "CMYK":  # TurboJPEG does not read it with subsampling
        options["subsampling"] = "4:4:4"
    Pillow.fromarray(noise(height, width)).convert(mode).save(out, "JPEG", **options)
    return out.getvalue()


def by_opencv(height: int, width: int, grey: bool, options: list[int]) -> bytes:
    pixels = noise(height, width)
    return bytes(cv2.imencode(".jpg", pixels[..., 0] if grey else pixels, options)[1].tobytes())


def expected(data: bytes) -> Any:
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def parts(data: bytes) -> list[bytes]:
    """The file in parts that begin with a table, a scan or the end."""
    return re.split(rb"(?=\xff[\xc4\xda\xd9])", data)


def is_scan(part: bytes) -> bool:
    return part.startswith(b"\xff\xda")


SIDES = st.integers(1, 70)
PILLOW = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["RGB", "L", "CMYK", "YCbCr"]),
        "quality": st.integers(1, 100),
        "subsampling": st.sampled_from(["4:4:4", "4:2:2", "4:2:0", "4:1:1"]),
        "progressive": st.booleans(),
        "optimize": st.booleans(),
        "restart_marker_blocks": st.sampled_from([0, 1, 5]),
    }
)
FACTORS = (0x111111, 0x211111, 0x221111, 0x411111, 0x441111)
OPENCV = st.fixed_dictionaries(
    {
        cv2.IMWRITE_JPEG_QUALITY: st.integers(1, 100),
        cv2.IMWRITE_JPEG_PROGRESSIVE: st.sampled_from([0, 1]),
        cv2.IMWRITE_JPEG_OPTIMIZE: st.sampled_from([0, 1]),
        cv2.IMWRITE_JPEG_RST_INTERVAL: st.sampled_from([0, 1, 3]),
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR: st.sampled_from(FACTORS),
    }
)


@settings(max_examples=80, deadline=None)
@given(SIDES, SIDES, PILLOW)
def test_pictures_of_pillow_are_read(height: int, width: int, options: Any) -> None:
    data = by_pillow(height, width, **options)
    assert np.array_equal(decode(data).pixels, expected(data))


@settings(max_examples=80, deadline=None)
@given(SIDES, SIDES, st.booleans(), OPENCV)
def test_pictures_of_opencv_are_read(height: int, width: int, grey: bool, options: dict[int, int]) -> None:
    data = by_opencv(height, width, grey, [number for pair in options.items() for number in pair])
    assert np.array_equal(decode(data).pixels, expected(data))


@settings(max_examples=10, deadline=None)
@given(SIDES, SIDES, PILLOW)
def test_a_progressive_picture_without_one_of_its_scans_is_refused(height: int, width: int, options: Any) -> None:
    every = parts(by_pillow(height, width, **{**options, "progressive": True}))
    scans = [index for index, part in enumerate(every) if is_scan(part)]
    assert len(scans) >= 6
    without_one = [every[:index] + every[index + 1 :] for index in scans]
    without_the_last = [[*every[:last], b"\xff\xd9"] for last in scans[1:]]
    for found in without_one + without_the_last:
        with pytest.raises(PictureError, match=r"is missing|are missing, so that it would be blurred"):
            decode(b"".join(found))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_repeated_or_disordered_scans_are_refused(mode: str) -> None:
    every = parts(by_pillow(40, 50, mode, progressive=True))
    scans = [index for index, part in enumerate(every) if is_scan(part)]
    for index in scans:
        with pytest.raises(PictureError, match="is missing or repeated"):
            decode(b"".join(every[: index + 1] + every[index:]))
    first, last = scans[1], scans[-1]
    every[first], every[last] = every[last], every[first]
    with pytest.raises(PictureError, match="is missing or repeated"):
        decode(b"".join(every))


@pytest.mark.parametrize("numbers", [b"\1\0\0", b"\0\x40\0", b"\1\x3f\x20", b"\1\x3f\x11", b"\0\xff\0"])
def test_impossible_numbers_in_a_scan_header_are_refused(numbers: bytes) -> None:
    data = by_pillow(40, 50, "L", progressive=True)
    at = data.rindex(b"\xff\xda") + 7
    with pytest.raises(PictureError, match="its scan header is damaged"):
        decode(data[:at] + numbers + data[at + 3 :])


def test_a_picture_with_only_dc_coefficients_is_refused() -> None:
    """The standard allows it, but no camera writes it: it is the rest of a file whose other scans were lost."""
    every = parts(by_pillow(40, 50, "L", progressive=True))
    means = [part for part in every if not is_scan(part) or part[7:9] == b"\0\0"]
    with pytest.raises(PictureError, match="JPEG of 50×40: its last scans are missing, so that it would be blurred"):
        decode(b"".join(means))
