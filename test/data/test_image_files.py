"""The reader of all pictures: complete pictures are read as by other decoders, damaged ones are refused."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from unet_seg_ros.data import image_files
from unet_seg_ros.data.image_files import (
    PictureError,
    decode,
    decode_label,
    is_picture,
    read_image,
    read_picture,
    write_image,
)
from unet_seg_ros.data.ros_images import ImageError, compressed_to_rgb


def picture(height: int = 61, width: int = 83) -> Any:
    y, x = np.mgrid[:height, :width]
    return np.stack([(x * 3) % 256, (y * 4) % 256, (255 - x * 2 - y) % 256], -1).astype(np.uint8)


def encode(rgb: Any, kind: str = ".jpg", *options: int) -> bytes:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR) if rgb.ndim == 3 else rgb
    return bytes(cv2.imencode(kind, bgr, options)[1].tobytes())


def by_opencv(data: bytes) -> Any:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), flags), cv2.COLOR_BGR2RGB)


def by_pillow(mode: str, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(picture()).convert(mode).save(out, kind, **options)
    return out.getvalue()


def by_pillow_as(image: Any, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def apart() -> bytes:
    """A baseline JPEG with a scan for each component: the scans of three grey JPEGs under one frame header."""
    luma, red, blue = np.moveaxis(cv2.cvtColor(picture(), cv2.COLOR_RGB2YCrCb), 2, 0)
    greys = [encode(np.ascontiguousarray(channel)) for channel in (luma, blue, red)]
    scans = [grey[grey.index(b"\xff\xda") + 10 : -2] for grey in greys]
    before, _, after = greys[0][: greys[0].index(b"\xff\xda")].partition(b"\xff\xc0")
    frame = b"\xff\xc0\0\x11" + after[2:7] + b"\3\1\x11\0\2\x11\0\3\x11\0"
    coded = [b"\xff\xda\0\x08\1" + bytes([i]) + b"\0\0\x3f\0" + scan for i, scan in enumerate(scans, 1)]
    return before + frame + after[11:] + b"".join(coded) + b"\xff\xd9"


WHOLE = {
    "baseline": encode(picture()),
    "progressive": encode(picture(), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": encode(picture(), ".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 3),
    "restarts of 4:4:4": encode(
        picture(), ".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 1, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111
    ),
    "restarts, progressive": encode(
        picture(), ".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2, cv2.IMWRITE_JPEG_PROGRESSIVE, 1
    ),
    "4:1:1": encode(picture(), ".jpg", cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x411111),
    "grey": encode(picture()[..., 0], ".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "CMYK": by_pillow("CMYK", "JPEG"),
    "components apart": apart(),
    "PNG": encode(picture(), ".png"),
    "PNG of 16 bits": bytes(cv2.imencode(".png", picture()[..., ::-1].astype(np.uint16) * 257)[1].tobytes()),
    "PNG with a palette": by_pillow("P", "PNG"),
    "PNG of one bit": by_pillow("1", "PNG"),
    "PNG with alpha": by_pillow("RGBA", "PNG"),
    "BMP": encode(picture(), ".bmp"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_complete_pictures_are_read_as_opencv_reads_them(name: str) -> None:
    assert np.array_equal(decode(WHOLE[name]).pixels, by_opencv(WHOLE[name]))


@pytest.mark.parametrize("name", WHOLE)
def test_a_cut_picture_is_refused_in_a_message_and_in_a_file(name: str, tmp_path: Path) -> None:
    cut = WHOLE[name][: len(WHOLE[name]) * 2 // 3]
    file = tmp_path / ("a.jpg" if cut.startswith(b"\xff\xd8") else "a.png" if cut[1:4] == b"PNG" else "a.bmp")
    file.write_bytes(cut)
    with pytest.raises(ValueError, match="is cut short") as in_a_file:
        read_image(file)
    with pytest.raises(ImageError, match="is cut short") as in_a_message:
        compressed_to_rgb(SimpleNamespace(format="jpeg", data=cut))
    assert str(in_a_file.value).partition(": ")[2] == str(in_a_message.value).partition(": ")[2]


@pytest.mark.parametrize("name", ["baseline", "restarts", "progressive", "grey", "CMYK"])
def test_a_gap_in_the_middle_is_refused_and_nothing_is_printed(name: str, capfd: Any) -> None:
    data = WHOLE[name]
    middle = len(data) * 2 // 3
    with pytest.raises(PictureError):
        decode(data[:middle] + data[middle + 100 :])
    assert capfd.readouterr() == ("", "")


def size_of(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def test_a_marker_without_a_length_does_not_hide_the_true_header() -> None:
    """For libjpeg, the marker FF 01 has no length. Code that reads a length after it finds another frame header."""
    true = size_of(encode(picture()), 32768, 32767)
    false = b"\xff\xc0\x00\x11\x08\x00\x10\x00\x10\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    for marker in (b"\xff\x01", b"\xff\xd0", b"\xff\xd8"):
        with pytest.raises(PictureError, match="does not belong there"):
            decode(true[:2] + marker + struct.pack(">H", 2 + len(false)) + false + true[2:])
    with pytest.raises(PictureError, match=f"more than {image_files.MAX_PIXELS} pixels"):
        decode(true)


def chunk(kind: bytes, contents: bytes, length: int | None = None) -> bytes:
    size = len(contents) if length is None else length
    return struct.pack(">I", size) + kind + contents + struct.pack(">I", zlib.crc32(kind + contents))


HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
PIXELS = chunk(b"IDAT", zlib.compress(bytes(8 * 25)))
END = chunk(b"IEND", b"")
START = b"\x89PNG\r\n\x1a\n"


def test_chunks_longer_than_the_data_are_refused() -> None:
    assert decode(START + HEADER + PIXELS + END).pixels.shape == (8, 8, 3)
    for length in (2**31 - 1, 2**32 - 1, 1000):
        with pytest.raises(PictureError, match="a chunk's length is wrong"):
            decode(START + HEADER + chunk(b"tEXt", b"a\0b", length) + END)


def test_compressed_texts_are_not_unpacked() -> None:
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**26)))
    assert decode(START + HEADER + bomb * 10 + PIXELS + END).pixels.shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("chunks", "says"),
    [
        ([HEADER, HEADER, PIXELS, END], "the only one"),
        ([PIXELS, HEADER, END], "no header"),
        ([HEADER, chunk(b"ABCD", b""), PIXELS, END], "ABCD is not known"),
        ([HEADER, chunk(b"acTL", bytes(8)), PIXELS, END], "animated"),
        ([HEADER, PIXELS[:-1] + b"x", END], "checksum"),
        ([HEADER, PIXELS], "cut short"),
        ([HEADER, END], "a part of its pixels is missing"),
        ([HEADER, chunk(b"IDAT", zlib.compress(bytes(8 * 12))), END], "a part of its pixels is missing"),
        ([HEADER, chunk(b"IDAT", zlib.compress(bytes(8 * 25))[:-4]), END], "a part of its pixels is missing"),
        ([HEADER, chunk(b"IDAT", zlib.compress(bytes(8 * 25))[:-4] + b"none"), END], "incorrect data check"),
        ([HEADER, chunk(b"IDAT", zlib.compress(b"\5" * 8 * 25)), END], "unknown filter"),
        ([HEADER, chunk(b"IDAT", b"no zlib"), END], "its pixels are damaged"),
        ([chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0)), PIXELS, END], "its palette is missing"),
        ([chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 1, 3, 0, 0, 0)), chunk(b"PLTE", bytes(9)), END], "palette"),
    ],
)  # fmt: skip
def test_unknown_parts_of_a_png_are_refused(chunks: list[bytes], says: str, capfd: Any) -> None:
    with pytest.raises(PictureError, match=says):
        decode(START + b"".join(chunks))
    assert capfd.readouterr() == ("", "")


def test_a_png_is_unpacked_only_up_to_the_size_in_its_header() -> None:
    """A file of 100 kB that a decoder would unpack to 100 MB and then discard."""
    bomb = chunk(b"IDAT", zlib.compress(bytes(10**8)))
    tracemalloc.start()
    with pytest.raises(PictureError, match="PNG of 8×8 holds more pixels than its header states"):
        decode(START + HEADER + bomb + END)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(("color", "depth", "channels"), [(0, 8, 1), (0, 16, 1), (2, 8, 3), (6, 16, 4), (0, 2, 1)])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 9), (16, 8), (33, 17)])
def test_interlaced_pngs_are_read(color: int, depth: int, channels: int, size: tuple[int, int]) -> None:
    width, height = size
    samples = np.random.default_rng(1).integers(0, 1 << depth, (height, width, channels)).astype(np.uint16)

    def rows(part: Any) -> bytes:
        if depth < 8:
            bits = np.unpackbits(part.astype(np.uint8)[..., 0][..., None], axis=2)[..., 8 - depth :]
            return b"".join(b"\0" + np.packbits(line.ravel()).tobytes() for line in bits)
        return b"".join(b"\0" + line.astype(">u2" if depth == 16 else np.uint8).tobytes() for line in part)

    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    parts = [samples[y::dy, x::dx] for x, y, dx, dy in passes]
    found = []
    for interlaced, raw in ((0, rows(samples)), (1, b"".join(rows(part) for part in parts if part.size))):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))
        found.append(decode(START + header + chunk(b"IDAT", zlib.compress(raw)) + END).pixels)
    assert np.array_equal(*found)
    if depth >= 8:
        shown = samples[..., :3] if depth == 8 else samples[..., :3] >> 8
        assert np.array_equal(found[0], np.broadcast_to(shown, (height, width, 3)))


@pytest.mark.parametrize("width", [65533, 65534, 65535, 131069, 131070])
def test_pngs_of_one_and_of_several_blocks_hold_the_same_picture(width: int) -> None:
    """A block of a zlib stream that is not compressed holds up to 65535 bytes; a row begins with one more byte."""
    grey = np.random.default_rng(0).integers(0, 256, (1, width), np.uint8)
    for data in (encode(grey, ".png"), by_pillow_as(Pillow.fromarray(grey), "PNG")):
        assert np.array_equal(decode(data, grey=True).pixels, grey)
    rows = encode(picture(300, 200), ".png")
    assert np.array_equal(decode(rows).pixels, picture(300, 200))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_labels_of_fewer_than_8_bits_are_refused(depth: int) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, depth, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(8 * (1 + depth))))
    with pytest.raises(PictureError, match="not an 8-bit single-channel image"):
        decode_label(START + header + pixels + END)


def test_label_ids_are_read_unchanged_or_refused() -> None:
    ids = np.random.default_rng(1).integers(0, 34, (20, 30)).astype(np.uint8)
    grey = Pillow.fromarray(ids)
    for save in ("PNG", "BMP"):
        assert np.array_equal(decode_label(by_pillow_as(grey, save)), ids)
    paletted = Pillow.fromarray(ids)
    for palette in ([255 - i // 3 for i in range(768)], [i % 251 for i in range(768)]):
        paletted.putpalette(palette)
        for save in ("PNG", "BMP"):
            with pytest.raises(PictureError, match="not an 8-bit single-channel image"):
                decode_label(by_pillow_as(paletted, save))
    with pytest.raises(PictureError, match="a JPEG changes the ids of labels"):
        decode_label(by_pillow_as(grey, "JPEG"))


def test_a_jpeg_without_one_of_its_colours_is_refused() -> None:
    """A baseline file whose components have a scan each, and of which the last scan is left out."""
    data = apart()
    assert np.abs(decode(data).pixels.astype(int) - picture()).mean() < 6
    last = data.rindex(b"\xff\xda")
    with pytest.raises(PictureError, match="a part of its colours is missing"):
        decode(data[:last] + b"\xff\xd9")


@pytest.mark.parametrize("colors", [257, 2**31, 2**32 - 1])
def test_a_bmp_with_too_many_colours_is_refused_and_nothing_is_printed(colors: int, capfd: Any) -> None:
    data = by_pillow("L", "BMP")
    with pytest.raises(PictureError, match=f"BMP: it has {colors} colours, 256 at most"):
        decode(data[:46] + struct.pack("<I", colors) + data[50:])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [0, 39, 125, 2**32 - 1])
def test_a_bmp_with_a_header_of_another_size_is_refused(size: int) -> None:
    data = by_pillow("L", "BMP")
    with pytest.raises(PictureError, match="BMP: its kind is not supported"):
        decode(data[:14] + struct.pack("<I", size) + data[18:])


def many_scans(bits: int, width: int = 64, height: int = 64) -> bytes:
    """A progressive JPEG of grey pixels, written for 64×64, with ``1 + bits`` scans for each of 63 coefficients."""
    data = encode(np.full((64, 64), 128, np.uint8), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    at = data.index(b"\xff\xc2") + 5
    parts = (data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]).split(SCAN)
    mean_bit = parts[-2].partition(b"\xff\xc4")[0]
    lows = range(bits, -1, -1)
    scans = [bytes([k, k, low if low == bits else 16 * low + 16 + low, 1]) for k in range(1, 64) for low in lows]
    return SCAN.join([*parts[:2], *scans, mean_bit]) + b"\xff\xd9"


SCAN = b"\xff\xda\0\x08\1\1\0"
"""How the header of a scan of one component begins."""


def test_the_number_of_scans_is_limited() -> None:
    assert decode(many_scans(0)).pixels.shape == (64, 64, 3)
    for data, most in ((many_scans(1), 100), (many_scans(0, 4096, 4096), 16)):
        with pytest.raises(PictureError, match=f"has more than {most} scans$"):
            decode(data)


def test_an_environment_variable_sets_the_limit_of_pixels() -> None:
    script = "from unet_seg_ros.data.image_files import MAX_PIXELS; print(MAX_PIXELS)"
    for text, expected in (("1000", 1000), ("", 2**24), ("much", 2**24), ("-5", 2**24), ("9" * 40, 2**24)):
        environment = {**os.environ, image_files.LIMIT_VARIABLE: text}
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        assert done.stdout == f"{expected}\n", text
        assert bool(done.stderr) == (text not in ("1000", "")), "what is not understood is told"


def test_names_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    write_image(path, picture())
    assert np.array_equal(read_image(path), picture())


def test_hidden_files_do_not_count_as_pictures() -> None:
    names = {
        "a.png": True,
        "a.PNG": True,
        "a.JPeG": True,
        "._a.png": False,
        ".a.jpg": False,
        "a.txt": False,
        "png": False,
    }
    assert {name: is_picture(Path(name)) for name in names} == names


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ValueError, match="not a regular file"):
        read_image(tmp_path / "a.png")


def test_an_orientation_is_returned_and_not_applied(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.jpg").write_bytes(by_pillow("RGB", "JPEG", exif=exif))
    found = read_picture(tmp_path / "a.jpg")
    assert found.orientation == 6
    assert found.pixels.shape == (61, 83, 3)
    (tmp_path / "a.png").write_bytes(by_pillow("RGB", "PNG", exif=exif))
    assert read_picture(tmp_path / "a.png").orientation == 6


def test_the_number_of_parts_of_a_file_is_limited() -> None:
    """Millions of empty parts, or of tables of tags, in a few megabytes; each takes a decoder no time."""
    jpeg, png = WHOLE["baseline"], WHOLE["PNG"]
    tags = b"Exif\0\0II*\0\x08\0\0\0\xff\xff"
    exif = b"\xff\xe1" + struct.pack(">H", len(tags) + 2) + tags
    for part in (b"\xff\xfe\0\2", b"\xff\xdb\0\2", exif):
        decode(jpeg[:2] + part * 500 + jpeg[2:])
        with pytest.raises(PictureError, match="has more than 10000 segments"):
            decode(jpeg[:2] + part * 20_000 + jpeg[2:])
    for part in (chunk(b"tEXt", b""), chunk(b"IDAT", b"")):
        decode(png[:33] + part * 500 + png[33:])
        with pytest.raises(PictureError, match="has more than 100000 chunks"):
            decode(png[:33] + part * 200_000 + png[33:])
    assert np.array_equal(decode(jpeg[:2] + b"\xff" * 10**6 + jpeg[2:]).pixels, by_opencv(jpeg))


def test_the_first_orientation_is_used(tmp_path: Path) -> None:
    """As for a decoder that applies it."""
    exif = [Pillow.Exif(), Pillow.Exif()]
    exif[0][0x0112], exif[1][0x0112] = 6, 3
    blocks = [by_pillow("RGB", "JPEG", exif=found) for found in exif]
    first, second = (data[data.index(b"\xff\xe1") : data.index(b"\xff\xdb")] for data in blocks)
    data = WHOLE["baseline"]
    assert decode(data[:2] + first + second + data[2:]).orientation == 6
