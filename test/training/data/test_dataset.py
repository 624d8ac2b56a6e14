"""Training samples: image and label stay aligned, and sample n is always the same."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from training.config import AugmentConfig, TrainConfig
from training.data.cache import CachedFrames
from training.data.dataset import FileFrames, Samples, data_sketch, frames_of, labelled_pairs, read_pair
from training.prepare import prepare_cache, verify
from unet_seg_ros.data.cityscapes import find_pairs
from unet_seg_ros.data.image_files import read_label

MakeRun = Callable[..., TrainConfig]


def test_samples_depend_only_on_seed_and_number(tiny_run: MakeRun) -> None:
    samples = Samples(tiny_run(seed=3))
    images, labels = zip(*(samples[n] for n in range(12)), strict=True)
    assert all((i.shape, i.dtype) == ((32, 48, 3), torch.uint8) for i in images)
    assert all((label.shape, label.dtype) == ((32, 48), torch.uint8) for label in labels)
    for workers in (0, 1):
        batches = list(DataLoader(Samples(tiny_run(seed=3)), 4, num_workers=workers))
        assert torch.equal(torch.cat([image for image, _ in batches]), torch.stack(images))
        assert torch.equal(torch.cat([label for _, label in batches]), torch.stack(labels))
    assert not torch.equal(Samples(tiny_run(seed=4))[0][0], images[0])
    assert not torch.equal(images[0], images[1])
    assert torch.equal(samples[5][0], images[5])


def test_sample_images_belong_to_their_labels(tiny_run: MakeRun) -> None:
    """In the fixture's frames road (set 0) is bright in red, car (13) in green, sky (10) in blue."""
    source = dataclasses.replace(tiny_run().data[0], augment=AugmentConfig(color=0.0))
    samples = Samples(tiny_run(steps=10, data=(source,)))
    right = valid = 0
    for n in range(20):
        image, label = (tensor.numpy() for tensor in samples[n])
        brightest = np.array([0, 13, 10])[image.argmax(axis=2)]
        right += int((brightest == label)[label != 255].sum())
        valid += int((label != 255).sum())
    assert right > 0.98 * valid > 0


def test_sources_are_drawn_by_weight(tiny_run: MakeRun, town: Path) -> None:
    first = tiny_run().data[0]
    second = dataclasses.replace(first, name="again", class_map="camvid", weight=3)
    samples = Samples(tiny_run(data=(first, second), steps=50))
    assert samples.share.tolist() == [0.25, 0.75]
    merged_car = samples.sets.sets.index((13, 14, 15, 16))
    drawn = [bool((samples[n][1] == merged_car).any()) for n in range(100)]
    single = [bool((samples[n][1] == 13).any()) for n in range(100)]
    assert 1.5 < sum(drawn) / sum(single) < 6


def test_the_share_of_pixels_follows_the_weights(tiny_run: MakeRun, town: Path) -> None:
    first = tiny_run().data[0]
    samples = Samples(tiny_run(data=(first, dataclasses.replace(first, name="again", class_map="camvid", weight=3))))
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
    with pytest.raises(ValueError, match=rf"{label}: \(80, 64\) pixels .* but its image has \(64, 80\)"):
        [Samples(tiny_run(steps=50))[n] for n in range(100)]
    label.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{image}: no label file \(town_000000_000003_gtFine_labelIds.png\)"):
        labelled_pairs(town, "train")


def test_with_a_cache_the_samples_are_the_same(tiny_run: MakeRun, town: Path, tmp_path: Path) -> None:
    source = tiny_run().data[0]
    from_files = Samples(tiny_run())
    found = verify(town, "train", "gtFine")
    assert prepare_cache(town, found, "gtFine", tmp_path / "elsewhere")
    from_cache = Samples(tiny_run(data=(dataclasses.replace(source, cache=str(tmp_path / "elsewhere")),)))
    assert isinstance(from_files.sources[0].frames, FileFrames)
    assert isinstance(from_cache.sources[0].frames, CachedFrames)
    np.testing.assert_array_equal(from_files.sources[0].frames.counts, from_cache.sources[0].frames.counts)
    for n in range(12):
        assert all(torch.equal(a, b) for a, b in zip(from_files[n], from_cache[n], strict=True))


