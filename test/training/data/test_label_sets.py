"""Label ids as sets of classes."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from training.data.label_sets import LabelSets, class_map_path, read_class_map, strange_ids, to_train_ids
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.labels import CLASS_NAMES, GROUPINGS, ID_TO_TRAIN_ID, LABELS

REAL = os.environ.get("UNET_SEG_DATA")


OF = {"cityscapes": "cityscapes19", "camvid": "camvid11"}
"""The grouping with the same distinctions as a class map."""


@pytest.mark.parametrize("maps", [["cityscapes"], ["camvid"], ["camvid", "cityscapes"], ["camvid", "camvid"]])
def test_tables_and_membership_follow_the_class_maps(maps: list[str]) -> None:
    sets = LabelSets.of(maps)
    assert len(set(sets.sets)) == len(sets.sets)
    assert set(sets.sets) == {members for name in maps for members in GROUPINGS[OF[name]].members}
    assert sets.tables.keys() == set(maps)
    for name, table in sets.tables.items():
        for value in range(256):
            train_id = LABELS[value].train_id if value < len(LABELS) else 255
            of = [members for members in GROUPINGS[OF[name]].members if train_id in members]
            if table[value] != 255:
                assert of == [sets.sets[table[value]]], (name, value)
            else:  # CamVid has one id for each set
                assert not of or name == "camvid", (name, value)
    member = sets.membership()
    assert member.shape == (len(sets.sets), 19)
    for k, members in enumerate(sets.sets):
        assert [c for c in range(19) if member[k, c]] == sorted(members)


def test_a_class_map_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("3: [bus, car, bus]\n200: [sky]\n")
    assert read_class_map(path) == {3: (15, 13), 200: (10,)}
    sets = LabelSets.of([str(path), "cityscapes"])
    assert sets.sets[:2] == ((13, 15), (10,))
    assert sets.tables[str(path)][[3, 200, 26, 255]].tolist() == [0, 1, 255, 255]
    assert sets.tables["cityscapes"][23] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "must be a mapping of label ids to lists of classes"),
        ("", "must be a mapping"),
        ("{1: ", "not YAML"),
        ("255: [car]", "label ids must be 0 to 254, not 255"),
        ("-1: [car]", "label ids must be 0 to 254, not -1"),
        ("true: [car]", "label ids must be 0 to 254, not True"),
        ("7: road", "7: must be a list of classes, not 'road'"),
        ("7: []", "7: must be a list of classes"),
        ("7: [road, lane]", "7: unknown class 'lane'; there are road, sidewalk, "),
    ],
)
def test_an_error_in_a_class_map_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"^{path}: {message}"):
        read_class_map(path)


def test_an_unknown_class_map_is_named() -> None:
    with pytest.raises(
        FileNotFoundError, match="no class map is called 'kitti'; there are camvid, cityscapes, idd7, or give"
    ):
        LabelSets.of(["camvid", "kitti"])


@pytest.mark.parametrize(
    ("ids", "class_map", "words"),
    [
        ([0, 7, 8, 26], "cityscapes", ""),
        ([0, 1, 5, 6, 255], "idd7", ""),
        ([255, 0, 26], "camvid", ""),
        ([0], "cityscapes", "the labels hold the ids 0; none is in the class map cityscapes"),
        ([], "cityscapes", "none is in the class map"),
        ([0, 11, 255], "cityscapes", "the labels hold the ids 0, 11, 255, which look like train ids"),
        (
            [0, 255],
            "cityscapes",
            "which look like train ids: use files with label ids, or a class map of train ids; none",
        ),
    ],
)
def test_unusable_label_ids_are_reported(ids: list[int], class_map: str, words: str) -> None:
    found = strange_ids(ids, class_map)
    assert words in found
    assert bool(found) == bool(words)


def test_more_sets_than_a_label_can_hold_are_refused(tmp_path: Path) -> None:
    """Set 255 would be void without a word."""
    pairs = list(itertools.combinations(CLASS_NAMES, 2))
    maps = []
    for number, some in enumerate((pairs[:150], list(itertools.combinations(CLASS_NAMES, 3))[:150])):
        maps.append(tmp_path / f"{number}.yaml")
        maps[-1].write_text(yaml.safe_dump({i: list(names) for i, names in enumerate(some)}))
    assert len(LabelSets.of([str(maps[0])]).sets) == 150
    with pytest.raises(ValueError, match=r"300 different sets of classes, at most 254 fit"):
        LabelSets.of([str(path) for path in maps])


@pytest.mark.skipif(REAL is None, reason="UNET_SEG_DATA names no real data")
@pytest.mark.parametrize("split", ["train", "val"])
def test_real_labels_give_camvids_11_classes(split: str) -> None:
    sets = LabelSets.of(["camvid"])
    order = [GROUPINGS["camvid11"].members.index(members) for members in sets.sets]
    table = np.array([*order, *[255] * (256 - len(order))])[sets.tables["camvid"]]
    for pair in find_pairs(Path(str(REAL)) / "camvid", split)[::25]:
        assert pair.label is not None
        label = cv2.imread(str(pair.label), cv2.IMREAD_UNCHANGED)
        own = cv2.imread(str(pair.label).replace("labelIds", "camvid11"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(table[label], own)


@pytest.mark.parametrize(("name", "grouping"), [("cityscapes", "cityscapes19"), ("camvid", "camvid11")])
def test_a_label_id_is_evaluated_as_a_class_of_its_group(name: str, grouping: str) -> None:
    """The result agrees with Cityscapes' own table for the ids of the class map."""
    table, groups = to_train_ids(name), GROUPINGS[grouping].table
    known = list(read_class_map(class_map_path(name)))
    assert groups[table[known]].tolist() == groups[ID_TO_TRAIN_ID[known]].tolist()
    assert set(np.delete(table, known).tolist()) == {255}


def test_the_groups_of_idd_have_their_label_ids() -> None:
    """Label id g is group g; only the classes that belong to no other group are certain."""
    table, grouping = to_train_ids("idd7"), GROUPINGS["idd7"]
    assert grouping.table[table[:7]].tolist() == list(range(7))
    assert set(table[7:].tolist()) == {255}
    assert sorted(t for members in grouping.members for t in members) == list(range(19))
    sets = read_class_map(class_map_path("idd7"))
    for group, members in enumerate(grouping.members):
        assert set(members) <= set(sets[group])
