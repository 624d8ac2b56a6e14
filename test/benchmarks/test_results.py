"""The results that benchmarks store, and the tables that are made from them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results import conclude
from benchmarks.table import BEGIN, END, into_page, main
from unet_seg_ros.model.shipped_models import shipped_or_path

FIGURES = {
    **{"p50": 10.0, "p95": 12.0, "p99": 13.0, "max": 14.0, "cpu_ms": 20.0, "page_faults": 3.0, "frames": 9},
    **{"preprocess": 1.0, "forward": 7.0, "postprocess": float("nan"), "agreement": 0.99},
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "segmenter": [
        {"frame": "480x360", "engine": "one", **FIGURES},
        {"frame": "480x360", "engine": "two", **FIGURES, "p50": 25.0},
        {"frame": "480x360", "engine": "wrong", **FIGURES, "agreement": 0.5},
        {"frame": "480x360", "engine": "none", "problem": "ImportError: no module"},
    ],
    "busy": [
        {"busy": 0, "pace": "10 Hz", "engine": "one", **FIGURES},
        {"busy": 1, "pace": "10 Hz", "engine": "one", **FIGURES, "p95": 33.0},
    ],
}


def kept(path: Path, *benchmarks: str) -> Path:
    given = argparse.Namespace(bundle=shipped_or_path("unet_nano"), json=path, seconds=5.0)
    for benchmark in benchmarks:
        conclude(benchmark, given, ROWS[benchmark])
    return path


def cells(text: str, engine: str) -> list[list[str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [line for line in lines if engine in line]


def test_the_file_holds_the_last_run_of_each_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read = json.loads(kept(tmp_path / "machine.json", "busy", "segmenter", "busy").read_text())
    assert list(read) == ["busy", "segmenter"]
    made = read["segmenter"]["made_by"]
    assert made["settings"] == {"seconds": 5.0}
    assert made["model"].startswith("unet_nano-")
    assert made["versions"]["openvino"]
    assert read["segmenter"]["rows"][0]["postprocess"] is None
    assert "unet_nano" in capsys.readouterr().out


def test_tables_have_ratios_for_correct_engines_and_reasons_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = kept(tmp_path / "machine.json", "segmenter", "busy")
    page = tmp_path / "page.md"
    page.write_text(f"# Speed\n{BEGIN}\nold \\1\n{END}\nmore\n")
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["table", str(file), "--page", str(page)])
    main()
    said = capsys.readouterr().out
    assert page.read_text() == f"# Speed\n{BEGIN}\n{said}{END}\nmore\n"
    expected = "480x360 one 10.0 12.0 1.00 1.0 7.0 – 20.0 3"
    assert cells(said, "one")[0] == [*expected.split(), "99.00 %"]
    assert cells(said, "two")[0][4] == "2.50"
    assert cells(said, "wrong")[0][4] == "–"
    assert cells(said, "wrong")[0][-1] == "50.00 %, wrong"
    assert "- none: ImportError: no module" in said
    assert cells(said, "one")[2][7] == "3.30"


@pytest.mark.parametrize("page", ["", BEGIN, f"{END} {BEGIN}", f"{BEGIN} {BEGIN} {END}"])
def test_a_page_without_a_place_for_tables_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="needs one line"):
        into_page(page, "x")
