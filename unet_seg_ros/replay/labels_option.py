"""The labels of a drive, as named on the command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LabelSource:
    """A ``folder`` of label images, or ``topics`` of a bag by camera ("": the only camera). Labels hold label ids or,
    if ``train_ids``, train ids."""

    folder: Path | None = None
    topics: tuple[tuple[str, str], ...] = ()
    train_ids: bool = False

    @classmethod
    def parse(cls, texts: Sequence[str], train_ids: bool) -> LabelSource:
        """Parse options of the command line: a folder, or a TOPIC or CAMERA=TOPIC for each camera. Raises
        ValueError."""
        folders = [Path(text) for text in texts if os.path.isdir(text)]
        topics = [text for text in texts if not os.path.isdir(text)]
        wrong = [text for text in topics if not text.partition("=")[2].startswith("/") and not text.startswith("/")]
        if wrong:
            raise ValueError(f"labels: {wrong[0]} is neither a folder nor a topic, such as /front/label")
        if len(folders) > 1 or (folders and topics):
            raise ValueError("labels: give one folder, or a topic for each camera")
        parts = [text.rpartition("=") for text in topics]
        return cls(folders[0] if folders else None, tuple((camera, topic) for camera, _, topic in parts), train_ids)
