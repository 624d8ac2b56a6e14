"""Transitions from another process, bundles that cannot be loaded, and a GPU that fails (the only fake)."""

from __future__ import annotations

from pathlib import Path

import pytest

from test.launch_stand_in import declared, node_arguments, of_kind, started
from test.ros.client import image, noise, running
from unet_seg_msgs.msg import CameraHealth
from unet_seg_ros.share_folder import share_folder


def test_the_node_can_be_deactivated_and_activated_again(tiny: Path) -> None:
    with running("-p", f"model:={tiny}", "-p", "autostart:=false", "-p", "threads:=1") as (node, client):
        assert client.state() == "unconfigured"
        assert not client.transition("activate")  # no such transition from here
        for sec in (1, 2):
            assert client.transition("configure")
            assert client.state() == "inactive"
            assert client.set("max_pixels", 50_000 * sec) == (True, "")
            assert client.transition("activate")
            publisher = client.publisher()
            publisher.publish(image(sec, noise(sec, 60, 80)))
            client.result("camera", "mask", sec)
            assert client.transition("deactivate")
            client.node.destroy_publisher(publisher)
            assert client.transition("cleanup")
            assert client.state() == "unconfigured"
        assert client.transition("shutdown")
        assert client.state() == "finalized"
        assert "Traceback" not in node.log
        assert node.stop() == 0


def test_a_model_is_released_at_cleanup(tiny: Path) -> None:
    """Else a GPU would have to hold the old model and the new one. OpenVINO has threads for each model."""
    with running("-p", f"model:={tiny}", "-p", "threads:=1", outputs=()) as (node, client):
        client.wait(lambda: client.state() == "active", "active")
        publisher = client.publisher()
        threads = []
        for sec in range(1, 7):
            before = int(client.camera_values()["processed"])
            publisher.publish(image(sec, noise(sec, 120, 160)))
            client.wait(lambda n=before: int(client.camera_values()["processed"]) > n, "a mask")
            for label in ("deactivate", "cleanup", "configure", "activate"):
                assert client.transition(label)
            threads.append(len(list(Path(f"/proc/{node.process.pid}/task").iterdir())))
            client.wait(publisher.get_subscription_count, "the node subscribes again")
        assert max(threads[1:]) <= threads[0]


@pytest.mark.parametrize("topic", ["/segmentation/camera/mask", "/segmentation/other/overlay"])
def test_an_output_of_the_node_cannot_be_a_cameras_topic(tiny: Path, topic: str) -> None:
    arguments = ("-p", "cameras:=[camera, other]", "-p", f"topic.camera:={topic}")
    with running("-p", f"model:={tiny}", "-p", "threads:=1", *arguments, outputs=()) as (node, client):
        client.wait(lambda: f"topic.camera: {topic} is an output of this node" in node.log, "one ERROR")
        assert client.state() == "unconfigured"


