"""Checks whether the node's use of resources stays constant over a long time: ``python -m benchmarks.soak --minutes
60``.

The node runs in its own process. Two cameras send good and malformed frames over DDS, faster than the node can process
them. The benchmark samples the node's memory, threads, open files, log lines per second and the age of its outputs. The
table and the plot show them over time, and the last lines compare the end with the beginning, without the first tenth
of the run.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from matplotlib.figure import Figure

from unet_seg_ros.ros.bringup import bringup

CAMERAS = ("front", "rear")
SAMPLES = 240
"""Largest number of samples. A long run is sampled less often."""
ROWS = 12
"""Number of rows of the table."""
MALFORMED = ("step", "encoding", "short", "empty", "huge", "long text")
FLAT = 0.02
"""Largest relative difference between the end and the beginning."""


def isolate() -> None:
    """Set the environment: a separate DDS domain on this machine only, and shared memory for large images."""
    os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randrange(1, 102))
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.update(bringup({}, environ={}).environment)


def node_process(log: Path, model: str) -> subprocess.Popen[bytes]:
    """Start the node; its output is written to ``log``."""
    parameters = [
        f"cameras:=[{', '.join(CAMERAS)}]",
        "device:=cpu",
        "threads:=1",
        *([f"model:={model}"] if model else []),
    ]
    command = [sys.executable, "-m", "unet_seg_ros.ros.node", "--ros-args"]
    command += [part for parameter in parameters for part in ("-p", parameter)]
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


def spoilt(message: Any, kind: str) -> Any:
    """A malformed copy of the frame; ``kind`` is one of ``MALFORMED``."""
    if kind == "step":
        message.step = 1
    elif kind == "encoding":
        message.encoding = "rgb8\n[ERROR] [segmentation]: forged"
    elif kind == "short":
        message.data = message.data[: len(message.data) // 2]
    elif kind == "empty":
        message.width = message.height = 0
    elif kind == "huge":
        message.width = message.height = 2**32 - 1
    else:
        message.encoding = "x" * 2**20
    return message


class Sender:
    """Sends frames of both cameras at ``rate`` Hz each, and stores the ages of the outputs. Every third frame is
    malformed."""

    def __init__(self, rate: float, height: int, width: int) -> None:
        import rclpy
        from rclpy.qos import QoSProfile
        from sensor_msgs.msg import Image

        from unet_seg_msgs.msg import ClassCoverage

        rclpy.init()
        self._spin, self._image, self.rate, self.sent = rclpy.spin_once, Image, rate, 0
        self.node = rclpy.create_node("soak")
        self.ages: list[float] = []
        self._random = random.Random(0)
        self._pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        self._publishers = {c: self.node.create_publisher(Image, f"/segmentation/{c}/image", 1) for c in CAMERAS}
        for camera in CAMERAS:
            topic = f"/segmentation/{camera}/coverage"
            self.node.create_subscription(ClassCoverage, topic, lambda m: self.ages.append(m.age), QoSProfile(depth=5))

    def send_until(self, end: float) -> None:
        """Send until ``end``, a time of ``time.monotonic``."""
        due = time.monotonic()
        while due < end:
            for camera in CAMERAS:
                self._publishers[camera].publish(self._frame())
            self.sent += len(CAMERAS)
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            while (left := due - time.monotonic()) > 0:
                self._spin(self.node, timeout_sec=left)
            self._spin(self.node, timeout_sec=0)

    def _frame(self) -> Any:
        height, width = self._pixels.shape[:2]
        message = self._image(height=height, width=width, encoding="rgb8", step=3 * width)
        data = array("B")
        data.frombytes(self._pixels.data.cast("B"))
        message.data = data
        message.header.stamp = self.node.get_clock().now().to_msg()
        chance = self._random.random()
        if chance < 0.33:
            spoilt(message, self._random.choice(MALFORMED[:-1] if chance > 0.003 else MALFORMED))
        return message


def soak(sender: Sender, process: subprocess.Popen[bytes], log: Path, minutes: float) -> pd.DataFrame:
    """Returns a row for each sample. Raises RuntimeError if the node ends."""
    about = psutil.Process(process.pid)
    start, rows, lines = time.monotonic(), [], _lines(log)
    interval = max(5.0, 60 * minutes / SAMPLES)
    while time.monotonic() - start < 60 * minutes:
        before, ages, sent = time.monotonic(), len(sender.ages), sender.sent
        sender.send_until(before + interval)
        if process.poll() is not None:
            raise RuntimeError(f"the node ended with status {process.returncode} after {before - start:.0f} s")
        seconds, now = time.monotonic() - before, _lines(log)
        fresh = np.array(sender.ages[ages:] or [np.nan])
        rows.append(
            {
                "minutes": (time.monotonic() - start) / 60,
                "memory (MiB)": about.memory_info().rss / 2**20,
                "threads": about.num_threads(),
                "files": about.num_fds(),
                "log lines/s": (now - lines) / seconds,
                "sent/s": (sender.sent - sent) / seconds,
                "masks/s": (len(sender.ages) - ages) / seconds,
                "age p50 (ms)": 1000 * float(np.median(fresh)),
                "age p95 (ms)": 1000 * float(np.percentile(fresh, 95)),
            }
        )
        lines = now
    return pd.DataFrame(rows)


def _lines(log: Path) -> int:
    with log.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))


def verdict(rows: pd.DataFrame) -> pd.DataFrame:
    """The medians of the second and of the last tenth of the run, and their relative difference."""
    tenth = max(1, len(rows) // 10)
    first, last = rows[tenth : 2 * tenth].median(), rows[-tenth:].median()
    table = pd.DataFrame({"second tenth": first, "last tenth": last, "change (%)": 100 * (last - first) / first})
    return table.drop("minutes")


def plot(rows: pd.DataFrame, path: Path) -> None:
    """Plot the columns over time as a PNG."""
    names = [name for name in rows if name != "minutes"]
    figure = Figure(figsize=(8, 1.4 * len(names)), layout="constrained")
    for axes, name in zip(figure.subplots(len(names), sharex=True), names, strict=True):
        axes.plot(rows["minutes"], rows[name])
        axes.set_ylabel(name, fontsize=8)
        axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes")
    figure.savefig(path, dpi=100)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=200.0, metavar="HZ", help="frames per second of each camera")
    parser.add_argument("--size", type=int, nargs=2, default=(120, 160), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--model", default="", help="a shipped model's name or a bundle's path (default: the node's)")
    parser.add_argument("--output", type=Path, default=Path("out/soak"), help="folder for soak.csv, soak.png, node.log")
    given = parser.parse_args(arguments)
    given.output.mkdir(parents=True, exist_ok=True)
    isolate()
    log = given.output / "node.log"
    process = node_process(log, given.model)
    try:
        sender = Sender(given.rate, *given.size)
        sender.send_until(time.monotonic() + 30)
        while not sender.ages and process.poll() is None:
            sender.send_until(time.monotonic() + 1)
        rows = soak(sender, process, log, given.minutes)
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    rows.to_csv(given.output / "soak.csv", index=False)
    plot(rows, given.output / "soak.png")
    shown = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, ROWS).astype(int))]
    print(shown.to_string(index=False, float_format="{:.1f}".format))
    print(f"\n{verdict(rows).to_string(float_format='{:.1f}'.format)}\n\nThe node's status after SIGTERM: {status}")


if __name__ == "__main__":
    main()
