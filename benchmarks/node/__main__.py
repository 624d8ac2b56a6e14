"""Measures the node end to end, from publishing a frame to receiving its mask in another process:
``python -m benchmarks.node [BUNDLE] [--json FILE]``.

A client publishes frames over DDS to the node, which runs in its own process, and waits for the masks. Shared memory is
used, as in the launch file. For each size, number of cameras and transport the benchmark measures: milliseconds from
publishing a frame to receiving its mask, compared with the Segmenter alone at the same rate in the same run; the time
from the start of the process until the node is ``active``; the time of the first frame; the node's memory before the
first frame and at the end; and the highest rate at which at most 1 % of the frames are dropped.
"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

from tqdm import tqdm

from benchmarks.engine_process import CannotRun
from benchmarks.node.case import Case, Plan, measured
from benchmarks.results import add_arguments, conclude
from benchmarks.segmenter import SIZES, frame_size, pixels
from unet_seg_ros.replay.errors import NodeError
from unet_seg_ros.text import one_line


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.node", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    add = parser.add_argument
    add("--sizes", nargs="+", type=frame_size, default=SIZES, metavar="WIDTHxHEIGHT", help="default: %(default)s")
    add("--cameras", nargs="+", type=int, choices=range(1, 9), default=[1, 2, 4], metavar="N", help="default: 1 2 4")
    add("--transports", nargs="+", choices=("raw", "compressed"), default=["raw", "compressed"], help="default: both")
    add("--rate", type=float, default=10.0, metavar="HZ", help="rate of each camera (default: 10)")
    add("--seconds", type=float, default=10.0, help="duration at that rate (default: 10)")
    add(
        "--search-seconds",
        type=float,
        default=5.0,
        help="at each rate of the search; 0: no search (default: 5)",
    )
    return parser.parse_args()


def main() -> None:
    given = parse()
    cases = [
        Case(*pixels(size), cameras, transport)
        for transport, cameras, size in itertools.product(given.transports, given.cameras, given.sizes)
    ]
    rows: list[dict[str, Any]] = []
    with tqdm(cases, unit="case") as bar:
        for case in bar:
            plan = Plan(
                given.bundle, given.rate, given.seconds, given.search_seconds, lambda text: bar.set_postfix_str(text)
            )
            bar.set_description(str(case))
            try:
                rows.append(measured(case, plan))
            except (NodeError, TimeoutError, CannotRun) as error:
                rows.append({**case._asdict(), "case": str(case), "problem": one_line(error, 160)})
    conclude("node", given, rows)


if __name__ == "__main__":
    main()
