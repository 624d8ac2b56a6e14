"""Measures how well trust predicts accuracy: ``python -m benchmarks.trust [BUNDLE] [--choose] [--table FILE]``.

Frames of the data sets and videos in the folder UNET_SEG_DATA are segmented, clean and corrupted in five severities,
and their health signals are measured. The benchmark prints, as Markdown, how many corrupted frames are detected, how
many clean frames give false alarms, and how well trust predicts the mIoU of a frame. The same run compares with the
rules of Autoware's image diagnostics and with the mean confidence alone. The thresholds are those of
``config/health.yaml``; ``--choose`` chooses new ones on other data sets and writes this file. Labelled data sets are
treated as drives with one frame per second.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from benchmarks.trust import choose_bounds
from benchmarks.trust.corruptions import SEVERITIES
from benchmarks.trust.evaluate import opinions, report
from benchmarks.trust.measure import Amount, Table, measured, with_reference
from benchmarks.trust.sources import CHOOSE, JUDGE, read
from unet_seg_ros.health.rules import load_thresholds
from unet_seg_ros.health.trust import Monitor
from unet_seg_ros.segmenter import Segmenter
from unet_seg_ros.share_folder import share_folder

THRESHOLDS = share_folder() / "config" / "health.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=Path("models/unet_nano.safetensors"))
    parser.add_argument("--clean", type=int, default=200, help="most clean frames of each source (%(default)s)")
    parser.add_argument("--corrupted", type=int, default=20, help="number of these that are corrupted (%(default)s)")
    parser.add_argument("--severities", type=int, nargs="+", default=list(SEVERITIES), choices=SEVERITIES)
    parser.add_argument("--table", type=Path, help="file (.npz) of measurements; it is read if it exists, else written")
    parser.add_argument("--choose", action="store_true", help=f"choose thresholds and write {THRESHOLDS.name}")
    arguments = parser.parse_args()
    try:
        table = _table(arguments)
        chosen_on, judged_on = ([source.name for source in sources] for sources in (CHOOSE, JUDGE))
        if arguments.choose:
            own = table.where(np.isin(table.source, chosen_on))
            choose_bounds.write(THRESHOLDS, choose_bounds.choose(own, load_thresholds()), chosen_on)
        ways = opinions(table, load_thresholds(), chosen_on)
        print(report(table, ways, judged_on))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


def _table(arguments: argparse.Namespace) -> Table:
    if arguments.table and arguments.table.is_file():
        return Table.load(arguments.table)
    cv2.setNumThreads(1)
    segmenter = with_reference(Segmenter.load(arguments.bundle), JUDGE)
    print(f"{segmenter.model_id}, reference confidence {segmenter.manifest.reference_confidence:.3f}")
    _time(segmenter)
    amount = Amount(arguments.clean, arguments.corrupted, tuple(arguments.severities))
    table = measured(segmenter, (*CHOOSE, *JUDGE), amount)
    if arguments.table:
        table.save(arguments.table)
    return table


def _time(segmenter: Segmenter) -> None:
    """Print the milliseconds of the health (signals and judgement) and of the segmentation."""
    monitor = Monitor(segmenter.manifest)
    health, segmentation = [], []
    for number, image in enumerate(read(JUDGE[0], 100).images):
        start = perf_counter()
        seen = segmenter([image])[0]
        middle = perf_counter()
        monitor.look(seen, number * 10**8)
        health.append(1000 * (perf_counter() - middle))
        segmentation.append(1000 * (middle - start))
    for name, times in (("health", health), ("segmentation", segmentation)):
        print(f"{name}: {np.median(times):.2f} ms per frame (median), {np.percentile(times, 95):.2f} (p95)")


if __name__ == "__main__":
    main()
