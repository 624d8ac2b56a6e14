"""Whether trust is to be trusted: ``python -m benchmarks.trust [BUNDLE]``."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from benchmarks.trust.measure import Amount, measured, with_reference
from benchmarks.trust.sources import CHOOSE, JUDGE
from unet_seg_ros.segmenter import Segmenter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=Path("models/unet_nano.safetensors"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--clean", type=int, default=200)
    parser.add_argument("--corrupted", type=int, default=40)
    parser.add_argument("--severities", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    a = parser.parse_args()
    cv2.setNumThreads(1)
    segmenter = Segmenter.load(a.bundle, threads=1)
    table = measured(
        with_reference(segmenter, JUDGE), (*CHOOSE, *JUDGE), Amount(a.clean, a.corrupted, tuple(a.severities))
    )
    table.save(a.table)


if __name__ == "__main__":
    main()
