"""Launch arguments as options of the command line."""

from __future__ import annotations

import pytest

from unet_seg_ros.replay.launch_arguments import command_line


def test_arguments_become_options_of_the_command() -> None:
    assert command_line({"source": "drive.mcap"}) == ["drive.mcap", "--output", "replay"]
    given = {"source": "a b", "output": "out", "model": "m", "device": "cpu", "node": "/segmentation"}
    assert command_line({**given, "arguments": "--require 'miou >= 0.6' --factor 2"}) == [
        *("a b", "--output", "out", "--model", "m", "--device", "cpu", "--node", "/segmentation"),
        *("--require", "miou >= 0.6", "--factor", "2"),
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, r"^source: name the drive, for example source:=drive\.mcap$"),
        ({"source": "a", "arguments": "--require 'x"}, "^arguments: .*No closing quotation"),
        ({"source": "a", "bag": "b"}, "^bag: there is no such argument; the arguments are source, output"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        command_line(arguments)
