"""Parameter files that are for another node."""

from __future__ import annotations

from pathlib import Path

import pytest

from unet_seg_ros.ros.parameter_files import misdirected


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("/**: {ros__parameters: {a: 1}}", True),
        ("/ego/segmentation: {ros__parameters: {a: 1}}", True),
        ("ego: {segmentation: {ros__parameters: {a: 1}}}", True),
        ("/*/segmentation: {ros__parameters: {a: 1}}", True),
        ("/**/segmentation: {ros__parameters: {a: 1}}", True),
        ("{camera_driver: {ros__parameters: {a: 1}}, /**: {ros__parameters: {a: 1}}}", True),
        ("segmentation: {ros__parameters: {a: 1}}", False),  # that is /segmentation
        ("/*: {ros__parameters: {a: 1}}", False),
        ("/ego/seg: {ros__parameters: {a: 1}}", False),
        ("{a: {ros__parameters: {a: 1}}, b: {c: {ros__parameters: {a: 1}}}}", False),
        ("", True),  # nothing to complain about: rcl says what is wrong with such a file
        ("]", True),
        ("[1, 2]", True),
    ],
)
def test_the_keys_of_a_file(tmp_path: Path, text: str, fits: bool) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    said = misdirected(["--ros-args", "--params-file", str(file), "-r", "__ns:=/ego"], "/ego/segmentation")
    assert (said == []) is fits
    for sentence in said:
        assert sentence.startswith(f"{file}: this parameter file is for /")
        assert sentence.endswith("and has nothing for /ego/segmentation")


def test_a_file_that_is_not_there_is_left_to_rcl() -> None:
    assert misdirected(["--params-file", "/nowhere/a.yaml", "--params-file"], "/n") == []
