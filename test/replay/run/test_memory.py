"""The memory of a replay does not depend on the length of the drive."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from unet_seg_ros.replay.source.drive import image_message

ROOT = Path(__file__).parents[3]
WIDTH, HEIGHT = 640, 480
SHORT, LONG = 20, 200
RUN = """
import resource, sys
from unet_seg_ros.replay.__main__ import main
status = main(sys.argv[1:])
print("PEAK", 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(status)
"""


def peak(folder: Path, count: int, model: Path) -> int:
    """Peak memory in bytes of a process that replays a bag with this number of frames."""
    frames = [np.full((HEIGHT, WIDTH, 3), 20 * index, np.uint8) for index in range(10)]
    stamps = (drives.STAMP + index * 10**8 for index in range(count))
    messages = [image_message(frames[i % 10], "rgb8", stamp, "front") for i, stamp in enumerate(stamps)]
    bag = drives.write_bag(folder / f"bag{count}", {"/front/image_raw": messages}, StoragePlugin.MCAP)
    output = folder / f"out{count}"
    command = [sys.executable, "-c", RUN, str(bag), "--output", str(output), "--model", str(model), "--device", "cpu"]
    done = subprocess.run([*command, "--threads", "1"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads((output / "report.json").read_text())["frames"]["processed"] == count
    return int(done.stdout.rpartition("PEAK")[2])


def test_a_bag_ten_times_as_long_needs_no_more_memory(tmp_path: Path, model: Path) -> None:
    more = peak(tmp_path, LONG, model) - peak(tmp_path, SHORT, model)
    assert more < (LONG - SHORT) * WIDTH * HEIGHT * 3 / 5  # a fifth of the size of the frames
