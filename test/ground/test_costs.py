from __future__ import annotations

from pathlib import Path

import pytest

from unet_seg_ros.data.labels import CLASS_NAMES
from unet_seg_ros.ground.costs import GROUND, NOTHING, STANDING, load_costs

IDS = range(len(CLASS_NAMES))


def test_the_shipped_costs_are_read() -> None:
    costs = load_costs(None, CLASS_NAMES, IDS)
    by_name = dict(zip(CLASS_NAMES, costs.cost[: len(CLASS_NAMES)].tolist(), strict=True))
    assert (by_name.pop("road"), by_name.pop("sidewalk"), by_name.pop("terrain"), by_name.pop("sky")) == (
        0,
        60,
        70,
        255,
    )
    assert set(by_name.values()) == {100}
    assert costs.kind[[0, 1, 9, 10, 13, 255]].tolist() == [GROUND, GROUND, GROUND, NOTHING, STANDING, NOTHING]
    assert costs.cost[255] == 255


def test_costs_are_indexed_by_the_values_in_the_mask(tmp_path: Path) -> None:
    path = tmp_path / "costs.yaml"
    path.write_text("ground: {lane: 5, grass: 90}\nstanding: {default: 80, cow: 99}\n")
    costs = load_costs(path, ("cow", "lane", "shed"), (7, 3, 200))
    assert costs.cost[[7, 3, 200, 0]].tolist() == [99, 5, 80, 255]
    assert costs.kind[[7, 3, 200, 0]].tolist() == [STANDING, GROUND, STANDING, NOTHING]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "exactly the keys"),
        ("ground: {road: 0}", "exactly the keys"),
        ("ground: [road]\nstanding: {}", "must be a mapping"),
        ("ground: {road: 101}\nstanding: {}", "'road': the cost must be a whole number from -1 to 100, not 101"),
        ("ground: {road: true}\nstanding: {}", "not True"),
        ("ground: {road: 0.5}\nstanding: {}", "not 0.5"),
        ("ground: {raod: 0}\nstanding: {}", "names no class of the model"),
        ("ground: {road: 0, sidewalks: 60}\nstanding: {}", "called 'sidewalks'; did you mean sidewalk?"),
        ("ground: {road: 0}\nstanding: {defualt: -1}", "called 'defualt'; did you mean default?"),
        ('ground: {road: 0, "a\\nb": x}\nstanding: {}', "must be a whole number"),
        ("ground: {road: 0}\nstanding: {road: 3}", "cannot be in `ground` and in `standing`"),
        ("ground: {road: 0\nstanding", "not YAML"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "costs.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        load_costs(path, CLASS_NAMES, IDS)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        load_costs(tmp_path / "nowhere.yaml", CLASS_NAMES, IDS)
