"""Opens a drive of any format with its labels."""

from __future__ import annotations

from pathlib import Path

from unet_seg_ros.replay.labels.matcher import with_labels
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.source.drive import Drive
from unet_seg_ros.replay.source.video_and_folder import open_source


def open_drive(source: Path, options: Options) -> Drive:
    """The drive at ``source``, with the labels of ``options`` if they are in a folder. Raises SourceError."""
    drive = open_source(source, options.rate, options.topics, [topic for _, topic in options.labels.topics])
    return with_labels(drive, options.labels)
