"""The shipped models: each loads, has a card with its figures, and has terms that agree with the licence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unet_seg_ros.model.bundle import load_bundle
from unet_seg_ros.segmenter import Segmenter

MODELS = Path(__file__).parents[1] / "models"
SHIPPED = ("unet_nano", "unet_nano_synthetic")


def test_only_the_listed_models_ship() -> None:
    assert {path.stem for path in MODELS.glob("*.safetensors")} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_loads_and_has_its_card(name: str) -> None:
    bundle = load_bundle(MODELS / f"{name}.safetensors")
    manifest = bundle.manifest
    assert manifest.name == name
    assert manifest.max_pixels == 480 * 360
    non_commercial = any("CamVid" in source for source in manifest.data)
    assert non_commercial == (name != "unet_nano_synthetic")
    assert not manifest.config.norm  # folded
    assert ("non-commercial" in manifest.data_terms) == non_commercial
    assert name in (MODELS / "LICENSE").read_text()
    card = (MODELS / f"{name}.md").read_text()
    assert bundle.model_id in card
    assert ("CC BY-NC 4.0" in card) == non_commercial
    for figures in manifest.metrics.values():
        assert f"{100 * figures['miou']:.1f}" in card
    seen = Segmenter.load(bundle, "cpu")([np.full((97, 131, 3), 128, np.uint8)])[0]
    assert seen.mask.shape == (97, 131)
