"""The page loads no other file, is well formed, and shows the values of the report."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from unet_seg_ros.data.labels import CLASS_NAMES, GROUPINGS, NUM_CLASSES, palette
from unet_seg_ros.replay.report import colors, plots
from unet_seg_ros.replay.report.gallery import Gallery, Shot
from unet_seg_ros.replay.report.page import confusion, milliseconds, render
from unet_seg_ros.replay.result import FrameId

ROOT = Path(__file__).parents[3]
RNG = np.random.default_rng(3)
VOID_ELEMENTS = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Fails on elements that are not closed in order; keeps ids, addresses and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.said = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)
        self._keep(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._keep(attrs)

    def _keep(self, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "poster")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data.strip()


def figures(seconds: float) -> dict[str, float]:
    return {"mean": seconds, "p50": seconds, "p95": 2 * seconds, "p99": 3 * seconds, "max": 4 * seconds}


SOURCE = {
    "topic": "/front/image_raw",
    "frames": 60,
    "seconds": 5.9,
    "rate": 10.0,
    "monotonic": False,
    "backward": 2,
    "repeated": 1,
    "gaps": 1,
    "longest_gap": 0.4567,
}


def report(**changes: Any) -> dict[str, Any]:
    confusion = RNG.integers(0, 1000, (NUM_CLASSES, NUM_CLASSES + 1))
    confusion[12] = 0
    accuracy = {
        "grouping": "cityscapes19",
        "miou": 0.612,
        "pixel_accuracy": 0.9,
        "frames": 50,
        "iou": {name: None if name == "rider" else 0.5 for name in CLASS_NAMES},
        "boundary_iou": 0.412,
        "boundary_iou_per_class": dict.fromkeys(CLASS_NAMES, 0.4),
        "ece": 0.031,
        "reliability": {"confidence": [0.3, 0.9], "accuracy": [0.2, 0.95], "share": [0.1, 0.9]},
        "confusion": confusion.tolist(),
        "regions": {"ego lane": {"miou": 0.777, "pixel_accuracy": 0.9, "iou": {}}},
    }
    made = {"bag": {"path": "/drives/<one> & two.mcap"}, "model": {"id": "tiny-1"}}
    return {
        "mode": "live",
        "format": 2,
        "made_by": made,
        "frames": {"sent": 60, "received": 58, "processed": 50, "dropped": {"busy": 8, "lost": 2}},
        "timing": {
            "latency": figures(0.05),
            "work": None,
            "stages": {"forward": figures(0.03), "wait": None},
            "rate": 9.5,
            "jitter": 1e-3,
            "streaming_miou": 0.587,
        },
        "accuracy": accuracy,
        "stability": {"flicker": 0.02, "confidence": 0.8, "agreement": 0.93, "agreement_miou": None},
        "source": {"front": SOURCE},
        "trust": {"p05": 0.11, "p50": 0.87, "distrusted": 0.123, "causes": {"dark": 7, "<frozen>": 2}},
        "resources": {"at": [0.5, 1.0], "cpu": [1.0, 1.5], "memory": [1e8, 2e8]},
        "verdict": [],
        "baseline": [],
        "problems": [],
        "bags": [],
        **changes,
    }


def rows(count: int = 60) -> pd.DataFrame:
    shares = RNG.dirichlet(np.ones(NUM_CLASSES), count)
    answered = np.arange(count) % 6 != 5
    return pd.DataFrame(
        {
            "camera": np.where(np.arange(count) % 2, "front", "left"),
            "time": np.arange(count) / 10,
            "status": np.where(answered, "processed", "dropped"),
            "latency": np.where(answered, RNG.random(count), np.nan),
            "forward": np.where(answered, 0.02, np.nan),
            "wait": np.nan,
            "mean_confidence": np.where(answered, 0.9, np.nan),
            "miou": np.nan,
            **{f"coverage.{name}": np.where(answered, shares[:, i], np.nan) for i, name in enumerate(CLASS_NAMES)},
        }
    )


def pictures() -> Gallery:
    gallery = Gallery(palette(), GROUPINGS["cityscapes19"].table)
    mask = RNG.integers(0, NUM_CLASSES, (24, 32)).astype(np.uint8)
    for index in range(5):
        image = np.full((24, 32, 3), 40 * index, np.uint8)
        frame = FrameId("front", index, index, index * 10**9)
        gallery.take(Shot(frame, image, mask, mask, mask if index % 2 else None), index, f"why {index}")
    return gallery


def page(found: Any, frames: pd.DataFrame, gallery: Gallery, **videos: tuple[bytes, float]) -> str:
    return render(found, frames, gallery, videos, GROUPINGS["cityscapes19"], CLASS_NAMES)


def test_the_page_loads_no_other_file() -> None:
    text = page(report(), rows(), pictures(), front=(b"webm", 3.0))
    read = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert not read.tags.keys() & {"script", "link", "iframe"}
    assert "@import" not in text
    assert "url(http" not in text
    assert all(address.startswith(("data:", "#")) for address in read.addresses)
    assert len(set(read.ids)) == len(read.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(read.ids)
    assert {a[1:] for a in read.addresses if a.startswith("#")} <= set(read.ids)
    assert read.tags["video"] == 1
    assert colors.INK not in text  # text takes the page's colour
    for said in (
        *(
            "<one> & two.mcap: tiny-1",
            "61.2 %",
            "41.2 %",
            "3.1 %",
            "93.0 %",
            "of 60 frames processed",
            "16.7 %",
            "busy",
        ),
        *("3.0 times as fast", "ego lane", "77.7 %", "/front/image_raw", "2 backward, 1 repeated", "1, longest 457 ms"),
    ):
        assert said in read.said, said


def test_the_frames_with_the_lowest_trust_are_shown_with_their_causes() -> None:
    gallery = pictures()
    gallery.distrusted = [replace(bad, why="trust 0.03: the picture is dark") for bad in gallery.worst[:2]]
    read = Page(page(report(), rows(), gallery)).said
    health = read[read.index("Health: ") : read.index("CPU and memory")]
    for said in ("0.87", "0.11", "12.3 %", "frames: dark7", "frames: <frozen>2"):
        assert said in health, said
    assert health.count("trust 0.03: the picture is dark") == 2
    assert "Health: " not in Page(page(report(trust=None), rows(), pictures())).said


@pytest.mark.parametrize(
    ("checks", "kind", "says"),
    [
        ([], "verdict", "No requirements"),
        ([{"passed": True, "line": "miou 0.7 >= 0.6"}], "verdict pass", "Passed"),
        ([{"passed": True, "line": "a"}, {"passed": False, "line": "p95 < 1"}], "verdict fail", "Failed"),
    ],
)
def test_the_verdict_comes_first(checks: list[dict[str, Any]], kind: str, says: str) -> None:
    text = page(report(verdict=checks, problems=["the bag is cut short"]), rows(), pictures())
    assert text.index(f'<section class="{kind}"') == text.index("<section")
    first = Page(text[text.index("<section") : text.index("</section>") + len("</section>")]).said
    assert first.startswith(says)
    assert "the bag is cut short" in first
    assert ("✗ p95 < 1" in first) == (says == "Failed")


def test_a_metric_that_is_worse_than_the_baseline_is_shown_as_failed() -> None:
    change = {"metric": "miou", "baseline": 0.6, "value": 0.55, "low": -0.06, "high": -0.04}
    fine = Page(page(report(baseline=[{**change, "worse": False}]), rows(), pictures())).said
    worse = Page(page(report(baseline=[{**change, "worse": True}]), rows(), pictures())).said
    assert "Passed" in fine
    assert "-0.06 to -0.04" in fine
    assert "Failed✗ worse than the baseline: miou" in worse


def test_each_of_several_bags_has_a_row() -> None:
    one = report(problems=["cut short"])
    two = report(accuracy=None, made_by={"bag": {"path": "/drives/three.mcap"}, "model": {"id": "tiny-1"}})
    two["timing"]["latency"] = None
    frames = pd.concat([rows().assign(bag="one"), rows().assign(bag="two")])
    text = page(report(bags=[one, two]), frames, pictures())
    read = Page(text)
    assert "/drives/three.mcap50 / 60––" in read.said
    assert "cut short" in read.said
    assert read.tags["svg"] == 2  # several bags have no common time, so no curves are drawn over it


def test_a_drive_with_few_measurements_has_a_page() -> None:
    little = report(accuracy=None, resources=None, source={})
    little["stability"] = dict.fromkeys(("flicker", "confidence", "agreement", "agreement_miou"))
    little["timing"] = {"latency": None, "work": None, "stages": {}, "rate": None, "jitter": None}
    little["timing"]["streaming_miou"] = None
    little["frames"] = {"sent": 2, "received": None, "processed": 0, "dropped": {"lost": 2}}
    nothing = rows(6)[["camera", "time", "status", "latency"]].iloc[[5, 5]]
    read = Page(page(little, nothing, Gallery(palette(), GROUPINGS["cityscapes19"].table)))
    assert "Accuracy" not in read.said
    assert "100.0 %" in read.said


def test_the_confusion_matrix_is_in_per_cent_of_the_labels() -> None:
    columns, rows = confusion([[3, 1, 0], [0, 0, 0]], ["road", "sky"])
    assert columns == ["road", "sky"]
    assert [(name, [text for *_, text in cells]) for name, cells in rows] == [("road", ["75", "25"])]  # no sky: no row


def test_text_from_outside_is_escaped() -> None:
    evil = '<script>alert("x")</script>&\'"'
    made = {"bag": {"path": evil, "folder": evil}, "model": {"id": evil}, evil: [evil, evil]}
    change = {"metric": evil, "baseline": 0.6, "value": 0.5, "low": -0.2, "high": -0.1, "worse": True}
    found = report(
        made_by=made,
        verdict=[{"passed": True, "line": evil}],
        baseline=[change],
        problems=[evil],
        source={evil: {**SOURCE, "topic": evil}},
    )
    found["frames"]["dropped"] = {evil: 3}
    found["timing"]["stages"] = {evil: figures(0.03)}
    found["accuracy"] |= {"grouping": evil, "regions": {evil: {"miou": 0.7, "pixel_accuracy": 0.9, "iou": {}}}}
    found["bags"] = [{**found, "bags": []}]
    gallery = pictures()
    gallery.films = {evil: gallery.films["front"]}
    gallery.worst = [replace(bad, camera=evil, why=evil, tiles={evil: b"jpeg"}) for bad in gallery.worst]
    gallery.distrusted = gallery.worst
    names = (evil, *CLASS_NAMES[1:])
    grouping = replace(GROUPINGS["cityscapes19"], names=names)
    frames = rows().assign(camera=evil).rename(columns={f"coverage.{CLASS_NAMES[0]}": f"coverage.{evil}"})
    text = render(found, frames, gallery, {evil: (b"webm", 3.0)}, grouping, names)
    read = Page(text)
    assert not read.tags.keys() & {"script", "link", "iframe"}
    assert read.said.count(evil) >= 25
    calm = Page(render(found, frames.head(0), Gallery(palette(), grouping.table), {}, grouping, names))
    assert read.tags["section"] > calm.tags["section"]


def test_an_installed_package_has_the_template_and_the_style_sheet(tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    folder = Path("unet_seg_ros/replay/report")
    installed, here = ({path.name for path in (top / folder).iterdir() if path.is_file()} for top in (tmp_path, ROOT))
    assert {"page.html.jinja", "page.css"} <= here == installed


def test_figures_have_three_digits() -> None:
    assert [milliseconds(s) for s in (0.1234, 0.01234, 0.001234, None)] == ["123 ms", "12.3 ms", "1.23 ms", ""]


def test_a_long_line_is_reduced_to_means() -> None:
    times = np.arange(10_000.0)
    at, line = plots.thin(times, np.where(times % 2, np.nan, times))
    assert len(at) == len(line) == plots.POINTS
    assert line == pytest.approx(at, abs=1.0)
    assert plots.thin(times[:10], times[:10])[0] is not None
