"""Each engine on a machine that is idle and on one that is busy: ``python -m benchmarks.busy [BUNDLE] [--json FILE]``.

Every engine segments the same frames in a process of its own, beside 0 to N processes that keep a core busy each: back
to back, and paced as cameras of 10 and 30 Hz, where the frames that come while the network works are dropped but for
the newest. Milliseconds count from the moment that a frame is there. CPU time and page faults are the process's. Masks
are compared with the network's in double precision: only right ones count.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.contender import PROCESSES, Pace
from benchmarks.contest import contest, street
from benchmarks.engines import ENGINES
from benchmarks.results import add_arguments, conclude
from benchmarks.segmenter import frame_size, pixels
from unet_seg_ros.engine.cpu_features import usable_cores

PACES = {"back to back": 0.0, "10 Hz": 10.0, "30 Hz": 30.0}


def _burn() -> None:
    while True:
        pass


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that keep a core busy each."""
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
    parser.add_argument("--busy", type=int, default=usable_cores(), help="beside 0 to so many processes")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each line (default: 5)")
    given = parser.parse_args()
    frames = street(*pixels(given.size))
    with contest(given.bundle, given.engines) as found:
        found.begin(frames, {})
        for processes in range(given.busy + 1):
            with busy(processes):
                for pace, rate in PACES.items():
                    found.measure(frames, Pace(rate, given.seconds), {"busy": processes, "pace": pace})
    conclude("busy", given, found.rows)


if __name__ == "__main__":
    main()
