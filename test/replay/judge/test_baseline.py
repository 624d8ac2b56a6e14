"""Comparisons with an earlier replay against a slow loop that draws whole seconds itself."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from test.replay import test_schema
from unet_seg_ros.data.labels import GROUPINGS
from unet_seg_ros.replay.errors import ReportError
from unet_seg_ros.replay.judge.baseline import DRAWS, SEED, Baseline, compare_frames
from unet_seg_ros.replay.schema import Comparison

START = 1_600_000_000_123_456_789
CLASSES = ("road", "car", "sky")
PIXELS = 1000
GROUPING = GROUPINGS["cityscapes19"]
OFFLINE = ["miou", "pixel_accuracy", "flicker", "trust.mean"]
LIVE = [*OFFLINE, "latency.mean", "dropped"]
Row = dict[str, float]


def table(seconds: float, fps: int = 10, quality: float = 0.7, seed: int = 0) -> pd.DataFrame:
    """A table like frames.csv. ``quality`` gives the IoUs, and the flicker is 1 - ``quality``."""
    rng, count = np.random.default_rng(seed), round(seconds * fps)
    found = pd.DataFrame({"camera": "front", "stamp_ns": START + np.arange(count) * (10**9 // fps)})
    found["status"] = "processed"
    found["latency"] = rng.uniform(0.02, 0.03, count) / quality
    found["flicker"] = (1 - quality) / 10 + rng.uniform(0, 0.02, count)
    found["trust"] = quality * rng.uniform(0.9, 1.0, count)
    found["labelled"] = rng.integers(PIXELS, 2 * PIXELS, count)
    for name, share in zip(CLASSES, (0.6, 0.3, 0.1), strict=True):
        union = rng.integers(round(share * PIXELS), round(1.2 * share * PIXELS), count)
        found[f"intersection.{name}"] = (union * quality * rng.uniform(0.9, 1.0, count)).round()
        found[f"union.{name}"] = union
    return found


def drop(frames: pd.DataFrame, rows: slice) -> pd.DataFrame:
    """Those frames were not processed."""
    gone = frames[["camera", "stamp_ns"] + (["bag"] if "bag" in frames else [])][rows].assign(status="dropped")
    return pd.concat([frames.drop(index=gone.index), gone])


def compared(before: pd.DataFrame, after: pd.DataFrame, live: bool = False) -> dict[str, Comparison]:
    return {one["metric"]: one for one in compare_frames(before, after, live)}


def written(folder: Path, frames: pd.DataFrame | None, mode: str = "offline", grouping: str = "cityscapes19") -> Path:
    """A report.json with its frames.csv."""
    report = {**test_schema.example(), "mode": mode, "accuracy": {"grouping": grouping} if grouping else None}
    report["frames"] = {**report["frames"], "sent": 0 if frames is None else len(frames)}
    (folder / "report.json").write_text(json.dumps(report))
    if frames is not None:
        frames.to_csv(folder / "frames.csv", index=False)
    return folder / "report.json"


def metric(name: str, frames: list[Row]) -> float:
    """The slow reference: a frame is a dictionary, and a draw is a list of frames."""
    if name == "miou":
        unions = {one: sum(row[f"union.{one}"] for row in frames) for one in CLASSES}
        parts = [sum(row[f"intersection.{one}"] for row in frames) / n for one, n in unions.items() if n]
        return sum(parts) / len(parts) if parts else math.nan
    if not frames:
        return math.nan
    if name == "pixel_accuracy":
        right = sum(row[f"intersection.{one}"] for row in frames for one in CLASSES)
        return right / sum(row["labelled"] for row in frames)
    column = name.removesuffix(".mean")
    return sum(row["status"] != "processed" if name == "dropped" else row[column] for row in frames) / len(frames)


def needed(name: str) -> list[str]:
    if name in ("miou", "pixel_accuracy"):
        return ["labelled", *(f"{kind}.{one}" for kind in ("intersection", "union") for one in CLASSES)]
    return [] if name == "dropped" else [name.removesuffix(".mean")]


def pairs(before: pd.DataFrame, after: pd.DataFrame) -> list[list[tuple[Row, Row]]]:
    """The frames of both by their second, in order of time; the n-th frames of a stamp belong together."""
    rows: list[dict[tuple[object, ...], Row]] = [{}, {}]
    for frames, found in zip((before, after), rows, strict=True):
        for row in frames.to_dict("records"):
            key = (row.get("bag", ""), row["camera"], row["stamp_ns"])
            found[(*key, sum(other[:3] == key for other in found))] = row
    both = [key for key in rows[0] if key in rows[1]]
    first = min(key[2] for key in both)
    blocks: dict[tuple[object, int], list[tuple[Row, Row]]] = {}
    for key in both:
        blocks.setdefault((key[0], (key[2] - first) // 10**9), []).append((rows[0][key], rows[1][key]))
    return [blocks[block] for block in sorted(blocks)]


def slow(before: pd.DataFrame, after: pd.DataFrame, name: str, times: list[np.ndarray]) -> tuple[float, ...]:
    """The values before and after, and the interval; ``times`` is how often each second is in each draw."""
    blocks = [
        [pair for pair in block if not any(math.isnan(row[one]) for row in pair for one in needed(name))]
        for block in pairs(before, after)
    ]
    differences = []
    for draw in times:
        drawn = [pair for block, count in zip(blocks, draw, strict=True) for _ in range(count) for pair in block]
        differences.append(metric(name, [b for _, b in drawn]) - metric(name, [a for a, _ in drawn]))
    ranked = sorted(one for one in differences if not math.isnan(one))
    ranks = [share * (len(ranked) - 1) for share in (0.025, 0.975)]
    limits = [ranked[int(at)] * (1 - at % 1) + ranked[math.ceil(at)] * (at % 1) for at in ranks]
    every = [pair for block in blocks for pair in block]
    return metric(name, [a for a, _ in every]), metric(name, [b for _, b in every]), *limits


@pytest.fixture(scope="module")
def two() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bags, cameras out of step, a rare class, a repeated stamp, frames without labels or flicker, dropped, missing."""
    tables = []
    for seed, quality in ((1, 0.7), (2, 0.69)):
        one, other, left = (table(3 - n % 2, 4, quality, seed + 3 * n) for n in range(3))
        left["stamp_ns"] += 10**8
        left["camera"] = "left"
        one.loc[10, "stamp_ns"] = one.loc[9, "stamp_ns"]
        whole = pd.concat([one.assign(bag="a"), left.assign(bag="a"), other.assign(bag="b")], ignore_index=True)
        whole.loc[4:, ["intersection.sky", "union.sky"]] = 0
        whole.loc[[0, 12, 21], "flicker"] = np.nan
        whole.loc[[5 + seed, 16], needed("miou")] = np.nan
        whole = drop(whole, slice(6 * seed, 6 * seed + 3)).drop(index=[seed, 20 + seed])
        tables.append(whole.sample(frac=1, random_state=seed))
    return tables[0], tables[1]


