"""What is fuzzed: for each kind of input, how a case is made of a seeded generator, and what may be raised for it."""

from __future__ import annotations

import io
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import yaml
from mcap.writer import CompressionType, Writer
from safetensors.torch import save

from test.fuzz.mutate import NUMBERS, TEXTS, changed, damaged, value, with_checksums
from test.replay import drives
from training import config as training_config
from training.data.label_sets import read_class_map
from training.run.checkpoint import DIGEST, _digest, read_checkpoint
from unet_seg_ros.data import image_files
from unet_seg_ros.data.labels import CLASS_NAMES, GROUPINGS
from unet_seg_ros.data.ros_images import ENCODINGS, ImageError, compressed_to_rgb, to_rgb
from unet_seg_ros.ground.costs import load_costs
from unet_seg_ros.health.rules import load_thresholds
from unet_seg_ros.model.bundle import BundleError, Manifest, digest, load_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig
from unet_seg_ros.replay.errors import ReportError, SourceError
from unet_seg_ros.replay.ground_calibration import load_calibration
from unet_seg_ros.replay.judge.requirements import parse
from unet_seg_ros.replay.launch_arguments import command_line
from unet_seg_ros.replay.options import load_grouping, load_ignored, load_regions
from unet_seg_ros.replay.schema import read_report
from unet_seg_ros.replay.source.drive import TYPES, message_pixels
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.replay.topics import IMAGE
from unet_seg_ros.ros import bringup
from unet_seg_ros.ros.parameter_files import cameras_in, misdirected
from unet_seg_ros.share_folder import share_folder

LARGEST = 2**20
"""Pixels of a picture while fuzzing: a header that asks for more is refused, as the larger ones are in use."""


class Target(NamedTuple):
    """``run`` makes a case of the generator, in a folder of its own, and tries it; it returns whether the input was
    taken. ``allowed`` is what it may raise."""

    run: Callable[[random.Random, Path], bool]
    allowed: tuple[type[Exception], ...]


def messages(rng: random.Random, _: Path) -> bool:
    """Image messages: all encodings, sizes and steps that fit or not."""
    width, height = (rng.choice((0, 1, 2, 3, 4, 7, 8, 16, 33, rng.choice(NUMBERS) % 2**32)) for _ in range(2))
    encoding = rng.choice((*ENCODINGS, *ENCODINGS, "16UC1", "mono16", rng.choice(TEXTS)))
    step = rng.choice((width, 2 * width, 3 * width, 4 * width, 3 * width + 5, rng.choice(NUMBERS))) % 2**32
    size = min(step * height, 2**14) + rng.choice((0, 0, 0, -1, 1, -7, -step))
    data = rng.randbytes(min(max(size, 0), 64)) * (max(size, 0) // 64 + 1)
    message = SimpleNamespace(height=height, width=width, encoding=encoding, is_bigendian=0, step=step)
    message.data = data[: max(size, 0)]
    rgb = to_rgb(message)
    assert (rgb.shape, rgb.dtype) == ((height, width, 3), np.uint8)
    return True


@cache
def _pictures() -> list[bytes]:
    rgb = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8), (5, 5), 0)
    options = (
        (".jpg", rgb, []),
        (".jpg", rgb, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".jpg", rgb, [cv2.IMWRITE_JPEG_RST_INTERVAL, 1]),
        (".jpg", rgb[..., 0], [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]),
        (".png", rgb, []),
        (".png", rgb[..., 0], []),
        (".png", rgb.astype(np.uint16) * 257, []),
        (".bmp", rgb, []),
    )
    return [cv2.imencode(kind, pixels, chosen)[1].tobytes() for kind, pixels, chosen in options]


FORMATS = ("jpeg", "png", "", "rgb8; jpeg compressed bgr8", "bgr8; png compressed rgb8",
           "bayer_rggb8; jpeg compressed", "bayer_rggb12; png compressed",
           "bayer_gbrg16; png compressed", "16UC1; png compressed", "mono16; png compressed",
           "compressedDepth")  # fmt: skip


