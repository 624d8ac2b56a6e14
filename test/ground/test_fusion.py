from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unet_seg_ros.ground.fusion import fuse
from unet_seg_ros.ground.grid import UNKNOWN
from unet_seg_ros.ground.layer import Layer


def layer(*cells: tuple[int, float]) -> Layer:
    cost, weight = zip(*cells, strict=True)
    return Layer(np.array([cost], np.uint8), np.array([weight], np.float32))


def test_each_cell_by_hand() -> None:
    one = layer((0, 0.9), (0, 0.9), (0, 0.3), (255, 0), (60, 0.5), (255, 0))
    two = layer((100, 0.5), (100, 0.4), (100, 0.9), (0, 0.1), (0, 0.5), (255, 0))
    # weights: a little lower, much lower, higher, only one layer, equal, no layer
    assert fuse([one, two]).tolist() == [[100, 0, 100, 0, 60, 255]]


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    cost = draw(hnp.arrays(np.uint8, (3, 4), elements=st.sampled_from([0, 60, 70, 100, UNKNOWN])))
    weight = draw(hnp.arrays(np.float32, (3, 4), elements=st.floats(0.015625, 1, width=32)))
    return Layer(cost, np.where(cost == UNKNOWN, np.float32(0), weight))


@given(st.lists(layers(), min_size=1, max_size=4))
def test_the_result_depends_neither_on_order_nor_on_repetition(seen: list[Layer]) -> None:
    fused = fuse(seen)
    assert (fuse(seen[::-1]) == fused).all()  # the order does not matter
    assert (fuse([*seen, seen[0]]) == fused).all()  # nor does it matter that a layer occurs twice
    costs = np.stack([one.cost for one in seen])
    assert ((fused == UNKNOWN) == (costs == UNKNOWN).all(0)).all()  # a cell is known if it is known in one layer
    assert (costs == fused).any(0).all()  # the cost is that of one of the layers
