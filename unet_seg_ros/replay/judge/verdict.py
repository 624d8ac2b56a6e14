"""Judges a report: its requirements, the comparison with a baseline, and the exit status that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unet_seg_ros.replay.errors import ReportError
from unet_seg_ros.replay.judge.baseline import Baseline
from unet_seg_ros.replay.judge.requirements import Requirement, check_requirements
from unet_seg_ros.replay.result import Result


@dataclass(frozen=True)
class Gate:
    """The conditions for a report: its ``requirements`` hold, and it is not worse than ``baseline``."""

    requirements: Sequence[Requirement] = ()
    baseline: Baseline | None = None

    def files(self) -> list[Path]:
        """The files of the baseline."""
        return self.baseline.files if self.baseline else []

    def add_verdict(self, result: Result) -> None:
        """Add the verdict to the report. A baseline that cannot be compared is added to the report's problems."""
        report = result.report
        report["verdict"] = check_requirements(report, self.requirements)
        if self.baseline:
            try:
                report["baseline"] = self.baseline.compare(result.frames, report["mode"], result.score.grouping)
            except ReportError as error:
                report["problems"].append(str(error))


def exit_status(result: Result) -> int:
    """130 after Ctrl-C, 1 if a requirement does not hold or a metric is worse, 2 if something went wrong, else 0."""
    report = result.report
    failed = any(not check["passed"] for check in report["verdict"]) or any(c["worse"] for c in report["baseline"])
    if result.interrupted:
        return 130
    return 1 if failed else 2 if report["problems"] else 0
