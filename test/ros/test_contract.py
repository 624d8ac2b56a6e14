"""The contract of the node with the rest of the car, checked from another process over real DDS."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image

from test.pages import rows
from test.ros.client import BEST_EFFORT, RELIABLE, image, noise, running
from training.synthetic import DriveConfig, drive
from unet_seg_ros.data.labels import CLASS_NAMES, GROUPINGS, ID_TO_TRAIN_ID, palette
from unet_seg_ros.metrics.confusion import ConfusionMatrix
from unet_seg_ros.segmenter import Segmenter


@pytest.fixture(scope="module")
def node(tiny: Path) -> Iterator[Any]:
    """An active node with two cameras and a region; and its client."""
    with running(
        *("-p", f"model:={tiny}", "-p", "cameras:=['camera', 'side']", "-p", "threads:=1"),
        *("-p", "regions:=['left']", "-p", "region.left.polygon:=[0.0, 0.0, 0.5, 0.0, 0.5, 1.0, 0.0, 1.0]"),
        *("-p", "region.left.cameras:=['camera']", "-p", "autoware_mask:=true"),
        cameras=("camera", "side"),
    ) as (process, client):
        client.wait(lambda: client.state() == "active", "the node activates itself")
        yield process, client


@pytest.mark.parametrize(("height", "width"), [(480, 640), (1024, 2048), (357, 501)])
def test_every_output_of_a_frame_is_published(node: Any, tiny: Path, height: int, width: int) -> None:
    _, client = node
    publisher = client.publisher()
    frame = noise(height, height, width)
    publisher.publish(image(height, frame))
    expected = Segmenter.load(tiny, "cpu", threads=1)([frame])[0]
    outputs = {name: client.result("camera", name, height) for camera, name in client.got if camera == "camera"}
    for name, message in outputs.items():
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == (height, 7), name
        assert message.header.frame_id == "optical", name
    for name in ("mask", "confidence", "color", "overlay"):
        encoding, channels = ("mono8", 1) if name in ("mask", "confidence") else ("rgb8", 3)
        message = outputs[name]
        assert (message.height, message.width, message.encoding) == (height, width, encoding)
        assert message.step == width * channels
        assert len(message.data) == message.step * height
    mask = np.frombuffer(outputs["mask"].data, np.uint8).reshape(height, width)
    confidence = np.frombuffer(outputs["confidence"].data, np.uint8).reshape(height, width)
    np.testing.assert_array_equal(mask, expected.mask)
    np.testing.assert_array_equal(confidence, expected.confidence)
    assert len(np.unique(mask)) > 1
    assert mask.max() < 19
    png = cv2.imdecode(np.frombuffer(outputs["mask/compressed"].data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(png, mask)
    assert outputs["mask/compressed"].format == "png"
    color = np.frombuffer(outputs["color"].data, np.uint8).reshape(height, width, 3)
    np.testing.assert_array_equal(color, palette()[mask])
    blended = np.frombuffer(outputs["overlay"].data, np.uint8).reshape(height, width, 3)
    assert np.abs(blended.astype(int) - (frame.astype(int) + color) / 2).max() <= 1
    client.node.destroy_publisher(publisher)

    coverage = outputs["coverage"]
    assert (coverage.height, coverage.width) == (height, width)
    assert coverage.model.startswith("tiny-")
    assert tuple(coverage.class_names) == CLASS_NAMES
    assert [region.name for region in coverage.regions] == ["image", "left"]
    inside = (np.arange(width) + 0.5) / width < 0.5
    for region, pixels in zip(coverage.regions, (mask, mask[:, inside]), strict=True):
        assert region.valid_pixels == pixels.size
        share = [(pixels == c).mean() for c in range(19)]
        np.testing.assert_allclose(region.fraction, share, atol=1e-6)
    for c in range(19):
        mean = coverage.regions[0].mean_confidence[c]
        here = confidence[mask == c]
        assert math.isnan(mean) if here.size == 0 else mean == pytest.approx(here.mean() / 255, abs=1e-5)
    assert coverage.mean_confidence == pytest.approx(confidence.mean() / 255, abs=1e-5)
    assert coverage.low_confidence_fraction == pytest.approx((confidence / 255 < 0.5).mean(), abs=1e-5)
    assert coverage.age > 3e8  # the stamp is from 1970, and no frame is dropped for its stamp


@pytest.mark.parametrize("reliability", [RELIABLE, BEST_EFFORT])
def test_images_of_reliable_and_best_effort_publishers_arrive(node: Any, reliability: Any) -> None:
    _, client = node
    publisher = client.publisher("side", reliability)
    sec = 5000 + int(reliability)
    frame = noise(1, 100, 200)

    def heard() -> bool:  # with best effort each of them may be lost
        publisher.publish(image(sec, frame))
        client.spin(0.1)
        return any(m.header.stamp.sec == sec for m in client.got["side", "mask"])

    client.wait(heard, "a mask")
    client.node.destroy_publisher(publisher)


def test_input_reliability_auto_follows_the_publishers(node: Any) -> None:
    _, client = node
    topic = "/segmentation/side/image"

    def reliability() -> set[Any]:
        return {info.qos_profile.reliability for info in client.node.get_subscriptions_info_by_topic(topic)}

    reliable = client.publisher("side", RELIABLE)
    client.wait(lambda: reliability() == {RELIABLE}, "a RELIABLE subscription")
    best_effort = client.publisher("side", BEST_EFFORT)
    client.wait(lambda: reliability() == {BEST_EFFORT}, "a BEST_EFFORT one, which both can serve")
    for publisher in (reliable, best_effort):
        client.node.destroy_publisher(publisher)


def test_a_silent_camera_does_not_delay_another(node: Any) -> None:
    _, client = node
    front, side = client.publisher("camera"), client.publisher("side")
    side.publish(image(6000, noise(2, 90, 160)))
    assert client.result("side", "mask", 6000).width == 160
    for sec in range(6001, 6006):
        front.publish(image(sec, noise(sec, 120, 180)))
        assert client.result("camera", "mask", sec).width == 180
    values = client.camera_values("side")
    client.wait(lambda: float(client.camera_values("side")["seconds without an image"]) > 2, "silence is measured")
    assert client.diagnostics["camera side"].level == b"\x01"
    assert "no image" in client.diagnostics["camera side"].message
    assert int(values["processed"]) >= 1
    for publisher in (front, side):
        client.node.destroy_publisher(publisher)


def test_no_frame_is_dropped_for_its_stamp(node: Any) -> None:
    _, client = node
    publisher = client.publisher()
    publisher.publish(image(-5, noise(6, 50, 70)))
    assert client.result("camera", "coverage", -5).age > 1.7e9
    client.node.destroy_publisher(publisher)


def test_diagnostics_describe_the_engine(node: Any, tiny: Path) -> None:
    _, client = node
    publisher = client.publisher()
    publisher.publish(image(6500, noise(6, 50, 70)))
    client.result("camera", "mask", 6500)
    values = client.diagnostic_values("engine")
    assert values["device"] == "cpu"
    assert values["precision"] in ("fp32", "bf16")
    assert values["model"].startswith("tiny-")
    assert values["terms"] == "made for a test"
    assert 0 < float(values["p50 (ms)"]) <= float(values["p95 (ms)"])
    client.node.destroy_publisher(publisher)


def test_the_shared_memory_profile_takes_effect(node: Any) -> None:
    process, _ = node
    sizes = []
    for line in Path(f"/proc/{process.process.pid}/maps").read_text().splitlines():
        if "/dev/shm/fastrtps" in line or "/dev/shm/fastdds" in line:
            low, high = (int(part, 16) for part in line.split()[0].split("-"))
            sizes.append(high - low)
    assert max(sizes) > 64 * 2**20  # Fast DDS's own default is half a megabyte


def malformed() -> dict[str, Image]:
    cut, empty, absurd, unknown, step = (image(7000, noise(0, 48, 64)) for _ in range(5))
    cut.data = cut.data[:-65]
    empty.width = 0
    absurd.height = absurd.width = 2**31
    unknown.encoding = "no_such_encoding"
    step.step = 3
    return {"shorter": cut, "at least 1": empty, "pixels": absurd, "no_such_encoding": unknown, "step": step}


@pytest.mark.parametrize("text", list(malformed()))
def test_a_malformed_frame_affects_no_other_frame(node: Any, text: str) -> None:
    process, client = node
    publisher = client.publisher()
    before = int(client.camera_values()["malformed"])
    publisher.publish(malformed()[text])
    client.wait(lambda: int(client.camera_values()["malformed"]) == before + 1, "it is counted")
    sec = 7100 + list(malformed()).index(text)
    publisher.publish(image(sec, noise(sec, 48, 64)))
    assert client.result("camera", "mask", sec).height == 48
    assert client.result("camera", "coverage", sec).dropped == 1
    assert "/segmentation/camera/image: frame dropped, malformed" in process.log  # one warning for several frames
    client.node.destroy_publisher(publisher)


def test_while_active_only_live_parameters_can_be_set(node: Any) -> None:
    _, client = node
    taken, reason = client.set("device", "cpu")
    assert not taken
    assert "next configure" in reason
    assert client.set("confidence_threshold", 1.0) == (True, "")
    taken, reason = client.set("region.left.polygon", [0.0, 0.0, 1.0])
    assert not taken
    assert "region.left.polygon" in reason
    assert client.set("region.left.polygon", [0.0, 0.0, 1.0, 0.0, 1.0, 0.5, 0.0, 0.5]) == (True, "")
    assert not client.set("confidence_threshold", 1.5)[0]
    taken, reason = client.set("region.left.polygon", 5)
    assert not taken
    assert "list of numbers" in reason
    publisher = client.publisher()
    publisher.publish(image(8000, noise(3, 100, 100)))
    coverage = client.result("camera", "coverage", 8000)
    assert coverage.regions[1].valid_pixels == 100 * 50
    assert coverage.low_confidence_fraction > 0.9
    client.node.destroy_publisher(publisher)


def test_masks_have_the_same_confusion_matrix_as_the_segmenters(node: Any, tiny: Path) -> None:
    _, client = node
    publisher = client.publisher()
    segmenter = Segmenter.load(tiny, "cpu", threads=1)
    direct, over_dds = (ConfusionMatrix(GROUPINGS["cityscapes19"]) for _ in range(2))
    for number, frame in enumerate(drive(DriveConfig(seed=5, width=200, height=150, fps=2, seconds=5))):
        label = ID_TO_TRAIN_ID[frame.label]
        direct.update(label, segmenter([frame.image])[0].mask)
        publisher.publish(image(9000 + number, frame.image))
        mask = client.result("camera", "mask", 9000 + number)
        over_dds.update(label, np.frombuffer(mask.data, np.uint8).reshape(mask.height, mask.width))
    assert direct.matrix.sum() == 10 * 200 * 150
    np.testing.assert_array_equal(direct.matrix, over_dds.matrix)
    client.node.destroy_publisher(publisher)


def test_the_page_of_topics_lists_all_topics_of_the_node(node: Any) -> None:
    _, client = node
    name, namespace = "segmentation", "/"
    found = {
        (topic.replace("/segmentation/camera/", "~/C/").replace("/segmentation/", "~/"), kind.replace("/msg/", "/"))
        for topic, kinds in client.node.get_publisher_names_and_types_by_node(name, namespace)
        for kind in kinds
        if "/side/" not in topic and topic not in ("/rosout", "/parameter_events", "/bond")
    }
    found.discard(("~/transition_event", "lifecycle_msgs/TransitionEvent"))  # every lifecycle node has it
    listed = rows("topics.md", "topic")
    outputs = {(topic, kind) for topic, kind, when, _ in listed if when != "input"}
    where_installed = {("~/C/label_info", "vision_msgs/LabelInfo")}
    assert found | where_installed == outputs
    taken = {topic for topic, _ in client.node.get_subscriber_names_and_types_by_node(name, namespace)}
    assert "/segmentation/camera/image" in taken
    assert ["~/C/image", "input"] in [[topic, when] for topic, _, when, _ in listed]