def compressed(rng: random.Random, _: Path) -> bool:
    """Pictures of all kinds, damaged, with formats of all kinds."""
    data = damaged(rng.choice(_pictures()), rng)
    if data.startswith(b"\x89PNG") and rng.random() < 0.7:
        data = with_checksums(data)
    rgb = compressed_to_rgb(SimpleNamespace(format=rng.choice((*FORMATS, rng.choice(TEXTS))), data=data))
    assert rgb.ndim == 3
    assert (rgb.shape[2], rgb.dtype) == (3, np.uint8)
    assert rgb.shape[0] * rgb.shape[1] <= image_files.MAX_PIXELS
    return True


@cache
def _bundle() -> tuple[dict[str, torch.Tensor], str]:
    config = UNetConfig(widths=(2, 4), depths=(1, 1), context=False, num_classes=2)
    ids, colors = (0, 1), ((0, 0, 0), (1, 1, 1))
    manifest = Manifest("small", config, 1000, ("a", "b"), ids, colors)
    return dict(UNet(config).state_dict()), manifest.to_json()


def bundles(rng: random.Random, folder: Path) -> bool:
    """Bundles and checkpoints: damaged bytes, or another manifest under a right digest."""
    tensors, text = _bundle()
    if rng.random() < 0.5:
        text = json.dumps(changed(json.loads(text), rng))
    if rng.random() < 0.2:
        name = rng.choice(list(tensors))
        tensors = {**tensors, name: tensors[name] * rng.choice((float("nan"), float("inf"), 1.0, 1e30))}
    path = folder / "x.safetensors"
    if rng.random() < 0.3:
        metadata = {"step": json.dumps(value(rng)), "config": json.dumps(value(rng))}
        data = save(tensors, {**metadata, DIGEST: json.dumps(_digest(tensors, metadata))})
        path.write_bytes(data if rng.random() < 0.5 else damaged(data, rng))
        read_checkpoint(path)
        return True
    data = save(
        tensors,
        {
            "format": "1",
            "manifest": text,
            "sha256": digest(text, {name: tensor.numpy() for name, tensor in tensors.items()}),
        },
    )
    path.write_bytes(data if rng.random() < 0.2 else damaged(data, rng))
    bundle = load_bundle(path)
    if rng.random() < 0.1:
        bundle.build()
    return True


YAMLS: dict[str, Any] = {
    "grouping": {"drivable": ["road"], "rest": ["sidewalk", "sky"]},
    "regions": {"ego": [0.1, 0.1, 0.9, 0.1, 0.5, 0.9]},
    "class map": {7: ["road"], 8: ["sidewalk", "terrain"]},
    "requirements": ["miou>=0.5", "flicker<=0.1"],
    "training": {
        "model": "nano", "steps": 10, "max_pixels": 4096, "crop": [64, 64], "warmup": 1,
        "data": [{"name": "a", "root": "/a", "split": "train", "class_map": "cityscapes", "terms": ""}],
    },
    "ignored": {"front": ["0 1 0.2 0.9 0.8 0.9", "bonnet.png"]},
    "health": yaml.safe_load((share_folder() / "config" / "health.yaml").read_text()),
    "costs": yaml.safe_load((share_folder() / "config" / "costs.yaml").read_text()),
    "calibration": {"/**": {"ros__parameters": {"ground": {"area": [0.0, -5.0, 10.0, 5.0], "front": {
        "size": [640, 480], "intrinsics": [400.0, 400.0, 319.5, 239.5], "z": 1.5, "pitch": 0.1,
    }}}}},
    "parameters": {"/ego/segmentation": {"ros__parameters": {"cameras": ["front"], "topic.front": "/front/image"}}},
}  # fmt: skip
READERS: dict[str, Callable[[Path], object]] = {
    "grouping": lambda path: load_grouping(str(path)),
    "regions": load_regions,
    "class map": read_class_map,
    "requirements": lambda path: parse([str(path)], "offline", GROUPINGS["cityscapes19"]),
    "training": training_config.load,
    "ignored": load_ignored,
    "health": load_thresholds,
    "costs": lambda path: load_costs(path, CLASS_NAMES, range(len(CLASS_NAMES))),
    "calibration": lambda path: load_calibration(path, ["front"]),
    "parameters": lambda path: (misdirected(["--params-file", str(path)], "/segmentation"), cameras_in(path)),
}


