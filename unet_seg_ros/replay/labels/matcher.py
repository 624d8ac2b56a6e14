"""Ground truth: the label image of a frame, from a folder or from a topic of the bag."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unet_seg_ros.data.image_files import NO_LABEL, PictureError, decode_label, is_label, read_label
from unet_seg_ros.data.labels import ID_TO_TRAIN_ID, LABELS, NUM_CLASSES, VOID
from unet_seg_ros.replay.errors import Problems, SourceError
from unet_seg_ros.replay.labels_option import LabelSource
from unet_seg_ros.replay.source.bag_message import Raw
from unet_seg_ros.replay.source.bag_reader import DamagedBag, messages
from unet_seg_ros.replay.source.drive import TYPES, Array, Drive, DriveFrame, header_stamp
from unet_seg_ros.replay.topics import COMPRESSED_IMAGE, IMAGE
from unet_seg_ros.text import VALUE, last_words, one_line

AHEAD = 32
"""Number of labels of other frames that are kept while a label is searched. Labels may be out of order by this many."""
MAX_KEPT = 2**28
"""Most bytes of these labels. The one that was read last is always kept."""
ENCODINGS = ("mono8", "8UC1")
IS_ID = np.isin(np.arange(256), [label.id for label in LABELS])
IS_TRAIN_ID = (np.arange(256) < NUM_CLASSES) | (np.arange(256) == VOID)
TRAIN_IDS = np.where(IS_TRAIN_ID, np.arange(256), VOID).astype(np.uint8)


class Truth:
    """The labels of a drive's frames. They must be requested in order of time. Faults are added to ``problems``.

    Raises SourceError for a camera that the drive does not have.
    """

    def __init__(self, source: LabelSource, drive: Drive, problems: Problems) -> None:
        self._problems = problems
        self._source = source
        self._given = self._without = 0
        self._valid = False
        self._used: set[tuple[str, int]] = set()
        self._topics: dict[str, LabelTopic] = {}
        for camera, topic in source.topics:
            if not camera and len(drive.cameras) > 1:
                raise SourceError(
                    f"labels: {topic} belongs to which camera? Give CAMERA={topic}, one of {', '.join(drive.cameras)}"
                )
            name = camera or next(iter(drive.cameras))
            if name not in drive.cameras:
                raise SourceError(f"labels: the drive has no camera {name}; its cameras are {', '.join(drive.cameras)}")
            if name in self._topics:
                raise SourceError(f"labels: {name} has both {self._topics[name].topic} and {topic}; give one")
            self._topics[name] = LabelTopic(drive.source, topic)
        self._repeated = self._repeated_stamps(drive)

    def _repeated_stamps(self, drive: Drive) -> set[tuple[str, int]]:
        """Cameras and stamps that several frames or several labels have, so that they cannot be matched."""
        if drive.stamps is None or not (self._source.folder or self._topics):
            return set()
        frames = Counter(drive.stamps())
        found = {key for key, count in frames.items() if count > 1}
        found |= {(camera, stamp) for camera, topic in self._topics.items() for stamp in topic.repeated}
        if found:
            camera, stamp_ns = min(found)
            self._problems.add(
                "repeated stamps",
                f"{len(found)} stamps belong to several frames or labels, the first is {stamp_ns} of {camera}; these "
                "frames are not compared",
            )
        return found

    def label(self, camera: str, stamp_ns: int, file: Path | None, shape: tuple[int, ...]) -> Array | None:
        """The label, train ids uint8[H, W], of a frame of ``shape`` H, W, from its ``file`` or else from the camera's
        topic.

        None if there is no label, if it is wrong, or if other frames have the same stamp."""
        if (camera, stamp_ns) in self._repeated:
            self.skip(camera, stamp_ns)
            return None
        try:
            ids = read_label(file) if file else self._of_topic(camera, stamp_ns)
        except (ValueError, SourceError) as error:
            self._problems.add("label", one_line(error))  # the name of a file may hold a line break
            return None
        if ids is None:
            self._without += 1
            return None
        if not file:
            self._used.add((camera, stamp_ns))
        name = one_line(file or f"{self._topics[camera].topic}: stamp {stamp_ns}")
        if ids.shape != shape[:2]:
            self._problems.add(
                "label size",
                f"{name}: label of {ids.shape[1]}×{ids.shape[0]}, image of {shape[1]}×{shape[0]}: not compared",
            )
            return None
        # a drive in Cityscapes layout always has label ids; --label-ids is for --labels
        train_ids = self._source.train_ids and (file is None or self._source.folder is not None)
        strange = np.flatnonzero((np.bincount(ids.ravel(), minlength=256) > 0) & ~(IS_TRAIN_ID if train_ids else IS_ID))
        if strange.size:
            kind, other = ("train", "label") if train_ids else ("label", "train")
            self._problems.add(
                "label ids",
                f"{name}: {', '.join(map(str, strange[:5]))} is not a {kind} id and counts as unlabeled; if the "
                f"labels hold {other} ids, give --label-ids {other}",
            )
        self._given += 1
        found: Array = (TRAIN_IDS if train_ids else ID_TO_TRAIN_ID)[ids]
        self._valid = self._valid or bool((found != VOID).any())
        return found

    def skip(self, camera: str, stamp_ns: int) -> None:
        """Skip a frame that has no pixels and needs no label."""
        if camera in self._topics and stamp_ns in self._topics[camera].stamps:
            self._used.add((camera, stamp_ns))

    def _of_topic(self, camera: str, stamp_ns: int) -> Array | None:
        topic = self._topics.get(camera)
        return topic.label(stamp_ns) if topic else None

    def finish(self, whole: bool) -> None:
        """Must be called at the end of the drive. Adds a problem if no label matched a frame. With ``whole``, all
        frames of the drive have requested their labels; then it also adds a problem if some labels of a topic matched
        no frame while frames had no label. A folder may hold labels of other drives."""
        if self._given and not self._valid:
            self._problems.add("void labels", "no pixel of any label has a class, so nothing could be compared")
        if self._source.folder is None and not self._topics:
            return
        every = sum(len(topic.stamps) for topic in self._topics.values())
        left = every - len(self._used)
        if self._given and not (whole and left > 0 and self._without):
            return
        names = [str(self._source.folder)] if self._source.folder else [t.topic for t in self._topics.values()]
        rule = (
            "a label must have its image's name, or end in its frame's stamp in nanoseconds or in the frame's number, "
            "and begin with the camera's name if there are several"
            if self._source.folder
            else "a label must have its frame's stamp"
        )
        none = "no label could be compared with a frame"
        count = f"{left} of {every} labels match no frame" if self._given else none
        self._problems.add("no labels", f"{', '.join(names)}: {count}: {rule}")


class LabelTopic:
    """The labels on a topic of a bag, read in parallel with the frames. Raises SourceError if the topic cannot be
    read."""

    def __init__(self, bag: Path, topic: str) -> None:
        self.topic = topic
        self._bag = bag
        counts = Counter(stamp_ns for stamp_ns, _ in self._messages())
        self.stamps = counts.keys()
        self.repeated = {stamp_ns for stamp_ns, count in counts.items() if count > 1}
        self._ahead = self._messages()
        self._kept: dict[int, Raw] = {}

    def _messages(self) -> Iterator[tuple[int, Raw]]:
        try:
            for raw in messages(self._bag, [self.topic]):
                if raw.kind not in (IMAGE, COMPRESSED_IMAGE):
                    raise SourceError(f"{self._bag}: {self.topic} holds {raw.kind}, not label images")
                yield header_stamp(raw.cdr, raw.time_ns), raw
        except DamagedBag:
            return  # reading the frames reports the same error

    def label(self, stamp_ns: int) -> Array | None:
        """The label uint8[H, W], as recorded, of the frame with this stamp. Raises ValueError if it cannot be
        decoded."""
        if stamp_ns not in self.stamps:
            return None
        while stamp_ns not in self._kept and (found := next(self._ahead, None)):
            self._kept[found[0]] = found[1]
            while len(self._kept) > 1 and (len(self._kept) > AHEAD or self._bytes_kept() > MAX_KEPT):
                del self._kept[next(iter(self._kept))]
        raw = self._kept.get(stamp_ns)  # not removed, because another frame may have the same stamp
        return None if raw is None else _pixels(raw, f"{self.topic}: stamp {stamp_ns}")

    def _bytes_kept(self) -> int:
        return sum(len(raw.cdr) for raw in self._kept.values())


def _pixels(raw: Raw, name: str) -> Array:
    try:
        message: Any = TYPES.deserialize_cdr(raw.cdr, raw.kind)
    except Exception as error:  # rosbags does not check its input, so it raises errors of any type
        raise ValueError(f"{name}: the message is damaged: {last_words(error)}") from error
    if message.__msgtype__ == COMPRESSED_IMAGE:
        try:
            return decode_label(bytes(message.data))
        except PictureError as error:
            text = str(error)
            raise ValueError(f"{name}: {text if text == NO_LABEL else f'{NO_LABEL}: {text}'}") from error
    if message.encoding not in ENCODINGS:
        raise ValueError(
            f"{name}: encoding {one_line(message.encoding, VALUE)}, but labels must be {' or '.join(ENCODINGS)}"
        )
    if message.width > message.step or len(message.data) < message.step * message.height or not message.height:
        raise ValueError(f"{name}: {len(message.data)} bytes are too few for {message.width}×{message.height}")
    rows = np.asarray(message.data, np.uint8)[: message.step * message.height].reshape(message.height, message.step)
    return rows[:, : message.width]


def with_labels(drive: Drive, source: LabelSource) -> Drive:
    """The drive with the labels of ``source.folder``.

    A label has its image's name, or its name ends in its frame's stamp in nanoseconds or in the frame's number; if
    there are several cameras, it begins with the camera's name. Raises SourceError if the folder holds no labels."""
    if source.folder is None:
        return drive
    ending = "_labelTrainIds" if source.train_ids else "_labelIds"
    every = sorted(path for path in source.folder.rglob("*") if is_label(path))
    files = [path for path in every if path.stem.lower().endswith(ending.lower())]
    files = files or [path for path in every if path.parent == source.folder]
    if not files:
        raise SourceError(
            f"{source.folder}: no labels; it needs files …{ending}.png below it (Cityscapes) or *.png or *.bmp in it"
        )
    named: dict[str, list[Path]] = {}
    numbered: dict[tuple[str, int], list[Path]] = {}
    for path in files:
        name = re.sub(r"(_gt(Fine|Coarse))?_label(Train)?Ids$", "", path.stem, flags=re.IGNORECASE)
        named.setdefault(name, []).append(path)
        if parts := re.fullmatch(r"(.*?)_?(\d+)", name):
            camera = parts[1] if len(drive.cameras) > 1 else ""
            numbered.setdefault((camera, int(parts[2])), []).append(path)
    return replace(drive, frames=lambda: _labelled(drive, named, numbered), files=(*drive.files, *files))


def _labelled(
    drive: Drive, named: Mapping[str, list[Path]], numbered: Mapping[tuple[str, int], list[Path]]
) -> Iterator[DriveFrame]:
    for frame in drive.frames():
        camera = frame.camera if len(drive.cameras) > 1 else ""
        number = int(frame.name) if frame.name.isdecimal() else frame.stamp_ns
        own = named.get(frame.name, []) if frame.name else []
        found = own or numbered.get((camera, number)) or numbered.get((camera, frame.stamp_ns)) or []
        note = frame.note
        if len(found) > 1:  # to take one would be a guess
            note = note or f"{found[0]} and {found[1]} may both be the label of the same frame: it is not compared"
        yield replace(frame, label=found[0] if len(found) == 1 else None, note=note)
