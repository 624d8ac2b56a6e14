"""One pass over a recorded drive: what each frame's class shares were, how right its mask was, and the pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.highlevel import AnyReader
from tqdm import tqdm

from unet_seg_ros import draw
from unet_seg_ros.cityscapes import read_label
from unet_seg_ros.images import to_rgb
from unet_seg_ros.labels import CLASS_NAMES, ID_TO_TRAIN_ID, Grouping, palette
from unet_seg_ros.metrics import ConfusionMatrix
from unet_seg_ros.replay.drive import Array, Drive, SourceError, message_pixels, message_stamp
from unet_seg_ros.replay.playback import OUTPUTS, Sent, frame_rate, output_topic
from unet_seg_ros.replay.video import OverlayVideo

Key = tuple[str, int]
"""Camera and stamp in nanoseconds."""
SHEET_FRAMES = 12
SHEET_WIDTH = 1920
TILE_WIDTH = 640


@dataclass
class Review:
    """``rows`` hold a line per coverage message (see ``coverage.csv`` in ``summary``); ``confusion`` sums all labelled
    frames, of which there are ``labelled``, and is void where ``class_names`` are not Cityscapes'; ``model`` is the id
    that the node gives; ``tiles`` are the sheet's pictures by frame: image, overlay, and label where there is one."""

    confusion: ConfusionMatrix
    model: str = ""
    class_names: tuple[str, ...] = CLASS_NAMES
    labelled: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    tiles: dict[Key, dict[str, Array]] = field(default_factory=dict)


class Reviewer:
    """Takes messages one by one; keeps no picture but the sheet's, shrunk."""

    def __init__(self, frames: list[Sent], grouping: Grouping, videos: dict[str, OverlayVideo]) -> None:
        self.review = Review(ConfusionMatrix(grouping))
        self._frames = {(sent.camera, sent.stamp_ns): sent for sent in frames}
        self._videos = videos
        answered = [key for key, sent in self._frames.items() if sent.received_ns is not None]
        picks = np.linspace(0, len(answered) - 1, min(SHEET_FRAMES, len(answered))).round().astype(int)
        self.review.tiles = {answered[pick]: {} for pick in picks}

    def take(self, camera: str, what: str, message: Any) -> None:
        """A message of ``camera``; ``what`` is image, mask, overlay or coverage."""
        key = camera, message_stamp(message)
        if what == "coverage":
            self._coverage(key, message)
        elif what == "mask":
            self._mask(key, message)
        elif what == "overlay":
            self._videos[camera].write(key[1], to_rgb(message))
        tiles = self.review.tiles.get(key)
        if tiles is not None and what in ("image", "overlay"):
            sent = self._frames[key]
            title = f"{camera} {sent.at_ns / 1e9:.2f} s" if what == "image" else what
            tiles[what] = _caption(_tile(message_pixels(message)), title)

    def _coverage(self, key: Key, message: Any) -> None:
        sent = self._frames.get(key)
        if sent is None:
            return
        self.review.model = message.model
        self.review.class_names = tuple(message.class_names)
        whole = message.regions[0]
        self.review.rows.append(
            {
                "camera": key[0],
                "stamp_ns": key[1],
                "time": sent.at_ns / 1e9,
                "latency": (sent.received_ns - sent.sent_ns) / 1e9 if sent.received_ns is not None else np.nan,
                "dropped": int(message.dropped),
                "mean_confidence": float(message.mean_confidence),
                "low_confidence_fraction": float(message.low_confidence_fraction),
                **dict(zip(message.class_names, whole.fraction.tolist(), strict=True)),
            }
        )

    def _mask(self, key: Key, message: Any) -> None:
        sent = self._frames.get(key)
        if sent is None or sent.label is None:
            return
        try:
            label = ID_TO_TRAIN_ID[read_label(sent.label)]
        except ValueError as error:
            raise SourceError(str(error)) from error
        mask = message.data.reshape(message.height, message.step)[:, : message.width]
        if label.shape != mask.shape:
            raise SourceError(f"{sent.label}: {_size(label)}, its image is {_size(mask)}")
        self.review.confusion.update(label, mask)
        self.review.labelled += 1
        if key in self.review.tiles:
            self.review.tiles[key]["label"] = _caption(
                _tile(draw.colorize(label, palette()), cv2.INTER_NEAREST), "label"
            )


def _size(pixels: Array) -> str:
    return f"{pixels.shape[1]}×{pixels.shape[0]}"


def _tile(pixels: Array, interpolation: int = cv2.INTER_AREA) -> Array:
    """At most TILE_WIDTH wide, a copy."""
    scale = min(1.0, TILE_WIDTH / pixels.shape[1])
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=interpolation), np.uint8)


def review(bag: Path, drive: Drive, frames: list[Sent], grouping: Grouping, output: Path) -> Review:
    """Go through ``bag`` and leave the overlay's video in the folder ``output``, one for each camera.

    Raises SourceError for a label that can't be read or is of another size, OSError if a video can't be written.
    """
    videos = {}
    for camera in drive.cameras:
        mine = [sent for sent in frames if sent.camera == camera]
        name = "overlay.webm" if len(drive.cameras) == 1 else f"overlay_{camera}.webm"
        videos[camera] = OverlayVideo(output / name, frame_rate(mine), [sent.stamp_ns for sent in mine])
    what = {drive.topic(camera): (camera, "image") for camera in drive.cameras}
    what |= {output_topic(camera, kind): (camera, kind) for camera in drive.cameras for kind in OUTPUTS}
    reviewer = Reviewer(frames, grouping, videos)
    with AnyReader([bag]) as reader:
        total = reader.message_count
        for connection, _, raw in tqdm(reader.messages(), total=total, unit="message", desc="reviewing"):
            reviewer.take(*what[connection.topic], reader.deserialize(raw, connection.msgtype))
    for video in videos.values():
        video.close()
    return reviewer.review


def sheet(found: Review) -> Array | None:
    """About twelve frames, evenly spaced: image, overlay and label side by side, with the legend; None without any."""
    frames = [tiles for tiles in found.tiles.values() if tiles.keys() >= {"image", "overlay"}]
    if not frames:
        return None
    columns = [name for name in ("image", "overlay", "label") if name in frames[0]]
    blank = np.zeros((1, 1, 3), np.uint8)  # not every frame has a label
    tiles = [tiles.get(name, blank) for tiles in frames for name in columns]
    pictures = draw.contact_sheet(tiles, 2 * len(columns), SHEET_WIDTH)
    colors = [(int(r), int(g), int(b)) for r, g, b in palette()[: len(found.class_names)]]
    return np.vstack([pictures, draw.legend(found.class_names, colors, SHEET_WIDTH)])


def write_sheet(pictures: Array, path: Path) -> None:
    """Save the sheet, H×W×3 uint8 RGB, as PNG. Raises OSError."""
    if not cv2.imwrite(str(path), cv2.cvtColor(pictures, cv2.COLOR_RGB2BGR)):
        raise OSError(f"{path}: can't be written")


def _caption(picture: Array, text: str) -> Array:
    """A copy with the text in its corner, on a dark ground."""
    picture, scale = picture.copy(), picture.shape[1] / TILE_WIDTH
    size, below = cv2.getTextSize(text, draw.FONT, scale, 1)
    pad = round(8 * scale)
    cv2.rectangle(picture, (0, 0), (size[0] + 2 * pad, size[1] + below + pad), draw.BACKGROUND, cv2.FILLED)
    cv2.putText(picture, text, (pad, size[1] + pad // 2), draw.FONT, scale, draw.INK, 1, cv2.LINE_AA)
    return picture
