"""The options of a replay, and the files that some of them name: groupings, regions, ignored pixels."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unet_seg_ros.data.labels import CLASS_NAMES, GROUPINGS, Grouping
from unet_seg_ros.data.yaml_file import read_yaml
from unet_seg_ros.files import of_user
from unet_seg_ros.masking import Ignored, polygon
from unet_seg_ros.metrics.coverage import Region
from unet_seg_ros.replay.labels_option import LabelSource
from unet_seg_ros.text import VALUE, one_line, quoted

MAX_NAMES = 255
"""Most groups or regions in a file."""
MAX_SELECTED = 5000
"""Most frames that are written for labelling."""


@dataclass(frozen=True)
class Options:
    """The options of the command line.

    If ``model`` or ``device`` is empty, the node's default is used; if ``node`` is empty, the replay starts a node.
    ``rate`` in Hz is for image folders. A live drive is played ``factor`` times as fast as recorded. ``against`` is a
    second model. ``topics`` of a bag are played (empty: all cameras). ``threads`` 0: the engine decides. With
    ``record``, an offline replay writes drive.mcap. ``ignore`` (camera → entries of ``masking.Ignored``) and
    ``unknown_below`` (0..1) set pixels of the masks to 255 offline, as the node's parameters do. ``calibration`` is a
    parameter file with the cameras' positions; None: no grids. ``assume_latency`` is the time in seconds from frame to
    mask for the streaming accuracy; None: the measured time of the work on each frame. ``select`` is how many frames
    that are worth labelling are written, and to which folder."""

    mode: str = "offline"
    model: str = ""
    device: str = ""
    threads: int = 0
    grouping: Grouping = GROUPINGS["cityscapes19"]
    regions: tuple[Region, ...] = ()
    labels: LabelSource = field(default_factory=LabelSource)
    topics: tuple[str, ...] = ()
    rate: float | None = None
    against: str = ""
    record: bool = True
    node: str = ""
    factor: float = 1.0
    ignore: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unknown_below: float = 0.0
    calibration: Path | None = None
    assume_latency: float | None = None
    select: tuple[int, Path] | None = None

    def absolute(self) -> Options:
        """The same options with absolute paths, so that they are valid in any folder. Shipped models keep their
        names."""
        model, against = (str(Path(m).resolve()) if Path(m).is_file() else m for m in (self.model, self.against))
        folder = self.labels.folder and self.labels.folder.resolve()
        calibration = self.calibration and self.calibration.resolve()
        labels = replace(self.labels, folder=folder)
        return replace(self, model=model, against=against, labels=labels, calibration=calibration)

    def settings(self) -> dict[str, Any]:
        """The options for the report, as plain JSON. An option that was not given is empty."""
        labels = [str(self.labels.folder)] if self.labels.folder else [topic for _, topic in self.labels.topics]
        return {
            "device": self.device,
            "threads": self.threads,
            "grouping": self.grouping.name,
            "groups": {
                name: [CLASS_NAMES[i] for i in members]
                for name, members in zip(self.grouping.names, self.grouping.members, strict=True)
                if self.grouping.name not in GROUPINGS
            },
            "regions": {region.name: [list(point) for point in region.polygon] for region in self.regions},
            "ignore": {camera: list(entries) for camera, entries in self.ignore.items()},
            "unknown_below": self.unknown_below,
            "calibration": str(self.calibration or ""),
            "assume_latency": self.assume_latency,
            "select": [self.select[0], str(self.select[1])] if self.select else [],
            "labels": labels,
            "label_ids": ("train" if self.labels.train_ids else "label") if labels else "",
            "topics": list(self.topics),
            "rate": self.rate,
            "against": self.against,
            "node": self.node,
            "factor": self.factor if self.mode == "live" else None,
        }


def load_grouping(text: str) -> Grouping:
    """The grouping with that name, or one from a YAML file: group name → list of its classes. Raises ValueError."""
    if text in GROUPINGS:
        return GROUPINGS[text]
    path = Path(text)
    if not os.path.isfile(path):  # False also if the name is too long
        raise ValueError(f"grouping: {text} is neither a file nor one of {', '.join(GROUPINGS)}")
    if path.stem in GROUPINGS:
        raise ValueError(f"{path}: {path.stem} is the name of a built-in grouping; rename the file")
    groups = _mapping(path)
    seen: dict[str, str] = {}
    members = []
    for name, classes in groups.items():
        if not isinstance(classes, list) or not classes:
            raise ValueError(f"{path}: {name}: give a list of class names")
        for one in classes:
            if one not in CLASS_NAMES:
                raise ValueError(
                    f"{path}: {name}: {quoted(one)} is not a class; the classes are {', '.join(CLASS_NAMES)}"
                )
            if one in seen:
                raise ValueError(f"{path}: {one} is in {seen[one]} and in {name}; a class may be in only one group")
            seen[one] = name
        members.append(tuple(CLASS_NAMES.index(one) for one in classes))
    return Grouping(path.stem, tuple(groups), tuple(members))


def load_ignored(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a YAML file: camera → list of ignored areas, as in the node's parameter ``ignore.CAMERA``. Paths of PNGs are
    relative to the file. Raises ValueError."""
    ignored: dict[str, tuple[str, ...]] = {}
    for camera, entries in _mapping(path).items():
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            raise ValueError(f"{path}: {camera}: must be a list of polygons and PNGs, not {quoted(entries)}")
        where = f"{path}: {camera}"
        ignored[camera] = tuple(
            entry if polygon(entry, where) else str((path.parent / of_user(entry)).resolve()) for entry in entries
        )
        Ignored(ignored[camera], where)
    return ignored


