"""Label ids as sets of classes."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.label_sets import LabelSets
from unet_seg_ros.cityscapes import find_pairs
from unet_seg_ros.labels import GROUPINGS, LABELS

REAL = os.environ.get("UNET_SEG_DATA")


@pytest.mark.parametrize(
    "groupings",
    [["cityscapes19"], ["camvid11"], ["camvid11", "cityscapes19"], ["categories", "camvid11", "categories"]],
)
def test_tables_and_membership(groupings: list[str]) -> None:
    sets = LabelSets.of(groupings)
    assert len(set(sets.sets)) == len(sets.sets)
    assert set(sets.sets) == {members for name in groupings for members in GROUPINGS[name].members}
    assert sets.tables.keys() == set(groupings)
    for name, table in sets.tables.items():
        for value in range(256):
            train_id = LABELS[value].train_id if value < len(LABELS) else 255
            of = [members for members in GROUPINGS[name].members if train_id in members]
            assert of == ([] if table[value] == 255 else [sets.sets[table[value]]]), (name, value)
    member = sets.membership()
    assert member.shape == (len(sets.sets), 19)
    for k, members in enumerate(sets.sets):
        assert [c for c in range(19) if member[k, c]] == sorted(members)


def test_camvid_has_11_sets() -> None:
    assert LabelSets.of(["camvid11"]).sets == GROUPINGS["camvid11"].members
    assert len(LabelSets.of(["camvid11"]).sets) == 11


def test_an_unknown_grouping_is_named() -> None:
    with pytest.raises(ValueError, match="no grouping is called 'kitti'; there are cityscapes19"):
        LabelSets.of(["camvid11", "kitti"])


@pytest.mark.skipif(REAL is None, reason="UNET_SEG_DATA names no real data")
@pytest.mark.parametrize("split", ["train", "val"])
def test_real_labels_are_camvids_own_11(split: str) -> None:
    table = LabelSets.of(["camvid11"]).tables["camvid11"]
    for pair in find_pairs(Path(str(REAL)) / "camvid", split)[::25]:
        assert pair.label is not None
        label = cv2.imread(str(pair.label), cv2.IMREAD_UNCHANGED)
        own = cv2.imread(str(pair.label).replace("labelIds", "camvid11"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(table[label], own)
