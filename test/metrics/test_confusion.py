"""The confusion matrix compared with loops over pixels and with cityscapesScripts' evaluation of files."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as theirs  # type: ignore[import]
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unet_seg_ros.data.labels import CLASS_NAMES, GROUPINGS, ID_TO_TRAIN_ID, TRAIN_ID_TO_ID, VOID, Grouping
from unet_seg_ros.metrics.confusion import ConfusionMatrix

GROUPING_NAMES = sorted(GROUPINGS)


def frames(count: int, seed: int, classes: int = 19, shape: tuple[int, int] = (9, 13)) -> list[tuple[Any, Any]]:
    """Pairs of label and prediction as train ids; both have void, and they agree more often than by chance."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        label = rng.integers(0, classes, shape, np.uint8)
        prediction = np.where(rng.random(shape) < 0.6, label, rng.integers(0, classes, shape, np.uint8))
        label[rng.random(shape) < 0.1] = VOID
        prediction[rng.random(shape) < 0.1] = VOID
        pairs.append((label, prediction))
    return pairs


def matrix_of(pairs: list[tuple[Any, Any]], grouping: str = "cityscapes19") -> ConfusionMatrix:
    matrix = ConfusionMatrix(GROUPINGS[grouping])
    for label, prediction in pairs:
        matrix.update(label, prediction)
    return matrix


@given(grouping=st.sampled_from(GROUPING_NAMES), classes=st.integers(1, 19), seed=st.integers(0, 999))
def test_equals_loops_over_pixels(grouping: str, classes: int, seed: int) -> None:
    pairs = frames(2, seed, classes, (4, 5))
    matrix = matrix_of(pairs, grouping)
    members = GROUPINGS[grouping].members
    pixels = [
        (int(a), int(b)) for label, prediction in pairs for a, b in zip(label.ravel(), prediction.ravel(), strict=True)
    ]
    ious = []
    for index, group in enumerate(members):
        both = sum(a in group and b in group for a, b in pixels)
        either = sum(a in group or (b in group and a != VOID) for a, b in pixels)
        expected = both / either if either else math.nan
        np.testing.assert_array_equal(matrix.iou()[index], expected)
        ious.append(expected)
    present = [value for value in ious if not math.isnan(value)]
    assert matrix.mean_iou() == pytest.approx(sum(present) / len(present), rel=1e-15)
    labelled = [(a, b) for a, b in pixels if a != VOID]
    right = sum(any(a in group and b in group for group in members) for a, b in labelled)
    assert matrix.pixel_accuracy() == right / len(labelled)
    assert matrix.matrix.sum() == len(labelled)


@pytest.fixture
def their_arguments() -> Any:
    """cityscapesScripts' defaults, without the parts that print, write or need ``np.in1d`` (gone in NumPy 2.4)."""
    return SimpleNamespace(**{**vars(theirs.args), "evalInstLevelScore": False, "JSONOutput": False, "quiet": True})


@pytest.mark.parametrize("shape", [(40, 60), (37, 53), (1, 301)])
@pytest.mark.parametrize(("seed", "classes"), [(0, 19), (1, 19), (2, 7), (3, 1)])
def test_equals_cityscapesscripts(
    tmp_path: Path, their_arguments: Any, seed: int, classes: int, shape: tuple[int, int]
) -> None:
    """From files of label ids, of all 34; absent classes and categories (of 7, of 1 class) are left out by both."""
    rng = np.random.default_rng(seed)
    pairs, label_files, prediction_files = [], [], []
    for index, (label, prediction) in enumerate(frames(3, seed, classes, shape)):
        ids = TRAIN_ID_TO_ID[label]
        ids[label == VOID] = rng.choice(np.flatnonzero(ID_TO_TRAIN_ID[:34] == VOID), (label == VOID).sum())
        pairs.append((ID_TO_TRAIN_ID[ids], prediction))
        label_files.append(str(tmp_path / f"town_000000_{index:06}_gtFine_labelIds.png"))
        prediction_files.append(str(tmp_path / f"town_000000_{index:06}.png"))
        Image.fromarray(ids).save(label_files[-1])
        Image.fromarray(TRAIN_ID_TO_ID[prediction]).save(prediction_files[-1])
    result = theirs.evaluateImgLists(prediction_files, label_files, their_arguments)
    ours = matrix_of(pairs)
    expected = [result["classScores"][name] for name in CLASS_NAMES]
    np.testing.assert_array_equal(ours.iou(), expected)
    assert ours.mean_iou() == pytest.approx(result["averageScoreClasses"], rel=1e-15)
    assert np.isnan(expected).sum() == 19 - classes
    by_category = matrix_of(pairs, "categories")
    expected = [result["categoryScores"][name] for name in GROUPINGS["categories"].names]
    np.testing.assert_array_equal(by_category.iou(), expected)
    assert by_category.mean_iou() == pytest.approx(result["averageScoreCategories"], rel=1e-15)


