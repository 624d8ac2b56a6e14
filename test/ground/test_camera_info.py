"""Messages with impossible calibrations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from unet_seg_ros.ground.camera import CalibrationError
from unet_seg_ros.ground.camera_info import read_camera_info

NAN, INF = float("nan"), float("inf")
TURNED = [0.8, 0.6, 0.0, -0.6, 0.8, 0.0, 0.0, 0.0, 1.0]


def message(**changed: Any) -> Any:
    values = {
        "width": 640,
        "height": 480,
        "distortion_model": "plumb_bob",
        "d": [0.0] * 5,
        "k": [500.0, 0, 320, 0, 500, 240, 0, 0, 1],
        "r": TURNED,
        "p": [500.0, 0, 320, 0, 0, 500, 240, 0, 0, 0, 1, 0],
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
    }
    return SimpleNamespace(**{**values, **changed})


def test_a_rectified_image_is_turned_by_r() -> None:
    camera, turn = read_camera_info(message(d=[NAN] * 5), rectified=True)
    assert (camera.fx, camera.distortion, turn.ravel().tolist()) == (500, (), TURNED)


@pytest.mark.parametrize(
    ("changed", "rectified", "says"),
    [
        ({"r": [NAN] * 9}, True, "R of camera_info is not a rotation: .*nan"),
        ({"r": [INF, *TURNED[1:]]}, True, "not a rotation"),
        ({"r": [0.0] * 9}, True, "not a rotation"),
        ({"r": [1e300, 0, 0, 0, 1, 0, 0, 0, 1]}, True, "not a rotation"),
        ({"p": [NAN] * 12}, True, "finite"),
        ({"k": [NAN] * 9}, False, "finite"),
        ({"k": [1e300, 0, 320, 0, 1e300, 240, 0, 0, 1]}, False, "at most 1e.06"),
        ({"d": [NAN] * 100_000}, False, "finite"),
        ({"d": [0.0] * 100_000}, False, "coefficients, not 100000"),
        ({"distortion_model": "[ERROR]\n" * 100_000}, False, "unknown distortion model"),
        ({"roi": SimpleNamespace(x_offset=1, y_offset=0, width=2**32 - 1, height=1)}, False, "image of 4294967295"),
    ],
)
def test_impossible_messages_are_refused_in_one_line(changed: dict[str, Any], rectified: bool, says: str) -> None:
    with pytest.raises(CalibrationError, match=says) as refused, np.errstate(all="raise"):
        read_camera_info(message(**changed), rectified)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 600
