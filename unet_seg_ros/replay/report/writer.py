"""Writes a report: as JSON, as an HTML page, with the table of frames and a short video of each camera."""

from __future__ import annotations

import json
from pathlib import Path

from unet_seg_ros.data.labels import Grouping
from unet_seg_ros.files import write_atomically
from unet_seg_ros.replay.report import page
from unet_seg_ros.replay.report.gallery import Gallery
from unet_seg_ros.replay.report.video import write_video
from unet_seg_ros.replay.result import FIGURES, PAGE, TABLE, Result


def write(output: Path, result: Result, gallery: Gallery, grouping: Grouping) -> None:
    """Fill the folder. Raises OSError."""
    write_atomically(output / FIGURES, json.dumps(result.report, indent=2) + "\n")
    write_atomically(output / TABLE, result.frames.to_csv(index=False))
    videos = {}
    for camera, film in gallery.films.items():
        path = output / ("overlay.webm" if len(gallery.films) == 1 else f"overlay_{camera}.webm")
        speed = write_video(path, film)
        videos[camera] = path.read_bytes(), speed
    html = page.render(result.report, result.frames, gallery, videos, grouping, result.class_names)
    write_atomically(output / PAGE, html)
