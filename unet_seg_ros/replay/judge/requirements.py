"""Requirements on a report, such as ``miou>=0.6`` or ``latency.p95<=0.1``, and whether they hold."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from unet_seg_ros.data.labels import Grouping
from unet_seg_ros.data.yaml_file import read_yaml
from unet_seg_ros.metrics.coverage import Region
from unet_seg_ros.metrics.figures import FIGURES
from unet_seg_ros.replay.nested import flattened
from unet_seg_ros.replay.schema import Check, Report
from unet_seg_ros.text import VALUE, listed, one_line, quoted
from unet_seg_ros.vocabulary import STAGES, WORK_STAGES

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
RULE = re.compile(r"^\s*([^<>=]+?)\s*(<=|>=|<|>)\s*([-+.\deE]+)\s*$")
PLAIN = (
    *("miou", "streaming_miou", "pixel_accuracy", "boundary_iou", "ece", "flicker", "confidence", "dropped", "rate"),
    *("repeated", "backward", "gaps"),
    *("trust.p05", "trust.p50", "trust.distrusted"),
)
ONLY = {"offline": ("work", ("agreement", "agreement_miou"), WORK_STAGES), "live": ("latency", ("jitter",), STAGES)}
"""Metrics of only one mode: the name of its time per frame, single metrics, and stages."""


NO_FRACTIONS = ("rate", "jitter", "repeated", "backward", "gaps", "latency", "work", "stages")
"""Beginnings of metrics that are not fractions: counts, rates and seconds."""


class Requirement(NamedTuple):
    """A requirement: ``metric`` compared with ``limit``."""

    metric: str
    compare: str
    limit: float

    def __str__(self) -> str:
        return f"{self.metric}{self.compare}{self.limit:.12g}"


def parse(texts: Sequence[str], mode: str, grouping: Grouping, regions: Sequence[Region] = ()) -> list[Requirement]:
    """Parse options of the command line; each is a requirement or a YAML file with a list of them.

    Raises ValueError for a metric that a replay in ``mode`` does not measure."""
    lines = [line for text in texts for line in (_lines(Path(text)) if text.endswith((".yaml", ".yml")) else [text])]
    if texts and not lines:
        raise ValueError(f"require: {listed(texts)}: no requirement in it, so that nothing could fail")
    known = names(mode, grouping, regions)
    other = "live" if mode == "offline" else "offline"
    found = []
    for line in lines:
        parts = RULE.match(line)
        try:
            requirement = Requirement(parts[1], parts[2], float(parts[3])) if parts else None
        except ValueError:
            requirement = None
        if requirement is None or not math.isfinite(requirement.limit):
            raise ValueError(f"require: {quoted(line)} is not METRIC>=NUMBER, or <=, <, >; for example miou>=0.6")
        if requirement.metric in set(names(other, grouping, regions)) - set(known):
            raise ValueError(f"require: {requirement.metric} is measured only with --mode {other}, not {mode}")
        if requirement.metric not in known:
            raise ValueError(
                f"require: there is no metric {one_line(requirement.metric, VALUE)}; the metrics are {', '.join(known)}"
            )
        if not requirement.metric.startswith(NO_FRACTIONS) and not 0 <= requirement.limit <= 1:
            raise ValueError(
                f"require: {requirement}: {requirement.metric} is a fraction from 0 to 1, so this always or "
                f"never holds; use for example {requirement.metric}{requirement.compare}0.6"
            )
        found.append(requirement)
    return found


def _lines(path: Path) -> list[str]:
    found = read_yaml(path)
    if not isinstance(found, list) or not all(isinstance(line, str) for line in found):
        raise ValueError(f"{path}: give a list of requirements, such as '- miou>=0.6'")
    return found


def names(mode: str, grouping: Grouping, regions: Sequence[Region]) -> list[str]:
    """All metrics that a requirement on a replay in ``mode`` can use."""
    total, single, stages = ONLY[mode]
    found = [*PLAIN, *single, *(f"{total}.{figure}" for figure in FIGURES)]
    found += [f"stages.{stage}.{figure}" for stage in stages for figure in FIGURES]
    found += [f"{kind}.{name}" for kind in ("iou", "boundary_iou_per_class") for name in grouping.names]
    for region in regions:
        found += [f"regions.{region.name}.{metric}" for metric in ("miou", "pixel_accuracy")]
        found += [f"regions.{region.name}.iou.{name}" for name in grouping.names]
    return found


def metrics(report: Report) -> dict[str, float | None]:
    """The measured values, by the names that requirements use."""
    frames, timing = report["frames"], report["timing"]
    sources = report["source"].values()
    found: dict[str, float | None] = {
        "dropped": (frames["sent"] - frames["processed"]) / frames["sent"] if frames["sent"] else None,
        "repeated": sum(source["repeated"] for source in sources),
        "backward": sum(source["backward"] for source in sources),
        "gaps": sum(source["gaps"] for source in sources),
    }
    trust = {name: value for name, value in (report["trust"] or {}).items() if name != "causes"}
    parts: tuple[Mapping[str, Any], ...] = (report["accuracy"] or {}, report["stability"], timing, {"trust": trust})
    for part in parts:
        found |= {name: value for name, value in flattened(part) if value is None or isinstance(value, (int, float))}
    return found


def check_requirements(report: Report, requirements: Sequence[Requirement]) -> list[Check]:
    """Check each requirement. It does not hold if its metric was not measured."""
    found = metrics(report)
    return [_check(requirement, found.get(requirement.metric)) for requirement in requirements]


def _check(requirement: Requirement, value: float | None) -> Check:
    holds = COMPARE[requirement.compare]
    passed = value is not None and holds(value, requirement.limit)
    found = "it was not measured"
    if value is not None:
        texts = (f"{value:.{digits}g}" for digits in (4, 8, 17))  # 0.59999 is not 0.6
        found = f"it is {next(text for text in texts if holds(float(text), requirement.limit) == passed)}"
    return {"require": str(requirement), "value": value, "passed": passed, "line": f"{requirement}: {found}"}
