"""Write a bundle again, with weights in 16 bits and with the ranges for int8 on a CPU.

    python -m training.quantize BUNDLE OUTPUT --calibrate DATA SPLIT --check DATA SPLIT GROUPING CLASS_MAP

Without ``--calibrate`` the bundle keeps the ranges that it has. int8 is calibrated on frames of all given splits
together and compared with fp32 on each ``--check``. If the masks agree on less than 98.5 % of the pixels, or if int8
loses more than 0.5 mIoU in one check, nothing is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.data.label_sets import class_map_path
from training.data.sampling import evenly
from training.exporting.int8 import Split, calibrate, check, refuse_unless_passed, with_int8
from training.interruption import end_in_one_line
from unet_seg_ros.data.cityscapes import Pair, find_pairs
from unet_seg_ros.data.image_files import read_image
from unet_seg_ros.data.labels import GROUPINGS
from unet_seg_ros.model.bundle import Bundle, load_bundle, write_bundle
from unet_seg_ros.text import never_fail_to_print


def quantize(bundle: Bundle, calibration: list[Pair], splits: list[Split], most: int = 0) -> Bundle:
    """The bundle with ranges for int8, calibrated on frames and checked on at most ``most`` frames of each split (0:
    all).

    Raises BundleError if a check fails, ValueError or FileNotFoundError for data that cannot be read.
    """
    ranges = calibrate(bundle, (read_image(pair.image) for pair in calibration))
    notes = {"calibrated_on": [pair.name for pair in calibration]}
    ready = with_int8(bundle, ranges, notes)
    checks = [check(ready, split, most) for split in splits]
    print(*checks, sep="\n")
    refuse_unless_passed(checks)
    return with_int8(bundle, ranges, {**notes, "checks": [one._asdict() for one in checks]})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("bundle", type=Path, help="model bundle (.safetensors)")
    add("output", type=Path, help="file to write; may be the same")
    add("--calibrate", nargs=2, action="append", default=[], metavar=("DATA", "SPLIT"), help="may be given again")
    add("--frames", type=int, default=60, help="number of frames of each split for the calibration (default: 60)")
    add("--check", nargs=4, action="append", default=[], metavar=("DATA", "SPLIT", "GROUPING", "CLASS_MAP"),
        help=f"may be given again; groupings: {', '.join(GROUPINGS)}; class maps: see training/class_maps")  # fmt: skip
    add("--check-frames", type=int, default=0, help="number of frames of each split for the check (default: all)")
    arguments = parser.parse_args()
    if arguments.calibrate and not arguments.check:
        parser.error("--calibrate needs at least one --check; int8 is not written without a check")
    if arguments.frames < 1 or arguments.check_frames < 0:
        parser.error("--frames must be at least 1, and --check-frames must not be negative")
    unknown = [grouping for _, _, grouping, _ in arguments.check if grouping not in GROUPINGS]
    if unknown:
        parser.error(f"--check: there is no grouping {unknown[0]}; the groupings are {', '.join(GROUPINGS)}")
    return arguments


def main() -> None:
    never_fail_to_print()
    end_in_one_line()
    arguments = parse()
    try:
        bundle = load_bundle(arguments.bundle)
        if arguments.output.is_dir():
            raise IsADirectoryError(f"{arguments.output}: is a folder; name a file")
        for *_, class_map in arguments.check:
            class_map_path(class_map)  # finds a wrong name before the work
        if arguments.calibrate:
            frames = [
                pair
                for root, split in arguments.calibrate
                for pair in evenly(find_pairs(Path(root), split), arguments.frames)
            ]
            splits = [Split(Path(root), *rest) for root, *rest in arguments.check]
            bundle = quantize(bundle, frames, splits, arguments.check_frames)
        written = write_bundle(arguments.output, bundle.tensors, bundle.manifest)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    print(f"{arguments.output}: {written.model_id}")


if __name__ == "__main__":
    main()
