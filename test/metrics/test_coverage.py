"""Coverage compared with loops over pixels and with exact rational geometry."""

from __future__ import annotations

import math
from array import array
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from unet_seg_ros.metrics.coverage import Coverage, Region, RegionCoverage, measure

fractions = st.integers(0, 40).map(lambda n: n / 40)
polygons = st.lists(st.tuples(fractions, fractions), min_size=3, max_size=9).map(tuple)
sizes = st.integers(1, 17)


def crossings_right(polygon: Any, x: Fraction, y: Fraction) -> list[Fraction]:
    """How far right of the point the ray crosses each edge, exactly; negative where it is left of it."""
    distances = []
    for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (y0 > y) != (y1 > y):
            distances.append(x0 + (y - y0) / (y1 - y0) * (x1 - x0) - x)
    return distances


@given(polygon=polygons, height=sizes, width=sizes)
def test_pixels_equal_an_exact_point_in_polygon_test(polygon: Any, height: int, width: int) -> None:
    """Every pixel whose centre, rounded to float64, is not within rounding of where an edge crosses its row."""
    inside = Region("r", polygon).pixels(height, width)
    assert inside.shape == (height, width)
    assert inside.dtype == np.bool_
    exact = tuple((Fraction(x), Fraction(y)) for x, y in polygon)
    for y in range(height):
        for x in range(width):
            distances = crossings_right(exact, Fraction((x + 0.5) / width), Fraction((y + 0.5) / height))
            if all(abs(distance) > 1e-12 for distance in distances):
                assert inside[y, x] == (sum(distance > 0 for distance in distances) % 2 == 1)


@given(polygon=polygons, height=sizes, width=sizes, start=st.integers(0, 8))
def test_where_a_polygon_starts_and_its_direction_do_not_matter(
    polygon: Any, height: int, width: int, start: int
) -> None:
    turned = polygon[start:] + polygon[:start]
    expected = Region("r", polygon).pixels(height, width)
    assert (Region("r", turned).pixels(height, width) == expected).all()
    assert (Region("r", polygon[::-1]).pixels(height, width) == expected).all()


@given(top=fractions, bottom=fractions, height=sizes, width=sizes)
def test_two_regions_with_a_common_edge_share_no_pixel_and_miss_none(
    top: float, bottom: float, height: int, width: int
) -> None:
    left = Region("left", ((0, 0), (top, 0), (bottom, 1), (0, 1))).pixels(height, width)
    right = Region("right", ((top, 0), (1, 0), (1, 1), (bottom, 1))).pixels(height, width)
    assert (left ^ right).all()


def test_the_even_odd_rule_decides_what_is_inside() -> None:
    """A ring drawn twice around: its hole is outside."""
    outer, inner = ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0)), ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
    inside = Region("ring", (*outer, *inner, inner[0])).pixels(8, 8)
    expected = np.ones((8, 8), bool)
    expected[2:6, 2:6] = False
    assert (inside == expected).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 7), (1024, 2048)])
def test_regions_of_the_whole_frame_and_of_its_lower_half(height: int, width: int) -> None:
    assert Region.from_flat("all", [0, 0, 1, 0, 1, 1, 0, 1]).pixels(height, width).all()
    lower = Region.from_flat("lower", [0, 0.5, 1, 0.5, 1, 1, 0, 1]).pixels(height, width)
    assert (lower == (np.arange(height)[:, None] + 0.5 >= height / 2)).all()


def test_pixels_are_cached_and_read_only() -> None:
    region = Region.from_flat("r", [0, 0, 1, 0, 1, 1])
    assert region.pixels(30, 40) is Region.from_flat("other", [0, 0, 1, 0, 1, 1]).pixels(30, 40)
    with pytest.raises(ValueError, match="read-only"):
        region.pixels(30, 40)[0, 0] = True


def test_from_flat_reads_pairs_of_numbers() -> None:
    region = Region.from_flat("ego", [0, 1, 0.5, 0.25, 1, 1], ["front"])
    assert region == Region("ego", ((0.0, 1.0), (0.5, 0.25), (1.0, 1.0)), ("front",))
    assert Region.from_flat("ego", array("d", [0, 1, 0.5, 0.25, 1, 1]), ("front",)) == region


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([], "0 points, a polygon has at least 3"),
        ([0, 0, 1, 1], "2 points, a polygon has at least 3"),
        ([0, 0, 1, 1, 0.5], "5 numbers, x and y must come in pairs"),
        ([0, 0, 1, 1, 0.5, 1.1], r"1\.1 is not a fraction of the frame, 0 to 1"),
        ([0, 0, 1, 1, -0.1, 0.5], r"-0\.1 is not a fraction"),
        ([0, 0, 1, 1, math.nan, 0.5], "nan is not a fraction"),
        ([0, 0, 1, 1, math.inf, 0.5], "inf is not a fraction"),
    ],
)
def test_a_wrong_polygon_names_its_parameter(numbers: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^region\.ego\.polygon: {message}"):
        Region.from_flat("ego", numbers)


@pytest.mark.parametrize("name", ["", "image"])
def test_a_wrong_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"can't be named '{name}'"):
        Region(name, ((0, 0), (1, 0), (1, 1)))


