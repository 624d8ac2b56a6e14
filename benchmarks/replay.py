"""Measures the offline replay of a bag: ``python -m benchmarks.replay [BUNDLE] [--frames 36]``.

The same run measures a simple loop: rosbags, OpenCV, the same model at the same precision, and mask, confidence and
class counts of each frame. The replay does this too, and also computes flicker, confidence and coverage of each frame,
the worst frames and the pictures of its report. The benchmark prints milliseconds for each frame over several rounds
and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import torch
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer

from benchmarks.engines import plain
from training.synthetic import DriveConfig, drive
from unet_seg_ros.model.bundle import load_bundle
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.run.offline import replay_offline
from unet_seg_ros.replay.source.drive import TYPES, image_message
from unet_seg_ros.replay.topics import IMAGE
from unet_seg_ros.segmenter import Segmenter

SIZES = ((480, 360), (2048, 1024))
DISTINCT = 12
ROUNDS = 5
Round = Callable[[], float]


def write_bag(path: Path, size: tuple[int, int], count: int, storage: StoragePlugin) -> Path:
    """Write a bag of ``count`` bgr8 images at 10 Hz; bgr8 is what most cameras send."""
    width, height = size
    config = DriveConfig(seed=7, width=width, height=height, fps=10, seconds=DISTINCT / 10)
    frames = itertools.cycle([np.ascontiguousarray(frame.image[:, :, ::-1]) for frame in drive(config)])
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connection = writer.add_connection("/camera/image_raw", IMAGE, typestore=TYPES)
        for index, frame in enumerate(itertools.islice(frames, count)):
            stamp_ns = (index + 1) * 10**8
            message = image_message(frame, "bgr8", stamp_ns, "camera")
            writer.write(connection, stamp_ns, TYPES.serialize_cdr(message, IMAGE))
    return path


def looped(bag: Path, model: Path) -> Round:
    """A function that runs the loop and returns its seconds."""
    bundle = load_bundle(model)
    segment = plain(bundle, Segmenter.load(bundle).engine.device)

    def run() -> float:
        start = perf_counter()
        with AnyReader([bag]) as reader:
            for connection, _, cdr in reader.messages():
                message: Any = reader.deserialize(cdr, connection.msgtype)
                bgr = message.data.reshape(message.height, message.width, 3)
                mask, _ = segment(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
                np.bincount(mask.ravel(), minlength=bundle.manifest.config.num_classes)
        return perf_counter() - start

    return run


def replayed(bag: Path, model: Path, output: Path) -> Round:
    """A function that runs the replay and returns the seconds from the first frame to the last one. As for the loop,
    loading the model and warming up are not included."""
    return lambda: replay_offline(bag, output, Options(model=str(model), record=False))[0].seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=Path("models/unet_nano.safetensors"))
    parser.add_argument("--frames", type=int, default=36, help="number of frames of each bag (%(default)s)")
    arguments = parser.parse_args()
    engine = Segmenter.load(arguments.bundle).engine
    print(f"{arguments.bundle.stem} on {engine.device}, {engine.precision}, PyTorch {torch.__version__}")
    print(f"{'frame':>10}  {'bag':<8} {'way':<7}  {'p50 ms':>7}  {'p95 ms':>7}  ratio")
    for (width, height), storage in itertools.product(SIZES, (StoragePlugin.MCAP, StoragePlugin.SQLITE3)):
        with tempfile.TemporaryDirectory() as folder:
            bag = write_bag(Path(folder) / "bag", (width, height), arguments.frames, storage)
            ways = {"replay": replayed(bag, arguments.bundle, Path(folder)), "loop": looped(bag, arguments.bundle)}
            times: dict[str, list[float]] = {name: [] for name in ways}
            for _, (name, way) in itertools.product(range(ROUNDS + 1), ways.items()):
                times[name].append(1000 * way() / arguments.frames)
        medians = {name: float(np.median(values[1:])) for name, values in times.items()}  # the first warms up
        for name, values in times.items():
            ratio = medians[name] / medians["replay"]
            p95 = np.percentile(values[1:], 95)
            size = f"{width}×{height}"
            print(f"{size:>10}  {storage.name.lower():<8} {name:<7}  {medians[name]:7.1f}  {p95:7.1f}  {ratio:5.2f}")


if __name__ == "__main__":
    main()
