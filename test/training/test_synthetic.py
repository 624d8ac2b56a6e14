"""The synthetic town: deterministic, with all classes, in the given sizes, and in Cityscapes' layout."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from training.synthetic import DriveConfig, camera, drive, main
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.labels import ID_TO_TRAIN_ID, LABELS, NUM_CLASSES, VOID

SMALL = DriveConfig(seed=3, width=160, height=120, fps=2, seconds=2)


def test_the_same_configuration_gives_the_same_bytes() -> None:
    for first, second in zip(drive(SMALL), drive(SMALL), strict=True):
        assert first.image.tobytes() == second.image.tobytes()
        assert first.label.tobytes() == second.label.tobytes()
        assert first.stamp_ns == second.stamp_ns


def test_different_seeds_give_different_drives() -> None:
    other = DriveConfig(seed=4, width=160, height=120)
    first, second = next(drive(SMALL)), next(drive(other))
    assert (first.label != second.label).mean() > 0.05
    assert np.abs(first.image.astype(int) - second.image).mean() > 5
    assert camera(SMALL) != camera(other)


@pytest.mark.parametrize(("width", "height"), [(32, 32), (33, 57), (201, 99), (64, 128)])
def test_drives_of_any_size_are_rendered(width: int, height: int) -> None:
    frame = next(drive(DriveConfig(seed=1, width=width, height=height)))
    assert frame.image.shape == (height, width, 3)
    assert frame.label.shape == (height, width)
    assert frame.image.dtype == frame.label.dtype == np.uint8


def test_every_label_id_is_known_and_every_class_occurs() -> None:
    seen = np.zeros(256, np.int64)
    for seed in range(4, 8):
        for frame in drive(DriveConfig(seed=seed, width=240, height=180, fps=0.5, seconds=6)):
            seen += np.bincount(frame.label.ravel(), minlength=256)
    assert not seen[len(LABELS) :].any()
    shares = np.bincount(ID_TO_TRAIN_ID, seen, minlength=256) / seen.sum()
    assert (shares[:NUM_CLASSES] > 0).all()
    assert shares[VOID] == 0
    assert 0.15 < shares[0] < 0.45  # road
    assert 0.05 < shares[10] < 0.35  # sky


def test_colours_change_at_the_borders_of_labels() -> None:
    """The contrast is much higher at label borders than elsewhere, and lower when the label is shifted."""
    frame = next(drive(DriveConfig(seed=0, width=320, height=240)))
    step = np.abs(np.diff(frame.image.astype(int), axis=1)).sum(-1)

    def contrast(label: np.ndarray) -> float:
        return float(step[label[:, 1:] != label[:, :-1]].mean())

    assert contrast(frame.label) > 2 * step.mean()
    assert contrast(frame.label) > 1.3 * contrast(np.roll(frame.label, 3, axis=1))


def test_neighbouring_frames_are_similar() -> None:
    frames = list(drive(DriveConfig(seed=2, width=240, height=180, fps=10, seconds=1)))
    assert [frame.stamp_ns for frame in frames] == [index * 100_000_000 for index in range(10)]
    near = (frames[0].label != frames[1].label).mean()
    far = (frames[0].label != frames[9].label).mean()
    assert 0 < near < 0.1
    assert near < far


def test_a_lower_rate_shows_the_same_moments() -> None:
    fast = list(drive(DriveConfig(seed=5, width=80, height=60, fps=4, seconds=2)))
    slow = list(drive(DriveConfig(seed=5, width=80, height=60, fps=1, seconds=2)))
    for i, frame in enumerate(slow):
        np.testing.assert_array_equal(frame.label, fast[4 * i].label)


@pytest.mark.parametrize(
    ("field", "value"), [("seed", -1), ("width", 31), ("height", 10**6), ("fps", 0.0), ("seconds", float("nan"))]
)
def test_a_bad_configuration_is_refused_with_the_allowed_range(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{field} must be from .* to .*, not "):
        replace(SMALL, **{field: value})


def test_fractions_are_refused_for_whole_numbers() -> None:
    with pytest.raises(ValueError, match=r"width must be a whole number, not 64\.5"):
        DriveConfig(width=64.5)  # type: ignore[arg-type]


def test_the_command_writes_cityscapes(tmp_path: Path) -> None:
    size = ["--width", "64", "--height", "48", "--fps", "1", "--seconds", "2"]
    main([str(tmp_path), "--split", "val", "--drives", "2", "--seed", "7", *size])
    pairs = find_pairs(tmp_path, "val")
    assert [pair.name for pair in pairs] == [
        f"town000{seed}_000000_00000{index}" for seed in (7, 8) for index in (0, 1)
    ]
    for pair, frame in zip(pairs[2:], drive(DriveConfig(8, 64, 48, 1.0, 2.0)), strict=True):
        assert pair.label is not None
        np.testing.assert_array_equal(cv2.imread(str(pair.label), cv2.IMREAD_UNCHANGED), frame.label)
        np.testing.assert_array_equal(cv2.imread(str(pair.image), cv2.IMREAD_COLOR_RGB), frame.image)
    intrinsics = json.loads((pairs[0].image.parent / "camera.json").read_text())
    assert intrinsics["width"] == 64
    assert intrinsics["fx"] > 0


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--width", "5", "width must be from 32 to 8192, not 5"),
        ("--drives", "0", "--drives must be 1 to 10000, not 0"),
        ("--drives", "-3", "--drives must be 1 to 10000, not -3"),
        ("--drives", "1000000000", "--drives must be 1 to 10000"),
        ("--split", "", "--split must be the name of a folder, such as train, not ''"),
        ("--split", "a/b", "--split must be the name of a folder"),
        ("--split", "..", "--split must be the name of a folder"),
    ],
)
def test_the_command_refuses_bad_values(
    option: str, value: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), option, value])
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_names_what_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"Not a directory.*file/leftImg8bit"):
        main([str(tmp_path / "file"), "--seconds", "0.1"])
