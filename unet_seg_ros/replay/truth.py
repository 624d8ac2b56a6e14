"""Ground truth: the label image of a frame, from a folder or from a topic of the bag."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

from unet_seg_ros.cityscapes import read_label
from unet_seg_ros.labels import ID_TO_TRAIN_ID, LABELS, NUM_CLASSES, VOID
from unet_seg_ros.replay.drive import COMPRESSED_IMAGE, IMAGE, TYPES, Array, Drive, Frame, SourceError, message_stamp
from unet_seg_ros.replay.messages import messages
from unet_seg_ros.replay.problems import Problems

AHEAD = 32
"""Labels of other frames that are kept while one is looked for: so much may their order differ from the frames'."""
ENCODINGS = ("mono8", "8UC1")
TRAIN_IDS = np.where((np.arange(256) < NUM_CLASSES) | (np.arange(256) == VOID), np.arange(256), VOID).astype(np.uint8)


@dataclass(frozen=True)
class LabelSource:
    """``folder`` of label images, ``topics`` of a bag by camera ("" = the only one); labels hold label ids, or train
    ids where ``train_ids``."""

    folder: Path | None = None
    topics: tuple[tuple[str, str], ...] = ()
    train_ids: bool = False

    @classmethod
    def parse(cls, texts: Sequence[str], train_ids: bool) -> LabelSource:
        """From the command line: a folder, or a TOPIC or CAMERA=TOPIC for each camera. Raises ValueError."""
        folders = [Path(text) for text in texts if Path(text).is_dir()]
        topics = [text for text in texts if not Path(text).is_dir()]
        wrong = [text for text in topics if not text.partition("=")[2].startswith("/") and not text.startswith("/")]
        if wrong:
            raise ValueError(f"labels: {wrong[0]} is neither a folder nor a topic, such as /front/label")
        if len(folders) > 1 or (folders and topics):
            raise ValueError("labels: give one folder, or a topic for each camera")
        parts = [text.rpartition("=") for text in topics]
        return cls(folders[0] if folders else None, tuple((camera, topic) for camera, _, topic in parts), train_ids)


class Truth:
    """Labels of a drive's frames, asked for in order of time; what is wrong with them goes to ``problems``.

    Raises SourceError where a camera isn't there.
    """

    def __init__(self, source: LabelSource, drive: Drive, problems: Problems) -> None:
        self._table = TRAIN_IDS if source.train_ids else ID_TO_TRAIN_ID
        self._kind = "train id" if source.train_ids else "label id"
        self._valid = np.zeros(256, np.bool_)
        self._valid[: NUM_CLASSES if source.train_ids else len(LABELS)] = True
        self._valid[VOID] = source.train_ids
        self._problems = problems
        self._source = source
        self._given = 0
        self._topics: dict[str, LabelTopic] = {}
        for camera, topic in source.topics:
            if not camera and len(drive.cameras) > 1:
                raise SourceError(f"labels: whose is {topic}? Give CAMERA={topic}, of {', '.join(drive.cameras)}")
            name = camera or next(iter(drive.cameras))
            if name not in drive.cameras:
                raise SourceError(f"labels: {name} is no camera of the drive; there are {', '.join(drive.cameras)}")
            self._topics[name] = LabelTopic(drive.source, topic)

    def label(self, camera: str, stamp_ns: int, file: Path | None, shape: tuple[int, ...]) -> Array | None:
        """Train ids, H×W uint8, of a frame of ``shape`` H, W: of its ``file`` or, without one, of the camera's topic.
        None where there is no label, or a wrong one."""
        try:
            ids = read_label(file) if file else self._of_topic(camera, stamp_ns)
        except (ValueError, SourceError) as error:
            self._problems.add("label", str(error))
            return None
        if ids is None:
            return None
        name = file or f"{self._topics[camera].topic}: stamp {stamp_ns}"
        if ids.shape != shape[:2]:
            self._problems.add(
                "label size", f"{name}: {ids.shape[1]}×{ids.shape[0]}, its image is {shape[1]}×{shape[0]}: not compared"
            )
            return None
        strange = np.flatnonzero((np.bincount(ids.ravel(), minlength=256) > 0) & ~self._valid)
        if strange.size:
            other = "label" if self._source.train_ids else "train"
            self._problems.add(
                "label ids",
                f"{name}: {', '.join(map(str, strange[:5]))} is no {self._kind} and taken for unlabeled; if they are "
                f"{other} ids, say --label-ids {other}",
            )
        self._given += 1
        return self._table[ids]

    def _of_topic(self, camera: str, stamp_ns: int) -> Array | None:
        topic = self._topics.get(camera)
        return topic.label(stamp_ns) if topic else None

    def finish(self) -> None:
        """At the end of the drive: labels that were no frame's are a problem."""
        if self._given or (self._source.folder is None and not self._topics):
            return
        names = [str(self._source.folder)] if self._source.folder else [t.topic for t in self._topics.values()]
        rule = (
            "a label is named as its image, or ends in its frame's stamp in nanoseconds or its number in the video"
            if self._source.folder
            else "a label has its frame's stamp"
        )
        self._problems.add("no labels", f"{', '.join(names)}: no label could be compared with a frame: {rule}")


