"""Each trouble of docs/diagnostics.md is caused in a real node by another process and has the page's sentence."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from test.ros.client import BEST_EFFORT, RELIABLE, Client, image, noise, running
from unet_seg_ros.ros.diagnostic_levels import CLEAR_SECONDS
from unet_seg_ros.share_folder import share_folder

OK, WARN, ERROR = b"\x00", b"\x01", b"\x02"
PIXELS = noise(1, 32, 48)
SECOND = 10**9


def sentences() -> Iterator[tuple[str, str]]:
    """Name and message of each row of the page's table of troubles."""
    page = (share_folder() / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    for line in page.splitlines():
        cells = [cell.strip().strip("`") for cell in line.split("|")]
        if len(cells) == 6 and cells[3].startswith(("WARN", "ERROR")):
            yield cells[1], cells[4]


def pattern(sentence: str) -> re.Pattern[str]:
    """The sentence with any topic, number and type in place of the page's."""
    text = re.escape(sentence.partition("; did you mean")[0])
    text = re.sub(r"/front(/\w+)*", r"/[\\w/]+", text)
    text = re.sub(r"sensor_msgs/msg/\w+", r"\\w+/msg/\\w+", text)
    return re.compile(re.sub(r"\d+(\\\.\d+)?", r"-?\\d+(\\.\\d+)?", text))


def now_ns() -> int:
    return time.time_ns()


class Source:
    """A camera's driver that sends an image every ``every`` seconds; ``stamp`` makes its stamp, in ns, of its
    number."""

    def __init__(
        self, client: Client, camera: str, stamp: Callable[[int], int] = lambda _: now_ns(), every: float = 0.12
    ) -> None:
        qos = QoSProfile(depth=5, reliability=RELIABLE)
        self.publisher = client.node.create_publisher(Image, f"/segmentation/{camera}/image", qos)
        self.stamp, self.every = stamp, every
        self.number, self.due = 0, 0.0
        self.message = image(0, PIXELS)

    def send(self) -> None:
        if time.monotonic() >= self.due:
            self.due = time.monotonic() + self.every
            stamp = self.message.header.stamp
            stamp.sec, stamp.nanosec = divmod(self.stamp(self.number), SECOND)
            self.number += 1
            self.publisher.publish(self.message)


# These come first: two nodes of one name must not run at once.
def test_wrong_qos_and_a_stopped_clock_are_reported(tiny: Path) -> None:
    with running(
        *("-p", f"model:={tiny}", "-p", "threads:=1", "-p", "cameras:=['qos', 'fine']", "-p", "use_sim_time:=true"),
        *("-p", "input_reliability:=reliable", "-p", "diagnostics.error_after:=2.0"),
        outputs=(),
    ) as (_, client):
        client.wait(lambda: client.state() == "active", "active")
        client.node.create_publisher(Image, "/segmentation/qos/image", QoSProfile(depth=1, reliability=BEST_EFFORT))
        fine = {"fine": Source(client, "fine")}
        play(client, fine, 6.0)
        check(client, "qos", "wrong QoS", ERROR)
        check(client, "fine", "no clock", ERROR)


def test_too_many_images_are_reported(slow: Path) -> None:
    with running("-p", f"model:={slow}", "-p", "threads:=1", "-p", "cameras:=['busy']", outputs=()) as (_, client):
        client.wait(lambda: client.state() == "active", "active")
        busy = {"busy": Source(client, "busy", every=0.03)}
        busy["busy"].message = image(0, noise(2, 480, 640))
        play(client, busy, 6.0)
        check(client, "busy", "dropped", WARN)


CAMERAS = (
    ["none", "wrong", "stopped", "never", "two", "lost", "bad", "slow", "late", "clock", "frozen", "back", "fine"]
)  # fmt: skip


@pytest.fixture(scope="module")
def stage(tiny: Path) -> Iterator[tuple[Client, dict[str, Source]]]:
    """An active node with a camera for each trouble, and sources that bring them about."""
    with running(
        *("-p", f"model:={tiny}", "-p", "threads:=1", "-p", f"cameras:={CAMERAS}"),
        # far from the values of the cameras without trouble on a busy machine
        *("-p", "diagnostics.error_after:=4.0", "-p", "diagnostics.min_rate:=2.0", "-p", "diagnostics.max_age:=4.0"),
        *("-p", "diagnostics.max_drop_ratio:=1.0"),
        outputs=(),
    ) as (_, client):
        client.wait(lambda: client.state() == "active", "active")
        gaps = np.cumsum([0, 1, 1, 3] * 500)  # two of five images are missing
        base = now_ns()
        sources = {
            "stopped": Source(client, "stopped"),
            "two": Source(client, "two"),
            # not at the same moments: of two images that come at once, the node takes the newer one alone
            "the other of two": Source(client, "two", every=0.17),
            "lost": Source(client, "lost", lambda i: base + int(gaps[i]) * SECOND // 10),
            "bad": Source(client, "bad"),
            "slow": Source(client, "slow", every=0.7),
            "late": Source(client, "late", lambda _: now_ns() - 20 * SECOND),
            "clock": Source(client, "clock", lambda i: i * SECOND // 10),
            "frozen": Source(client, "frozen", lambda _: base),
            "back": Source(client, "back", lambda i: now_ns() - (i % 2) * SECOND // 2),
            "fine": Source(client, "fine", lambda i: base + i * 3 * SECOND // 25),
        }
        sources["bad"].message.data = sources["bad"].message.data[:-200]
        client.node.create_publisher(CompressedImage, "/segmentation/wrong/image", 5)
        client.node.create_publisher(Image, "/segmentation/fine/image", 5)  # a publisher that sends nothing
        client.node.create_publisher(Image, "/segmentation/never/image", QoSProfile(depth=1, reliability=BEST_EFFORT))
        play(client, sources, 3.0)
        sources.pop("stopped")
        play(client, sources, 8.0)
        yield client, sources


def play(client: Client, sources: dict[str, Source], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for source in sources.values():
            source.send()
        client.spin(0.01)


def check(client: Client, camera: str, trouble: str, level: bytes, which: int = 0) -> None:
    status = client.diagnostics[f"camera {camera}"]
    values = {pair.key: pair.value for pair in status.values}
    assert trouble in values["troubles"].split(", "), (status.message, values)
    sentence = [text for name, text in sentences() if name == trouble][which]
    assert pattern(sentence).search(status.message), (sentence, status.message)
    assert status.level == level, status.message
    assert status.hardware_id == camera


@pytest.mark.parametrize(
    ("camera", "trouble", "level"),
    [
        ("none", "no publisher", ERROR),
        ("wrong", "wrong type", ERROR),
        ("stopped", "silent", ERROR),
        ("two", "several publishers", WARN),
        ("lost", "lost", ERROR),
        ("bad", "malformed", ERROR),
        ("slow", "slow", ERROR),
        ("late", "late", ERROR),
        ("clock", "other clock", WARN),
        ("frozen", "frozen stamps", ERROR),
        ("back", "stamps backwards", WARN),
    ],
)
def test_each_trouble_has_the_sentence_of_the_page(stage: Any, camera: str, trouble: str, level: bytes) -> None:
    check(stage[0], camera, trouble, level)


def test_a_publisher_that_sends_nothing_is_reported(stage: Any) -> None:
    check(stage[0], "never", "silent", ERROR, which=1)


def test_a_camera_without_trouble_has_the_level_ok(stage: Any) -> None:
    status = stage[0].diagnostics["camera fine"]
    values = {pair.key: pair.value for pair in status.values}
    assert (status.level, values["troubles"]) == (OK, ""), status.message
    assert int(values["lost"]) < 10  # while the node went from best effort to reliable
    assert status.message == "receiving images"
    assert 5 < float(values["camera rate (Hz)"]) < 12


def test_the_coverage_counts_lost_frames(stage: Any) -> None:
    client, sources = stage
    values = {pair.key: pair.value for pair in client.diagnostics["camera lost"].values}
    sent = sources["lost"].number
    assert 0.5 < int(values["lost"]) / (2 * sent / 3) < 1.1


def test_a_trouble_ends_a_while_after_its_cause(stage: Any) -> None:
    client, sources = stage
    sources["none"] = Source(client, "none")
    begin = time.monotonic()
    levels = []
    while time.monotonic() < begin + 30 and levels[-1:] != [OK]:
        play(client, sources, 0.5)
        levels.append(client.diagnostics["camera none"].level)
    assert levels[-1] == OK
    assert time.monotonic() - begin >= CLEAR_SECONDS - 1  # the last report with it was up to a second before


def test_every_trouble_of_the_page_is_tested() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    for trouble in {name for name, _ in sentences()}:
        assert f'"{trouble}"' in source
    assert len(list(sentences())) == 15