def test_cities_are_left_out_with_and_without_a_cache(tiny_run: MakeRun, town: Path) -> None:
    source = dataclasses.replace(tiny_run().data[0], leave_out=("town",))
    with pytest.raises(ValueError, match="train: no images are left without town"):
        frames_of(source)
    for folder in (town / "leftImg8bit/train", town / "gtFine/train"):
        (folder / "other").mkdir()
        for path in sorted((folder / "town").glob("*_000001_*")):
            (folder / "other" / path.name).write_bytes(path.read_bytes())
    assert len(frames_of(source).counts) == 1
    prepare_cache(town, verify(town, "train", "gtFine"), "gtFine", town / "cache")
    assert len(frames_of(source).counts) == 1
    assert len(frames_of(dataclasses.replace(source, leave_out=())).counts) == 7
    with pytest.raises(ValueError, match="train: no city nowhere; there are other, town"):
        frames_of(dataclasses.replace(source, leave_out=("nowhere",)))


def test_a_city_that_is_left_out_needs_no_labels(tiny_run: MakeRun, town: Path) -> None:
    for path in (town / "leftImg8bit" / "train" / "town").iterdir():
        other = town / "leftImg8bit" / "train" / "other" / path.name.replace("town", "other")
        other.parent.mkdir(exist_ok=True)
        shutil.copy(path, other)
    source = tiny_run().data[0]
    with pytest.raises(FileNotFoundError, match="no label file"):
        frames_of(source)
    without = dataclasses.replace(source, leave_out=("other",))
    assert len(frames_of(without).counts) == 6
    sketched = data_sketch(without)
    shutil.rmtree(town / "leftImg8bit" / "train" / "other")
    assert data_sketch(source) == sketched


def test_without_a_cache_a_damaged_image_is_found_before_the_first_step(tiny_run: MakeRun, town: Path) -> None:
    image = sorted((town / "leftImg8bit").rglob("*.png"))[4]
    image.write_bytes(image.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"{image}: PNG of 80×64 is cut short"):
        frames_of(tiny_run().data[0])


def test_half_of_the_samples_show_a_class_that_was_drawn_uniformly(tiny_run: MakeRun) -> None:
    """In crops of an eighth of the frame the car is visible more often than in random crops."""
    source = dataclasses.replace(tiny_run().data[0], augment=AugmentConfig(scale=(1.0, 1.0)))

    def shown(uniform: float) -> float:
        samples = Samples(tiny_run(data=(dataclasses.replace(source, uniform=uniform),), crop=(16, 32), steps=150))
        return float(np.mean([bool((samples[n][1] == 13).any()) for n in range(300)]))

    without, always = shown(0.0), shown(1.0)
    assert always > without + 0.1
    assert shown(0.5) == pytest.approx((without + always) / 2, abs=0.08)


def test_the_first_steps_use_half_the_size(tiny_run: MakeRun) -> None:
    """They show the same crop at half of its height and width."""
    still = AugmentConfig(scale=(1.0, 1.0), color=0.0)
    source = dataclasses.replace(tiny_run().data[0], augment=still, uniform=0.0)
    whole, half = (Samples(tiny_run(data=(source,), half_steps=steps, crop=(64, 80))) for steps in (0, 3))
    for number in range(6):
        image, label = (tensor.numpy() for tensor in half[number])
        assert (image.shape, label.shape) == ((32, 40, 3), (32, 40))
        expected = cv2.resize(whole[number][0].numpy(), (40, 32), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(image, expected)
    for number in range(6, 12):
        assert torch.equal(half[number][0], whole[number][0])


def test_the_augmentation_of_a_source_replaces_that_of_the_run(tiny_run: MakeRun) -> None:
    source = dataclasses.replace(tiny_run().data[0], augment=None)
    gray = tiny_run(data=(source,), augment=AugmentConfig(gray=1.0))
    assert all(bool((Samples(gray)[n][0].amax(2) == Samples(gray)[n][0].amin(2)).all()) for n in range(3))
    colored = tiny_run(data=(dataclasses.replace(source, augment=AugmentConfig()),), augment=AugmentConfig(gray=1.0))
    assert any(bool((Samples(colored)[n][0].amax(2) != Samples(colored)[n][0].amin(2)).any()) for n in range(3))