def check(covered: RegionCoverage, pixels: list[tuple[int, int]], num_classes: int) -> None:
    """Compare with a count over ``pixels``, (class, confidence) of each."""
    valid = [pixel for pixel in pixels if pixel[0] != 255]
    assert covered.valid_pixels == len(valid)
    assert covered.fraction.dtype == covered.mean_confidence.dtype == np.float32
    assert covered.fraction.shape == covered.mean_confidence.shape == (num_classes,)
    for index in range(num_classes):
        values = [confidence for class_id, confidence in valid if class_id == index]
        assert covered.fraction[index] == np.float32(len(values) / len(valid) if valid else 0)
        expected = np.float32(sum(values) / (255 * len(values)) if values else np.nan)
        np.testing.assert_array_equal(covered.mean_confidence[index], expected)


def check_all(
    coverage: Coverage, mask: Any, confidence: Any, num_classes: int, regions: list[Region], threshold: float
) -> None:
    height, width = mask.shape
    assert [covered.name for covered in coverage.regions] == ["image", *(region.name for region in regions)]
    insides = [np.ones((height, width), bool), *(region.pixels(height, width) for region in regions)]
    for covered, inside in zip(coverage.regions, insides, strict=True):
        pixels = [(int(mask[y, x]), int(confidence[y, x])) for y in range(height) for x in range(width) if inside[y, x]]
        check(covered, pixels, num_classes)
    values = [int(value) for value in confidence.ravel()]
    assert coverage.mean_confidence == pytest.approx(sum(values) / 255 / len(values), rel=1e-12)
    assert coverage.low_confidence_fraction == sum(value / 255 < threshold for value in values) / len(values)


@given(
    height=sizes,
    width=sizes,
    num_classes=st.integers(1, 5),
    void=st.floats(0, 1),
    threshold=st.sampled_from([0.0, 0.2, 0.5, 51 / 255, 1.0]),
    shapes=st.lists(polygons, max_size=3),
    seed=st.integers(0, 999),
)
def test_measure_equals_a_count_over_pixels(
    height: int, width: int, num_classes: int, void: float, threshold: float, shapes: list[Any], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, num_classes, (height, width), np.uint8)
    mask[rng.random((height, width)) < void] = 255
    confidence = rng.integers(0, 256, (height, width), np.uint8)
    regions = [Region(f"r{index}", polygon) for index, polygon in enumerate(shapes)]
    coverage = measure(mask, confidence, num_classes, regions, threshold)
    check_all(coverage, mask, confidence, num_classes, regions, threshold)


@given(height=sizes, width=sizes, seed=st.integers(0, 99))
def test_fractions_sum_to_one(height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    assume((mask != 255).any())
    assert measure(mask, mask, 255).regions[0].fraction.sum() == pytest.approx(1, abs=1e-5)


def test_a_frame_of_void_has_zero_fractions() -> None:
    coverage = measure(np.full((3, 4), 255, np.uint8), np.full((3, 4), 51, np.uint8), 19)
    whole = coverage.regions[0]
    assert whole.valid_pixels == 0
    assert (whole.fraction == 0).all()
    assert np.isnan(whole.mean_confidence).all()
    assert coverage.mean_confidence == pytest.approx(0.2)
    assert coverage.low_confidence_fraction == 1


def test_a_region_between_pixel_centres_is_empty() -> None:
    sliver = Region.from_flat("sliver", [0, 0, 0.01, 0, 0.01, 1])
    covered = measure(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), 2, [sliver]).regions[1]
    assert covered.valid_pixels == 0
    assert covered.fraction.tolist() == [0, 0]
    assert np.isnan(covered.mean_confidence).all()


def test_a_mask_may_be_a_view() -> None:
    rng = np.random.default_rng(0)
    mask, confidence = rng.integers(0, 3, (12, 20), np.uint8)[::2, ::-1], rng.integers(0, 256, (20, 6), np.uint8).T
    check_all(measure(mask, confidence, 3), mask, confidence, 3, [], 0.5)


def test_sums_of_a_large_frame_are_exact() -> None:
    """More than 2**24 pixels, at which a float32 counter would stop growing."""
    mask, confidence = np.zeros((4200, 4200), np.uint8), np.full((4200, 4200), 255, np.uint8)
    mask[0, 0], confidence[0, 0] = 1, 0
    coverage = measure(mask, confidence, 2)
    assert coverage.regions[0].valid_pixels == 4200**2
    assert coverage.regions[0].fraction[1] == np.float32(1 / 4200**2)
    assert coverage.regions[0].mean_confidence.tolist() == [1, 0]
    assert coverage.mean_confidence == 1 - 1 / 4200**2
    assert coverage.low_confidence_fraction == 1 / 4200**2


@pytest.mark.parametrize(("shape", "other"), [((3, 4), (4, 3)), ((3, 4), (3, 5)), ((0, 4), (0, 4)), ((3,), (3,))])
def test_wrong_sizes_are_refused(shape: Any, other: Any) -> None:
    with pytest.raises(ValueError, match="must have the same size and not be empty"):
        measure(np.zeros(shape, np.uint8), np.zeros(other, np.uint8), 19)