def test_the_interval_equals_that_of_a_slow_loop(two: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    assert len(pairs(*two)) == 5
    times = list(np.random.default_rng(SEED).multinomial(5, [1 / 5] * 5, DRAWS))
    found = compared(*two, live=True)
    assert list(found) == LIVE
    for name, one in found.items():
        figures = [one[key] for key in ("baseline", "value", "low", "high")]
        assert figures == pytest.approx([*slow(*two, name, times)], abs=1e-12), name


def test_other_draws_give_nearly_the_same_interval() -> None:
    before, after = table(12, 3, seed=3), table(12, 3, 0.68, seed=4)
    rng = np.random.default_rng(99)
    times = [np.bincount(rng.integers(0, 12, 12), minlength=12) for _ in range(2000)]
    for name, one in compared(before, after).items():
        *_, low, high = slow(before, after, name, times)
        assert (one["low"], one["high"]) == pytest.approx((low, high), abs=0.15 * (high - low)), name


def test_equal_frames_are_never_worse(two: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    for frames in (*two, table(2), table(30, quality=0.2)):
        found = compare_frames(frames, frames.copy(), live=True)
        assert all(one["baseline"] == one["value"] for one in found)
        assert {(one["low"], one["high"], one["worse"]) for one in found} == {(0.0, 0.0, False)}


def test_a_worse_replay_is_found_and_a_better_one_passes() -> None:
    good, bad = table(10, quality=0.8, seed=1), drop(table(10, quality=0.6, seed=2), slice(0, None, 3))
    worse, better = (compared(*order, live=True) for order in ((good, bad), (bad, good)))
    assert list(worse) == list(better) == LIVE
    for name in LIVE:
        assert (worse[name]["worse"], better[name]["worse"]) == (True, False)
        assert worse[name]["low"] * worse[name]["high"] > 0
        assert worse[name]["low"] == pytest.approx(-better[name]["high"], abs=1e-12)
    mixed = good.assign(flicker=good["flicker"] + np.repeat([0.012, -0.01] * 5, 10))
    by_chance = compared(good, mixed)["flicker"]
    assert by_chance["low"] < 0 < by_chance["value"] - by_chance["baseline"] < by_chance["high"]
    assert by_chance["worse"] is False


def test_frames_that_only_one_replay_has_are_left_out() -> None:
    before, after, bad = table(6, seed=1), table(6, seed=2), table(20, quality=0.1, seed=3)
    more = pd.concat([after, bad[60:], bad.assign(camera="rear")])
    expected = compare_frames(before, after)
    assert compare_frames(before, more) == expected
    assert compare_frames(pd.concat([before, bad[90:]]), more[5:]) != expected  # only the frames of both count
    assert compare_frames(before[20:], more[:45]) == compare_frames(before[20:45], after[20:45])


def test_frames_that_lack_a_metric_are_left_out_of_that_metric_only() -> None:
    before, after = table(4, seed=1), table(4, seed=2)
    holes = after.copy()
    holes.loc[7:9, "flicker"] = np.nan
    found, expected = compared(before, holes), compared(before, after)
    assert found["miou"] == expected["miou"]
    assert found["flicker"]["baseline"] == pytest.approx(before["flicker"].drop([7, 8, 9]).mean(), rel=1e-12)
    holes["flicker"] = np.nan
    assert list(compared(before, holes)) == ["miou", "pixel_accuracy", "trust.mean"]
    unlabelled = after.drop(columns=needed("miou"))
    assert list(compared(before, unlabelled)) == list(compared(unlabelled, before)) == ["flicker", "trust.mean"]
    older = before.drop(columns="trust")
    assert list(compared(older, after)) == list(compared(after, older)) == OFFLINE[:3]


@pytest.mark.parametrize(
    ("before", "after", "frames"),
    [(table(1), table(1), 10), (table(9)[5:10], table(9), 5), (table(9), table(9).assign(bag="a"), 0)],
)
def test_at_least_two_seconds_are_needed(
    tmp_path: Path, before: pd.DataFrame, after: pd.DataFrame, frames: int
) -> None:
    path = written(tmp_path, before)
    with pytest.raises(ReportError) as caught:
        Baseline(path).compare(after, "offline", GROUPING)
    says = f"both have {frames} frames in common, within {min(frames, 1)} s, but at least 2 s are needed"
    assert str(caught.value) == f"{path}: {says}"


def test_whole_seconds_are_drawn_instead_of_frames() -> None:
    """Frames of one second are similar, so the interval is wider than for independent frames."""
    seconds, fps, rng = 60, 10, np.random.default_rng(6)
    for shared in (True, False):
        before, after = table(seconds, fps), table(seconds, fps)
        step = np.repeat(rng.normal(0, 0.01, seconds), fps) if shared else rng.normal(0, 0.01, seconds * fps)
        after["flicker"] += step
        one = compared(before, after)["flicker"]
        of_frames = [step[rng.integers(0, step.size, step.size)].mean() for _ in range(2000)]
        ratio = (one["high"] - one["low"]) / np.ptp(np.percentile(of_frames, [2.5, 97.5]))
        assert 2.4 < ratio < 4 if shared else 0.7 < ratio < 1.35  # the square root of 10, and 1


@pytest.mark.parametrize(("earlier", "mode"), [("live", "live"), ("live", "offline"), ("offline", "live")])
def test_latency_is_compared_only_if_both_replays_are_live(tmp_path: Path, earlier: str, mode: str) -> None:
    before, after = table(3, seed=1), table(3, quality=0.5, seed=2)
    found = Baseline(written(tmp_path, before, earlier)).compare(after, mode, GROUPING)
    expected = compared(before, after, live=earlier == mode == "live")
    assert list(expected) == (LIVE if earlier == mode == "live" else OFFLINE)
    for one, other in zip(found, expected.values(), strict=True):
        assert one == pytest.approx(other, abs=1e-12)


def test_another_grouping_gives_an_error_of_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, table(3), grouping="camvid11")
    with pytest.raises(ReportError) as caught:
        Baseline(path).compare(table(3), "offline", GROUPING)
    assert str(caught.value) == f"{path}: its grouping is camvid11, but this replay's is cityscapes19"
    assert Baseline(path).compare(table(3), "offline", GROUPINGS["camvid11"])
    assert Baseline(written(tmp_path, table(3), grouping="")).compare(table(3), "offline", GROUPING)  # no labels


def test_a_baseline_that_cannot_be_read_gives_an_error_of_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, None)
    for content in (None, b"", b"\xff\xfe\x00", b'a,b\n"'):
        if content is not None:
            path.with_name("frames.csv").write_bytes(content)
        with pytest.raises(ReportError) as caught:
            Baseline(path)
        assert str(caught.value).startswith(f"{path.with_name('frames.csv')}: the baseline's frames cannot be read: ")
        assert len(str(caught.value).splitlines()) == 1
    path.write_text('{"format": 1}')
    with pytest.raises(ReportError, match="not a report"):
        Baseline(path)


