"""Measure what a model card says about a bundle: ``python -m training.model_report BUNDLE OUTPUT [--data data]``.

It measures the bundle on every labelled data set of ``SETS`` that exists, with the Segmenter, and prints the tables of
the card as Markdown. OUTPUT gets them as ``card.md``, with a report of each set and pictures: the best, median and
worst frames of each set, and the bundle's masks of cameras and videos without labels (``DATA/unlabelled``, grouped by
the beginning of the names, and the videos in DATA). It names data sets that do not exist.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.data.sampling import evenly
from training.evaluate import percent
from training.evaluation.evaluation import Evaluation, FrameScore, check_classes, evaluate
from training.evaluation.report import frame_panels, group_legend, write_report
from training.evaluation.streaming import RATES, Streamed, streamed
from training.interruption import end_in_one_line
from unet_seg_ros.data.image_files import is_picture, read_image, write_image
from unet_seg_ros.data.labels import CLASS_COLORS, CLASS_NAMES, GROUPINGS, palette
from unet_seg_ros.draw import contact_sheet, legend, overlay
from unet_seg_ros.engine import DeviceLost, OutOfMemory
from unet_seg_ros.files import write_atomically
from unet_seg_ros.model.unet import UNet
from unet_seg_ros.replay.errors import SourceError
from unet_seg_ros.replay.source.drive import message_pixels
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.segmenter import Segmenter
from unet_seg_ros.text import never_fail_to_print

Image = NDArray[np.uint8]
VIDEOS = (".mp4", ".avi", ".mov")
SHOWN = 12
"""Number of pictures of each camera or video, evenly spaced."""
WIDTH = 1600
"""Width of all contact sheets in pixels."""
OF_EACH = 3
"""Number of best, of median and of worst frames of a set."""


class LabelledSet(NamedTuple):
    """A data set to measure on: its title, its folder in DATA, its split, its grouping of classes, its class map.

    ``categories`` is False if its labels are coarser than Cityscapes', because then they also mix the categories.
    ``drive`` is True where its frames follow each other.
    """

    title: str
    folder: str
    split: str
    grouping: str
    class_map: str
    categories: bool
    drive: bool = False


SETS = (
    LabelledSet("Cityscapes val at 512×256", "cityscapes256", "val", "cityscapes19", "cityscapes", True),
    LabelledSet("IDD Lite val", "idd", "val", "idd7", "idd7", False),
    LabelledSet("CamVid val", "camvid", "val", "camvid11", "camvid", False, drive=True),
    LabelledSet("synthetic town, unseen drives", "synthetic", "val", "cityscapes19", "cityscapes", True),
)


def summary_table(
    measured: Sequence[tuple[LabelledSet, Evaluation]], drives: Mapping[str, Streamed] | None = None
) -> str:
    """A row of figures for each set, in percent; ``drives`` are those that were played, by title."""
    columns = ["data", "frames", "classes", "mIoU", "boundary mIoU", "categories", "pixel accuracy"]
    columns += ["calibration error", f"mIoU when the mask arrives, at {_beside(f'{rate:g}' for rate in RATES)} Hz"]
    lines = [_row(columns), _row(["---"] * len(columns))]
    for labelled, evaluation in measured:
        grouping, figures = evaluation.score.grouping, evaluation.summary()
        cells = [labelled.title, str(len(evaluation.frames)), f"{len(grouping.names)} (`{grouping.name}`)"]
        cells += [percent(figures[name]) for name in ("miou", "boundary_miou")]
        cells += [percent(figures["category_miou"]) if labelled.categories else "–"]
        cells += [percent(figures[name]) for name in ("pixel_accuracy", "expected_calibration_error")]
        played = (drives or {}).get(labelled.title)
        cells.append(_beside(percent(miou) for miou in played.mious.values()) if played else "–")
        lines.append(_row(cells))
    return "\n".join(lines)


def _beside(texts: Iterable[str]) -> str:
    return " / ".join(texts)


def class_table(evaluation: Evaluation) -> str:
    """IoU and boundary IoU of each class, in percent."""
    lines = [_row(["class", "IoU", "boundary IoU"]), _row(["---"] * 3)]
    rows = zip(
        evaluation.score.grouping.names, evaluation.score.confusion.iou(), evaluation.score.boundary.iou(), strict=True
    )
    return "\n".join([*lines, *(_row([name, percent(iou), percent(boundary)]) for name, iou, boundary in rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def card(
    segmenter: Segmenter, measured: Sequence[tuple[LabelledSet, Evaluation]], drives: Mapping[str, Streamed]
) -> str:
    """A description of the bundle and the tables, as Markdown."""
    manifest = segmenter.manifest
    parameters = sum(parameter.numel() for parameter in UNet(manifest.config).parameters())
    about = f"`{segmenter.model_id}`: {parameters / 1e6:.2f} M parameters, at most {segmenter.max_pixels} pixels"
    parts = [f"{about}. Terms: {manifest.data_terms or 'none'}.", summary_table(measured, drives)]
    parts += [f"{title}: a mask arrived after {1000 * played.latency:.0f} ms." for title, played in drives.items()]
    parts += [f"{labelled.title}:\n\n{class_table(evaluation)}" for labelled, evaluation in measured]
    return "\n\n".join(parts) + "\n"


def best_median_worst(scores: Sequence[FrameScore]) -> list[FrameScore]:
    """Three of each, the best first. Frames without labelled pixels are left out, and no frame appears twice."""
    ranked = sorted((score for score in scores if score.miou == score.miou), key=lambda score: -score.miou)
    middle = max(0, (len(ranked) - OF_EACH) // 2)
    places = [*range(OF_EACH), *range(middle, middle + OF_EACH), *range(len(ranked) - OF_EACH, len(ranked))]
    return [ranked[place] for place in sorted(set(places)) if 0 <= place < len(ranked)]


def measure(segmenter: Segmenter, labelled: LabelledSet, data: Path, output: Path) -> Evaluation:
    """Evaluate a set; its report and ``best_median_worst.png`` go to a folder of ``output``."""
    root, folder = data / labelled.folder, output / labelled.folder
    grouping = GROUPINGS[labelled.grouping]
    evaluation = evaluate(segmenter, root, labelled.split, grouping, class_map=labelled.class_map)
    write_report(folder, segmenter, evaluation, {"data": labelled.folder, "split": labelled.split})
    shown = [frame_panels(segmenter, score, evaluation) for score in best_median_worst(evaluation.frames)]
    if shown:
        sheet = np.vstack([contact_sheet(shown, 1, WIDTH), group_legend(grouping, WIDTH)])
        write_image(folder / "best_median_worst.png", sheet)
    return evaluation


def unlabelled(data: Path) -> Iterator[tuple[str, list[Path]]]:
    """Name and files of each camera without labels: pictures whose names begin the same, and each video."""
    pictures: dict[str, list[Path]] = {}
    for path in sorted((data / "unlabelled").glob("*")):
        if is_picture(path):
            pictures.setdefault(re.sub(r"[^a-zA-Z]*\d+$", "", path.stem) or "other", []).append(path)
    yield from pictures.items()
    yield from ((path.stem, [path]) for path in sorted(data.glob("*")) if path.suffix.lower() in VIDEOS)


def frames_of(files: Sequence[Path]) -> Iterator[Image]:
    """At most ``SHOWN`` evenly spaced frames of a video or of picture files. Raises SourceError or ValueError."""
    if files[0].suffix.lower() not in VIDEOS:
        yield from map(read_image, evenly(files, SHOWN))
        return
    drive = open_source(files[0])
    wanted = set(evenly(range(drive.length), SHOWN))
    yield from (message_pixels(frame.message) for index, frame in enumerate(drive.frames()) if index in wanted)


def unlabelled_sheet(segmenter: Segmenter, files: Sequence[Path]) -> Image:
    """Frames next to their masks, above a legend, uint8[H, ``WIDTH``, 3] RGB."""
    colors = palette(CLASS_COLORS)
    shown = [np.hstack([frame, overlay(frame, segmenter([frame])[0].mask, colors)]) for frame in frames_of(files)]
    return np.vstack([contact_sheet(shown, 2, WIDTH), legend(CLASS_NAMES, CLASS_COLORS, WIDTH)])


def model_report(segmenter: Segmenter, data: Path, output: Path) -> str:
    """Write everything; returns the card's tables.

    Raises ValueError if the bundle's classes are not Cityscapes' 19, if there is no data set or if a file cannot be
    read, SourceError if a video cannot be read, OSError if something cannot be written, and the engine's errors.
    """
    check_classes(segmenter)
    there = [labelled for labelled in SETS if (data / labelled.folder).is_dir()]
    if not there:
        raise ValueError(f"{data}: none of these folders exists: {', '.join(labelled.folder for labelled in SETS)}")
    output.mkdir(parents=True, exist_ok=True)  # finds a wrong path before the work
    for labelled in SETS:
        if labelled not in there:
            print(f"left out, because {data / labelled.folder} does not exist: {labelled.title}", file=sys.stderr)
    drives = {
        one.title: streamed(segmenter, data / one.folder, one.split, GROUPINGS[one.grouping], one.class_map)
        for one in there
        if one.drive
    }
    text = card(segmenter, [(labelled, measure(segmenter, labelled, data, output)) for labelled in there], drives)
    write_atomically(output / "card.md", text)
    for name, files in unlabelled(data):
        write_image(output / f"unlabelled_{name}.png", unlabelled_sheet(segmenter, files))
    return text


def main() -> None:
    never_fail_to_print()
    end_in_one_line()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="model bundle (.safetensors)")
    parser.add_argument("output", type=Path, help="folder for card.md, reports and pictures")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where the data sets are (default: data)")
    arguments = parser.parse_args()
    try:
        print(model_report(Segmenter.load(arguments.bundle), arguments.data, arguments.output), end="")
    except (OSError, ValueError, SourceError, OutOfMemory, DeviceLost) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
