"""Measures the time from a frame to mask and confidence: ``python -m benchmarks.segmenter [BUNDLE] [--json FILE]``.

It measures every engine in the ``Segmenter``, and ``plain``, a simple loop: the same network under autocast, then
logits, softmax and maximum at the frame's full size. The frames come back to back on an idle machine. The ratio
compares with the engine of ``device: cpu``. Masks are compared with those of the network in double precision; an engine
whose masks are wrong has no ratio.
"""

from __future__ import annotations

import argparse
import re
from contextlib import closing

from benchmarks.comparison import Comparison, street
from benchmarks.engine_process import Pace
from benchmarks.engines import ENGINES, PLAIN
from benchmarks.results import add_arguments, conclude

SIZES = ["480x360", "640x480", "1280x720", "2048x1024"]


def frame_size(text: str) -> str:
    """Check a size for argparse and return it unchanged."""
    if not re.fullmatch(r"\d{2,4}x\d{2,4}", text) or min(pixels(text)) < 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, each 32 to 9999 pixels, such as 640x480")
    return text


def pixels(size: str) -> tuple[int, int]:
    """Width and height of a checked size."""
    width, height = map(int, size.split("x"))
    return width, height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument(
        "--sizes", nargs="+", type=frame_size, default=SIZES, metavar="WIDTHxHEIGHT", help="default: %(default)s"
    )
    parser.add_argument("--engines", nargs="+", choices=(*ENGINES, PLAIN), default=[*ENGINES, PLAIN], metavar="ENGINE")
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of each line (default: 5)")
    given = parser.parse_args()
    with closing(Comparison(given.bundle, given.engines)) as found:
        for size in given.sizes:
            frames = street(*pixels(size))
            found.begin(frames, {"frame": size})
            found.measure(frames, Pace(0.0, given.seconds), {"frame": size})
    conclude("segmenter", given, found.rows)


if __name__ == "__main__":
    main()
