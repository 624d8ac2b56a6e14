"""Label frames with a model, to adapt it to a camera: ``python -m training.pseudo_label MODEL DRIVE … OUTPUT``.

Each DRIVE is a bag, a video or a folder of images, as in the replay. The frames that differ most from each other are
chosen from all drives. The model labels them with the average of several predictions (mirrored, at three scales). The
pixels of highest confidence of each class are kept; all others become void. OUTPUT is then a data set in Cityscapes
layout (split train) for ``training.prepare`` and for a training run. ``kept.png`` and ``kept.json`` in it show what was
kept; look at them first.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.data.confidence_thresholds import Confidences, sure_labels
from training.evaluation.evaluation import check_classes
from training.evaluation.pseudo_label_picture import kept_picture
from training.evaluation.test_time_augmentation import Looks, segment
from training.interruption import end_in_one_line
from unet_seg_ros.data.cityscapes import frame_name, image_path, label_path
from unet_seg_ros.data.different_frames import Candidates
from unet_seg_ros.data.image_files import read_image, write_image
from unet_seg_ros.data.labels import CLASS_NAMES, ID_TO_TRAIN_ID, NUM_CLASSES
from unet_seg_ros.engine import DeviceLost, OutOfMemory
from unet_seg_ros.model.geometry import working_size
from unet_seg_ros.replay.errors import SourceError
from unet_seg_ros.replay.source.drive import Drive, message_pixels
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.segmenter import Segmenter
from unet_seg_ros.text import never_fail_to_print

Image = NDArray[np.uint8]
LOOKS = Looks(scales=(0.75, 1.0, 1.25), flip=True)
MAX_FRAMES = 5000
"""Most frames that are labelled: about 2 GB at 480×360."""
LEAST_KEPT = 0.1
"""A frame with a smaller share of kept pixels is left out."""
SPLIT = "train"


class View(NamedTuple):
    """A frame of a drive: its folder (city) in the output, its number in the drive, its image uint8[H, W, 3] RGB."""

    city: str
    number: int
    image: Image


@dataclass
class Views:
    """The frames of several drives. Frames that cannot be decoded are skipped and listed in ``problems``."""

    drives: Sequence[Drive]
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.problems += [problem for drive in self.drives for problem in drive.problems]
        self._cities: dict[tuple[int, str], str] = {}
        for index, drive in enumerate(self.drives):
            for camera in drive.cameras:
                city = f"pseudo-{drive.city(camera)}"
                taken = city in self._cities.values()
                self._cities[index, camera] = f"{city}-{index}" if taken else city

    def __iter__(self) -> Iterator[View]:
        for index, drive in enumerate(self.drives):
            try:
                yield from self._of(index, drive)
            except SourceError as error:  # a damaged drive, after its readable frames
                self._add_problem(str(error))

    def _of(self, index: int, drive: Drive) -> Iterator[View]:
        for number, frame in enumerate(drive.frames()):
            try:
                image = message_pixels(frame.message)
            except ValueError as error:
                self._add_problem(frame.problem or f"{drive.source}: frame {number}: {error}")
                continue
            yield View(self._cities[index, frame.camera], number, image)

    def _add_problem(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


@dataclass(frozen=True)
class Kept:
    """What was kept: the number of frames, the numbers of predicted and of kept pixels of each class, int64[19], and
    the thresholds of confidence, uint8[19]."""

    frames: int
    seen: NDArray[np.int64]
    kept: NDArray[np.int64]
    thresholds: NDArray[np.uint8]

    def classes(self) -> dict[str, dict[str, float | None]]:
        """By class: its share of all pixels, the share of its pixels that was kept, and the lowest kept confidence."""
        rows = zip(CLASS_NAMES, self.seen.tolist(), self.kept.tolist(), self.thresholds.tolist(), strict=True)
        every = max(1, int(self.seen.sum()))
        return {
            name: {"of_all": seen / every, "kept": kept / seen if seen else None, "least_confidence": least / 255}
            for name, seen, kept, least in rows
        }


def choose(views: Views, count: int) -> list[tuple[str, int]]:
    """City and number of the frames that differ most from each other. Raises ValueError if no frame can be decoded."""
    candidates: Candidates[tuple[str, int]] = Candidates()
    for view in tqdm(views, "read", sum(drive.length for drive in views.drives) or None, unit="frame"):
        candidates.add((view.city, view.number), view.image)
    if not candidates.seen:
        sources = ", ".join(str(drive.source) for drive in views.drives)
        raise ValueError("\n".join([f"{sources}: no frame can be decoded", *views.problems[:5]]))
    return candidates.most_different(count)


def predict(
    segmenter: Segmenter, views: Views, chosen: list[tuple[str, int]], root: Path, scratch: Path
) -> Confidences:
    """Write the chosen frames at the network's working size to ``root``. Write mask and confidence of each to
    ``scratch``, as the red and the green channel of a picture."""
    confidences, wanted = Confidences(), set(chosen)
    with tqdm(total=len(wanted), desc="label", unit="frame") as bar:
        for view in views:
            if (view.city, view.number) not in wanted:
                continue
            size = working_size(view.image.shape[0], view.image.shape[1], segmenter.max_pixels)
            image = view.image
            if image.shape[:2] != size:
                image = np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
            mask, confidence = segment(segmenter, image, LOOKS)
            confidences.add(mask, confidence)
            name = frame_name(view.city, view.number)
            write_image(image_path(root, SPLIT, view.city, name), image)
            write_image(scratch / f"{name}.png", np.dstack([mask, confidence, np.zeros_like(mask)]))
            bar.update()
    return confidences


def keep_sure(confidences: Confidences, chosen: list[tuple[str, int]], root: Path, scratch: Path, share: float) -> Kept:
    """Write the labels of the pixels with high confidence. Frames with very few such pixels are removed.

    Raises ValueError if no frame is left.
    """
    thresholds, kept, frames = confidences.thresholds(share), np.zeros(256, np.int64), 0
    for city, number in chosen:
        name = frame_name(city, number)
        looked = read_image(scratch / f"{name}.png")
        labels = sure_labels(np.ascontiguousarray(looked[..., 0]), np.ascontiguousarray(looked[..., 1]), thresholds)
        if np.count_nonzero(labels) < LEAST_KEPT * labels.size:
            image_path(root, SPLIT, city, name).unlink()
            continue
        write_image(label_path(root, SPLIT, city, name), labels)
        kept += np.bincount(ID_TO_TRAIN_ID[labels].ravel(), minlength=256)
        frames += 1
    if not frames:
        raise ValueError(
            f"no frame has enough pixels above the threshold of confidence ({100 * LEAST_KEPT:.0f} % are needed)"
        )
    return Kept(frames, confidences.counts.sum(axis=1), kept[:NUM_CLASSES], thresholds)


def pseudo_label(segmenter: Segmenter, drives: Sequence[Drive], output: Path, count: int, share: float) -> Kept:
    """Label ``count`` frames of the drives and keep the ``share`` of each class with the highest confidence.

    ``output`` is complete or absent. Raises ValueError if the bundle's classes are not Cityscapes' 19, or nothing can
    be read or kept; FileExistsError if ``output`` is not empty; OSError if it cannot be written; OutOfMemory and
    DeviceLost if the engine does.
    """
    check_classes(segmenter)
    if not 1 <= count <= MAX_FRAMES:
        raise ValueError(f"frames must be 1 to {MAX_FRAMES}, not {count}")
    Confidences().thresholds(share)  # finds a wrong share now, not after an hour
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(f"{output}: the folder is not empty; give an empty or new one")
    output = output.resolve()  # a folder cannot take the place of a link
    if output.is_mount():
        raise FileExistsError(f"{output}: nothing can take the place of a mount point; name a new folder in it")
    output.parent.mkdir(parents=True, exist_ok=True)
    views = Views(drives)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as temporary:
        root, scratch = Path(temporary) / "data", Path(temporary) / "scratch"
        chosen = choose(views, count)
        confidences = predict(segmenter, views, chosen, root, scratch)
        kept = keep_sure(confidences, chosen, root, scratch, share)
        write_image(root / "kept.png", kept_picture(root, SPLIT, kept.classes()))
        about = summary(segmenter, views, kept, len(chosen), share)
        (root / "kept.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        root.replace(output)
    return kept


def summary(segmenter: Segmenter, views: Views, kept: Kept, chosen: int, share: float) -> dict[str, Any]:
    """The origin of the labels and what was kept, as plain JSON. The model's terms of use also apply to its labels."""
    return {
        "model": segmenter.model_id,
        "data_terms": segmenter.manifest.data_terms,
        "drives": [str(drive.source) for drive in views.drives],
        "problems": views.problems,
        "share": share,
        "frames_labelled": chosen,
        "frames_kept": kept.frames,
        "pixels_kept": int(kept.kept.sum()) / max(1, int(kept.seen.sum())),
        "classes": kept.classes(),
    }


def main() -> None:
    never_fail_to_print()
    end_in_one_line()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model bundle (.safetensors)")
    parser.add_argument("drives", type=Path, nargs="+", metavar="drive", help="bag, video or folder of images")
    parser.add_argument("output", type=Path, help="folder for the data set; must be empty or not exist")
    parser.add_argument("--frames", type=int, default=300, help="label at most this many frames (default: 300)")
    parser.add_argument("--keep", type=float, default=0.5, help="share of each class's pixels to keep at least (0.5)")
    arguments = parser.parse_args()
    output: Path = arguments.output
    try:
        drives = [open_source(path) for path in arguments.drives]
        segmenter = Segmenter.load(arguments.model)
        kept = pseudo_label(segmenter, drives, output, arguments.frames, arguments.keep)
    except (OSError, ValueError, SourceError, OutOfMemory, DeviceLost) as error:
        raise SystemExit(str(error)) from error
    for problem in json.loads((output / "kept.json").read_bytes())["problems"]:
        print(f"skipped: {problem}")
    share = kept.kept.sum() / max(1, kept.seen.sum())
    print(f"{output}: {kept.frames} frames, {100 * share:.0f} % of their pixels kept; look at {output / 'kept.png'}")


if __name__ == "__main__":
    main()
