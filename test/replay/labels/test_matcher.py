"""Which label belongs to a frame, and how wrong labels are handled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from test.replay.models import write_model
from unet_seg_ros.data.cityscapes import label_path
from unet_seg_ros.data.labels import ID_TO_TRAIN_ID, NUM_CLASSES, VOID
from unet_seg_ros.replay.errors import Problems, SourceError
from unet_seg_ros.replay.judge.verdict import Gate
from unet_seg_ros.replay.labels import matcher
from unet_seg_ros.replay.labels.matcher import AHEAD, Truth, with_labels
from unet_seg_ros.replay.labels_option import LabelSource
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.run.one_drive import replay_one
from unet_seg_ros.replay.source.drive import TYPES, message_pixels
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.replay.topics import COMPRESSED_IMAGE

FRONT, LABELS = "/front/image_raw", "/front/label"
Array = drives.Array


def ids(index: int) -> Array:
    """Label ids of frame ``index``: another value in each row, all ids within one image."""
    rows = (np.arange(drives.HEIGHT) + index) % 34
    return np.repeat(rows[:, None], drives.WIDTH, axis=1).astype(np.uint8)


def stamp(index: int) -> int:
    return drives.STAMP + index * 10**8


ROAD = np.full((drives.HEIGHT, drives.WIDTH), 7, np.uint8)


def write_label(path: Path, pixels: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def message(index: int, pixels: Array, encoding: str = "mono8", pad: int = 0) -> Any:
    """Label of frame ``index`` as an Image, each row followed by ``pad`` bytes."""
    found = drives.raw(index, encoding)
    found.height, found.width = pixels.shape[:2]
    found.step = pixels.shape[1] + pad
    found.data = np.pad(pixels, ((0, 0), (0, pad)), constant_values=99).reshape(-1)
    return found


def png(index: int, pixels: Array) -> Any:
    data = cv2.imencode(".png", pixels)[1].reshape(-1)
    return TYPES.types[COMPRESSED_IMAGE](drives.raw(index).header, "png", data)


def write_bag(path: Path, labels: list[Any], frames: int = 3, **more: list[Any]) -> Path:
    topics = {FRONT: [drives.raw(index) for index in range(frames)]} | ({LABELS: labels} if labels else {})
    return drives.write_bag(path, topics | {f"/{name}/image_raw": m for name, m in more.items()}, StoragePlugin.MCAP)


def looked_up(path: Path, source: LabelSource) -> tuple[list[Array | None], list[str]]:
    """The label of each frame, and the problems."""
    problems = Problems()
    drive = with_labels(open_source(path, None, (), [topic for _, topic in source.topics]), source)
    truth = Truth(source, drive, problems)
    found = [truth.label(f.camera, f.stamp_ns, f.label, message_pixels(f.message).shape) for f in drive.frames()]
    truth.finish(whole=True)
    return found, problems.lines()


def check(found: list[Array | None], expected: list[int | None]) -> None:
    """Checks that the labels are those of these frame numbers."""
    assert [label is None for label in found] == [number is None for number in expected]
    for label, number in zip(found, expected, strict=True):
        assert label is None or number is None or np.array_equal(label, ID_TO_TRAIN_ID[ids(number)])


def test_the_option_labels_accepts_folders_and_topics(tmp_path: Path) -> None:
    assert LabelSource.parse([], False) == LabelSource()
    assert LabelSource.parse([str(tmp_path)], True) == LabelSource(tmp_path, (), True)
    assert LabelSource.parse([LABELS], False) == LabelSource(None, (("", LABELS),))
    topics = LabelSource.parse(["front=/a/label", "left=/b/label"], False).topics
    assert topics == (("front", "/a/label"), ("left", "/b/label"))
    for wrong in ("label", "front=label", str(tmp_path.relative_to("/") / "missing")):
        with pytest.raises(ValueError, match="neither a folder nor a topic"):
            LabelSource.parse([wrong], False)
    for wrong_both in ([str(tmp_path), LABELS], [str(tmp_path), str(tmp_path)]):
        with pytest.raises(ValueError, match="give one folder, or a topic for each camera"):
            LabelSource.parse(wrong_both, False)


@pytest.mark.parametrize("name", ["{}.png", "{}_labelIds.png", "town/{}_gtFine_labelIds.png"])
def test_labels_with_their_images_names_match(tmp_path: Path, name: str) -> None:
    for index, image in enumerate(("left_front", "right", "x_0001")):
        drives.write_image(tmp_path / "drive" / f"{image}.jpg", drives.picture(index))
        if index != 1:
            write_label(tmp_path / "labels" / name.format(image), ids(index))
    found, problems = looked_up(tmp_path / "drive", LabelSource(tmp_path / "labels"))
    check(found, [0, None, 2])
    assert problems == []


def test_a_folder_replaces_the_drives_own_labels(tmp_path: Path) -> None:
    town = drives.write_cityscapes(tmp_path / "town", "val", 2, 2)
    name = "town_000000_000001"
    write_label(label_path(tmp_path / "other", "val", "town", name), ids(1))
    check(looked_up(town, LabelSource(tmp_path / "other"))[0], [None, 1])
    found, _ = looked_up(town, LabelSource())
    assert [np.unique(label).tolist() for label in found if label is not None] == [[0], [0]]  # road


def test_labels_named_after_stamps_match(tmp_path: Path) -> None:
    bag, labels = write_bag(tmp_path / "bag", []), tmp_path / "labels"
    for index in (2, 0, 7):
        write_label(labels / f"front_{stamp(index)}.png", ids(index))
    found, problems = looked_up(bag, LabelSource(labels))
    check(found, [0, None, 2])
    assert problems == []  # the folder may hold labels of several drives


@pytest.mark.parametrize(("name", "third"), [("{}.png", 3), ("frame_{:06d}_labelIds.png", None)])
def test_labels_named_after_frame_numbers_match(tmp_path: Path, name: str, third: int | None) -> None:
    video = drives.write_video(tmp_path / "drive.avi", 4, 10.0)
    for index in (1, 3):
        write_label(tmp_path / "labels" / name.format(index), ids(index))
    check(looked_up(video, LabelSource(tmp_path / "labels"))[0], [None, 1, None, 3])
    write_label(tmp_path / "labels" / f"other_{name.format(3)}", ids(5))  # with two labels it would be a guess
    check(looked_up(video, LabelSource(tmp_path / "labels"))[0], [None, 1, None, third])


def test_a_folder_may_hold_train_ids(tmp_path: Path) -> None:
    video = drives.write_video(tmp_path / "drive.avi", 1, 10.0)
    pixels = np.where(ids(0) < NUM_CLASSES, ids(0), VOID).astype(np.uint8)
    write_label(tmp_path / "labels" / "0_labelTrainIds.png", pixels)
    write_label(tmp_path / "labels" / "0_labelIds.png", ids(5))
    (label,), problems = looked_up(video, LabelSource(tmp_path / "labels", (), True))
    assert problems == []
    assert label is not None
    assert np.array_equal(label, pixels)
    check(looked_up(video, LabelSource(tmp_path / "labels"))[0], [5])


def test_a_folder_without_labels_gives_an_error_of_one_line(tmp_path: Path) -> None:
    video = drives.write_video(tmp_path / "drive.avi", 1, 10.0)
    with pytest.raises(SourceError, match=r"no labels; it needs files …_labelIds\.png below it \(Citys"):
        with_labels(open_source(video), LabelSource(tmp_path))


@pytest.mark.parametrize("camera", ["", "front"])
@pytest.mark.parametrize("kind", ["mono8", "8UC1", "padded", "png"])
def test_labels_on_a_topic_match_by_stamp(tmp_path: Path, kind: str, camera: str) -> None:
    more: dict[str, Any] = {"8UC1": {"encoding": "8UC1"}, "padded": {"pad": 5}}.get(kind, {})
    made: Any = png if kind == "png" else message
    labels = [made(index, ids(index), **more) for index in (3, 0, 2, 9)]  # in another order
    found, problems = looked_up(write_bag(tmp_path / "bag", labels, 4), LabelSource(None, ((camera, LABELS),)))
    check(found, [0, None, 2, 3])
    assert problems == [f"{LABELS}: 1 of 4 labels match no frame: a label must have its frame's stamp"]


def test_labels_may_come_later_or_earlier_than_their_frames(tmp_path: Path) -> None:
    order = [*range(AHEAD - 1, -1, -1), *range(AHEAD, AHEAD + 10)]
    bag = write_bag(tmp_path / "bag", [png(index, ids(index)) for index in order], len(order))
    found, problems = looked_up(bag, LabelSource(None, (("", LABELS),)))
    check(found, list(range(len(order))))
    assert problems == []


def test_the_memory_of_waiting_labels_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "MAX_KEPT", 1)  # the last one alone is kept
    bag = write_bag(tmp_path / "bag", [message(index, ids(index)) for index in (1, 0, 2, 3)], 4)
    found, _ = looked_up(bag, LabelSource(None, (("", LABELS),)))
    check(found, [0, None, None, 3])


def test_each_camera_has_its_own_topic_of_labels(tmp_path: Path) -> None:
    both = {"left": [drives.raw(index) for index in range(2)], "left_label": [png(0, ids(4)), png(1, ids(5))]}
    bag = write_bag(tmp_path / "bag", [message(1, ids(1))], 2, **both)
    left = "/left_label/image_raw"
    topics = LabelSource.parse([f"left={left}", f"front={LABELS}"], False)
    check(looked_up(bag, topics)[0], [None, 4, 1, 5])
    with pytest.raises(
        SourceError, match=f"labels: {LABELS} belongs to which camera. Give CAMERA={LABELS}, one of front, left"
    ):
        looked_up(bag, LabelSource.parse([LABELS], False))
    with pytest.raises(SourceError, match="labels: the drive has no camera rear; its cameras are front, left"):
        looked_up(bag, LabelSource.parse([f"rear={LABELS}"], False))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (replace(message(1, ids(1)), encoding="rgb8"), "encoding rgb8, but labels must be mono8 or 8UC1"),
        (replace(message(1, ids(1)), data=np.zeros(100, np.uint8)), "100 bytes are too few for 64×48"),
        (replace(message(1, ids(1)), height=0, data=np.zeros(0, np.uint8)), "0 bytes are too few for 64×0"),
        (message(1, ids(1)[:20, :30]), "label of 30×20, image of 64×48: not compared"),
        (png(1, drives.picture(0)), "not an 8-bit single-channel image, as label ids are"),
        (png(1, ids(1).astype(np.uint16)), "not an 8-bit single-channel image, as label ids are"),
        (
            replace(png(1, ids(1)), data=np.zeros(40, np.uint8)),
            "not an 8-bit single-channel image, as label ids are: data of 40 bytes is neither a JPEG nor a PNG",
        ),
    ],
)
def test_a_wrong_label_is_named_and_not_compared(tmp_path: Path, wrong: Any, says: str) -> None:
    made = png if wrong.__msgtype__ == COMPRESSED_IMAGE else message
    bag = write_bag(tmp_path / "bag", [made(0, ids(0)), wrong, made(2, ids(2))])
    found, problems = looked_up(bag, LabelSource.parse([LABELS], False))
    check(found, [0, None, 2])
    assert problems == [f"{LABELS}: stamp {stamp(1)}: {says}"]


@pytest.mark.parametrize(
    ("train_ids", "known", "strange", "says"),
    [
        (
            False,
            33,
            [34, 200, 255],
            "34, 200, 255 is not a label id and counts as unlabeled; if the labels hold train ids, give",
        ),
        (
            True,
            18,
            [19, 33, 254],
            "19, 33, 254 is not a train id and counts as unlabeled; if the labels hold label ids, give",
        ),
    ],
)
def test_ids_outside_the_table_are_named_and_unlabeled(
    tmp_path: Path, train_ids: bool, known: int, strange: list[int], says: str
) -> None:
    pixels = np.full((drives.HEIGHT, drives.WIDTH), known, np.uint8)
    for row, value in enumerate(strange):
        pixels[row] = value
    bag = write_bag(tmp_path / "bag", [message(0, pixels)], 1)
    (label,), (problem,) = looked_up(bag, LabelSource.parse([LABELS], train_ids))
    assert label is not None
    assert (label[: len(strange)] == VOID).all()
    assert (label[len(strange) :] == NUM_CLASSES - 1).all()  # 18 and 33 are bicycle
    assert problem.startswith(f"{LABELS}: stamp {stamp(0)}: {says}")


def test_labels_that_match_no_frame_are_reported(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [png(index, ids(index)) for index in (7, 8)])
    found, problems = looked_up(bag, LabelSource.parse([LABELS], False))
    check(found, [None] * 3)
    assert problems == [f"{LABELS}: no label could be compared with a frame: a label must have its frame's stamp"]


def test_a_topic_without_images_gives_an_error_of_one_line(tmp_path: Path) -> None:
    text = TYPES.types["std_msgs/msg/String"]("hello")
    with pytest.raises(SourceError, match=rf"{LABELS} holds std_msgs/msg/String, not label images"):
        looked_up(write_bag(tmp_path / "bag", [text]), LabelSource.parse([LABELS], False))


def test_frames_with_wrong_labels_are_replayed_without_labels(tmp_path: Path) -> None:
    town = drives.write_cityscapes(tmp_path / "town", "val", 4, 4)
    wrong = {1: drives.picture(1), 2: ids(0)[:20, :30]}
    for index, pixels in wrong.items():
        write_label(label_path(town, "val", "town", f"town_000000_{index:06d}"), pixels)
    model = write_model(tmp_path / "tiny.safetensors")
    result = replay_one(town, tmp_path / "out", Options(model=str(model), device="cpu", record=False), Gate())
    assert result.report["frames"]["processed"] == 4
    assert result.report["accuracy"] is not None
    assert result.report["accuracy"]["frames"] == 2
    assert result.frames["miou"].isna().tolist() == [False, True, True, False]
    colours, size = result.report["problems"]
    assert "town_000000_000001_gtFine_labelIds.png: not an 8-bit single-channel image" in colours
    assert "town_000000_000002_gtFine_labelIds.png: label of 30×20, image of 64×48: not compared" in size


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".bmp"])
def test_hidden_files_and_other_suffixes_are_not_labels(suffix: str, tmp_path: Path) -> None:
    video = drives.write_video(tmp_path / "drive.avi", 2, 10)
    for index in range(2):
        write_label(tmp_path / "labels" / f"{index}{suffix.lower()}", ROAD)
        (tmp_path / "labels" / f"{index}{suffix.lower()}").rename(tmp_path / "labels" / f"{index}{suffix}")
        (tmp_path / "labels" / f"._{index}{suffix}").write_bytes(b"of macOS")
    drive = with_labels(open_source(video), LabelSource(tmp_path / "labels"))
    assert [frame.label and frame.label.name for frame in drive.frames()] == [f"0{suffix}", f"1{suffix}"]


def test_two_labels_for_one_frame_are_reported_and_not_compared(tmp_path: Path) -> None:
    video = drives.write_video(tmp_path / "drive.avi", 2, 10)
    for name in ("a_0", "b_0", "a_1"):
        write_label(tmp_path / "labels" / f"{name}.png", ROAD)
    frames = list(with_labels(open_source(video), LabelSource(tmp_path / "labels")).frames())
    assert [frame.label and frame.label.stem for frame in frames] == [None, "a_1"]
    assert "a_0.png and " in frames[0].note
    assert not frames[1].note


def test_digits_of_other_alphabets_are_not_numbers(tmp_path: Path) -> None:
    for folder, pixels in (("images", drives.picture(0)), ("labels", ROAD)):
        write_label(tmp_path / folder / "²².png", pixels)
    (frame,) = with_labels(open_source(tmp_path / "images"), LabelSource(tmp_path / "labels")).frames()
    assert frame.label is not None
