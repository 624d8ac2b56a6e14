"""The outputs of a camera: for each one the topic, the type and the function that makes its message.

To add one, add an ``Output`` to ``frame_outputs`` (a message for each frame) or to ``announcements`` (latched).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from unet_seg_msgs.msg import ClassCoverage, ClassTable, RegionCoverage
from unet_seg_ros.data.autoware import class_table, run_length_encoded
from unet_seg_ros.data.labels import TRAIN_LABELS, palette
from unet_seg_ros.data.ros_images import fill, fill_compressed
from unet_seg_ros.draw import colorize, overlay
from unet_seg_ros.model.bundle import Manifest
from unet_seg_ros.ros.settings import Settings
from unet_seg_ros.segmenter import Segmentation


@dataclass(frozen=True)
class SegmentedFrame:
    """The data from which outputs are made. ``image`` is uint8[H, W, 3] RGB. ``age`` is the time in seconds from the
    stamp to publishing. ``trust`` is 0..1. ``dropped`` and ``lost`` count frames since the camera's last published
    one."""

    camera: str
    model_id: str
    header: Header
    image: NDArray[np.uint8]
    seen: Segmentation
    settings: Settings
    age: float
    trust: float
    dropped: int
    lost: int


@dataclass(frozen=True)
class Output:
    """A topic ``~/C/NAME``. ``make`` returns a frame's message, or None for no message. Unless ``always`` is true, it
    is called only while somebody subscribes."""

    name: str
    type: Any
    make: Callable[[SegmentedFrame], Any]
    always: bool = False


def frame_outputs(manifest: Manifest, autoware: bool = False) -> list[Output]:
    """The outputs of one camera, in order of publishing. ``autoware`` adds the mask for Autoware's lidar filter."""
    colors = palette(manifest.palette)
    table = class_table(manifest.class_names, manifest.class_ids)
    extra = [Output("mask/autoware", Image, lambda frame: _autoware(frame, table))] if autoware else []
    return [
        Output("mask", Image, lambda frame: _image(frame, frame.seen.mask), always=True),
        Output("mask/compressed", CompressedImage, _png),
        Output("confidence", Image, lambda frame: _image(frame, frame.seen.confidence)),
        Output("color", Image, lambda frame: _image(frame, colorize(frame.seen.mask, colors))),
        Output("overlay", Image, lambda frame: _image(frame, overlay(frame.image, frame.seen.mask, colors))),
        Output("overlay/compressed", CompressedImage, lambda frame: _jpeg(frame, colors)),
        Output("coverage", ClassCoverage, coverage_message, always=True),
        *extra,
    ]


class Publishers:
    """The publishers of a camera's outputs, from construction to ``destroy``."""

    def __init__(self, node: Node, camera: str, outputs: list[Output], qos: QoSProfile) -> None:
        self._node = node
        self._publishers = [
            (output, node.create_publisher(output.type, f"~/{camera}/{output.name}", qos)) for output in outputs
        ]

    @property
    def topics(self) -> list[str]:
        return [str(publisher.topic_name) for _, publisher in self._publishers]

    def publish(self, frame: SegmentedFrame) -> None:
        for output, publisher in self._publishers:
            if output.always or publisher.get_subscription_count():
                message = output.make(frame)
                if message is not None:
                    publisher.publish(message)

    def destroy(self) -> None:
        for _, publisher in self._publishers:
            self._node.destroy_publisher(publisher)


def announcements(manifest: Manifest, model_id: str, settings: Settings, stamp: Any) -> Iterator[tuple[str, Any, Any]]:
    """The latched messages of each camera: topic under ~/C/, type and message. ``stamp`` is the node's time."""
    group_of = {label.name: label.category for label in TRAIN_LABELS}
    named = [(i, manifest.class_names[i]) for i in sorted(set(manifest.class_ids)) if i < len(manifest.class_names)]
    header = Header(stamp=stamp)
    yield (
        "classes",
        ClassTable,
        ClassTable(
            header=header,
            model=model_id,
            ids=array("B", (i for i, _ in named)),
            names=[name for _, name in named],
            groups=[group_of.get(name, "") for _, name in named],
            colors=array("B", (value for i, _ in named for value in manifest.palette[i])),
        ),
    )
    try:
        from vision_msgs.msg import LabelInfo, VisionClass
    except ImportError:
        return
    classes = [VisionClass(class_id=i, class_name=name) for i, name in named]
    yield "label_info", LabelInfo, LabelInfo(header=header, class_map=classes, threshold=settings.unknown_below)


def _image(frame: SegmentedFrame, pixels: NDArray[np.uint8]) -> Image:
    message = Image(header=frame.header)
    fill(message, pixels)
    return message


def _autoware(frame: SegmentedFrame, table: NDArray[np.uint8]) -> Image:
    """An Image whose data is run-length encoded, as Autoware expects its masks."""
    height, width = frame.seen.mask.shape
    message = Image(header=frame.header, height=height, width=width, encoding="mono8", step=width)
    message.data = array("B", run_length_encoded(table[frame.seen.mask]))
    return message


def _png(frame: SegmentedFrame) -> CompressedImage:
    message = CompressedImage(header=frame.header)
    fill_compressed(message, frame.seen.mask)
    return message


def _jpeg(frame: SegmentedFrame, colors: NDArray[np.uint8]) -> CompressedImage:
    message = CompressedImage(header=frame.header, format="rgb8; jpeg compressed bgr8")  # as image_transport writes it
    picture = cv2.cvtColor(overlay(frame.image, frame.seen.mask, colors), cv2.COLOR_RGB2BGR)
    message.data.frombytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].data)
    return message


def coverage_message(frame: SegmentedFrame) -> ClassCoverage:
    """The frame's coverage, in the image and in the regions that apply to its camera."""
    seen, settings = frame.seen, frame.settings
    regions = [region for region in settings.regions if not region.cameras or frame.camera in region.cameras]
    coverage = seen.coverage(regions, settings.confidence_threshold)
    return ClassCoverage(
        header=frame.header,
        model=frame.model_id,
        height=seen.mask.shape[0],
        width=seen.mask.shape[1],
        class_names=list(seen.class_names),
        regions=[
            RegionCoverage(
                name=region.name,
                valid_pixels=region.valid_pixels,
                fraction=region.fraction.tolist(),
                mean_confidence=region.mean_confidence.tolist(),
            )
            for region in coverage.regions
        ],
        mean_confidence=coverage.mean_confidence,
        low_confidence_fraction=coverage.low_confidence_fraction,
        dropped=frame.dropped,
        lost=frame.lost,
        trust=frame.trust,
        age=frame.age,
    )
