"""The log that a run writes for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from training.run.logbook import Logbook, picture, table
from unet_seg_ros.data.labels import CLASS_COLORS, GROUPINGS
from unet_seg_ros.metrics.confusion import ConfusionMatrix


def test_rows_after_the_checkpoint_are_written_again(tmp_path: Path) -> None:
    columns = ["train/loss", "val/miou"]
    first = Logbook(tmp_path, 0, columns)
    for step in (10, 20, 30):
        first.write(step, {"train/loss": float(step)})
    resumed = Logbook(tmp_path, 20, columns)  # the first run was killed at step 30, its last checkpoint was of step 20
    resumed.write(30, {"train/loss": 7.0, "val/miou": 0.5})
    resumed.pictures(30, [np.zeros((4, 16, 3), np.uint8)])
    resumed.close()
    rows = pd.read_csv(tmp_path / "metrics.csv")
    assert list(rows["step"]) == [10, 20, 30]
    assert list(rows["train/loss"]) == [10.0, 20.0, 7.0]
    assert list(rows["val/miou"].isna()) == [True, True, False]
    assert (tmp_path / "curves.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="not in fieldnames"):
        Logbook(tmp_path, 30, columns).write(40, {"other": 1.0})


@pytest.mark.parametrize(
    "damaged",
    [
        b"\n",
        b"epoch,train/loss\n1,2\n",
        b"step,train/loss\na,2\n",
        b"step,train/loss\n,2\n",
        b"\xff\n",
        b"step\n1\n3,4,5\n",
    ],
)
def test_a_table_that_cannot_be_read_is_moved_aside(damaged: bytes, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "metrics.csv").write_bytes(damaged)
    with Logbook(tmp_path, 10, ["train/loss"]) as logbook:
        logbook.write(20, {"train/loss": 1.0})
    assert pd.read_csv(tmp_path / "metrics.csv").to_numpy().tolist() == [[20, 1.0]]
    assert (tmp_path / "metrics.damaged.csv").read_bytes() == damaged
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path / 'metrics.csv'}: cannot be read (")
    assert len(said.splitlines()) == 1


def test_an_incomplete_row_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,train/loss\n10,2.0\n2")
    with Logbook(tmp_path, 20, ["train/loss"]) as logbook:
        logbook.write(20, {"train/loss": 1.0})
    assert pd.read_csv(tmp_path / "metrics.csv").to_numpy().tolist() == [[10, 2.0], [20, 1.0]]


def test_a_run_without_validation_has_curves(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path, 0, ["train/loss"])
    logbook.write(10, {"train/loss": 1.0})
    logbook.close()
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_a_picture_shows_wrong_pixels() -> None:
    image = np.full((2, 3, 3), 9, np.uint8)
    label, mask = np.array([[0, 13, 255], [0, 0, 0]], np.uint8), np.array([[0, 0, 0], [0, 0, 255]], np.uint8)
    shown = picture(image, label, mask)
    assert shown.shape == (2, 12, 3)
    panels = shown.reshape(2, 4, 3, 3).swapaxes(0, 1)
    np.testing.assert_array_equal(panels[0], image)
    assert tuple(panels[1][0, 1]) == CLASS_COLORS[13]
    assert tuple(panels[2][0, 1]) == CLASS_COLORS[0]
    red, fine, void = (220, 20, 20), (235, 235, 235), (0, 0, 0)
    assert [[tuple(int(v) for v in p) for p in row] for row in panels[3]] == [[fine, red, void], [fine, fine, red]]


def test_the_table_is_in_percent() -> None:
    matrix = ConfusionMatrix(GROUPINGS["categories"])
    matrix.update(np.array([[0, 0, 0, 13]], np.uint8), np.array([[0, 0, 13, 13]], np.uint8))
    values = {line[:16].strip(): line[16:].strip() for line in table(matrix).splitlines()}
    assert (values["flat"], values["vehicle"], values["sky"], values["mean"]) == ("66.7", "50.0", "–", "58.3")
