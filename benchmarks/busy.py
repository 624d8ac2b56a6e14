"""Measures each engine on an idle and on a busy machine: ``python -m benchmarks.busy [BUNDLE] [--json FILE]``.

Every engine segments the same frames in its own process, while 0 to N other processes each keep one core busy. The
frames come back to back or at the rate of a camera (10 and 30 Hz). At a rate, frames that arrive while the network
works are dropped except the newest. The time is measured from the arrival of a frame. CPU time and page faults are
those of the engine's process. Masks are compared with those of the network in double precision; an engine whose masks
are wrong does not count.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager

from benchmarks.comparison import Comparison, street
from benchmarks.engine_process import PROCESSES, Pace
from benchmarks.engines import ENGINES
from benchmarks.results import add_arguments, conclude
from benchmarks.segmenter import frame_size, pixels
from unet_seg_ros.engine.threads import usable_cores

PACES = {"back to back": 0.0, "10 Hz": 10.0, "30 Hz": 30.0}


def _burn() -> None:
    while True:
        pass


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Start this number of processes, each of which keeps one core busy, for the duration of the block."""
    burning = [PROCESSES.Process(target=_burn, daemon=True) for _ in range(processes)]
    for process in burning:
        process.start()
    try:
        yield
    finally:
        for process in burning:
            process.terminate()
            process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument(
        "--size", type=frame_size, default="480x360", metavar="WIDTHxHEIGHT", help="default: %(default)s"
    )
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), metavar="ENGINE")
    parser.add_argument("--busy", type=int, default=usable_cores(), help="largest number of busy processes")
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of each line (default: 5)")
    given = parser.parse_args()
    frames = street(*pixels(given.size))
    with closing(Comparison(given.bundle, given.engines)) as found:
        found.begin(frames, {})
        for processes in range(given.busy + 1):
            with busy(processes):
                for pace, rate in PACES.items():
                    found.measure(frames, Pace(rate, given.seconds), {"busy": processes, "pace": pace})
    conclude("busy", given, found.rows)


if __name__ == "__main__":
    main()
