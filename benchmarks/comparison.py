"""Compares several engines in one run. An engine that cannot run here gets a row with the reason."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine_process import AGREEMENT, CannotRun, EngineProcess, Pace, agreement
from benchmarks.engines import REFERENCE, Frame
from training.synthetic import DriveConfig, drive

FRAMES = 3


def street(width: int, height: int) -> list[Frame]:
    """Frames of a drive through the synthetic town, uint8[height, width, 3]. They have about as many edges as frames of
    a real street."""
    config = DriveConfig(seed=7, width=width, height=height, fps=1, seconds=FRAMES)
    return [frame.image for frame in drive(config)]


class Comparison:
    """``rows`` are the results so far. Each has the name of its engine and the values of ``about``. It must be closed,
    which ends the processes of the engines."""

    def __init__(self, bundle: Path, names: Sequence[str]) -> None:
        self.rows: list[dict[str, Any]] = []
        self._bundle = bundle
        self._engines = [EngineProcess(name, bundle) for name in names]
        self._agreed: dict[str, float] = {}

    def begin(self, frames: Sequence[Frame], about: dict[str, Any]) -> None:
        """Compare each engine's masks of ``frames`` with the reference. An engine that cannot run gets a row with the
        reason and is left out from then on."""
        reference = EngineProcess(REFERENCE, self._bundle)
        try:
            expected = reference.masks(frames)
        finally:
            reference.close()
        for engine in list(self._engines):
            try:
                self._agreed[engine.name] = agreement(engine.masks(frames), expected)
            except CannotRun as error:
                self._leave_out(engine, about, str(error))

    def measure(self, frames: Sequence[Frame], pace: Pace, about: dict[str, Any]) -> None:
        """Add a row for each engine."""
        for engine in list(self._engines):
            try:
                found = engine.measure(frames, pace)
            except CannotRun as error:
                self._leave_out(engine, about, str(error))
                continue
            agreed = self._agreed[engine.name]
            self.rows.append({**about, "engine": engine.name, **found, "agreement": agreed})
            wrong = "" if agreed >= AGREEMENT else f", WRONG: masks agree on only {100 * agreed:.1f} % of the pixels"
            said = ", ".join(f"{name} {found[name]:.1f}" for name in ("p50", "p95", "max"))
            print(f"{_words(about)}: {engine.name}: {said} ms{wrong}", file=sys.stderr, flush=True)

    def _leave_out(self, engine: EngineProcess, about: dict[str, Any], why: str) -> None:
        engine.close()
        self._engines.remove(engine)
        self.rows.append({**about, "engine": engine.name, "problem": why})
        print(f"{engine.name} cannot run: {why}", file=sys.stderr, flush=True)

    def close(self) -> None:
        for engine in self._engines:
            engine.close()


def _words(about: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items())
