"""Requirements on a report: their form, the values that they check, and the exit status."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest

from test.replay import test_schema
from test.replay.models import write_model
from training.synthetic import DriveConfig, write_drive
from unet_seg_ros.data.labels import CLASS_NAMES, GROUPINGS
from unet_seg_ros.metrics.coverage import Region
from unet_seg_ros.replay import __main__ as command
from unet_seg_ros.replay.judge.requirements import Requirement, check_requirements, metrics, names, parse
from unet_seg_ros.replay.judge.verdict import Gate, exit_status
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.run.one_drive import replay_one
from unet_seg_ros.replay.schema import Report, read_report
from unet_seg_ros.vocabulary import STAGES

GROUPING = GROUPINGS["cityscapes19"]
LANE = Region("ego lane", ((0.4, 0.5), (0.6, 0.5), (0.9, 1.0), (0.1, 1.0)))


def figures(seconds: float) -> dict[str, float]:
    return {"mean": seconds, "p50": 2 * seconds, "p95": 3 * seconds, "p99": 4 * seconds, "max": 5 * seconds}


def camera(topic: str, backward: int, repeated: int, gaps: int) -> dict[str, Any]:
    checked = {"topic": topic, "frames": 20, "seconds": 1.9, "rate": 10.0, "monotonic": not backward + repeated}
    return {**checked, "backward": backward, "repeated": repeated, "gaps": gaps, "longest_gap": 0.4 if gaps else None}


def per_class(first: float) -> dict[str, float | None]:
    return {name: None if name == "rider" else first + index / 100 for index, name in enumerate(CLASS_NAMES)}


def report(**changes: Any) -> Report:
    stages = {stage: figures(0.001 * (index + 1)) for index, stage in enumerate(STAGES)} | {"wait": None}
    accuracy = {
        "grouping": "cityscapes19",
        "frames": 25,
        "miou": 0.612,
        "pixel_accuracy": 0.913,
        "iou": per_class(0.5),
        "boundary_iou": 0.412,
        "boundary_iou_per_class": per_class(0.3),
        "ece": 0.031,
        "reliability": {"confidence": [0.3, 0.9], "accuracy": [0.2, 0.95], "share": [0.1, 0.9]},
        "confusion": [[0] * (len(CLASS_NAMES) + 1) for _ in CLASS_NAMES],
        "regions": {"ego lane": {"miou": 0.777, "pixel_accuracy": 0.955, "iou": per_class(0.7)}},
    }
    found = {
        **test_schema.example(),
        "frames": {"sent": 40, "received": 38, "processed": 30, "dropped": {"busy": 8, "lost": 2}},
        "timing": {
            **{"latency": figures(0.05), "work": None, "stages": stages, "sent": 9.5, "rate": 8.5, "jitter": 0.01},
            "streaming_miou": 0.587,
        },
        "accuracy": accuracy,
        "stability": {"flicker": 0.021, "confidence": 0.876, "agreement": 0.934, "agreement_miou": None},
        "source": {"front": camera("/front", 0, 3, 1), "left": camera("/left", 2, 4, 0)},
    }
    return cast(Report, found | changes)


def expected() -> dict[str, float | None]:
    """The values of this report, by hand."""
    found: dict[str, float | None] = {"dropped": 10 / 40, "repeated": 3 + 4, "backward": 2, "gaps": 1}
    found |= {"trust.p05": 0.2, "trust.p50": 0.9, "trust.distrusted": 0.1}
    found |= {"rate": 8.5, "jitter": 0.01, "flicker": 0.021, "confidence": 0.876}
    found |= {"miou": 0.612, "streaming_miou": 0.587, "pixel_accuracy": 0.913, "boundary_iou": 0.412, "ece": 0.031}
    found |= {"regions.ego lane.miou": 0.777, "regions.ego lane.pixel_accuracy": 0.955}
    for times, figure in enumerate(("mean", "p50", "p95", "p99", "max"), 1):
        found[f"latency.{figure}"] = times * 0.05
        for index, stage in enumerate(STAGES, 1):
            found[f"stages.{stage}.{figure}"] = None if stage == "wait" else times * (0.001 * index)
    for prefix, first in (("iou", 0.5), ("boundary_iou_per_class", 0.3), ("regions.ego lane.iou", 0.7)):
        found |= {f"{prefix}.{name}": value for name, value in per_class(first).items()}
    return found


def one_line(text: str) -> str:
    assert len(text.splitlines()) == 1
    return text


def test_the_example_has_the_fields_of_a_report() -> None:
    jsonschema.validate(report(), test_schema.SCHEMA)


def test_every_metric_has_its_value_in_a_report() -> None:
    known = names("live", GROUPING, [LANE])
    assert sorted(known) == sorted(expected())
    checks = check_requirements(report(), [Requirement(name, ">=", -1.0) for name in known])
    assert [check["value"] for check in checks] == [expected()[name] for name in known]
    assert [check["passed"] for check in checks] == [expected()[name] is not None for name in known]


def test_every_value_of_a_report_can_be_required() -> None:
    measured = {name for name, value in metrics(report()).items() if value is not None}
    assert measured - set(names("live", GROUPING, [LANE])) - {"agreement"} == {
        "sent",
        "frames",
    }  # these do not measure quality


@pytest.mark.parametrize(
    ("mode", "other", "metrics"),
    [
        ("offline", "live", ["latency.p95", "jitter", "stages.wait.max", "stages.transport.mean"]),
        ("live", "offline", ["work.p95", "agreement_miou"]),
    ],
)
def test_metrics_of_the_other_mode_are_refused(mode: str, other: str, metrics: list[str]) -> None:
    for metric in metrics:
        with pytest.raises(ValueError, match=f"^require: {metric} is measured only with --mode {other}, not {mode}$"):
            parse([f"{metric}<=1"], mode, GROUPING)
        parse([f"{metric}<=1"], other, GROUPING)


def test_metrics_are_named_after_the_grouping_and_the_regions() -> None:
    found = names("live", GROUPINGS["categories"], [LANE, replace(LANE, name="left")])
    assert {"iou.flat", "boundary_iou_per_class.sky", "regions.left.miou", "regions.ego lane.iou.human"} <= set(found)
    assert "iou.road" not in found
    assert not [name for name in names("live", GROUPING, []) if name.startswith("regions")]


@pytest.mark.parametrize(
    ("compare", "below", "equal", "above"),
    [("<=", True, True, False), (">=", False, True, True), ("<", True, False, False), (">", False, False, True)],
)
def test_operators_at_equal_values(compare: str, below: bool, equal: bool, above: bool) -> None:
    requirements = parse([f"miou{compare}{limit}" for limit in (0.613, 0.612, 0.611)], "live", GROUPING)
    assert [check["passed"] for check in check_requirements(report(), requirements)] == [below, equal, above]


@pytest.mark.parametrize(
    ("text", "requirement"),
    [
        ("miou>=0.6", ("miou", ">=", 0.6)),
        ("  miou  >=\t0.6 ", ("miou", ">=", 0.6)),
        ("latency.p95 <= 1e-1", ("latency.p95", "<=", 0.1)),
        ("jitter<.5", ("jitter", "<", 0.5)),
        ("rate>+1E1", ("rate", ">", 10.0)),
        ("gaps > -1", ("gaps", ">", -1.0)),
        ("iou.traffic light>0.2", ("iou.traffic light", ">", 0.2)),
        (" regions.ego lane.iou.road >= 0.9", ("regions.ego lane.iou.road", ">=", 0.9)),
    ],
)
def test_a_requirement_may_be_written_in_several_ways(text: str, requirement: tuple[str, str, float]) -> None:
    assert parse([text], "live", GROUPING, [LANE]) == [Requirement(*requirement)]


@pytest.mark.parametrize(
    "text",
    [
        *("", "miou", "miou>=", ">=0.6", "miou=0.6", "miou==0.6", "miou=>0.6", "miou!=0.6", "0.6<=miou", "miou>=nan"),
        *("miou>=0,6", "miou>=60%", "miou>=--1", "miou>=e", "miou>=0.6.1", "miou>=0.6>=0.5", "miou>=0.6 0.7"),
    ],
)
def test_a_wrong_requirement_gives_an_error_of_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="require") as caught:
        parse(["ece<=1", text], "live", GROUPING)
    says = f"require: {text!r} is not METRIC>=NUMBER, or <=, <, >; for example miou>=0.6"
    assert one_line(str(caught.value)) == says


@pytest.mark.parametrize("name", ["mIoU", "latency", "latency.p90", "iou.raod", "regions.left.miou", "frames", "iou"])
def test_an_unknown_metric_lists_the_metrics(name: str) -> None:
    with pytest.raises(ValueError, match="no metric") as caught:
        parse([f"{name}>=0.6"], "live", GROUPING, [LANE])
    start, _, listed = one_line(str(caught.value)).partition("; the metrics are ")
    assert start == f"require: there is no metric {name}"
    assert listed.split(", ") == names("live", GROUPING, [LANE])


def test_rules_of_a_file_keep_their_place_in_the_order(tmp_path: Path) -> None:
    for name, text in (("a.yaml", "# ours\n- miou >= 0.6\n- 'ece<=0.1'\n"), ("b.yml", "[gaps<1]"), ("c.yaml", "[]")):
        (tmp_path / name).write_text(text)
    texts = ["rate>5", str(tmp_path / "a.yaml"), str(tmp_path / "c.yaml"), "flicker<0.1", str(tmp_path / "b.yml")]
    found = [str(requirement) for requirement in parse(texts, "live", GROUPING)]
    assert found == ["rate>5", "miou>=0.6", "ece<=0.1", "flicker<0.1", "gaps<1"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"- [miou>=0.6\n- {", "not YAML: "),
        (b"- \xff\xfe", "not YAML: "),
        (b"miou: 0.6", "give a list of requirements, such as '- miou>=0.6'"),
        (b"- miou: 0.6", "give a list of requirements"),
        (b"- 0.6", "give a list of requirements"),
        (b"", "give a list of requirements"),
        (None, "No such file or directory"),
    ],
)
def test_a_wrong_file_of_rules_gives_an_error_of_one_line(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "rules.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="rules") as caught:
        parse([str(path)], "live", GROUPING)
    assert one_line(str(caught.value)).startswith(f"{path}: {says}")


def test_a_gate_without_a_requirement_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("[]")
    with pytest.raises(ValueError, match=r"rules\.yaml: no requirement in it"):
        parse([str(path)], "live", GROUPING)


def test_a_check_gives_the_measured_value() -> None:
    holds, fails = check_requirements(report(), parse(["jitter<=0.02", "iou.road > 0.5"], "live", GROUPING))
    assert holds == {"require": "jitter<=0.02", "value": 0.01, "passed": True, "line": "jitter<=0.02: it is 0.01"}
    assert fails == {"require": "iou.road>0.5", "value": 0.5, "passed": False, "line": "iou.road>0.5: it is 0.5"}


def test_a_requirement_on_a_missing_value_does_not_hold() -> None:
    bare = report(
        frames={"sent": 0, "received": None, "processed": 0, "dropped": {}},
        timing={
            **{"latency": None, "work": None, "stages": {"wait": None}, "sent": None, "rate": None, "jitter": None},
            "streaming_miou": None,
        },
        accuracy=None,
        stability=dict.fromkeys(("flicker", "confidence", "agreement", "agreement_miou")),
        trust=None,
    )
    known = [name for name in names("live", GROUPING, [LANE]) if name not in ("repeated", "backward", "gaps")]
    for compare in ("<=", ">="):
        for check in check_requirements(bare, [Requirement(name, compare, 0.0) for name in known]):
            assert (check["value"], check["passed"]) == (None, False)
            assert check["line"] == f"{check['require']}: it was not measured"


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A town with 3 frames, and a model."""
    root = tmp_path_factory.mktemp("drive")
    assert len(list(write_drive(DriveConfig(width=96, height=64, fps=5, seconds=0.6), root / "town", "demo"))) == 3
    return root / "town", write_model(root / "tiny.safetensors")


