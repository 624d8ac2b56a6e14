"""Training samples: image and label stay aligned, and sample n is always the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from training.config import TrainConfig
from training.data import Samples, crop_at_scale, jitter_color, labelled_pairs, read_pair
from unet_seg_ros.cityscapes import find_pairs, read_label
from unet_seg_ros.model.bundle import MEAN_COLOR

MakeRun = Callable[..., TrainConfig]
sides = st.integers(1, 30)
fractions = st.floats(0, 1)


@given(sides, sides, sides, sides, st.floats(0.3, 3), fractions, fractions)
def test_a_crop_is_where_it_should_be(
    height: int, width: int, out_height: int, out_width: int, scale: float, down: float, right: float
) -> None:
    """Each label pixel against the one that lies at its centre, looked up on its own."""
    label = (np.arange(height * width).reshape(height, width) % 251).astype(np.uint8)
    image = np.zeros((height, width, 3), np.uint8)
    crop, cropped = crop_at_scale(image, label, (out_height, out_width), scale, (down, right))
    assert (crop.shape, cropped.shape) == ((out_height, out_width, 3), (out_height, out_width))
    sources = []
    for have, out, at in ((height, out_height, down), (width, out_width, right)):
        window = max(1, round(out / scale))
        start = round(at * (have - window)) if window <= have else -((window - have) // 2)
        sources.append([start + (i + 0.5) * window / out for i in range(out)])
    for y, source_y in enumerate(sources[0]):
        for x, source_x in enumerate(sources[1]):
            inside = 0 <= source_y < height and 0 <= source_x < width
            between = min(abs(place - round(place)) for place in (source_y, source_x)) < 1e-3  # either pixel will do
            assert between or cropped[y, x] == (label[int(source_y), int(source_x)] if inside else 255)


@given(st.integers(24, 60), st.integers(24, 60), st.floats(0.4, 3), fractions, fractions)
def test_image_and_label_stay_aligned(height: int, width: int, scale: float, down: float, right: float) -> None:
    """An image of its own labels: where a pixel's surroundings have one label, its colour is that label's."""
    label = np.zeros((height, width), np.uint8)
    label[height // 3 :, width // 4 :] = 100
    label[height // 2 :] = 200
    image, cropped = crop_at_scale(label[..., None].repeat(3, axis=2), label, (32, 40), scale, (down, right))
    uniform = cv2.erode(cropped, np.ones((7, 7))) == cv2.dilate(cropped, np.ones((7, 7)))
    expected = np.where(cropped[..., None] == 255, MEAN_COLOR, cropped[..., None])
    np.testing.assert_array_equal(image[uniform], expected[uniform])


def test_color_jitter() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    before = image.copy()
    np.testing.assert_array_equal(jitter_color(image, np.random.default_rng(1), 0), image)
    jittered = jitter_color(image, np.random.default_rng(1), 0.5)
    assert (jittered.shape, jittered.dtype) == (image.shape, np.uint8)
    assert not np.array_equal(jittered, image)
    np.testing.assert_array_equal(image, before)


def test_samples_depend_on_seed_and_number_alone(tiny_run: MakeRun) -> None:
    source = tiny_run().data[0]
    samples = Samples([source], (32, 48), seed=3, length=8)
    images, labels = zip(*(samples[n] for n in range(8)), strict=True)
    assert all((i.shape, i.dtype) == ((32, 48, 3), torch.uint8) for i in images)
    assert all((label.shape, label.dtype) == ((32, 48), torch.uint8) for label in labels)
    for workers in (0, 1):
        batches = list(DataLoader(Samples([source], (32, 48), 3, 8), 4, num_workers=workers))
        assert torch.equal(torch.cat([image for image, _ in batches]), torch.stack(images))
        assert torch.equal(torch.cat([label for _, label in batches]), torch.stack(labels))
    assert not torch.equal(Samples([source], (32, 48), 4, 8)[0][0], images[0])
    assert not torch.equal(images[0], images[1])
    assert torch.equal(samples[5][0], images[5])


def test_sample_images_belong_to_their_labels(tiny_run: MakeRun) -> None:
    """In the fixture's frames road (set 0) is bright in red, car (13) in green, sky (10) in blue."""
    samples = Samples([dataclasses.replace(tiny_run().data[0], color=0.0)], (32, 48), 0, 20)
    right = valid = 0
    for n in range(20):
        image, label = (tensor.numpy() for tensor in samples[n])
        brightest = np.array([0, 13, 10])[image.argmax(axis=2)]
        right += int((brightest == label)[label != 255].sum())
        valid += int((label != 255).sum())
    assert right > 0.98 * valid > 0


def test_sources_are_drawn_by_weight(tiny_run: MakeRun, town: Path) -> None:
    first = tiny_run().data[0]
    second = dataclasses.replace(first, grouping="camvid11", weight=3)
    samples = Samples([first, second], (32, 48), 0, 400)
    assert samples.share.tolist() == [0.25, 0.75]
    merged_car = samples.sets.sets.index((13, 14, 15, 16))
    drawn = [bool((samples[n][1] == merged_car).any()) for n in range(100)]
    single = [bool((samples[n][1] == 13).any()) for n in range(100)]
    assert 1.5 < sum(drawn) / sum(single) < 6


def test_pixel_share(tiny_run: MakeRun, town: Path) -> None:
    first = tiny_run().data[0]
    samples = Samples([first, dataclasses.replace(first, grouping="camvid11", weight=3)], (32, 48), 0, 1)
    labels = np.stack([read_label(pair.label) for pair in find_pairs(town, "train") if pair.label])
    share = {name: (labels == i).sum() / (labels != 0).sum() for name, i in (("road", 7), ("sky", 23), ("car", 26))}
    found = dict(zip(samples.sets.sets, samples.pixel_share(), strict=True))
    assert found.pop((0,)) == pytest.approx(share["road"])  # the same set in both groupings
    assert found.pop((10,)) == pytest.approx(share["sky"])
    assert found.pop((13,)) == pytest.approx(share["car"] * 0.25)
    assert found.pop((13, 14, 15, 16)) == pytest.approx(share["car"] * 0.75)
    assert not any(found.values())


def test_files_that_cannot_be_used_are_named(tiny_run: MakeRun, town: Path) -> None:
    pairs = labelled_pairs(town, "train")
    image, label = pairs[3].image, pairs[3].label
    assert label is not None
    with pytest.raises(ValueError, match=r"_leftImg8bit\.png: has no label file"):
        read_pair(pairs[3]._replace(label=None))
    assert cv2.imwrite(str(label), np.zeros((80, 64), np.uint8))
    with pytest.raises(ValueError, match=rf"{label}: \(80, 64\) pixels .* its image has \(64, 80\)"):
        [Samples(tiny_run().data, (32, 48), 0, 100)[n] for n in range(100)]
    label.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{image}: no label file \(town_000000_000003_gtFine_labelIds.png\)"):
        labelled_pairs(town, "train")
