"""Each engine on a machine that is idle and on one that is busy: ``python -m benchmarks.busy [BUNDLE] [--json FILE]``.

Every engine segments the same frames in a process of its own, beside 0 to N processes that keep a core busy each: back
to back, and paced as cameras of 10 and 30 Hz, where the frames that come while the network works are dropped but for
the newest. Milliseconds count from the moment that a frame is there. CPU time and page faults are the process's.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from unet_seg_ros.engine import Engine
from unet_seg_ros.engine.cpu import has_bf16, usable_cores
from unet_seg_ros.model.bundle import Bundle, load_bundle
from unet_seg_ros.segmenter import Segmenter

PACES = {"back to back": 0.0, "10 Hz": 10.0, "30 Hz": 30.0}
WARM = 10
"""Frames that are not counted."""
PROCESSES = multiprocessing.get_context("spawn")
COLUMNS = ("p50", "p95", "p99", "max")


def engines(bundle: Bundle) -> list[str]:
    """Those that this CPU and the bundle have."""
    found = ["openvino int8"] if bundle.manifest.int8_ranges else []
    return [*found, *(["openvino bf16"] if has_bf16() else []), "openvino fp32", "pytorch auto"]


def made(bundle: Bundle, name: str) -> Engine:
    library, precision = name.split()
    if library == "openvino":
        from unet_seg_ros.engine.openvino import OpenVinoEngine

        return OpenVinoEngine(bundle, precision)
    from unet_seg_ros.engine.pytorch import TorchEngine

    return TorchEngine(bundle, "cpu", precision=precision)


def measured(path: Path, engine: str, size: tuple[int, int], rate: float, seconds: float) -> dict[str, float]:
    """Of one engine, in this process: ``size`` is (width, height), ``rate`` 0 is back to back."""
    bundle = load_bundle(path)
    segmenter = Segmenter(made(bundle, engine), bundle.manifest, bundle.model_id)
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (4, 12, 16, 3), np.uint8)
    frames = [np.ascontiguousarray(np.kron(s, np.ones((40, 40, 1), np.uint8))) for s in small]
    frames = [np.resize(frame, (size[1], size[0], 3)) for frame in frames]
    for number in range(WARM):
        segmenter([frames[number % len(frames)]])
    taken: list[float] = []
    cpu, faults = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    start = time.perf_counter()
    tick = 0
    while time.perf_counter() - start < seconds:
        came = time.perf_counter()
        if rate:
            tick = max(tick + 1, int((came - start) * rate))  # the newest that is there, else the next one
            came = start + tick / rate
            time.sleep(max(0.0, came - time.perf_counter()))
        segmenter([frames[len(taken) % len(frames)]])
        taken.append(1000 * (time.perf_counter() - came))
    figures = dict(zip(COLUMNS, [*np.percentile(taken, [50, 95, 99]).tolist(), max(taken)], strict=True))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    each = {"cpu_ms": 1000 * (time.process_time() - cpu) / len(taken), "page_faults": used / len(taken)}
    return {**figures, **each, "frames": len(taken)}


def _burn() -> None:
    while True:
        pass


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that keep a core busy each."""
    burning = [PROCESSES.Process(target=_burn, daemon=True) for _ in range(processes)]
    for process in burning:
        process.start()
    try:
        yield
    finally:
        for process in burning:
            process.terminate()


def apart(*arguments: Any) -> dict[str, float]:
    """``measured`` in a new process, so that no engine's threads or memory are another's."""
    with PROCESSES.Pool(1) as pool:
        return pool.apply(measured, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=Path("models/unet_nano.safetensors"))
    parser.add_argument("--size", type=int, nargs=2, default=(480, 360), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--busy", type=int, default=usable_cores(), help="beside 0 to so many processes")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each line of the table")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    bundle = load_bundle(given.bundle)
    print(f"{bundle.model_id}, {given.size[0]}×{given.size[1]}, {usable_cores()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'busy':>4}  {'pace':<12}  {'engine':<14}" + "".join(f"{c:>8}" for c in (*COLUMNS, "CPU ms", "faults")))
    lines = []
    for processes in range(given.busy + 1):
        with busy(processes):
            for pace, rate in PACES.items():
                for name in engines(bundle):
                    found = apart(given.bundle, name, tuple(given.size), rate, given.seconds)
                    lines.append({"busy": processes, "pace": pace, "engine": name, **found})
                    shown = (*(found[c] for c in COLUMNS), found["cpu_ms"], found["page_faults"])
                    print(f"{processes:>4}  {pace:<12}  {name:<14}" + "".join(f"{value:8.1f}" for value in shown))
    if given.json:
        given.json.write_text(json.dumps({"model": bundle.model_id, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    main()
