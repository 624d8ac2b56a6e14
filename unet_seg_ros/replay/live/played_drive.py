"""The data of a played drive that stay in memory: a few numbers per frame. The recording holds the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from unet_seg_ros.data.labels import palette
from unet_seg_ros.health.trust import Health
from unet_seg_ros.replay.source.drive import Array
from unet_seg_ros.replay.topics import Target
from unet_seg_ros.vocabulary import DROPPED, PROCESSED, RECEIVED


@dataclass(frozen=True)
class Counts:
    """The numbers of a camera's frames in the node's diagnostics; ``dropped`` by reason."""

    received: int
    processed: int
    dropped: dict[str, int]

    @classmethod
    def of(cls, values: dict[str, str]) -> Counts:
        """The counts from a camera's values in the diagnostics."""
        dropped = {key.removeprefix(DROPPED): int(n) for key, n in values.items() if key.startswith(DROPPED)}
        return cls(int(values[RECEIVED]), int(values[PROCESSED]), dropped)

    def since(self, before: Counts) -> Counts:
        """The counts minus those of ``before``."""
        dropped = {reason: count - before.dropped.get(reason, 0) for reason, count in self.dropped.items()}
        return Counts(self.received - before.received, self.processed - before.processed, dropped)


@dataclass
class Sent:
    """A frame that was sent. ``at_ns`` is the time since the start of the drive at which it was due. ``sent_ns`` and
    ``received_ns`` (of its mask, None if none came) are times of one monotonic clock. ``stages``, in seconds by name,
    and ``health`` come from the node. ``repeated``: the camera sent this stamp more than once, so the masks cannot be
    matched. ``problem`` says why the frame has no pixels, if that is known; ``note`` says what else is unusual."""

    camera: str
    index: int
    stamp_ns: int
    at_ns: int
    sent_ns: int
    label: Path | None = None
    received_ns: int | None = None
    stages: dict[str, float] | None = None
    health: Health | None = None
    repeated: bool = False
    problem: str = ""
    note: str = ""


@dataclass
class PlayedDrive:
    """A drive that was played. ``frames`` are in order of sending. ``counts`` of each camera are the node's own, since
    the start of the drive. ``engine`` is its last status of the engine, ``palette`` uint8[256, 3] the colours of its
    classes, RGB by class id. ``problem`` says why the drive ended early, empty if it did not; ``interrupted``: it ended
    by Ctrl-C."""

    target: Target
    frames: list[Sent]
    counts: dict[str, Counts] = field(default_factory=dict)
    engine: dict[str, str] = field(default_factory=dict)
    palette: Array = field(default_factory=palette)
    problem: str = ""
    interrupted: bool = False