@given(grouping=st.sampled_from(GROUPING_NAMES), seed=st.integers(0, 999), cut=st.integers(0, 4))
def test_sums_of_matrices_equal_one_evaluation(grouping: str, seed: int, cut: int) -> None:
    pairs = frames(4, seed)
    whole = matrix_of(pairs, grouping)
    first, second = matrix_of(pairs[:cut], grouping), matrix_of(pairs[cut:], grouping)
    first += second
    assert (first.matrix == whole.matrix).all()
    assert (second.matrix == matrix_of(pairs[cut:], grouping).matrix).all()
    side_by_side = [(np.hstack([a for a, _ in pairs]), np.hstack([b for _, b in pairs]))]
    assert (matrix_of(side_by_side, grouping).matrix == whole.matrix).all()


def test_counts_of_another_grouping_are_refused() -> None:
    """The same number of classes is not the same grouping."""
    camvid = GROUPINGS["camvid11"]
    matrix = matrix_of(frames(1, 0), "camvid11")
    before = matrix.matrix.copy()
    with pytest.raises(ValueError, match="counts of reversed cannot be added to counts of camvid11"):
        matrix += ConfusionMatrix(Grouping("reversed", camvid.names[::-1], camvid.members[::-1]))
    assert (matrix.matrix == before).all()


@given(seed=st.integers(0, 999))
def test_a_coarser_matrix_is_the_sum_of_the_finer_one(seed: int) -> None:
    pairs = frames(1, seed)
    fine, coarse = matrix_of(pairs).matrix, matrix_of(pairs, "camvid11").matrix
    for row, rows in enumerate(GROUPINGS["camvid11"].members):
        for column, columns in enumerate(GROUPINGS["camvid11"].members):
            assert coarse[row, column] == fine[np.ix_(rows, columns)].sum()
        assert coarse[row, -1] == fine[list(rows), -1].sum()


def test_a_perfect_prediction_has_an_iou_of_1() -> None:
    pairs = [(label, label) for label, _ in frames(1, 0)]
    matrix = matrix_of(pairs)
    assert matrix.mean_iou() == matrix.pixel_accuracy() == 1


def test_void_labels_are_ignored_and_void_predictions_are_wrong() -> None:
    """Void labels are left out whatever is predicted, and void predictions are wrong."""
    label, prediction = np.array([[0, 0, VOID, VOID]], np.uint8), np.array([[0, VOID, 0, 5]], np.uint8)
    matrix = matrix_of([(label, prediction)])
    assert matrix.iou()[0] == 0.5
    assert np.isnan(matrix.iou()[1:]).all()
    assert matrix.mean_iou() == matrix.pixel_accuracy() == 0.5


@pytest.mark.parametrize("pairs", [[], frames(1, 0, shape=(0, 5)), [(np.full((2, 2), VOID, np.uint8),) * 2]])
def test_without_labelled_pixels_everything_is_nan(pairs: list[Any]) -> None:
    matrix = matrix_of(pairs)
    assert np.isnan(matrix.iou()).all()
    assert math.isnan(matrix.mean_iou())
    assert math.isnan(matrix.pixel_accuracy())


@pytest.mark.parametrize("shape", [(13, 9), (9, 12), (117,), (9, 13, 1)])
def test_different_sizes_are_refused(shape: Any) -> None:
    matrix = ConfusionMatrix(GROUPINGS["cityscapes19"])
    with pytest.raises(ValueError, match=r"the label is \(9, 13\) \(height, width\), the prediction \("):
        matrix.update(np.zeros((9, 13), np.uint8), np.zeros(shape, np.uint8))
    assert matrix.matrix.sum() == 0


def test_counts_do_not_overflow_32_bits() -> None:
    matrix = ConfusionMatrix(GROUPINGS["cityscapes19"])
    matrix.matrix[0, 0] = 2**40
    matrix.update(*frames(1, 0)[0])
    assert matrix.matrix[0, 0] > 2**40
    assert matrix.pixel_accuracy() == pytest.approx(1)
