"""Reads a live recording once: every frame with the node's outputs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.highlevel import AnyReader
from tqdm import tqdm

from unet_seg_ros import draw
from unet_seg_ros.data.ros_images import stamp_ns, to_rgb
from unet_seg_ros.replay.live.played_drive import PlayedDrive, Sent
from unet_seg_ros.replay.record.recorder import Recorder
from unet_seg_ros.replay.source.drive import TYPES, Array, Drive, image_message, message_pixels
from unet_seg_ros.replay.topics import FRAME_OUTPUTS, IMAGE, RECORDED


class Answer(NamedTuple):
    """A frame and its outputs: ``image`` uint8[H, W, 3] RGB, ``mask`` and ``confidence`` uint8[H, W], ``coverage`` the
    ClassCoverage message."""

    sent: Sent
    image: Array
    mask: Array
    confidence: Array
    coverage: Any


def answers(bag: Path, drive: Drive, played: PlayedDrive, recorder: Recorder) -> Iterator[Answer]:
    """The frames in ``bag`` for which the node sent a mask, in order of their stamps. Frames with a repeated stamp are
    left out, because their masks cannot be matched. All messages are written to ``recorder``, with an overlay for each
    answer.
    """
    what = {drive.topic(camera): (camera, "image") for camera in drive.cameras}
    what |= {played.target.topic(camera, output): (camera, output) for camera in drive.cameras for output in RECORDED}
    frames = {(sent.camera, sent.stamp_ns): sent for sent in played.frames if not sent.repeated}
    parts: dict[tuple[str, int], dict[str, Any]] = {}  # of frames whose answer is not complete yet
    with AnyReader([bag], default_typestore=TYPES) as reader:
        bar = tqdm(reader.messages(), total=reader.message_count, unit="message", desc="reading the recording")
        for connection, _, raw in bar:
            message: Any = reader.deserialize(raw, connection.msgtype)
            camera, output = what[connection.topic]
            key = camera, stamp_ns(message.header)
            recorder.write(connection.topic, connection.msgtype, key[1], bytes(raw))
            if key not in frames or output not in ("image", *FRAME_OUTPUTS):
                continue
            # The bag is in order of the stamps, so answers with earlier stamps cannot become complete.
            parts = {other: found for other, found in parts.items() if other[1] == key[1]}
            found = parts.setdefault(key, {})
            found[output] = message
            if len(found) == 1 + len(FRAME_OUTPUTS):
                answer = _answer(frames[key], found)
                overlay = draw.overlay(answer.image, answer.mask, played.palette)
                picture = image_message(overlay, "rgb8", key[1], found["image"].header.frame_id)
                topic = played.target.topic(camera, "overlay")
                recorder.write(topic, IMAGE, key[1], bytes(TYPES.serialize_cdr(picture, IMAGE)))
                yield answer


def _answer(sent: Sent, found: dict[str, Any]) -> Answer:
    # `to_rgb` repeats the one channel of mono8 three times
    mask, confidence = (to_rgb(found[output])[..., 0].copy() for output in ("mask", "confidence"))
    return Answer(sent, message_pixels(found["image"]), mask, confidence, found["coverage"])
