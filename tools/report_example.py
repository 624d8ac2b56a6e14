"""Makes docs/report_example.json and the examples in docs/report_json.md again.

Usage: .venv/bin/python tools/report_example.py

Renders a drive of the synthetic town and plays it live twice: with ``unet_nano``, for the baseline, and with
``unet_nano_synthetic``, for the report. Needs the ROS packages and messages that ``make demo`` installs.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from report_page import EXAMPLE, write_page

ROOT = Path(__file__).resolve().parent.parent
GROUPS = """\
drivable: [road]
vulnerable: [person, rider, bicycle, motorcycle]
vehicle: [car, truck, bus, train]
"""
REGIONS = "ego: [0.3, 1.0, 0.45, 0.6, 0.55, 0.6, 0.7, 1.0]\n"
REQUIREMENTS = ("miou>=0.5", "latency.p95<=0.1", "trust.p05>=0.5")
SAMPLES = 4
"""Number of samples of CPU and memory that the example keeps."""


def run(folder: Path, *arguments: str) -> None:
    """Run a module of this project in ``folder``. Exit status 1 is a requirement that does not hold."""
    command = [sys.executable, "-m", *arguments]
    status = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False).returncode
    if status not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: exit status {status}")


def report(folder: Path) -> dict[str, Any]:
    """The report of a live replay; everything is written to ``folder``."""
    (folder / "groups.yaml").write_text(GROUPS)
    (folder / "regions.yaml").write_text(REGIONS)
    run(folder, "training.synthetic", "town", "--split", "demo", "--seed", "100", "--seconds", "4")
    replay = ["unet_seg_ros.replay", "town", "--mode", "live", "--factor", "0.25"]
    replay += ["--grouping", "groups.yaml", "--regions", "regions.yaml"]
    run(folder, *replay, "--model", "unet_nano", "--output", "baseline")
    required = [word for rule in REQUIREMENTS for word in ("--require", rule)]
    baseline = ["--baseline", "baseline/report.json"]
    run(folder, *replay, "--model", "unet_nano_synthetic", "--output", "example", *required, *baseline)
    found: dict[str, Any] = json.loads((folder / "example" / "report.json").read_text(encoding="utf-8"))
    return found


def shortened(value: Any) -> Any:
    """The report with numbers of four decimals, and with paths relative to the clone."""
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shortened(item) for item in value]
    if isinstance(value, float):
        return round(value, 4)
    return value.removeprefix(f"{ROOT}/") if isinstance(value, str) else value


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        example = shortened(report(Path(temporary)))
    example["resources"] = {name: values[:SAMPLES] for name, values in example["resources"].items()}
    example["made_by"]["machine"]["system"] = platform.system()
    EXAMPLE.write_text(json.dumps(example, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_page()