class LabelTopic:
    """Labels on the topic ``topic`` of a bag, read in step with the frames. Raises SourceError if it can't be read."""

    def __init__(self, bag: Path, topic: str) -> None:
        self.topic = topic
        self._bag = bag
        self._stamps = {stamp_ns for stamp_ns, _ in self._messages()}
        self._ahead = self._messages()
        self._kept: dict[int, Any] = {}

    def _messages(self) -> Iterator[tuple[int, Any]]:
        try:
            for raw in messages(self._bag, [self.topic]):
                if raw.kind not in (IMAGE, COMPRESSED_IMAGE):
                    raise SourceError(f"{self._bag}: {self.topic} holds {raw.kind}, not images of labels")
                message: Any = TYPES.deserialize_cdr(raw.cdr, raw.kind)
                yield message_stamp(message), message
        except SourceError as error:
            if "damaged" not in str(error):  # which the frames tell as well
                raise

    def label(self, stamp_ns: int) -> Array | None:
        """H×W uint8 as recorded, of the frame with this stamp. Raises ValueError if it can't be decoded."""
        if stamp_ns not in self._stamps:
            return None
        while stamp_ns not in self._kept and (found := next(self._ahead, None)):
            self._kept[found[0]] = found[1]
            if len(self._kept) > AHEAD:
                del self._kept[next(iter(self._kept))]
        message = self._kept.get(stamp_ns)  # kept: another frame may have the stamp too
        return None if message is None else _pixels(message, f"{self.topic}: stamp {stamp_ns}")


def _pixels(message: Any, name: str) -> Array:
    if message.__msgtype__ == COMPRESSED_IMAGE:
        label = cv2.imdecode(np.asarray(message.data, np.uint8), cv2.IMREAD_UNCHANGED) if len(message.data) else None
        if label is None or label.dtype != np.uint8 or label.ndim != 2:
            raise ValueError(f"{name}: not an 8-bit single-channel image, as label ids are")
        return cast(Array, label)
    if message.encoding not in ENCODINGS:
        raise ValueError(f"{name}: encoding {message.encoding}, labels are {' or '.join(ENCODINGS)}")
    if message.width > message.step or len(message.data) < message.step * message.height or not message.height:
        raise ValueError(f"{name}: {len(message.data)} bytes are too few for {message.width}×{message.height}")
    rows = np.asarray(message.data, np.uint8)[: message.step * message.height].reshape(message.height, message.step)
    return rows[:, : message.width]


def with_labels(drive: Drive, source: LabelSource) -> Drive:
    """The drive with the labels of ``source.folder``: a label is named as its image, or its name ends in its frame's
    stamp in nanoseconds or its number in the video. Raises SourceError if the folder holds none."""
    if source.folder is None:
        return drive
    suffix = "_labelTrainIds.png" if source.train_ids else "_labelIds.png"
    files = sorted(source.folder.rglob(f"*{suffix}")) or sorted(source.folder.glob("*.png"))
    if not files:
        raise SourceError(f"{source.folder}: no labels: neither …{suffix} below it, as in Cityscapes, nor *.png in it")
    names = {re.sub(r"(_gtFine)?_label(Train)?Ids$", "", file.stem): file for file in files}
    found = [(int(number.group()), file) for name, file in names.items() if (number := re.search(r"\d+$", name))]
    often = Counter(number for number, _ in found)
    numbers = {number: file for number, file in found if often[number] == 1}  # of two, it would be a guess
    return replace(drive, frames=lambda: _labelled(drive, names, numbers), files=(*drive.files, *files))


def _labelled(drive: Drive, names: Mapping[str, Path], numbers: Mapping[int, Path]) -> Iterator[Frame]:
    for frame in drive.frames():
        number = int(frame.name) if frame.name.isdigit() else frame.stamp_ns
        yield replace(frame, label=names.get(frame.name) or numbers.get(number) or numbers.get(frame.stamp_ns))
