"""The Segmenter with exactly known networks: geometry, batches, class tables, accepted and refused inputs."""

from __future__ import annotations

import dataclasses
import math
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from unet_seg_ros import segmenter as module
from unet_seg_ros.data.labels import CLASS_COLORS
from unet_seg_ros.engine import Scores
from unet_seg_ros.engine.decode import decode, scores_of
from unet_seg_ros.metrics.coverage import Region, measure
from unet_seg_ros.model.bundle import MEAN_COLOR, Manifest
from unet_seg_ros.model.geometry import Axis, axis, working_size
from unet_seg_ros.model.unet import UNetConfig
from unet_seg_ros.segmenter import Segmentation, Segmenter

Frame = NDArray[np.uint8]
STRIDE = 32


class FakeEngine:
    """The real stride, logits at half of the size: each is ``matrix`` (float[C, 4]) times (R, G, B, 255) / 255,
    averaged over 2×2 pixels. Where these are padding alone, ``padding`` replaces them."""

    device, precision, stride = "cpu", "fp32", STRIDE

    def __init__(self, matrix: Tensor, padding: Tensor | None = None) -> None:
        self.matrix = matrix
        self.padding = padding
        self.inputs: list[Frame] = []
        self.outputs: list[NDArray[np.float32]] = []

    def allocate(self, frames: int, height: int, width: int) -> Frame:
        return np.empty((frames, height, width, 3), np.uint8)

    def __call__(self, batch: Frame) -> list[Scores]:
        images = torch.from_numpy(batch)
        assert images.shape[1] % STRIDE == images.shape[2] % STRIDE == 0
        cells = F.avg_pool2d(images.permute(0, 3, 1, 2).float() / 255, 2)
        logits = torch.einsum("kc,nchw->nkhw", self.matrix[:, :3], cells) + self.matrix[:, 3, None, None]
        if self.padding is not None:
            is_padding = (images == torch.tensor(MEAN_COLOR)).all(dim=3).float()
            alone = F.avg_pool2d(is_padding[:, None], 2) == 1
            logits = torch.where(alone, self.padding[:, None, None], logits)
        self.inputs.append(batch)
        self.outputs.append(logits.numpy())
        return [scores_of(frame) for frame in logits.numpy()]

    def decode(self, scores: Scores, ys: Axis, xs: Axis) -> tuple[Frame, Frame]:
        return decode(*scores, ys, xs)


def manifest(classes: int, ids: Sequence[int] | None = None) -> Manifest:
    config = UNetConfig(widths=(4, 4, 4, 4, 4), depths=(1,) * 5, num_classes=classes)
    names = tuple(f"class {c}" for c in range(classes))
    return Manifest("fake", config, 10_000, names, tuple(ids or range(classes)), (CLASS_COLORS * 14)[:classes])


def random_segmenter(classes: int = 19, max_pixels: int = 0, ids: Sequence[int] | None = None) -> Segmenter:
    matrix = torch.randn(classes, 4, generator=torch.Generator().manual_seed(classes)) * 4
    matrix[:, 3] = -matrix[:, :3].mean(dim=1)
    return Segmenter(FakeEngine(matrix), manifest(classes, ids), "fake-0", max_pixels)


