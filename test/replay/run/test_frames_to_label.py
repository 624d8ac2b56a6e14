"""``--select`` writes the frames that are most worth labelling as a data set for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rosbags.rosbag2 import StoragePlugin

from test.health.pictures import street
from test.replay import drives
from test.replay.drives import FRONT, stamp
from test.replay.models import write_model
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.image_files import read_image, read_label
from unet_seg_ros.data.labels import TRAIN_ID_TO_ID
from unet_seg_ros.health.trust import Health, Level
from unet_seg_ros.replay import __main__ as command
from unet_seg_ros.replay.errors import ReplayError
from unet_seg_ros.replay.judge.verdict import Gate
from unet_seg_ros.replay.options import Options, parse_selection
from unet_seg_ros.replay.result import Result
from unet_seg_ros.replay.run.frames_to_label import Selection, doubt
from unet_seg_ros.replay.run.one_drive import replay_one
from unet_seg_ros.replay.source.drive import Array, image_message
from unet_seg_ros.segmenter import Segmenter

BLACK = 3
REPEATED = 8
"""From this frame on, all frames show the frame before it."""


def pictures() -> list[Array]:
    frames = [image for image, _ in street()][:REPEATED]
    frames[BLACK] = np.zeros_like(frames[BLACK])
    return frames + [frames[-1]] * 4


def bag(path: Path) -> Path:
    messages = [image_message(picture, "rgb8", stamp(i), "front") for i, picture in enumerate(pictures())]
    return drives.write_bag(path, {FRONT: messages}, StoragePlugin.MCAP)


def select(tmp_path: Path, model: Path, count: int, source: Path | None = None, **changes: object) -> Result:
    options = Options(model=str(model), device="cpu", record=False, select=(count, tmp_path / "chosen"))
    source = source or bag(tmp_path / "My drive")
    return replay_one(source, tmp_path / "out", Options(**{**vars(options), **changes}), Gate())  # type: ignore[arg-type]


def listed(tmp_path: Path) -> pd.DataFrame:
    return pd.read_csv(tmp_path / "chosen" / "selected.csv", keep_default_na=False)


def test_the_frames_are_written_with_proposals_and_a_list(tmp_path: Path, model: Path) -> None:
    result = select(tmp_path, model, 3)
    assert result.report["problems"] == []
    chosen, segmenter = listed(tmp_path), Segmenter.load(model, "cpu")
    pairs = find_pairs(tmp_path / "chosen", "train")
    assert len(pairs) == len(chosen) == 3
    assert [str(pair.image) for pair in pairs] == [str(tmp_path / "chosen" / name) for name in chosen["image"]]
    for pair, (_, row) in zip(pairs, chosen.iterrows(), strict=True):
        index = (int(row["stamp_ns"]) - stamp(0)) // 10**8
        assert pair.image.name == f"my-drive_000000_{index:06}_leftImg8bit.png"
        image = pictures()[index]
        np.testing.assert_array_equal(read_image(pair.image), image)
        assert pair.label is not None
        np.testing.assert_array_equal(read_label(pair.label), TRAIN_ID_TO_ID[segmenter([image])[0].mask])
        for_tools = pair.label.with_name(pair.label.name.replace("labelIds", "instanceIds"))
        assert for_tools.read_bytes() == pair.label.read_bytes()
        told = result.frames.set_index("index").loc[index]
        assert row["topic"] == FRONT
        assert row["trust"] == pytest.approx(told["trust"])
        assert (row["flags"], row["reason"]) == (told["flags"], told["reason"])
        assert row["doubt"] == pytest.approx(1 - (told["trust"] + told["mean_confidence"]) / 2)


def test_chosen_frames_differ_and_can_be_decoded(tmp_path: Path, model: Path) -> None:
    select(tmp_path, model, 12)
    indices = [(stamp_ns - stamp(0)) // 10**8 for stamp_ns in listed(tmp_path)["stamp_ns"]]
    assert BLACK not in indices
    assert len([index for index in indices if index >= REPEATED - 1]) == 1
    assert 1 < len(indices) < REPEATED


def test_the_most_doubtful_frame_is_chosen_first(tmp_path: Path, model: Path) -> None:
    result = select(tmp_path, model, 1)
    usable = result.frames.drop(BLACK)
    usable = usable[~usable["flags"].str.contains("frozen|incomplete|torn")]
    expected = usable.loc[(usable["trust"] + usable["mean_confidence"]).idxmin()]
    assert listed(tmp_path)["stamp_ns"].tolist() == [expected["stamp_ns"]]


def test_doubt_depends_on_trust_confidence_and_agreement() -> None:
    health = Health(Level.OK, 0.8, (), "", {}, {})
    assert doubt(health, {"mean_confidence": 0.6, "agreement": np.nan}) == pytest.approx(0.3)
    assert doubt(health, {"mean_confidence": 0.6}) == pytest.approx(0.3)
    assert doubt(health, {"mean_confidence": 0.6, "agreement": 0.1}) == pytest.approx(0.5)
    selection = Selection(1)
    torn = Health(Level.DEGRADED, 0.1, ("torn",), "torn", {}, {})
    selection.take(0, np.zeros((4, 4, 3), np.uint8), torn, {"mean_confidence": 0.1})
    assert selection.chosen() == {}


def test_frames_are_chosen_from_a_drive_with_a_damaged_end(tmp_path: Path, model: Path) -> None:
    folder = bag(tmp_path / "drive")
    file = next(folder.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 3 // 4])
    result = select(tmp_path, model, 2, file)
    assert not [text for text in result.report["problems"] if "select" in text]
    assert len(listed(tmp_path)) == 2


def test_on_a_full_disk_the_report_is_still_written(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unet_seg_ros.replay.run.frames_to_label.write_image", full)
    result = select(tmp_path, model, 2)
    assert "No space left on device" in result.report["problems"][0]
    assert (tmp_path / "out" / "report.html").exists()


def test_a_drive_without_frames_to_choose_is_reported(tmp_path: Path, model: Path) -> None:
    messages = [image_message(np.zeros((120, 160, 3), np.uint8), "rgb8", stamp(i), "front") for i in range(2)]
    black = drives.write_bag(tmp_path / "black", {FRONT: messages}, StoragePlugin.MCAP)
    result = select(tmp_path, model, 2, black)
    assert result.report["problems"] == ["select: the drive has no frame that can be labelled"]
    assert not (tmp_path / "chosen").exists()


@pytest.mark.parametrize("count", ["0", "-1", "5001", "many", "1.5", "9" * 5000])
def test_a_wrong_number_is_refused(count: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the number of frames must be 1 to 5000") as caught:
        parse_selection(count, str(tmp_path))
    assert len(str(caught.value)) < 200


def test_existing_files_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="is not empty"):
        parse_selection("3", str(tmp_path))
    with pytest.raises(ValueError, match="Not a directory"):
        parse_selection("3", str(tmp_path / "file"))
    assert parse_selection("3", str(tmp_path / "new")) == (3, tmp_path / "new")


def test_select_is_refused_for_live_and_for_several_drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_end_on_signals", lambda: None)  # pytest keeps its own signal handlers
    wanted = ["--select", "2", str(tmp_path / "chosen"), "--output", str(tmp_path / "out")]
    model = write_model(tmp_path / "tiny.safetensors")
    source = bag(tmp_path / "drive")
    assert command.main([str(source), str(source), *wanted]) == 2
    assert command.main([str(source), *wanted, "--mode", "live"]) == 2
    assert not (tmp_path / "chosen").exists()
    assert command.main([str(source), *wanted, "--no-recording", "--model", str(model), "--device", "cpu"]) == 0
    assert len(find_pairs(tmp_path / "chosen", "train")) == 2
    with pytest.raises(ReplayError):
        replay_one(tmp_path / "absent", tmp_path / "out", Options(select=(1, tmp_path / "x")), Gate())