def texts(rng: random.Random, folder: Path) -> bool:
    """YAML files of every kind that is read, and a report in JSON."""
    name = rng.choice((*YAMLS, "report"))
    if name == "report":
        text = json.dumps(changed({"format": 1, "accuracy": {"grouping": "a"}}, rng)).encode()
        path = folder / "x.json"
        path.write_bytes(damaged(text, rng) if rng.random() < 0.5 else text)
        read_report(path)
        return True
    held = changed(YAMLS[name], rng) if rng.random() < 0.7 else YAMLS[name]
    text = yaml.dump(held, Dumper=getattr(yaml, "CDumper", yaml.Dumper), allow_unicode=False).encode(errors="replace")
    path = folder / "x.yaml"
    path.write_bytes(damaged(text, rng) if rng.random() < 0.6 else text)
    READERS[name](path)
    return True


@cache
def _bags() -> list[tuple[str, bytes]]:
    found = []
    cdrs = [bytes(TYPES.serialize_cdr(drives.raw(index), IMAGE)) for index in range(3)]
    for compression in CompressionType:
        stream = io.BytesIO()
        writer = Writer(stream, chunk_size=1, compression=compression)
        writer.start("ros2", "fuzz")
        camera = writer.register_channel("/front/image", "cdr", writer.register_schema(IMAGE, "ros2msg", b""))
        for index, cdr in enumerate(cdrs):
            writer.add_message(camera, index, cdr[:300], index)
        writer.finish()
        found.append((".mcap", stream.getvalue()))
    base = sqlite3.connect(":memory:")
    base.execute("PRAGMA page_size = 512")
    base.executescript(
        "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT);"
        "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB);"
        "CREATE INDEX timestamps ON messages(timestamp);"
    )
    base.execute("INSERT INTO topics VALUES (1, '/front/image', ?, 'cdr')", (IMAGE,))
    base.executemany("INSERT INTO messages VALUES (?, 1, ?, ?)", [(i + 1, i, c[:300]) for i, c in enumerate(cdrs)])
    base.commit()
    found.append((".db3", _serialized(base)))
    return found


def _serialized(base: sqlite3.Connection) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:  # Connection.serialize is not in Python 3.10
        base.execute("VACUUM INTO ?", (f"{folder}/x.db3",))
        return Path(folder, "x.db3").read_bytes()


def bags(rng: random.Random, folder: Path) -> bool:
    """Bag files of both kinds, opened and read to their end."""
    suffix, data = rng.choice(_bags())
    path = folder / f"x{suffix}"
    path.write_bytes(damaged(data, rng))
    if suffix == ".db3" and rng.random() < 0.2:
        Path(f"{path}-wal").write_bytes(rng.randbytes(100))
    try:
        for count, frame in enumerate(open_source(path).frames()):
            assert count < 1000
            assert frame.at_ns >= 0
            TYPES.serialize_cdr(frame.message, frame.message.__msgtype__)
            try:
                message_pixels(frame.message)
            except ImageError:
                continue
    finally:
        Path(f"{path}-wal").unlink(missing_ok=True)
    return True


def launch(rng: random.Random, folder: Path) -> bool:
    """Launch arguments of the node and of the replay, with a parameter file of any contents."""
    path = folder / "params.yaml"
    held = {"/**": {"ros__parameters": {"cameras": ["a", "b"], "model": "x"}}}
    text = yaml.safe_dump(changed(held, rng)).encode(errors="replace")
    path.write_bytes(damaged(text, rng) if rng.random() < 0.5 else text)
    given = {argument.name: rng.choice(TEXTS) for argument in bringup.ARGUMENTS if rng.random() < 0.3}
    if rng.random() < 0.5:
        given["params_file"] = str(path)
    replayed = {name: rng.choice(TEXTS) for name in ("source", "output", "arguments") if rng.random() < 0.7}
    with suppress(ValueError):
        command_line(replayed)
    bringup.ros_args(bringup.bringup(given, environ={}))
    return True


TARGETS: dict[str, Target] = {
    "messages": Target(messages, (ImageError,)),
    "compressed": Target(compressed, (ImageError,)),
    "bundles": Target(bundles, (BundleError,)),
    "texts": Target(texts, (ValueError, ReportError)),
    "bags": Target(bags, (SourceError,)),
    "launch": Target(launch, (ValueError,)),
}


@contextmanager
def small_pictures() -> Iterator[None]:
    """Pictures above ``LARGEST`` are refused meanwhile."""
    before, image_files.MAX_PIXELS = image_files.MAX_PIXELS, LARGEST
    try:
        yield
    finally:
        image_files.MAX_PIXELS = before
