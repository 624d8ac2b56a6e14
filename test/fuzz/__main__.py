"""Fuzzes for longer than the test suite does: ``python -m test.fuzz --cases 1000000 --target compressed``.

Case number N of a target and a seed is always the same one: ``--first N --cases 1`` tries it again.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from test.fuzz.targets import TARGETS, small_pictures

SECONDS = 20
"""Limit for one case; no case takes nearly as long, even on a slow machine."""
MEMORY = 2**29
"""Number of bytes by which one case may raise the peak memory of the process."""
FINDINGS = 20
"""It stops after this many failures."""


class Finding(NamedTuple):
    target: str
    case: int
    what: str


class TooSlow(BaseException):
    """A case took longer than ``SECONDS``."""


def _too_slow(*_: object) -> None:
    raise TooSlow


def try_cases(name: str, numbers: Sequence[int], seed: int = 0) -> tuple[list[Finding], int]:
    """Try these cases of a target; gives what was found, and how many inputs were taken for good."""
    target, findings, taken = TARGETS[name], [], 0
    before = signal.signal(signal.SIGALRM, _too_slow)
    with tempfile.TemporaryDirectory() as folder, small_pictures():
        for number in numbers:
            peak = _peak()
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            try:
                taken += target.run(random.Random(f"{seed} {name} {number}"), Path(folder))
            except target.allowed as error:
                if not str(error).isprintable() or len(str(error)) > 5000:
                    findings.append(Finding(name, number, f"the error is no short line: {str(error)[:500]!r}"))
            except TooSlow:
                findings.append(Finding(name, number, f"takes more than {SECONDS} s"))
            except Exception:
                findings.append(Finding(name, number, traceback.format_exc()))
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if number != numbers[0] and _peak() - peak > MEMORY:  # the first one loads libraries
                findings.append(Finding(name, number, f"takes {(_peak() - peak) >> 20} MiB"))
            if len(findings) >= FINDINGS:
                break
    signal.signal(signal.SIGALRM, before)
    return findings, taken


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m test.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="of each target (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one; repeat for more")
    given = parser.parse_args()
    every = 0
    for name in given.target or TARGETS:
        start = time.monotonic()
        findings, taken = try_cases(name, range(given.first, given.first + given.cases), given.seed)
        for finding in findings:
            print(f"FOUND {finding.target} --seed {given.seed} --first {finding.case} --cases 1\n{finding.what}")
        seconds = time.monotonic() - start
        print(
            f"{name}: seed {given.seed}, {given.cases} cases from {given.first}, {taken} taken, "
            f"{len(findings)} findings, {seconds:.0f} s",
            flush=True,
        )
        every += len(findings)
    raise SystemExit(1 if every else 0)


if __name__ == "__main__":
    main()
