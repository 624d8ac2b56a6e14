"""Files that are no videos, are cut short, or are slower than a clock can count."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from test.replay import drives
from unet_seg_ros.replay.errors import SourceError
from unet_seg_ros.replay.source.drive import MAX_STAMP, TYPES
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.replay.topics import IMAGE


def test_texts_and_pictures_are_not_videos(tmp_path: Path) -> None:
    """It reads a picture alone, the files that a playlist names, and draws a text as a terminal does."""
    for index in range(3):
        drives.write_image(tmp_path / f"a_{index}.png", drives.picture(index))
        drives.write_image(tmp_path / f"A_{index}.JPG", drives.picture(index))
    drives.write_video(tmp_path / "true.avi", 3, 10)
    (tmp_path / "a_%d.png").write_bytes(b"x")
    for name in ("a_1.png", "A_1.JPG", "a_%d.png"):
        with pytest.raises(SourceError, match=f"{name}: a picture is not a drive; give the folder of the pictures"):
            open_source(tmp_path / name)
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\ntrue.avi\n#EXT-X-ENDLIST\n"
    for name, text in (
        ("a.m3u8", playlist),
        ("b.mp4", "ffconcat version 1.0\n# é\nfile true.avi\n"),
        ("c.sdp", "v=0\nm=video 5004 RTP/AVP 96\n"),
        ("d.txt", "\x1b[31mnotes\n" * 1000),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(SourceError, match=f"{name}: cannot be read as a video: it is a text or a playlist"):
            open_source(tmp_path / name)


def test_a_video_without_compression_may_begin_like_a_text(tmp_path: Path) -> None:
    luma, chroma = bytes([ord("a")]) * (96 * 64), bytes([128]) * (96 * 64 // 2)
    (tmp_path / "a.y4m").write_bytes(b"YUV4MPEG2 W96 H64 F10:1 Ip A1:1 C420jpeg\n" + (b"FRAME\n" + luma + chroma) * 3)
    assert [frame.message.width for frame in open_source(tmp_path / "a.y4m").frames()] == [96, 96, 96]


def test_stamps_of_a_very_slow_drive_fit_into_a_message(tmp_path: Path) -> None:
    for index in range(3):
        drives.write_image(tmp_path / f"{index}.png", drives.picture(index))
    for frame in open_source(tmp_path, 1e-10).frames():
        TYPES.serialize_cdr(frame.message, IMAGE)
        assert 0 < frame.stamp_ns <= MAX_STAMP


def test_a_video_of_unknown_length_that_is_cut_short_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = drives.write_video(tmp_path / "whole.mkv", 40, 10)
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        assert len(list(open_source(whole).frames())) == 40
        assert caplog.text == ""
        count = len(list(open_source(tmp_path / "cut.mkv").frames()))
    assert 10 < count < 30
    assert f"cut.mkv: {count} frames could be read, of about 40" in caplog.text
