"""One drive: replay it in either mode, judge the report, write everything down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unet_seg_ros.replay.judge.baseline import Baseline
from unet_seg_ros.replay.judge.requirements import Requirement, judge
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.report.gallery import Gallery
from unet_seg_ros.replay.report.writer import ReplayError, Result, clear, write
from unet_seg_ros.replay.run.offline import replay_offline
from unet_seg_ros.replay.schema import ReportError


@dataclass(frozen=True)
class Gate:
    """What a report has to hold: ``requirements``, and not to be worse than ``baseline``."""

    requirements: Sequence[Requirement] = ()
    baseline: Baseline | None = None

    def files(self) -> list[Path]:
        """What it compares with."""
        return self.baseline.files if self.baseline else []

    def judge(self, result: Result) -> None:
        """Fill in the verdict. A baseline that can't be compared with is one of the report's problems."""
        report = result.report
        report["verdict"] = judge(report, self.requirements)
        if self.baseline:
            try:
                report["baseline"] = self.baseline.compare(result.frames, report["mode"], result.score.grouping)
            except ReportError as error:
                report["problems"].append(str(error))


def replay_one(source: Path, output: Path, options: Options, gate: Gate) -> Result:
    """Fill the folder ``output``. Raises ReplayError where nothing could be evaluated or written."""
    try:
        clear(output, [source, *gate.files()])
        result, gallery = _replayed(source, output, options)
        gate.judge(result)
        write(output, result, gallery, options.grouping)
    except OSError as error:
        raise ReplayError(str(error)) from error
    return result


def _replayed(source: Path, output: Path, options: Options) -> tuple[Result, Gallery]:
    if options.mode == "offline":
        return replay_offline(source, output, options)
    from unet_seg_ros.replay.run.live import replay_live  # which needs ROS

    return replay_live(source, output, options)


def status(result: Result) -> int:
    """The exit status: 130 after Ctrl-C, 1 where the verdict is no, 2 where something went wrong, else 0."""
    report = result.report
    failed = any(not check["passed"] for check in report["verdict"]) or any(c["worse"] for c in report["baseline"])
    if result.interrupted:
        return 130
    return 1 if failed else 2 if report["problems"] else 0