def test_the_commands_exit_status_follows_the_requirements(
    tmp_path: Path, drive: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_end_on_signals", lambda: None)  # pytest keeps its own signal handlers
    town, model = drive
    regions, rules = tmp_path / "regions.yaml", tmp_path / "rules.yaml"
    regions.write_text("lower half: [0, 0.5, 1, 0.5, 1, 1, 0, 1]")
    rules.write_text("- dropped<=0\n- regions.lower half.miou>=0\n- stages.forward.max>0\n")
    arguments = [str(town), "--output", str(tmp_path / "out"), "--model", str(model), "--device", "cpu"]
    arguments += ["--no-recording", "--regions", str(regions), "--require", str(rules)]
    for more, expects in (([], 0), (["--require", "miou>1", "--require", "agreement>0"], 1)):
        assert command.main(arguments + more) == expects
        said = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("holds: ", "FAILS: "))]
        verdict = read_report(tmp_path / "out" / "report.json")["verdict"]
        assert [check["passed"] for check in verdict] == [True] * 3 + [False] * len(more[::2])
        assert said == [f"{'holds' if check['passed'] else 'FAILS'}: {check['line']}" for check in verdict]
    assert said[-1] == "FAILS: agreement>0: it was not measured"
    assert command.main([*arguments, "--require", "miou=1"]) == 2
    assert one_line(capsys.readouterr().err).startswith("replay: require: 'miou=1' is not METRIC>=NUMBER")


