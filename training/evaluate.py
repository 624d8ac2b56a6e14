"""Measure a bundle on a labelled split: ``python -m training.evaluate BUNDLE DATA [SPLIT] [--grouping camvid11]``.

Every frame goes through the Segmenter at its full size, as in the car. ``--flip``, ``--scales`` and ``--sliding`` also
measure the average of several predictions for each frame; those figures are reported separately.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from training.evaluation.evaluation import Evaluation, evaluate
from training.evaluation.report import write_report
from training.evaluation.test_time_augmentation import Looks
from training.interruption import end_in_one_line
from unet_seg_ros.data.labels import GROUPINGS
from unet_seg_ros.engine import DeviceLost, OutOfMemory
from unet_seg_ros.segmenter import Segmenter
from unet_seg_ros.text import never_fail_to_print


def percent(value: float) -> str:
    """A share as percent with one decimal; – for NaN."""
    return "–" if value != value else f"{100 * value:.1f}"


def table(evaluation: Evaluation) -> str:
    """IoU and boundary IoU of each class, then the figures, in percent."""
    matrix = evaluation.score.confusion
    width = max(len(name) for name in (*matrix.grouping.names, *evaluation.summary()))
    lines = [f"{'':<{width}}  {'IoU':>5}  {'boundary':>8}"]
    for name, iou, boundary in zip(matrix.grouping.names, matrix.iou(), evaluation.score.boundary.iou(), strict=True):
        lines.append(f"{name:<{width}}  {percent(iou):>5}  {percent(boundary):>8}")
    return "\n".join([*lines, *(f"{n:<{width}}  {percent(v):>5}" for n, v in evaluation.summary().items())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="model bundle (.safetensors)")
    parser.add_argument("root", type=Path, help="folder in Cityscapes layout")
    parser.add_argument("split", nargs="?", default="val")
    parser.add_argument("--grouping", choices=GROUPINGS, default="cityscapes19", help="classes to tell apart")
    parser.add_argument("--class-map", default="cityscapes", help="what the label ids mean; for IDD's groups: idd7")
    parser.add_argument("--cities", nargs="+", default=[], help="only these of the split")
    parser.add_argument("--output", type=Path, help="folder for a report with pictures")
    parser.add_argument("--flip", action="store_true", help="also: averaged over the frame and its mirror image")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0], help="also: averaged over these scales")
    parser.add_argument("--sliding", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="also: in windows")
    never_fail_to_print()
    end_in_one_line()
    arguments = parser.parse_args()
    try:
        looks = Looks(tuple(arguments.scales), arguments.flip, tuple(arguments.sliding) if arguments.sliding else None)
        segmenter = Segmenter.load(arguments.bundle)
        if arguments.output:
            (arguments.output / "worst").mkdir(parents=True, exist_ok=True)  # finds a wrong path before the work
        where = (arguments.root, arguments.split, GROUPINGS[arguments.grouping], arguments.cities)
        evaluation = evaluate(segmenter, *where, class_map=arguments.class_map)
        if not evaluation.score.confusion.matrix.any():
            raise ValueError(f"{arguments.root}, {arguments.split}: no pixel of its labels has a class to measure")
        print(table(evaluation))
        apart = None
        if looks != Looks():
            apart = evaluate(segmenter, *where, looks, arguments.class_map)
            print(f"\naveraged over {looks}:\n{table(apart)}")
        if arguments.output:
            settings = {"data": str(arguments.root), "split": arguments.split, "cities": arguments.cities}
            write_report(arguments.output, segmenter, evaluation, {**settings, "looks": asdict(looks)}, apart)
            print(f"{arguments.output}: report.json, per_frame.csv, confusion.png, reliability.png, worst.png, worst/")
    except (OSError, ValueError, OutOfMemory, DeviceLost) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
