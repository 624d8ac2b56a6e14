"""Measures one case: a number of cameras with one size and transport, and a separate process of the node."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from benchmarks.comparison import street
from benchmarks.engine_process import EngineProcess, Figures, Pace, percentiles
from benchmarks.engines import AUTO, Frame
from benchmarks.node.client import Answers, Client, topic
from benchmarks.node.search import highest_rate
from unet_seg_ros.replay.live.node_process import NodeProcess
from unet_seg_ros.replay.live.ros_domain import isolate, on_the_graph
from unet_seg_ros.ros.bringup import bringup

KEPT = 0.01
"""Largest share of dropped frames at a rate that counts as reached."""
SENT = 0.97
"""Smallest share of a rate that the client must send. If it sends less, the client is too slow, not the node."""
SETTLED = 5
"""Number of frames after the first one that are not counted."""


class Case(NamedTuple):
    """``width`` and ``height`` of the frames, number of ``cameras``, ``transport`` (raw or compressed)."""

    width: int
    height: int
    cameras: int
    transport: str

    def __str__(self) -> str:
        return f"{self.width}x{self.height}, {self.cameras} cameras, {self.transport}"


@dataclass(frozen=True)
class Plan:
    """How every case is measured: at ``rate`` in Hz for ``seconds``; then the search for the highest rate, with
    ``search_seconds`` at each rate (0: no search). ``say`` shows the user the present step."""

    bundle: Path
    rate: float
    seconds: float
    search_seconds: float
    say: Callable[[str], None]


def measured(case: Case, plan: Plan) -> dict[str, Any]:
    """Measure a case and return a row of results. Raises TimeoutError or NodeError if the node does not work."""
    frames = street(case.width, case.height)
    plan.say("the bare Segmenter")
    bare = _bare(case, plan, frames)
    cameras = [f"camera{number}" for number in range(case.cameras)]
    arguments = {"cameras": ",".join(f"{name}={topic(name)}" for name in cameras), "transport": case.transport}
    start = bringup({**arguments, "model": str(plan.bundle), "device": "cpu"})
    isolate(start)
    row: dict[str, Any] = {**case._asdict(), "bare": bare["p50"], "bare_p95": bare["p95"]}
    with tempfile.TemporaryDirectory() as folder, on_the_graph() as graph:
        client = Client(graph, cameras, frames, case.transport)
        plan.say("the node's start")
        began = time.monotonic()
        process = NodeProcess(start, Path(folder) / "node.log")
        try:
            client.wait_until_active()
            row["start_s"] = time.monotonic() - began
            row |= _driven(client, psutil.Process(process.pid), plan)
            if plan.search_seconds:
                row |= _searched(client, plan, 1000 / row["p50"])
            process.check()
        finally:
            process.stop()
    return row


def _bare(case: Case, plan: Plan, frames: list[Frame]) -> Figures:
    """Measure the Segmenter without ROS at the same rate, with the frames of all cameras together."""
    engine = EngineProcess(AUTO, plan.bundle)
    try:
        return engine.measure(frames, Pace(plan.rate, plan.seconds, case.cameras))
    finally:
        engine.close()


def _driven(client: Client, process: psutil.Process, plan: Plan) -> dict[str, Any]:
    """Measure the first frame, and memory, latencies, drops and CPU time at the plan's rate."""
    client.wait_until_matched()
    time.sleep(0.5)
    row: dict[str, Any] = {"memory_before_mb": process.memory_info().rss / 1e6}
    first = client.drive(plan.rate, 1)
    client.drive(plan.rate, SETTLED)
    plan.say(f"{plan.rate:g} Hz")
    before = process.cpu_times()
    answers = client.drive(plan.rate, max(2, round(plan.rate * plan.seconds)))
    after = process.cpu_times()
    row |= {name: 1000 * value for name, value in percentiles(answers.latencies).items()}
    row |= {"first": 1000 * max(first.latencies, default=float("nan")), "dropped": answers.dropped}
    row |= {"rate": answers.rate, "memory_after_mb": process.memory_info().rss / 1e6}
    used = after.user + after.system - before.user - before.system
    row["cpu_ms"] = 1000 * used / max(1, len(answers.latencies))
    return row | _stages(answers)


def _stages(answers: Answers) -> dict[str, Any]:
    """The medians of the node's stages of its first camera, in ms; ``transport`` is the rest of the latency."""
    found = {stage: 1000 * float(np.median(values)) for stage, values in answers.stages.items()}
    inside = sum(value for stage, value in found.items() if stage != "publish")
    if found and answers.latencies:
        found["transport"] = 1000 * float(np.median(answers.latencies)) - inside
    return {"stages": found}


def _searched(client: Client, plan: Plan, first: float) -> dict[str, Any]:
    """``highest`` is the highest rate in Hz at which at most the share ``KEPT`` of the frames is dropped; ``limit``
    says whether the node or the client was too slow above it."""
    limit = "node"

    def holds(rate: float) -> bool:
        nonlocal limit
        plan.say(f"search: {rate:.1f} Hz")
        answers = client.drive(rate, max(2, round(rate * plan.search_seconds)))
        sent = answers.rate >= SENT * rate
        kept = sent and answers.dropped <= KEPT
        if not kept:
            limit = "node" if sent else "client"
        return kept

    return {"highest": highest_rate(holds, first), "limit": limit}