def test_after_a_bad_bundle_a_good_one_can_be_configured(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(tiny.read_bytes()[:5000])
    with running("-p", f"model:={broken}", "-p", "threads:=1") as (node, client):
        assert client.state() == "unconfigured"
        client.wait(lambda: "cannot configure" in node.log, "one ERROR")
        assert str(broken) in node.log
        assert node.log.count("[ERROR]") == 1
        taken, reason = client.set("model", "no_such_model")
        assert not taken
        assert "no shipped model of that name (shipped: unet_nano" in reason
        assert client.diagnostic_values("node") == {"state": "unconfigured"}
        for name in ("node", "camera camera", "engine"):
            assert client.diagnostics[name].level == b"\x02"
            assert str(broken) in client.diagnostics[name].message
        assert client.set("model", str(tiny)) == (True, "")
        assert client.transition("configure")
        assert client.transition("activate")
        client.publisher().publish(image(1, noise(1, 60, 80)))
        client.result("camera", "mask", 1)


def test_a_precision_that_is_not_possible_is_refused_with_the_reason(tiny: Path) -> None:
    with running("-p", f"model:={tiny}", "-p", "precision:=int8", "-p", "threads:=1") as (node, client):
        assert client.state() == "unconfigured"
        client.wait(lambda: "is not calibrated for int8; see python -m training.quantize" in node.log, "one ERROR")
        assert node.log.count("[ERROR]") == 1
        assert client.set("precision", "fp32") == (True, "")
        assert client.transition("configure")
        assert client.diagnostic_values("engine")["precision"] == "fp32"


def test_a_region_without_a_polygon_is_named(tiny: Path) -> None:
    with running("-p", f"model:={tiny}", "-p", "regions:=['ego']", "-p", "threads:=1") as (node, client):
        assert client.state() == "unconfigured"
        client.wait(lambda: "region.ego.polygon" in node.log, "an ERROR that names the parameter")
        assert client.set("region.ego.polygon", [0, 0, 1, 0, 1, 1]) == (True, "")
        assert client.transition("configure")


def test_regions_can_be_changed_while_active(tiny: Path) -> None:
    with running("-p", f"model:={tiny}", "-p", "threads:=1") as (_, client):
        client.wait(lambda: client.state() == "active", "active")
        taken, reason = client.set("regions", ["a", "b"])
        assert not taken
        assert "region.a.polygon: 0 points" in reason
        both = {
            "regions": ["a", "b"],
            "region.a.polygon": [0, 0, 1, 0, 1, 1],
            "region.b.polygon": [0.0, 0.0, 1.0, 0.0, 0.5, 1.0],
        }
        assert client.set_together(both) == (True, "")
        publisher = client.publisher()
        publisher.publish(image(1, noise(1, 60, 80)))
        assert [r.name for r in client.result("camera", "coverage", 1).regions] == ["image", "a", "b"]
        assert client.set("region.c.polygon", [0.0, 0.0, 1.0, 0.0, 1.0, 1.0]) == (True, "")
        assert client.set("regions", ["c"]) == (True, "")
        publisher.publish(image(2, noise(1, 60, 80)))
        assert [r.name for r in client.result("camera", "coverage", 2).regions] == ["image", "c"]
        assert client.set("regions", []) == (True, "")
        publisher.publish(image(3, noise(1, 60, 80)))
        assert [r.name for r in client.result("camera", "coverage", 3).regions] == ["image"]


def test_every_value_is_checked_when_it_is_set(tiny: Path) -> None:
    wrong = {
        "transport": ("foo", "transport: must be one of raw, compressed, not 'foo'"),
        "device": ("tpu", "device: must be auto, cpu, cuda or cuda:N, not 'tpu'"),
        "model": ("nosuch", "no shipped model of that name"),
        "cameras": (["a b"], "cameras: 'a b' is not a name"),
        "max_pixels": (-1, "max_pixels: must be 0 to 67108864, not -1"),
        "topic.camera": ("a b", "topic.camera: 'a b' is not a topic's name"),
        "camera_info.camera": ("/a" * 101, "is not a topic's name"),
        "regions": (["r" * 101], "of at most 100 characters"),
        "confidence": (0.5, "confidence: there is no such parameter; did you mean confidence_threshold?"),
        "min_rate": (5.0, "min_rate: there is no such parameter; did you mean diagnostics.min_rate?"),
    }
    with running("-p", f"model:={tiny}", "-p", "autostart:=false", "-p", "threads:=1") as (_, client):
        assert client.transition("configure")
        for name, (value, reason) in wrong.items():
            taken, said = client.set(name, value)
            assert not taken, name
            assert reason in said
        assert client.set("confidence_threshold", 1) == (True, "")
        assert client.set("regions", []) == (True, "")
        assert client.set("transport", "compressed") == (True, "")
        assert client.transition("activate")  # configures again
        assert client.camera_values()["type"] == "sensor_msgs/msg/CompressedImage"


def test_an_impossible_transition_is_refused_at_once(tiny: Path) -> None:
    with running("-p", f"model:={tiny}", "-p", "autostart:=false", "-p", "threads:=1") as (node, client):
        for label in ("activate", "deactivate", "cleanup", "no_such_transition"):
            assert not client.transition(label)
        for number in (3, 4, 2, 99):
            assert not client.transition(number=number)
        assert client.transition(number=1)
        assert client.state() == "inactive"
        assert not client.transition(number=1)
        client.wait(
            lambda: "refused transition 1: in the state inactive the node allows" in node.log, "the reason in the log"
        )
        assert "[ERROR]" not in node.log
        assert "activate (3)" in node.log


def test_frames_that_do_not_fit_into_memory_together_are_segmented_alone(tiny: Path) -> None:
    cameras = ("camera", "side")
    with running(
        *("-p", f"model:={tiny}", "-p", "cameras:=['camera', 'side']", "-p", "threads:=1"),
        cameras=cameras,
        module="test.ros.failing_gpu_node",
    ) as (_, client):
        publishers = [client.publisher(camera) for camera in cameras]
        for sec in range(1, 6):
            for publisher in publishers:
                publisher.publish(image(sec, noise(sec, 60, 80)))
            for camera in cameras:
                client.result(camera, "mask", sec)


def test_a_parameter_of_another_type_gives_an_error_of_one_line(tiny: Path) -> None:
    with running("-p", f"model:={tiny}", "-p", "max_pixels:=many") as (node, client):
        client.wait(lambda: node.process.poll() is not None, "the process ends")
        assert node.process.returncode == 1
        assert "max_pixels" in node.log
        assert "Traceback" not in node.log


def test_a_gpu_that_fails_drops_frames_and_then_deactivates_the_node(tiny: Path) -> None:
    failing = "test.ros.failing_gpu_node"
    with running("-p", f"model:={tiny}", "-p", "threads:=1", module=failing) as (node, client):
        publisher = client.publisher()
        found: list[CameraHealth] = []
        client.node.create_subscription(CameraHealth, "/segmentation/camera/health", found.append, 10)
        client.wait(lambda: client.node.count_subscribers("/segmentation/camera/health"), "the subscription is known")
        publisher.publish(image(1, noise(1, 60, 64)))  # out of memory
        client.wait(lambda: "out of memory" in node.log, "a WARN")
        client.wait(lambda: found, "the health of a frame that failed")
        assert (found[0].header.stamp.sec, found[0].level, found[0].flags) == (1, CameraHealth.BLIND, ["failed"])
        publisher.publish(image(2, noise(1, 60, 80)))
        client.result("camera", "mask", 2)
        assert client.result("camera", "coverage", 2).dropped == 1
        for _ in range(5):
            publisher.publish(image(3, noise(1, 60, 96)))  # device lost
        client.wait(lambda: client.state() == "inactive", "down to inactive")
        client.spin(1.0)
        assert node.log.count("[ERROR]") == 1
        assert "device lost" in node.log
        client.diagnostic_values("engine")
        assert client.diagnostics["engine"].level == client.diagnostics["camera camera"].level == b"\x02"
        assert "device lost: CUDA error" in client.diagnostics["engine"].message
        assert client.transition("cleanup")
        assert client.transition("configure")
        assert client.transition("activate")
        client.diagnostic_values("engine")
        assert client.diagnostics["engine"].level == b"\x00"
        client.node.destroy_publisher(publisher)
        client.publisher().publish(image(4, noise(1, 60, 80)))
        client.result("camera", "mask", 4)


def test_the_launch_file_starts_an_active_node(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Camera names that YAML would read as booleans, topics that follow the namespace, and another node name."""
    entities = declared(share_folder() / "launch" / "seg.launch.py", monkeypatch)
    cameras = "y=y/image_raw,on=/on/image_raw"
    actions = started(entities, {"cameras": cameras, "namespace": "ego", "node_name": "eyes", "model": str(tiny)})
    (launched,) = of_kind("Node", actions)
    remap = ("-r", "/ego/y/image_raw:=/sensors/y")  # as SetRemap around the launch file does
    with running(*node_arguments(launched)[1:], *remap, "-p", "threads:=1", node_name="/ego/eyes") as (_, client):
        assert client.camera_values("y")["topic"] == "/sensors/y"
        assert client.camera_values("on")["topic"] == "/on/image_raw"
        assert client.diagnostics["camera y"].name == "ego/eyes: camera y"
        assert client.state() == "active"