def test_the_exit_status_of_each_outcome(tmp_path: Path, drive: tuple[Path, Path]) -> None:
    town, model = drive
    gate = Gate(parse(["miou>=0"], "live", GROUPING))
    result = replay_one(town, tmp_path, Options(model=str(model), device="cpu", record=False), gate)
    assert [check["passed"] for check in result.report["verdict"]] == [True]
    assert exit_status(result) == 0
    result.report["problems"].append("cut short")
    assert exit_status(result) == 2
    Gate(parse(["miou>=0", "miou<0"], "live", GROUPING)).add_verdict(result)
    assert exit_status(result) == 1
    assert exit_status(replace(result, interrupted=True)) == 130


@pytest.mark.parametrize(("value", "says"), [(0.59999, "0.59999"), (0.5999999999, "0.5999999999"), (0.6, "0.6")])
def test_a_rounded_value_never_contradicts_the_verdict(value: float, says: str) -> None:
    measured = report(accuracy={**(report()["accuracy"] or {}), "miou": value})
    (check,) = check_requirements(measured, [Requirement("miou", ">=", 0.6)])
    assert check["passed"] == (value >= 0.6)
    line, _, shown = check["line"].rpartition(" ")
    assert line == "miou>=0.6: it is"
    assert (float(shown) >= 0.6) == check["passed"]
    assert float(shown) == pytest.approx(float(says), rel=1e-8)
