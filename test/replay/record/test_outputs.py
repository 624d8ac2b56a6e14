"""Outputs that are recorded offline equal those that the node publishes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from unet_seg_ros import draw
from unet_seg_ros.data.labels import CLASS_NAMES, palette
from unet_seg_ros.data.ros_images import to_rgb
from unet_seg_ros.health.trust import Health, Level
from unet_seg_ros.metrics.coverage import Region
from unet_seg_ros.replay.record.outputs import OutputRecorder
from unet_seg_ros.replay.record.recorder import Recorder
from unet_seg_ros.replay.source.drive import message_pixels
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.segmenter import Segmentation, Timings

HEALTH = Health(
    *(Level.DEGRADED, 0.25, ("dark", "late"), "the picture is dark"),
    *({"brightness": 10.0, "gap": math.nan}, {"gap": 5.0, "brightness": 40.0}),
)


@pytest.mark.parametrize("compressed", [False, True])
def test_recorded_outputs_hold_the_segmentation(tmp_path: Path, compressed: bool) -> None:
    rng = np.random.default_rng(1)
    mask, confidence = rng.integers(0, [[[19]], [[256]]], (2, 48, 64)).astype(np.uint8)
    seen = Segmentation(mask, confidence, CLASS_NAMES, Timings(0, 0, 0))
    made, suffix = (drives.compressed, "/compressed") if compressed else (drives.raw, "")
    bag = drives.write_bag(tmp_path / "bag", {f"/front/image_raw{suffix}": [made(0), made(1)]}, StoragePlugin.MCAP)
    drive = open_source(bag)
    left_half = Region("left", ((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
    with Recorder(tmp_path / "drive.mcap") as recorder:
        outputs = OutputRecorder(recorder, drive, "tiny-1", palette())
        for frame in drive.frames():
            outputs.write(frame, message_pixels(frame.message), seen, HEALTH, [left_half])
    with AnyReader([tmp_path / "drive.mcap"]) as reader:
        read = {(c.topic, t): reader.deserialize(raw, c.msgtype) for c, t, raw in reader.messages()}
    topics = {f"/segmentation/front/{output}" for output in ("mask", "confidence", "overlay", "coverage", "health")}
    assert {topic for topic, _ in read} == topics | {f"/front/image_raw{suffix}"}
    assert len(read) == 12
    for (topic, time), message in read.items():
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == time
        assert message.header.frame_id == "front_optical"
        if topic.endswith("mask"):
            assert (message.encoding, message.step) == ("mono8", 64)
            assert np.array_equal(message.data.reshape(48, 64), mask)
        if topic.endswith("confidence"):
            assert np.array_equal(message.data.reshape(48, 64), confidence)
        if topic.endswith("overlay"):
            image = message_pixels(read[f"/front/image_raw{suffix}", time])
            assert np.array_equal(to_rgb(message), draw.overlay(image, mask, palette()))
        if topic.endswith("health"):
            assert (message.model, message.level, message.reason) == ("tiny-1", 1, HEALTH.reason)
            assert message.trust == pytest.approx(0.25)
            assert (message.flags, message.signals) == (["dark", "late"], ["brightness", "gap"])
            assert message.values == pytest.approx([10.0, math.nan], nan_ok=True)
            assert message.bounds == pytest.approx([40.0, 5.0])
        if topic.endswith("coverage"):
            assert message.trust == pytest.approx(0.25)
            assert (message.model, message.height, message.width) == ("tiny-1", 48, 64)
            assert [region.name for region in message.regions] == ["image", "left"]
            shares = np.bincount(mask[:, :32].ravel(), minlength=19) / (48 * 32)
            assert message.regions[1].fraction == pytest.approx(shares)
            assert message.mean_confidence == pytest.approx(confidence.mean() / 255)
            assert message.class_names == list(CLASS_NAMES)
