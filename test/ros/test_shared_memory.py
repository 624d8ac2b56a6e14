"""The space in /dev/shm is checked before ROS starts, and the segment fits into it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from unet_seg_ros.ros import shared_memory
from unet_seg_ros.ros.bringup import PROFILE_VARIABLES, bringup
from unet_seg_ros.ros.shared_memory import WITHOUT, fit

MIB = 2**20


def environment() -> dict[str, str]:
    return dict(bringup({}, environ={}).environment)


def with_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shared_memory.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))


def test_with_enough_space_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, 1024 * MIB)
    for given in (environment(), {}):
        environ = dict(given)
        assert fit(environ) == ""
        assert environ == given


def test_with_a_containers_64_mb_the_segment_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, 64_000_000)
    environ = environment()
    assert "a segment of 57 MiB is used" in fit(environ)
    text = Path(environ[PROFILE_VARIABLES[0]]).read_text()
    assert re.search(r"<segment_size>(\d+)<", text)[1] == str(57 * MIB)  # type: ignore[index]
    assert re.search(r"<maxMessageSize>(\d+)<", text)[1] == str(16 * MIB)  # type: ignore[index]
    assert environ[PROFILE_VARIABLES[0]] == environ[PROFILE_VARIABLES[1]]


@pytest.mark.parametrize("free", [0, MIB, 5 * MIB])
def test_without_space_udp_is_used_and_reported(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, free)
    environ = environment()
    said = fit(environ)
    assert "UDP is used instead" in said
    assert "--shm-size" in said
    assert environ == {WITHOUT: "UDPv4"}
    if free < 5 * MIB:  # Fast DDS's own segment does not fit either
        environ = {}
        assert "UDP is used instead" in fit(environ)
        assert environ == {WITHOUT: "UDPv4"}


def test_a_profile_without_a_segment_size_is_not_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_free(monkeypatch, 0)
    (tmp_path / "own.xml").write_text("<dds/>")
    environ = {PROFILE_VARIABLES[0]: str(tmp_path / "own.xml")}
    assert fit(environ) == ""
    assert environ == {PROFILE_VARIABLES[0]: str(tmp_path / "own.xml")}


def test_without_the_folder_nothing_is_changed(tmp_path: Path) -> None:
    assert fit({}, tmp_path / "none") == ""


def test_if_the_smaller_profile_cannot_be_written_udp_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_free(monkeypatch, 64 * MIB)
    monkeypatch.setattr(shared_memory.tempfile, "tempdir", str(tmp_path / "none"))
    environ = environment()
    assert "UDP is used instead" in fit(environ)
    assert environ == {WITHOUT: "UDPv4"}


def test_a_profile_that_is_a_pipe_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_free(monkeypatch, 0)
    os.mkfifo(tmp_path / "pipe")
    assert fit({PROFILE_VARIABLES[0]: str(tmp_path / "pipe")}) == ""
