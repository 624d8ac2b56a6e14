"""Draws docs/planners_health.jpg: a frame of the synthetic town, as it is and corrupted, and what health says of each.

With a video, its first frame is taken and PICTURE is written.

Usage: .venv/bin/python -m tools.health_picture [VIDEO PICTURE]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.trust.corruptions import CORRUPTIONS
from training.synthetic import DriveConfig, drive
from unet_seg_ros import draw
from unet_seg_ros.data.labels import palette
from unet_seg_ros.files import write_atomically
from unet_seg_ros.health.trust import Monitor
from unet_seg_ros.replay.source.drive import message_pixels
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.segmenter import Segmenter

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "planners_health.jpg"
MODEL = ROOT / "models" / "unet_nano.safetensors"
SHOWN = ("", "dark", "defocus_blur", "gaussian_noise", "obstruction", "half_frame", "fog", "jpeg_compression")
"""Corruptions of the tiles; the first has none."""
SEVERITY = 4
WIDTH = 320
"""Of the frame in pixels."""
LINE = 18
"""Height of a line of text in pixels."""
Array = NDArray[np.uint8]


def captioned(picture: Array, lines: list[str]) -> Array:
    """The picture uint8[H, W, 3] with lines of text under it."""
    under = np.full((len(lines) * LINE + 6, picture.shape[1], 3), 255, np.uint8)
    for row, line in enumerate(lines):
        below = 4, (row + 1) * LINE - 4
        cv2.putText(under, line, below, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (20, 20, 20), 1, cv2.LINE_AA)
    return np.vstack([picture, under])


def tile(segmenter: Segmenter, frame: Array, corruption: str) -> Array:
    """The frame under a corruption beside its mask, and what health says: uint8[H, W, 3] RGB."""
    name = corruption.replace("_", " ")
    shown = CORRUPTIONS[corruption](frame, SEVERITY, np.random.default_rng(0)) if corruption else frame
    seen = segmenter([shown])[0]
    health = Monitor(segmenter.manifest).look(seen, 0)
    pair = np.hstack([shown, draw.overlay(shown, seen.mask, palette())])
    title = f"{name or 'as it is'}: {health.level.name}, trust {health.trust:.2f}"
    return captioned(pair, [title, ", ".join(health.flags) or "no flag"])


def first_frame(video: str) -> Array:
    """The first frame of a video, as a camera of this width would see it: uint8[H, W, 3] RGB. Raises SourceError."""
    frame = message_pixels(next(open_source(Path(video)).frames()).message)
    height = round(frame.shape[0] * WIDTH / frame.shape[1])
    return np.asarray(cv2.resize(frame, (WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)


def main(arguments: list[str]) -> None:
    if arguments:
        frame, picture = first_frame(arguments[0]), Path(arguments[1])
    else:
        frame = next(iter(drive(DriveConfig(seed=100, width=WIDTH, height=240, fps=1, seconds=1)))).image
        picture = PICTURE
    segmenter = Segmenter.load(MODEL, "cpu")
    tiles = [tile(segmenter, frame, corruption) for corruption in SHOWN]
    rows = [np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)]
    sheet = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    write_atomically(picture, cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes())


if __name__ == "__main__":
    main(sys.argv[1:])
