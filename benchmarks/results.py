"""Prints the results of a benchmark as a table and stores them as JSON, with everything that is needed to repeat it.

A file belongs to one machine and has the last run of each benchmark on it, by the benchmark's name. These files are in
``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.table import rendered
from unet_seg_ros.files import write_atomically
from unet_seg_ros.model.bundle import load_bundle
from unet_seg_ros.model.shipped_models import shipped_or_path
from unet_seg_ros.replay.run.provenance import machine, versions

Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments ``bundle`` and ``json``, which all of these benchmarks have."""
    about = "model bundle: a file, or the name of a shipped model (default: %(default)s)"
    parser.add_argument("bundle", type=_bundle, nargs="?", default="unet_nano", help=about)
    parser.add_argument("--json", type=Path, metavar="FILE", help="store the results in this file of the machine")


def _bundle(text: str) -> Path:
    """The file of a bundle, after a check that it can be loaded."""
    try:
        path = shipped_or_path(text)
        load_bundle(path)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return path


def conclude(benchmark: str, given: argparse.Namespace, rows: Sequence[Row]) -> None:
    """Print the table of a run with the arguments ``given``, and store it if ``--json`` was given."""
    result = {"made_by": made_by(given), "rows": [_clean(row) for row in rows]}
    print(rendered(benchmark, result))
    if given.json:
        kept = json.loads(given.json.read_text()) if given.json.exists() else {}
        write_atomically(given.json, json.dumps({**kept, benchmark: result}, indent=1) + "\n")


def made_by(given: argparse.Namespace) -> Row:
    """The model, the settings, the versions, the machine and its load."""
    runtime = {"onnxruntime": version("onnxruntime")} if find_spec("onnxruntime") else {}
    settings = {name: value for name, value in vars(given).items() if name not in ("bundle", "json")}
    return {
        "model": load_bundle(given.bundle).model_id,
        "settings": settings,
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": versions() | runtime,
        "machine": machine(),
        "load": os.getloadavg()[0],
    }


def _clean(row: Row) -> Row:
    """A row in a form that JSON can hold: four digits, and None for NaN."""
    found = {name: _number(value) if isinstance(value, float) else value for name, value in row.items()}
    return {name: _clean(value) if isinstance(value, dict) else value for name, value in found.items()}


def _number(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
