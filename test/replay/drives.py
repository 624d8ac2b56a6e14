"""Small drives on disk: a video, folders and bags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer

from unet_seg_ros.data.cityscapes import find_pairs, image_path, label_path
from unet_seg_ros.data.image_files import read_image, read_label
from unet_seg_ros.data.labels import ID_TO_TRAIN_ID
from unet_seg_ros.replay.errors import SourceError
from unet_seg_ros.replay.source.drive import TYPES, image_message
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.replay.topics import COMPRESSED_IMAGE

Array = NDArray[np.uint8]
STAMP = 1_600_000_000_123_456_789
WIDTH, HEIGHT = 64, 48
FRONT, LABELS = "/front/image_raw", "/front/label"


def picture(index: int, height: int = HEIGHT, width: int = WIDTH) -> Array:
    """An RGB picture that is smooth, so that codecs change it little."""
    y, x = np.mgrid[:height, :width]
    return np.stack([2 * x + 10 * index, 2 * y, np.full_like(x, 20 * index)], -1).clip(0, 255).astype(np.uint8)


def write_video(path: Path, count: int, rate: float) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (WIDTH, HEIGHT))
    for index in range(count):
        writer.write(cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def write_image(path: Path, rgb: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def write_cityscapes(root: Path, split: str, count: int, labelled: int) -> Path:
    for index in range(count):
        name = f"town_000000_{index:06d}"
        write_image(image_path(root, split, "town", name), picture(index))
        if index < labelled:
            label = label_path(root, split, "town", name)
            label.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(label), np.full((HEIGHT, WIDTH), 7, np.uint8))
    return root


def stamp(index: int) -> int:
    """The stamp of a frame in a bag, in nanoseconds."""
    return STAMP + index * 10**8


def raw(index: int, encoding: str = "rgb8", frame_id: str = "front_optical") -> Any:
    return image_message(picture(index), encoding, stamp(index), frame_id)


def compressed(index: int) -> Any:
    png = cv2.imencode(".png", cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR))[1]
    return TYPES.types[COMPRESSED_IMAGE](raw(index).header, "png", png.reshape(-1))


def write_bag(path: Path, topics: dict[str, list[Any]], storage: StoragePlugin, delay_ns: int = 5_000_000) -> Path:
    """Messages of a topic 0.1 s apart, recorded ``delay_ns`` after their stamps."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {
            topic: writer.add_connection(topic, messages[0].__msgtype__, typestore=TYPES)
            for topic, messages in topics.items()
        }
        for index in range(max(len(messages) for messages in topics.values())):
            for topic, messages in topics.items():
                if index < len(messages):
                    data = TYPES.serialize_cdr(messages[index], messages[index].__msgtype__)
                    writer.write(connections[topic], stamp(index) + delay_ns, data)
    return path


def as_bag(path: Path, root: Path, split: str, storage: StoragePlugin, train_ids: bool = False) -> Path:
    """A labelled folder as a bag with the labels on a topic."""
    images, labels = [], []
    for index, pair in enumerate(find_pairs(root, split)):
        assert pair.label is not None
        ids = ID_TO_TRAIN_ID[read_label(pair.label)] if train_ids else read_label(pair.label)
        images.append(image_message(read_image(pair.image), "rgb8", stamp(index), "front"))
        label = image_message(np.repeat(ids[..., None], 3, axis=2), "mono8", stamp(index), "front")
        label.data, label.step = ids.reshape(-1), ids.shape[1]
        labels.append(label)
    return write_bag(path, {FRONT: images, LABELS: labels}, storage)


def stamps(path: Path) -> tuple[list[int], str]:
    """The numbers of the frames of a bag that can be read, one each tenth of a second from ``STAMP`` on, and the error
    that ended the reading."""
    found, said = [], ""
    try:
        for frame in open_source(path).frames():
            found.append((frame.stamp_ns - STAMP) // 10**8)
    except SourceError as error:
        said = str(error)
    return found, said
