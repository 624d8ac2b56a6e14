"""Compares several engines in one run. An engine that cannot run here gets a row with the reason."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.contender import AGREEMENT, CannotRun, Contender, Pace, agreement
from benchmarks.engines import REFERENCE, Frame
from training.synthetic import DriveConfig, drive

FRAMES = 3


def street(width: int, height: int) -> list[Frame]:
    """Frames of a drive through the synthetic town, uint8[height, width, 3]. They have about as many edges as frames of
    a real street."""
    config = DriveConfig(seed=7, width=width, height=height, fps=1, seconds=FRAMES)
    return [frame.image for frame in drive(config)]


class Contest:
    """``rows`` are the results so far. Each has the name of its engine and the values of ``about``."""

    def __init__(self, bundle: Path, names: Sequence[str]) -> None:
        self.rows: list[dict[str, Any]] = []
        self._bundle = bundle
        self._contenders = [Contender(name, bundle) for name in names]
        self._agreed: dict[str, float] = {}

    def begin(self, frames: Sequence[Frame], about: dict[str, Any]) -> None:
        """Compare each engine's masks of ``frames`` with the reference. An engine that cannot run gets a row with the
        reason and is left out from then on."""
        reference = Contender(REFERENCE, self._bundle)
        try:
            expected = reference.masks(frames)
        finally:
            reference.close()
        for contender in list(self._contenders):
            try:
                self._agreed[contender.name] = agreement(contender.masks(frames), expected)
            except CannotRun as error:
                self._leave_out(contender, about, str(error))

    def measure(self, frames: Sequence[Frame], pace: Pace, about: dict[str, Any]) -> None:
        """Add a row for each engine."""
        for contender in list(self._contenders):
            try:
                found = contender.measure(frames, pace)
            except CannotRun as error:
                self._leave_out(contender, about, str(error))
                continue
            agreed = self._agreed[contender.name]
            self.rows.append({**about, "engine": contender.name, **found, "agreement": agreed})
            wrong = "" if agreed >= AGREEMENT else f", WRONG: masks agree on only {100 * agreed:.1f} % of the pixels"
            said = ", ".join(f"{name} {found[name]:.1f}" for name in ("p50", "p95", "max"))
            print(f"{_words(about)}: {contender.name}: {said} ms{wrong}", file=sys.stderr, flush=True)

    def _leave_out(self, contender: Contender, about: dict[str, Any], why: str) -> None:
        contender.close()
        self._contenders.remove(contender)
        self.rows.append({**about, "engine": contender.name, "problem": why})
        print(f"{contender.name} cannot run: {why}", file=sys.stderr, flush=True)

    def close(self) -> None:
        for contender in self._contenders:
            contender.close()


def _words(about: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items())


@contextmanager
def contest(bundle: Path, names: Sequence[str]) -> Iterator[Contest]:
    """A contest whose processes end with the block."""
    found = Contest(bundle, names)
    try:
        yield found
    finally:
        found.close()