def noise(height: int, width: int, seed: int = 0) -> Frame:
    """Areas of a few pixels, so that some neighbouring logits agree."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 5 + 1, width // 5 + 1, 3), np.uint8)
    return np.ascontiguousarray(small.repeat(5, axis=0).repeat(5, axis=1)[:height, :width])


# --- geometry: edges keep their place -----------------------------------------------------------------------------

BUDGET = 10_000
SIZES = [(64, 96), (66, 130), (67, 131), (33, 65), (120, 160), (301, 405), (188, 621), (451, 601)]


def displacements(size: tuple[int, int], vertical: bool, dark_first: bool) -> NDArray[np.float64]:
    """How far the mask's edge lies from the frame's, signed, in working pixels: float64[positions, lines across it].

    Positions are 50 spread evenly, then all within a logit of either end. Infinite where a line of the mask does not
    have exactly one edge.
    """
    brightness = torch.tensor([[-1.0, -1, -1, 1.5], [1, 1, 1, -1.5]])
    padding = torch.tensor([100.0, -100]) if dark_first else torch.tensor([-100.0, 100])
    segmenter = Segmenter(FakeEngine(brightness, padding), manifest(2), "fake-0", BUDGET)
    length = size[1] if vertical else size[0]
    working = working_size(*size, BUDGET)[1 if vertical else 0]
    end = math.ceil(2 * length / working)
    found = []
    for position in [*np.linspace(1, length - 1, 50).round(), *range(1, end + 1), *range(length - end, length)]:
        line = np.where((np.arange(length) < position) == dark_first, 0, 255).astype(np.uint8)
        image = np.broadcast_to(line[None, :, None] if vertical else line[:, None, None], (*size, 3))
        mask = segmenter([image])[0].mask
        lines = mask if vertical else mask.T
        before = lines == (0 if dark_first else 1)
        edges = before.sum(axis=1)
        single = (before == (np.arange(length) < edges[:, None])).all(axis=1)
        found.append(np.where(single, (edges - position) * working / length, np.inf))
    return np.array(found)


def exact(displaced: NDArray[np.float64]) -> bool:
    """None is off by more than 1, and on average they are right, in each half of the frame too: aligned corners shift
    the halves apart by the same amount."""
    means = [displaced[:50].mean(), displaced[:25].mean(), displaced[25:50].mean()]
    return bool(np.abs(displaced).max() <= 1 and np.abs(means).max() < 0.1)


@pytest.mark.parametrize("dark_first", [True, False])
@pytest.mark.parametrize("vertical", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_an_edge_in_the_mask_is_at_its_place_in_the_frame(
    size: tuple[int, int], vertical: bool, dark_first: bool
) -> None:
    displaced = displacements(size, vertical, dark_first)
    assert len(displaced) > 50
    assert exact(displaced), (displaced.mean(), displaced.min(axis=1), displaced.max(axis=1))


def axis_at(position: NDArray[np.float64], last: int, step: float) -> Axis:
    low = np.floor(position).astype(np.intp)
    bounds = np.searchsorted(low, np.arange(last + 2))
    weight = (position - low).astype(np.float32)
    return Axis(low, np.minimum(low + 1, last), weight, bounds[:-1], np.diff(bounds), step)


def corners_aligned(frame: int, working: int, ratio: float) -> Axis:
    last = math.ceil(working / ratio) - 1
    return axis_at(np.arange(frame) * (last / (frame - 1)), last, last / (frame - 1))


def last_logit(shift: int) -> Callable[..., Axis]:
    """The correct centres, but the padding is cut off ``shift`` logits too late."""

    def wrong(frame: int, working: int, ratio: float) -> Axis:
        last, step = math.ceil(working / ratio) - 1 + shift, working / (frame * ratio)
        return axis_at(((np.arange(frame) + 0.5) * step - 0.5).clip(0, last), last, step)

    return wrong


WRONG: dict[str, Callable[..., Axis]] = {
    "align_corners": corners_aligned,
    "one logit too few": last_logit(-1),
    "one logit too many": last_logit(1),
    "cropped one short, then stretched": lambda f, w, r: axis(f, (math.ceil(w / r) - 1) * r, r),
    "cropped one long, then stretched": lambda f, w, r: axis(f, (math.ceil(w / r) + 1) * r, r),
    "padding not cut": lambda f, w, r: axis(f, -(-w // STRIDE) * STRIDE, r),
}


@pytest.mark.parametrize(
    ("name", "size"),
    # at a frame's own size aligned corners are less than half a pixel off: no mask can show it
    [(name, size) for name in WRONG for size in ((66, 130), (301, 405)) if (name, size[0]) != ("align_corners", 66)],
)
def test_a_wrong_geometry_fails_the_test_of_edges(
    name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "axis", WRONG[name])
    for vertical in (True, False):
        assert not all(exact(displacements(size, vertical, dark_first)) for dark_first in (True, False))


# --- mask and confidence ------------------------------------------------------------------------------------------


def resized_float64(values: NDArray[np.float64], size: tuple[int, int], working: tuple[int, int]) -> Any:
    """[…, h, w] → […, H, W]: bilinear between centres, the outermost continued; logits of padding alone are cut."""
    for dim, (length, used) in enumerate(zip(size, working, strict=True), start=values.ndim - 2):
        cells = np.arange(-(-used // 2)) + 0.5
        values = values.take(range(len(cells)), axis=dim)
        centers = (np.arange(length) + 0.5) * used / length / 2
        values = np.apply_along_axis(lambda line, c=centers, p=cells: np.interp(c, p, line), dim, values)
    return values


sides = st.integers(1, 80)


@given(sides, sides, st.sampled_from([1, 2, 5, 19]), st.sampled_from([1024, 1500, 10_000]), st.integers(0, 99))
def test_mask_and_confidence_equal_float64(height: int, width: int, classes: int, max_pixels: int, seed: int) -> None:
    segmenter = random_segmenter(classes, max_pixels)
    result = segmenter([noise(height, width, seed)])[0]
    assert isinstance(segmenter.engine, FakeEngine)
    logits = segmenter.engine.outputs[-1][0].astype(np.float64)
    working = working_size(height, width, max_pixels)
    full = resized_float64(logits, (height, width), working)
    assert result.mask.dtype == result.confidence.dtype == np.uint8
    assert result.mask.shape == result.confidence.shape == (height, width)
    chosen = np.take_along_axis(full, result.mask[None].astype(int), axis=0)[0]
    assert (full.max(axis=0) - chosen).max() < 1e-5
    best = (np.exp(logits) / np.exp(logits).sum(axis=0)).max(axis=0)
    confidence = resized_float64(best, (height, width), working) * 255
    assert np.abs(result.confidence - confidence).max() < 0.5 + 1e-3


def test_the_network_gets_the_frame_padded_with_the_mean_colour() -> None:
    segmenter, frame = random_segmenter(), noise(45, 71)
    segmenter([frame])
    assert isinstance(segmenter.engine, FakeEngine)
    seen = segmenter.engine.inputs[0]
    assert seen.shape == (1, 64, 96, 3)
    np.testing.assert_array_equal(seen[0, :45, :71], frame)
    assert (seen[0, 45:] == MEAN_COLOR).all()
    assert (seen[0, :, 71:] == MEAN_COLOR).all()


def test_a_frame_above_the_budget_is_shrunk_with_antialiasing() -> None:
    segmenter = random_segmenter()
    frame = np.zeros((400, 400, 3), np.uint8)
    frame[::2] = 254
    segmenter([frame])
    assert isinstance(segmenter.engine, FakeEngine)
    seen = segmenter.engine.inputs[0][0, :100, :100]
    assert (seen == 127).all()


def test_class_ids_map_classes_to_the_masks_values() -> None:
    plain, mapped = random_segmenter(5), random_segmenter(5, ids=(3, 255, 0, 0, 255))
    frame = noise(150, 130)
    mask = plain([frame])[0].mask
    assert set(np.unique(mask)) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(mapped([frame])[0].mask, np.array([3, 255, 0, 0, 255])[mask])
    np.testing.assert_array_equal(mapped([frame])[0].confidence, plain([frame])[0].confidence)


def test_coverage_is_measured_from_mask_and_confidence() -> None:
    result = random_segmenter(5)([noise(50, 40)])[0]
    region = Region("ego", ((0, 0), (0.5, 0), (0, 1)))
    covered, expected = result.coverage([region], 0.7), measure(result.mask, result.confidence, 5, [region], 0.7)
    assert covered.low_confidence_fraction == expected.low_confidence_fraction
    for one, other in zip(covered.regions, expected.regions, strict=True):
        assert (one.name, one.valid_pixels) == (other.name, other.valid_pixels)
        np.testing.assert_array_equal(one.fraction, other.fraction)


# --- several frames -----------------------------------------------------------------------------------------------


def same(one: Segmentation, other: Segmentation) -> bool:
    return np.array_equal(one.mask, other.mask) and np.array_equal(one.confidence, other.confidence)


def test_frames_of_one_working_size_share_a_pass_and_keep_their_order() -> None:
    segmenter = random_segmenter()
    sizes = [(40, 50), (200, 200), (40, 50), (1, 1), (300, 300), (40, 51), (40, 50)]
    frames = [noise(*size, seed) for seed, size in enumerate(sizes)]
    together = segmenter(frames)
    assert isinstance(segmenter.engine, FakeEngine)
    assert [len(images) for images in segmenter.engine.inputs] == [3, 2, 1, 1]
    alone = [segmenter([frame])[0] for frame in frames]
    assert [result.mask.shape for result in together] == sizes
    assert all(same(one, other) for one, other in zip(together, alone, strict=True))
    assert all(min(result.timings) > 0 for result in together)


def test_no_frames_give_no_segmentations() -> None:
    assert random_segmenter()([]) == []


# --- frames of any kind -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(60, 80), (300, 401)], ids=["below", "above"])
def test_frames_of_any_memory_layout_are_segmented_and_not_modified(size: tuple[int, int]) -> None:
    segmenter, frame = random_segmenter(), noise(*size)
    expected = segmenter([frame])[0]
    wide = np.zeros((size[0] * 2, size[1] + 7, 4), np.uint8)
    wide[::2, 7:, 2::-1] = frame
    views = {
        "rows, columns and channels of a larger array, channels backwards": wide[::2, 7:, 2::-1],
        "upside down": np.ascontiguousarray(frame[::-1])[::-1],
        "mirrored": np.ascontiguousarray(frame[:, ::-1])[:, ::-1],
        "columns first": np.asfortranarray(frame),
        "channels first": np.ascontiguousarray(frame.transpose(2, 0, 1)).transpose(1, 2, 0),
        "bytes": np.frombuffer(frame.tobytes(), np.uint8).reshape(frame.shape),
    }
    for name, view in views.items():
        before = view.copy()
        if view.flags.writeable:
            view.setflags(write=False)
        assert same(segmenter([view])[0], expected), name
        np.testing.assert_array_equal(view, before)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((4, 5), np.uint8), r"frame 1 is uint8\[4, 5\]"),
        (np.zeros((4, 5, 4), np.uint8), r"frame 1 is uint8\[4, 5, 4\]"),
        (np.zeros((1, 4, 5, 3), np.uint8), r"frame 1 is uint8\[1, 4, 5, 3\]"),
        (np.zeros((4, 5, 3), np.float32), r"frame 1 is float32\[4, 5, 3\]"),
        (np.zeros((0, 5, 3), np.uint8), r"frame 1 is uint8\[0, 5, 3\]"),
        (np.zeros((5, 0, 3), np.uint8), r"frame 1 is uint8\[5, 0, 3\]"),
        ([[[1, 2, 3]]], "frame 1 is a list"),
        (None, "frame 1 is a NoneType"),
    ],
)
def test_wrong_arrays_are_refused_and_their_index_is_named(frame: Any, message: str) -> None:
    segmenter = random_segmenter()
    with pytest.raises(ValueError, match=f"^{message}, not .*uint8.height, width, 3.$"):
        segmenter([noise(4, 5), frame])
    assert isinstance(segmenter.engine, FakeEngine)
    assert segmenter.engine.inputs == []


@pytest.mark.parametrize("size", [(2160, 4096), (1, 60_000), (60_000, 1)])
def test_huge_frames_are_segmented(size: tuple[int, int]) -> None:
    frame = np.zeros((*size, 3), np.uint8)
    frame[size[0] // 2 :, size[1] // 2 :] = 255
    result = random_segmenter()([frame])[0]
    assert result.mask.shape == size
    assert result.mask[0, 0] != result.mask[-1, -1]


def test_logits_of_the_full_size_are_never_computed() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    segmenter = random_segmenter()
    segmenter([frame])
    scores = scores_of(segmenter.engine.outputs[-1][0])  # type: ignore[attr-defined]
    sides = axis(1000, 100, 2), axis(1000, 100, 2)
    tracemalloc.start()
    segmenter.engine.decode(scores, *sides)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 2 * 10**6 <= most < 30 * 10**6, "logits of 19 classes in 32 bits are 76 MB"


# --- arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_pixels", [-1, 1, STRIDE**2 - 1])
def test_a_budget_below_the_stride_is_refused(max_pixels: int) -> None:
    with pytest.raises(ValueError, match=f"max_pixels must be 0 .* or at least 1024, not {max_pixels}"):
        random_segmenter(max_pixels=max_pixels)


def test_the_budget_comes_from_the_manifest_unless_given() -> None:
    assert random_segmenter().max_pixels == 10_000
    assert random_segmenter(max_pixels=1024).max_pixels == 1024


def test_warming_up_uses_the_usual_sizes() -> None:
    segmenter = random_segmenter()
    segmenter.warm_up()
    assert isinstance(segmenter.engine, FakeEngine)
    warm = [images.shape for images in segmenter.engine.inputs]
    segmenter([np.zeros((*size, 3), np.uint8) for size in ((960, 1280), (1080, 1920), (512, 1024))])
    assert warm == [images.shape for images in segmenter.engine.inputs[len(warm) :]]


def test_a_segmentation_cannot_be_changed() -> None:
    result = random_segmenter()([noise(4, 5)])[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.mask = result.confidence  # type: ignore[misc]