def test_missing_labels_are_reported(tmp_path: Path) -> None:
    """Otherwise a replay without its labels would pass."""
    frames = table(4)
    names = [n for n in frames if n.startswith(("intersection.", "union.")) or n in ("labelled", "miou")]
    with pytest.raises(ReportError, match=r"report\.json: its frames had labels, but this replay's have none"):
        Baseline(written(tmp_path, frames)).compare(frames.drop(columns=names), "offline", GROUPINGS["cityscapes19"])


def test_drives_with_numbers_as_names_are_compared(tmp_path: Path) -> None:
    frames = pd.concat([table(3, seed=seed).assign(bag=bag) for seed, bag in enumerate(("20240101", "20240102"))])
    found = Baseline(written(tmp_path, frames)).compare(frames, "offline", GROUPINGS["cityscapes19"])
    assert found
    assert not any(change["worse"] for change in found)


def test_a_table_of_another_kind_gives_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        ReportError,
        match=r"frames\.csv: not the frames of a replay; these columns are missing: camera, flicker, stamp_ns",
    ):
        Baseline(written(tmp_path, pd.DataFrame({"a": [1]})))


@pytest.mark.parametrize(
    "change",
    [
        {"accuracy": "x"},
        {"accuracy": [1]},
        {"accuracy": {}},
        {"frames": None},
        {"frames": {"sent": "1"}},
        {"mode": None},
    ],
)
def test_a_damaged_report_gives_an_error_of_one_line(tmp_path: Path, change: dict[str, Any]) -> None:
    path = written(tmp_path, table(4))
    report = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({key: value for key, value in report.items() if (key, value) != ("mode", None)}))
    with pytest.raises(ReportError, match=r"report\.json: not a report of a replay: (frames or mode|accuracy)"):
        Baseline(path)


def test_a_table_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, table(4))
    frames = path.with_name("frames.csv")
    frames.write_text("".join(frames.read_text().splitlines(keepends=True)[:31]))
    with pytest.raises(ReportError, match=r"frames\.csv: has 30 frames, but report\.json counts 40"):
        Baseline(path)
    frames.unlink()
    os.mkfifo(frames)
    with pytest.raises(ReportError, match="is not a regular file"):
        Baseline(path)
