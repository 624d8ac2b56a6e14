"""Prints results as Markdown tables: ``python -m benchmarks.table FILE... [--page docs/performance.md]``.

It prints the tables of every benchmark in the files. With ``--page`` they replace the text of that page between the
lines ``<!-- results -->`` and ``<!-- end of results -->``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine_process import AGREEMENT
from unet_seg_ros.files import write_atomically

Row = Mapping[str, Any]
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


def rendered(benchmark: str, result: Mapping[str, Any]) -> str:
    """The table or tables of a benchmark, below a line with the model, the machine and the versions."""
    made, rows = result["made_by"], result["rows"]
    about = made["machine"]
    where = f"{about['cores']} cores of {about['processor']}"
    title = f"`benchmarks.{benchmark}`: `{made['model']}`, {where}, {_used(made)}"
    tables = TABLES[benchmark](rows)
    problems = [f"- {row.get('engine') or row['case']}: {row['problem']}" for row in rows if row.get("problem")]
    return "\n\n".join([f"**{title}**", *tables, *(["\n".join(problems)] if problems else [])]) + "\n"


def _used(made: Mapping[str, Any]) -> str:
    names = {"unet_seg_ros commit": "commit", "openvino": "OpenVINO", "torch": "PyTorch", "onnxruntime": "ONNX Runtime"}
    used = made["versions"]
    return ", ".join(f"{name} {used[key]}" for key, name in names.items() if key in used)


def markdown(columns: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    rows = [columns, ["---"] * len(columns), *lines]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _measured(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if not row.get("problem")]


def _right(row: Row) -> bool:
    return bool(row["agreement"] >= AGREEMENT)


def _agreed(row: Row) -> str:
    return f"{100 * row['agreement']:.2f} %" + ("" if _right(row) else ", wrong")


def _segmenter(rows: Sequence[Row]) -> list[str]:
    first: dict[str, float] = {}
    lines = []
    for row in _measured(rows):
        ours = first.setdefault(row["frame"], row["p50"])  # the engine of `device: cpu` comes first
        stages = [number(row[stage]) for stage in ("preprocess", "forward", "postprocess")]
        ratio = number(row["p50"] / ours, 2) if _right(row) else "–"
        times = [number(row[name]) for name in ("p50", "p95")]
        costs = [number(row["cpu_ms"]), number(row["page_faults"], 0)]
        lines.append([row["frame"], row["engine"], *times, ratio, *stages, *costs, _agreed(row)])
    columns = ["frame", "engine", "p50 ms", "p95 ms", "ratio", "before", "network", "after", "CPU ms", "page faults"]
    return [markdown([*columns, "masks agree"], lines)]


def _busy(rows: Sequence[Row]) -> list[str]:
    idle = {(row["engine"], row["pace"]): row["p50"] for row in _measured(rows) if not row["busy"]}
    lines = []
    for row in _measured(rows):
        times = [number(row[name]) for name in ("p50", "p95", "p99", "max")]
        ratio = number(row["p95"] / idle[row["engine"], row["pace"]], 2) if _right(row) else "–"
        costs = [number(row["cpu_ms"]), number(row["page_faults"], 0)]
        lines.append([row["busy"], row["pace"], row["engine"], *times, ratio, *costs, _agreed(row)])
    columns = ["busy", "pace", "engine", "p50 ms", "p95 ms", "p99 ms", "max ms", "p95 to idle p50", "CPU ms"]
    return [markdown([*columns, "page faults", "masks agree"], lines)]


def _node(rows: Sequence[Row]) -> list[str]:
    """Two tables: the times at the given rate, and all other figures."""
    paced, rest = [], []
    for row in _measured(rows):
        case = [f"{row['width']}x{row['height']}", row["cameras"], row["transport"]]
        times = [number(row[name]) for name in ("bare", "p50", "p95", "p99", "max")]
        added = "–" if row["p50"] is None else number(row["p50"] - row["bare"])
        ratio = "–" if row["p50"] is None else number(row["p50"] / row["bare"], 2)
        paced.append([*case, *times, added, ratio, f"{100 * row['dropped']:.1f}", number(row["cpu_ms"])])
        first = "–" if None in (row["first"], row["p50"]) else number(row["first"] / row["p50"], 2)
        limit = " (client)" if row.get("limit") == "client" else ""
        memory = [number(row[f"memory_{when}_mb"], 0) for when in ("before", "after")]
        highest = number(row.get("highest")) + limit
        rest.append([*case, number(row["start_s"], 2), number(row["first"]), first, *memory, highest])
    of = ["frame", "cameras", "transport"]
    times = [*of, "Segmenter p50 ms", "node p50 ms", "p95 ms", "p99 ms", "max ms", "added ms", "ratio"]
    others = [*of, "start s", "first frame ms", "to p50", "MB before it", "MB at the end", "highest rate Hz"]
    return [markdown([*times, "dropped %", "CPU ms"], paced), markdown(others, rest)]


TABLES: dict[str, Callable[[Sequence[Row]], list[str]]] = {"segmenter": _segmenter, "busy": _busy, "node": _node}


def into_page(page: str, tables: str) -> str:
    """The page with its tables replaced. Raises ValueError if the two lines are not in the page."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page needs one line {BEGIN} and, after it, one line {END}")
    return re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{tables}{END}", page, flags=re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--page", type=Path, help="put the tables into this page")
    given = parser.parse_args()
    results = [item for file in given.files for item in json.loads(file.read_text()).items()]
    tables = "\n".join(rendered(benchmark, result) for benchmark, result in results)
    print(tables, end="")
    if given.page:
        write_atomically(given.page, into_page(given.page.read_text(), tables))


if __name__ == "__main__":
    main()
