from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unet_seg_ros.data.autoware import CLASSES, class_table, run_length_encoded
from unet_seg_ros.data.labels import CLASS_NAMES


def decoded(data: bytes, rows: int, columns: int) -> np.ndarray:
    """As Autoware's perception_utils reads it: a byte of value and an int of length for each run, row by row."""
    mask = np.zeros(rows * columns, np.uint8)
    at = 0
    for value, length in struct.iter_unpack("<Bi", data):
        mask[at : at + length] = value
        at += length
    assert at == rows * columns
    return mask.reshape(rows, columns)


def test_runs_by_hand() -> None:
    mask = np.array([[9, 9, 7], [7, 7, 0]], np.uint8)  # a run continues in the next row
    assert run_length_encoded(mask) == bytes([9, 2, 0, 0, 0, 7, 3, 0, 0, 0, 0, 1, 0, 0, 0])


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.integers(0, 3)))
def test_autoware_decodes_the_same_mask(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(decoded(run_length_encoded(mask), *mask.shape), mask)
    np.testing.assert_array_equal(decoded(run_length_encoded(mask.T), *mask.T.shape), mask.T)  # not contiguous


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="no pixels"):
        run_length_encoded(np.zeros((0, 4), np.uint8))


def test_classes_have_autowares_order() -> None:
    """The order is that of `filter_semantic_label_target_list_` in Autoware's segmentation_pointcloud_fusion."""
    assert (
        *("UNKNOWN", "BUILDING", "WALL", "OBSTACLE", "TRAFFIC_LIGHT", "TRAFFIC_SIGN", "PERSON", "VEHICLE"),
        *("BIKE", "ROAD", "SIDEWALK", "ROAD_PAINT", "CURBSTONE", "CROSSWALK", "VEGETATION", "SKY"),
    ) == CLASSES
    table = class_table(CLASS_NAMES, range(19))
    named = {name: CLASSES[table[i]] for i, name in enumerate(CLASS_NAMES)}
    assert (named["road"], named["car"], named["rider"], named["bicycle"]) == ("ROAD", "VEHICLE", "PERSON", "BIKE")
    assert "UNKNOWN" not in named.values()
    assert table[255] == 0
    assert class_table(("cow",), (3,))[3] == 0
