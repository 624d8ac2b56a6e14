"""Up, down and up again from another process; bundles that cannot be loaded; a GPU that fails (the one fake)."""

from __future__ import annotations

from pathlib import Path

from test.ros.client import image, noise, running


def test_down_and_up_again(tiny: Path) -> None:
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


def test_a_bad_bundle_then_a_good_one(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(tiny.read_bytes()[:5000])
    with running("-p", f"model:={broken}", "-p", "threads:=1") as (node, client):
        assert client.state() == "unconfigured"
        client.wait(lambda: "cannot configure" in node.log, "one ERROR")
        assert str(broken) in node.log
        assert node.log.count("[ERROR]") == 1
        assert client.set("model", "no_such_model") == (True, "")
        assert not client.transition("configure")
        client.wait(lambda: "no shipped model of that name" in node.log, "an ERROR that lists the models")
        assert client.state() == "unconfigured"
        assert client.set("model", str(tiny)) == (True, "")
        assert client.transition("configure")
        assert client.transition("activate")
        client.publisher().publish(image(1, noise(1, 60, 80)))
        client.result("camera", "mask", 1)


def test_a_region_without_a_polygon_is_named(tiny: Path) -> None:
    with running("-p", f"model:={tiny}", "-p", "regions:=['ego']", "-p", "threads:=1") as (node, client):
        assert client.state() == "unconfigured"
        client.wait(lambda: "region.ego.polygon" in node.log, "an ERROR that names the parameter")
        assert client.set("region.ego.polygon", [0, 0, 1, 0, 1, 1]) == (True, "")
        assert client.transition("configure")


def test_regions_added_later(tiny: Path) -> None:
    with running("-p", f"model:={tiny}", "-p", "autostart:=false", "-p", "threads:=1") as (_, client):
        assert client.transition("configure")
        assert client.transition("cleanup")
        assert client.set("regions", ["a", "b"]) == (True, "")
        assert not client.transition("configure")  # declares what is to be set now
        assert client.set("region.a.polygon", [0.0, 0.0, 1.0, 0.0, 1.0, 1.0]) == (True, "")
        assert client.set("region.b.polygon", [0, 0, 1, 0, 1, 1]) == (True, "")
        assert client.transition("configure")
        assert client.set("transport", "bogus") == (True, "")  # for the next configure to refuse
        assert client.set("confidence_threshold", 0.7) == (True, "")
        assert client.transition("activate")
        client.publisher().publish(image(1, noise(1, 60, 80)))
        assert [r.name for r in client.result("camera", "coverage", 1).regions] == ["image", "a", "b"]


def test_frames_that_do_not_fit_together(tiny: Path) -> None:
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


def test_a_parameter_of_another_type_is_one_line(tiny: Path) -> None:
    with running("-p", f"model:={tiny}", "-p", "max_pixels:=many") as (node, client):
        client.wait(lambda: node.process.poll() is not None, "the process ends")
        assert node.process.returncode == 1
        assert "max_pixels" in node.log
        assert "Traceback" not in node.log


def test_a_failing_gpu(tiny: Path) -> None:
    failing = "test.ros.failing_gpu_node"
    with running("-p", f"model:={tiny}", "-p", "threads:=1", module=failing) as (node, client):
        publisher = client.publisher()
        publisher.publish(image(1, noise(1, 60, 64)))  # out of memory
        client.wait(lambda: "out of memory" in node.log, "a WARN")
        publisher.publish(image(2, noise(1, 60, 80)))
        client.result("camera", "mask", 2)
        assert client.result("camera", "coverage", 2).dropped == 1
        for _ in range(5):
            publisher.publish(image(3, noise(1, 60, 96)))  # device lost
        client.wait(lambda: client.state() == "inactive", "down to inactive")
        client.spin(1.0)
        assert node.log.count("[ERROR]") == 1
        assert "device lost" in node.log
        assert client.transition("cleanup")
        assert client.transition("configure")
        assert client.transition("activate")
        client.node.destroy_publisher(publisher)
        client.publisher().publish(image(4, noise(1, 60, 80)))
        client.result("camera", "mask", 4)
