"""Writes a report: the figures as JSON, the HTML page, the table of frames, and a short video of each camera."""

from __future__ import annotations

import json
from pathlib import Path

from unet_seg_ros.data.labels import Grouping
from unet_seg_ros.files import write_atomically
from unet_seg_ros.replay.report import page
from unet_seg_ros.replay.report.gallery import Gallery
from unet_seg_ros.replay.report.video import write_video
from unet_seg_ros.replay.result import FIGURES, PAGE, TABLE, Result
from unet_seg_ros.text import cell, last_words, one_line


def write(output: Path, result: Result, gallery: Gallery, grouping: Grouping) -> None:
    """Write all files of a report to the folder ``output``. The figures are written first, so that they exist even if
    the pictures fail. Raises OSError."""
    _write_figures(output, result)
    write_atomically(output / TABLE, result.frames.map(cell).to_csv(index=False))
    written = len(result.report["problems"])
    videos = {}
    for camera, film in gallery.films.items():
        path = output / ("overlay.webm" if len(gallery.films) == 1 else f"overlay_{camera}.webm")
        try:
            speed = write_video(path, film)
            videos[camera] = path.read_bytes(), speed
        except Exception as error:  # errors of OpenCV and of the disk
            result.report["problems"].append(one_line(f"{path}: the video was not written: {last_words(error)}"))
    try:
        html = page.render(result.report, result.frames, gallery, videos, grouping, result.class_names)
        write_atomically(output / PAGE, html)
    except Exception as error:  # errors of the plots too
        result.report["problems"].append(one_line(f"{output / PAGE}: the page was not written: {last_words(error)}"))
    if len(result.report["problems"]) > written:
        _write_figures(output, result)


def _write_figures(output: Path, result: Result) -> None:
    write_atomically(output / FIGURES, json.dumps(result.report, indent=2) + "\n")
