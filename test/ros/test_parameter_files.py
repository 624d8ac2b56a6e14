"""Parameter files that are meant for another node."""

from __future__ import annotations

from pathlib import Path

import pytest

from unet_seg_ros.ros.parameter_files import cameras_in, misdirected


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("/**: {ros__parameters: {a: 1}}", True),
        ("/ego/segmentation: {ros__parameters: {a: 1}}", True),
        ("ego: {segmentation: {ros__parameters: {a: 1}}}", True),
        ("/*/segmentation: {ros__parameters: {a: 1}}", True),
        ("/**/segmentation: {ros__parameters: {a: 1}}", True),
        ("{camera_driver: {ros__parameters: {a: 1}}, /**: {ros__parameters: {a: 1}}}", True),
        ("segmentation: {ros__parameters: {a: 1}}", False),  # the key means /segmentation
        ("/*: {ros__parameters: {a: 1}}", False),
        ("/ego/seg: {ros__parameters: {a: 1}}", False),
        ("{a: {ros__parameters: {a: 1}}, b: {c: {ros__parameters: {a: 1}}}}", False),
        ("", True),  # no warning: rcl itself reports what is wrong with such a file
        ("]", True),
        ("[1, 2]", True),
    ],
)
def test_a_file_needs_a_key_for_the_node(tmp_path: Path, text: str, fits: bool) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    said = misdirected(["--ros-args", "--params-file", str(file), "-r", "__ns:=/ego"], "/ego/segmentation")
    assert (said == []) is fits
    for sentence in said:
        assert sentence.startswith(f"{file}: this parameter file is for /")
        assert sentence.endswith("and has nothing for /ego/segmentation")


def test_a_missing_file_gives_no_warning() -> None:
    assert misdirected(["--params-file", "/nowhere/a.yaml", "--params-file"], "/n") == []


ALIASES = "a0: &a0 {x: {}}\n" + "".join(f"a{i}: &a{i} {{l: *a{i - 1}, r: *a{i - 1}}}\n" for i in range(1, 40))
"""Expands to more than 10^12 mappings."""


@pytest.mark.parametrize("text", [ALIASES, "a: {" * 100_000, "/**: {ros__parameters: {cameras: front}}", "]", ""])
def test_a_file_that_cannot_be_used_gives_no_warning(tmp_path: Path, text: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    assert cameras_in(file) == []
    assert misdirected(["--params-file", str(file)], "/segmentation") == []


def test_the_first_cameras_entry_of_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("{ego: {s: {ros__parameters: {cameras: [left, 2]}}}, /**: {ros__parameters: {cameras: [right]}}}")
    assert cameras_in(file) == ["left", "2"]


def test_the_message_stays_on_one_line(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text('{"a\\nb": {ros__parameters: {}}}')
    assert misdirected(["--params-file", str(file)], "/s")[0].isprintable()
