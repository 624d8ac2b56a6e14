"""labels.py against the table of the cityscapesscripts package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cityscapesscripts.helpers import labels as theirs  # type: ignore[import]
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.labels import (
    CLASS_COLORS,
    CLASS_NAMES,
    GROUPINGS,
    ID_TO_TRAIN_ID,
    LABELS,
    NUM_CLASSES,
    TRAIN_ID_TO_ID,
    TRAIN_LABELS,
    VOID,
    palette,
)

ROOT = os.environ.get("UNET_SEG_DATA")


@given(values=st.lists(st.sampled_from([*range(NUM_CLASSES), VOID]), min_size=6, max_size=6))
def test_train_ids_convert_to_label_ids_and_back(values: list[int]) -> None:
    mask = np.array(values, np.uint8).reshape(2, 3)
    assert (ID_TO_TRAIN_ID[TRAIN_ID_TO_ID[mask]] == mask).all()


def test_the_table_equals_that_of_cityscapesscripts() -> None:
    """The whole table except the license plate, which has the id -1 and occurs in no label image."""
    expected = [
        (label.name, label.id, label.trainId, label.category, label.categoryId, label.color)
        for label in theirs.labels
        if label.id >= 0
    ]
    assert [tuple(label) for label in LABELS] == expected
    assert [label.id for label in LABELS] == list(range(34))


def test_the_classes_are_the_evaluated_labels() -> None:
    evaluated = {label.id for label in theirs.labels if not label.ignoreInEval}
    assert {label.id for label in LABELS if label.train_id != VOID} == evaluated
    assert [label.train_id for label in TRAIN_LABELS] == list(range(19)) == list(range(NUM_CLASSES))
    assert tuple(theirs.trainId2label[t].name for t in range(19)) == CLASS_NAMES
    assert tuple(theirs.trainId2label[t].color for t in range(19)) == CLASS_COLORS


def test_lookup_tables_convert_each_id() -> None:
    for value in range(256):
        label = theirs.id2label.get(value)
        assert ID_TO_TRAIN_ID[value] == (label.trainId if label else VOID)
        assert TRAIN_ID_TO_ID[value] == (theirs.trainId2label[value].id if value < 19 else 0 if value == VOID else VOID)


def test_the_palette_has_the_colours_of_the_classes() -> None:
    assert palette().dtype == np.uint8
    assert palette()[:19].tolist() == [list(theirs.trainId2label[t].color) for t in range(19)]
    assert (palette()[19:] == 0).all()
    assert palette(((1, 2, 3),))[:2].tolist() == [[1, 2, 3], [0, 0, 0]]


@pytest.mark.parametrize("name", GROUPINGS)
def test_each_class_belongs_to_at_most_one_group(name: str) -> None:
    grouping = GROUPINGS[name]
    assert grouping.name == name
    assert sorted(t for group in grouping.members for t in group) == list(range(NUM_CLASSES))
    assert len(grouping.names) == len(set(grouping.names)) == len(grouping.members)
    assert all(grouping.members)
    for value in range(256):
        groups = [index for index, group in enumerate(grouping.members) if value in group]
        assert grouping.table[value] == (groups[0] if groups else VOID)


def test_categories_equal_those_of_cityscapesscripts() -> None:
    expected = {
        category: tuple(label.trainId for label in members if not label.ignoreInEval)
        for category, members in theirs.category2labels.items()
        if category != "void"
    }
    categories = GROUPINGS["categories"]
    assert dict(zip(categories.names, categories.members, strict=True)) == expected


def test_camvid11_has_the_order_of_the_papers() -> None:
    names = "Sky Building Pole Road Pavement Tree SignSymbol Fence Car Pedestrian Bicyclist"
    assert GROUPINGS["camvid11"].names == tuple(names.split())


@pytest.mark.skipif(ROOT is None, reason="UNET_SEG_DATA does not name a folder with CamVid")
def test_camvid11_equals_camvids_own_labels() -> None:
    for pair in find_pairs(Path(str(ROOT)) / "camvid", "val")[::10]:
        assert pair.label is not None
        ids: Any = cv2.imread(str(pair.label), cv2.IMREAD_UNCHANGED)
        camvid11 = cv2.imread(str(pair.label).replace("labelIds", "camvid11"), cv2.IMREAD_UNCHANGED)
        assert (GROUPINGS["camvid11"].table[ID_TO_TRAIN_ID[ids]] == camvid11).all()