def load_regions(path: Path) -> tuple[Region, ...]:
    """Read a YAML file: region name → polygon [x0, y0, x1, y1, …] in fractions 0..1 of width and height, as in the
    node's parameter ``region.NAME.polygon``. Raises ValueError."""
    try:
        regions = _mapping(path)
        for name, corners in regions.items():
            if not isinstance(corners, list):
                raise ValueError(f"region.{name}.polygon: must be a list of numbers, not {quoted(corners)}")
        return tuple(Region.from_flat(name, corners) for name, corners in regions.items())
    except (TypeError, ValueError) as error:
        text = str(error)
        raise ValueError(text if text.startswith(str(path)) else f"{path}: {text}") from error


def _mapping(path: Path) -> dict[str, Any]:
    found = read_yaml(path)
    if not isinstance(found, dict) or not found or not all(isinstance(name, str) for name in found):
        raise ValueError(f"{path}: must be a mapping of names, such as 'drivable: [road]'")
    if wrong := [name for name in found if not name or len(name) > VALUE or one_line(name) != name]:
        raise ValueError(
            f"{path}: {quoted(wrong[0])} is not a valid name; it must be 1 to {VALUE} printable characters"
        )
    if len(found) > MAX_NAMES:
        raise ValueError(f"{path}: {len(found)} names; at most {MAX_NAMES} are allowed")
    return found


def parse_selection(count: str, folder: str) -> tuple[int, Path]:
    """``--select N FOLDER``. Raises ValueError, also for a folder that holds something: nothing is replaced."""
    number = int(count) if count.isdecimal() and len(count) <= len(str(MAX_SELECTED)) else 0
    if not 1 <= number <= MAX_SELECTED:
        raise ValueError(f"--select: the number of frames must be 1 to {MAX_SELECTED}, not {quoted(count)}")
    path = Path(folder)
    try:
        empty = not path.exists() or not any(path.iterdir())
    except OSError as error:  # a file, or one that may not be read
        raise ValueError(f"--select: {path}: {error.strerror}") from error
    if not empty:
        raise ValueError(f"--select: {path}: is not empty; give a new folder")
    return number, path
