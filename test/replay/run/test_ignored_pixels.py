"""Offline, the same pixels are taken out of the masks as in the node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from test.replay.run.test_offline import FRAMES, masks, replay
from unet_seg_ros.data.labels import VOID
from unet_seg_ros.replay.source.video_and_folder import CAMERA

UPPER_HALF = "0 0 1 0 1 0.5 0 0.5"


def test_ignored_pixels_are_in_no_mask_and_no_figure(tmp_path: Path, town: Path, model: Path) -> None:
    plain = replay(town, tmp_path / "plain", model)
    result = replay(town, tmp_path / "masked", model, ignore={CAMERA: (UPPER_HALF,)}, unknown_below=0.2)
    before, after = (masks(tmp_path / folder / "drive.mcap") for folder in ("plain", "masked"))
    assert len(after) == FRAMES
    for stamp, data in after.items():
        mask, whole = (
            np.frombuffer(each, np.uint8).reshape(-1, 2, len(data) // 2)[0] for each in (data, before[stamp])
        )
        assert (mask[0] == VOID).all()
        known = mask[1] != VOID
        np.testing.assert_array_equal(mask[1][known], whole[1][known])
    assert result.report["accuracy"] is not None
    assert plain.report["accuracy"] is not None
    labelled = [np.sum(each.report["accuracy"]["confusion"]) for each in (result, plain)]  # type: ignore[index]
    assert 0 < labelled[0] < labelled[1]
    sky = [pd.read_csv(tmp_path / folder / "frames.csv")["coverage.sky"].mean() for folder in ("plain", "masked")]
    assert sky[0] != sky[1]
