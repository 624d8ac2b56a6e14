"""Reads drives from a video file or an image folder; ``bag`` reads bags."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from unet_seg_ros.data.cityscapes import IMAGE_FOLDER, Pair, find_pairs, label_files, missing_labels, splits, unpaired
from unet_seg_ros.data.image_files import (
    SUFFIXES,
    PictureError,
    check_size,
    is_picture,
    left_out,
    read_picture,
)
from unet_seg_ros.files import natural_order, open_regular, utf8_path
from unet_seg_ros.replay.errors import SourceError
from unet_seg_ros.replay.source.bag import is_bag, open_bag
from unet_seg_ros.replay.source.drive import MAX_STAMP, Array, Drive, DriveFrame, image_message
from unet_seg_ros.text import last_words, listed, one_line

logger = logging.getLogger(__name__)

_TEXT = re.compile(rb"(?!YUV4MPEG2 )[\t-\r\x1b -~\x80-\xff]+")
"""Bytes of texts; the header of every kind of video but one has others."""
KNOW_THEIR_LENGTH = (".avi", ".mp4", ".mov", ".m4v")
"""The number of frames in these containers is exact; in others it is an estimate."""
CAMERA = "camera"
TOPIC = f"/{CAMERA}/image_raw"
DEFAULT_RATE = 10.0
"""Frames per second of an image folder, as in the synthetic drives."""
MAX_LENGTH = 10**8
"""Most frames of a video; a larger number in the header is ignored."""
NOT_TURNED = "it asks for a rotation ({}), which is ignored, because camera messages are not rotated either"
FIRST_STAMP_NS = 1_000_000_000
"""Not 0, because many tools treat a stamp of 0 as missing."""


def open_source(
    path: Path, rate: float | None = None, topics: Collection[str] = (), labels: Collection[str] = ()
) -> Drive:
    """Open a bag (folder, .mcap or .db3), a video file or an image folder.

    ``rate`` in Hz is for image folders; bags and videos have their own. ``topics`` are the topics of a bag to play; if
    empty, all cameras except the topics ``labels``. Raises SourceError.
    """
    if not os.path.exists(path):  # False also if the name is too long
        raise SourceError(f"{path}: no such file or folder")
    bag = is_bag(path)
    if rate is not None and (bag or path.is_file()):
        raise SourceError(f"{path}: it has its own rate; --rate is for image folders")
    if bag:
        return open_bag(path, topics, labels)
    if topics or labels:
        raise SourceError(f"{path}: this is not a bag, so it has no topics {', '.join((*topics, *labels))}")
    return open_folder(path, rate or DEFAULT_RATE) if path.is_dir() else open_video(path)


def open_video(path: Path) -> Drive:
    """Open a video file at its own rate. Raises SourceError if OpenCV cannot read the first frame."""
    if not path.is_file():
        raise SourceError(f"{path}: not a regular file")
    if reason := _no_video(path):
        raise SourceError(f"{path}: {reason}")
    capture = _capture(path)
    readable = capture.isOpened() and capture.grab()
    rate, length = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    turned = int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
    capture.release()
    if not readable:
        raise SourceError(f"{path}: cannot be read as a video; a bag must be a folder or end in .mcap or .db3")
    if not 0 < rate < 1000:
        raise SourceError(f"{path}: the video has no frame rate")
    try:
        check_size(*size)
    except PictureError as error:
        raise SourceError(f"{path}: {error}") from error
    length = min(max(length, 0), MAX_LENGTH)
    problems = (f"{path}: {NOT_TURNED.format(f'{turned}°')}",) if turned else ()
    return Drive(path, {CAMERA: TOPIC}, "raw", length, lambda: _video_frames(path, rate, length), (path,), problems)


def _no_video(path: Path) -> str:
    """Why FFmpeg must not read a file, empty if it may: it would read a picture without the checks of
    ``data.image_files``, the files that a playlist names, and any text as drawn by a terminal."""
    if is_picture(path):
        return "a picture is not a drive; give the folder of the pictures"
    try:
        with open_regular(path) as file:
            return "cannot be read as a video: it is a text or a playlist" if _TEXT.fullmatch(file.read(4096)) else ""
    except OSError as error:
        return last_words(error)


def _capture(path: Path) -> cv2.VideoCapture:
    """Open the video without rotation, as images are read."""
    with utf8_path(path) as name:
        capture = cv2.VideoCapture(name)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    return capture


def _video_frames(path: Path, rate: float, length: int) -> Iterator[DriveFrame]:
    capture = _capture(path)
    index = 0
    while True:
        there, bgr = capture.read()
        if not there:
            break
        yield _frame(index, rate, cast(Array, bgr), "bgr8", None, str(index))
        index += 1
    capture.release()
    if index < 0.98 * length - 1 and path.suffix.lower() in KNOW_THEIR_LENGTH:
        raise SourceError(f"{path}: damaged, only {index} of {length} frames could be read")
    if index < 0.9 * length - 1:
        logger.warning("%s: %d frames could be read, of about %d", path, index, length)


def open_folder(path: Path, rate: float) -> Drive:
    """Images at ``rate`` Hz: one split of a folder in Cityscapes layout (val if there is one, else one that has
    labels), with its labels, or all images of any other folder, by name. Raises SourceError if there are none."""
    problems = []
    if found := splits(path):
        split = _split(path, found)
        pairs = _pairs(path, split)
        files = [(pair.image, pair.label) for pair in pairs]
        problems += [missing_labels(path, split), *unpaired(path, split, pairs)]
        problems += [left_out((path / IMAGE_FOLDER / split).glob("*/*"))]
    else:
        there = sorted((file for file in path.iterdir() if not file.is_dir()), key=natural_order)
        files = [(file, None) for file in there if is_picture(file)]
        problems += [left_out(there)]
    if not files:
        raise SourceError(
            f"{path}: no images; a folder must hold {', '.join(SUFFIXES)} files, Cityscapes' leftImg8bit and "
            "gtFine, or a bag's metadata.yaml"
        )
    read = tuple(file for pair in files for file in pair if file is not None)
    lines = tuple(one_line(problem) for problem in problems if problem)
    return Drive(path, {CAMERA: TOPIC}, "raw", len(files), lambda: _folder_frames(files, rate), read, lines)


def _split(root: Path, found: list[str]) -> str:
    """The split to play of those that there are; where there is a choice, it is logged."""
    labelled = [name for name in found if name != "test" and label_files(root, name)]
    split = "val" if "val" in found else (labelled or found)[0]
    if len(found) > 1:
        logger.info("%s: of the splits %s, %s is played", root, listed(found), split)
    return split


def _pairs(root: Path, split: str) -> list[Pair]:
    try:
        return find_pairs(root, split)
    except FileNotFoundError as error:
        raise SourceError(str(error)) from error


def _folder_frames(files: list[tuple[Path, Path | None]], rate: float) -> Iterator[DriveFrame]:
    for index, (image, label) in enumerate(files):
        name, problem, note = image.stem.removesuffix(f"_{IMAGE_FOLDER}"), "", ""
        try:
            rgb, orientation = read_picture(image)
            if orientation != 1:
                note = f"{image}: {NOT_TURNED.format(f'by EXIF orientation {orientation}')}"
        except ValueError as error:
            rgb, problem = np.zeros((0, 0, 3), np.uint8), str(error)
        yield replace(_frame(index, rate, rgb, "rgb8", label, name), problem=one_line(problem), note=one_line(note))


def _frame(index: int, rate: float, pixels: Array, encoding: str, label: Path | None, name: str) -> DriveFrame:
    at_ns = min(round(index * 1e9 / rate), MAX_STAMP - FIRST_STAMP_NS)
    stamp_ns = FIRST_STAMP_NS + at_ns
    return DriveFrame(CAMERA, at_ns, stamp_ns, image_message(pixels, encoding, stamp_ns, CAMERA), label, name)
