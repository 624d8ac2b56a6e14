from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test.ground.scene import rays
from unet_seg_ros.ground.camera import MAX_ANGLE, CalibrationError, Camera

PIN = Camera(640, 480, 400, 410, 319.5, 239.5)
WIDE = Camera(640, 480, 200, 200, 319.5, 239.5, "equidistant", (-0.02, 0.003, -0.001, 0.0002))


def test_a_pinhole_is_projected_by_hand() -> None:
    at, seen = PIN.project(np.array([(0.0, 0, 5), (1.0, -2, 10), (0.0, 0, -5), (20.0, 0, 10)]))
    assert seen.tolist() == [True, True, False, False]  # ahead, ahead, behind, beside the image
    assert np.allclose(at[:2], [(319.5, 239.5), (319.5 + 40, 239.5 - 82)])


def test_the_image_reaches_half_a_pixel_around_the_outer_centres() -> None:
    left, right = (-0.4 - 319.5) / 400, (-0.6 - 319.5) / 400
    assert PIN.project(np.array([(left, 0, 1), (right, 0, 1)])).seen.tolist() == [True, False]


def test_distortion_follows_the_published_formula() -> None:
    """Brown's model as OpenCV documents it, written out."""
    k1, k2, p1, p2, k3 = lens = (-0.3, 0.1, 0.001, -0.002, -0.01)
    x, y = 0.3, -0.2
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    at = Camera(640, 480, 400, 410, 319.5, 239.5, "plumb_bob", lens).project(np.array([(x, y, 1.0)])).at
    assert np.allclose(at, [(400 * u + 319.5, 410 * v + 239.5)])


def test_a_fisheye_follows_the_published_formula() -> None:
    """Kannala and Brandt: the radius is a polynomial of the angle."""
    angle = math.radians(70)
    radius = angle * (1 - 0.02 * angle**2 + 0.003 * angle**4 - 0.001 * angle**6 + 0.0002 * angle**8)
    at = WIDE.project(np.array([(math.sin(angle), 0, math.cos(angle))])).at
    assert np.allclose(at, [(319.5 + 200 * radius, 239.5)])


def test_points_beyond_the_valid_angle_are_not_seen() -> None:
    """With k1 = -0.3 the radius r (1 - 0.3 r²) is largest at r = 1.054; r = 1.8 falls on the radius 0.05 again."""
    folding = Camera(640, 480, 400, 400, 319.5, 239.5, "plumb_bob", (-0.3, 0, 0, 0, 0))
    at, seen = folding.project(np.array([(0.7, 0, 1), (1.05, 0, 1), (1.8, 0, 1)]))
    assert seen.tolist() == [True, True, False]
    assert 0 <= at[2, 0] < 640  # without this rule it would count as seen


def test_directions_of_90_degrees_and_more_are_not_seen() -> None:
    beyond = MAX_ANGLE + 0.01
    assert not WIDE.project(np.array([(math.sin(beyond), 0, math.cos(beyond)), (1.0, 0, -0.1)])).seen.any()


@given(
    width=st.integers(8, 60),
    height=st.integers(8, 60),
    model=st.sampled_from(["plumb_bob", "rational_polynomial", "equidistant"]),
    strength=st.floats(-0.1, 0.1),
)
@settings(max_examples=40, deadline=None)
def test_the_ray_of_a_pixel_is_projected_onto_this_pixel(width: int, height: int, model: str, strength: float) -> None:
    lens = {
        "plumb_bob": (strength, 0.01, 0.001, -0.001, 0.0),
        "rational_polynomial": (strength, 0.01, 0.001, -0.001, 0.0, 0.5 * strength, 0.01, 0.0),
        "equidistant": (strength, 0.01, 0.0, 0.0),
    }[model]
    focal = max(width, height)
    camera = Camera(width, height, focal, focal, width / 2, height / 2 - 1, model, lens)
    at, seen = camera.project(rays(camera))
    column, row = np.meshgrid(np.arange(width), np.arange(height))
    assert seen.all()
    assert np.allclose(at, np.stack([column.ravel(), row.ravel()], 1), atol=1e-4)


def test_a_shrunk_image_keeps_its_directions() -> None:
    half = PIN.scaled(320, 240)
    ray = np.array([(0.2, -0.1, 1.0)])
    assert np.allclose(half.project(ray).at + 0.5, (PIN.project(ray).at + 0.5) / 2)
    assert PIN.scaled(640, 480) == PIN


@pytest.mark.parametrize("size", [(1280, 960), (640, 360), (480, 640), (641, 480)])
def test_an_image_of_another_shape_or_a_larger_one_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(CalibrationError, match=f"the images are {size[0]}×{size[1]}, the calibration is for 640×480"):
        PIN.scaled(*size)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"width": 0}, "image of 0×480"),
        ({"fx": 0.0}, "not calibrated"),
        ({"fy": -400.0}, "not calibrated"),
        ({"fx": math.nan}, "finite"),
        ({"cx": 1300.0}, "principal point"),
        ({"model": "omnidirectional"}, "must be one of plumb_bob"),
        ({"distortion": (0.1, 0.2)}, "plumb_bob has 0 or 4 or 5 coefficients, not 2"),
        ({"model": "rational_polynomial"}, "has 8 coefficients, not 0"),
        ({"distortion": (math.inf, 0.0, 0.0, 0.0)}, "finite"),
        ({"distortion": (0.0, 0.0, 0.0, 1e300)}, "at most 1e.06"),
        ({"fx": 1e300}, "at most 1e.06"),
        ({"distortion": (math.nan,) * 100_000}, "finite"),
        ({"model": "x\n" * 100_000}, "must be one of plumb_bob"),
    ],
)
def test_an_absurd_camera_is_refused(changed: dict[str, object], says: str) -> None:
    with pytest.raises(CalibrationError, match=says) as refused:
        Camera(**{"width": 640, "height": 480, "fx": 400, "fy": 400, "cx": 319.5, "cy": 239.5, **changed})  # type: ignore[arg-type]
    assert len(str(refused.value)) < 600
    assert str(refused.value).isprintable()
