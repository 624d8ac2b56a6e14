"""The figures of a drive: ``summary.json``, ``summary.txt`` and ``coverage.csv``.

``summary.json`` (shares are 0..1, times seconds, rates Hz; null where there is nothing to say):

- ``source``, ``model`` (the bundle's id), ``device``, ``precision``
- ``cameras.NAME``: ``sent``, ``masks`` (that came back), ``dropped`` (sent - masks), ``dropped_why`` (count by reason),
  ``rate``: ``drive`` (recorded), ``sent``, ``masks`` (achieved), ``latency`` (from sending a frame to receiving its
  mask, on the player's one monotonic clock): ``mean``, ``p50``, ``p95``, ``p99``, ``max``
- ``labels_unused``: why labels there were not compared with the masks; null if they were, or if there are none
- ``accuracy``, null without labels compared: ``grouping``, ``frames`` (labelled ones that came back), ``miou``,
  ``pixel_accuracy``, ``iou`` by class (null for one that neither labels nor masks hold)

``coverage.csv`` has a row per mask: ``camera``, ``stamp_ns``, ``time`` (since the drive began), ``latency``,
``dropped`` (frames since the last row), ``mean_confidence``, ``low_confidence_fraction``, each class's share.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unet_seg_ros.labels import CLASS_NAMES, NUM_CLASSES
from unet_seg_ros.metrics import ConfusionMatrix
from unet_seg_ros.replay.drive import Drive
from unet_seg_ros.replay.playback import Playback, Sent, frame_rate
from unet_seg_ros.replay.review import Review

LOST_BEFORE = "replaced or lost before the node took it"
LOST_AFTER = "segmented, but the mask was lost on the way back"
UNFINISHED = "not finished when the drive ended"
BY_THE_NODE = "dropped by the node"


def summarize(drive: Drive, playback: Playback, found: Review) -> dict[str, Any]:
    """All figures, as described above."""
    cameras = {}
    for camera in drive.cameras:
        frames = [sent for sent in playback.frames if sent.camera == camera]
        reported = sum(row["dropped"] for row in found.rows if row["camera"] == camera)
        cameras[camera] = _camera(frames, playback.cameras[camera], reported)
    unused = None
    if found.labelled and found.class_names != CLASS_NAMES:
        unused = f"{found.model}: its classes are not Cityscapes' {NUM_CLASSES}"
    return {
        "source": str(drive.source),
        "model": found.model or playback.engine.get("model"),
        "device": playback.engine.get("device"),
        "precision": playback.engine.get("precision"),
        "cameras": cameras,
        "labels_unused": unused,
        "accuracy": accuracy(found.confusion, found.labelled) if found.labelled and not unused else None,
    }


def _camera(frames: list[Sent], counts: dict[str, str], reported: int) -> dict[str, Any]:
    answered = [sent for sent in frames if sent.received_ns is not None]
    return {
        "sent": len(frames),
        "masks": len(answered),
        "dropped": len(frames) - len(answered),
        "dropped_why": reasons(len(frames), len(answered), counts, reported),
        "rate": {
            "drive": frame_rate(frames) if len(frames) > 1 else None,
            "sent": _rate([sent.sent_ns for sent in frames]),
            "masks": _rate([sent.received_ns for sent in answered if sent.received_ns is not None]),
        },
        "latency": latency([(sent.received_ns - sent.sent_ns) / 1e9 for sent in answered if sent.received_ns]),
    }


def reasons(sent: int, masks: int, counts: dict[str, str], reported: int) -> dict[str, int]:
    """Why ``sent - masks`` frames were dropped, those that occurred; they sum to it.

    ``counts`` are the node's diagnostics of the camera, empty if none came; then ``reported``, the sum over the
    coverage messages, tells what the node dropped.
    """
    if counts:
        received, processed = int(counts["received"]), int(counts["processed"])
        prefix = "dropped: "
        why = {key.removeprefix(prefix): int(n) for key, n in counts.items() if key.startswith(prefix)}
        why[UNFINISHED] = received - processed - sum(why.values())
        why[LOST_BEFORE], why[LOST_AFTER] = sent - received, processed - masks
    else:
        why = {BY_THE_NODE: reported, LOST_BEFORE: sent - masks - reported}
    return {reason: count for reason, count in why.items() if count}


def latency(seconds: list[float]) -> dict[str, float] | None:
    """Mean, percentiles (linear between ranks) and maximum; None without any."""
    if not seconds:
        return None
    p50, p95, p99 = (float(p) for p in np.percentile(seconds, [50, 95, 99]))
    return {"mean": float(np.mean(seconds)), "p50": p50, "p95": p95, "p99": p99, "max": max(seconds)}


def _rate(times_ns: list[int]) -> float | None:
    span = max(times_ns) - min(times_ns) if times_ns else 0
    return (len(times_ns) - 1) * 1e9 / span if span else None


def accuracy(confusion: ConfusionMatrix, frames: int) -> dict[str, Any]:
    """mIoU, pixel accuracy and IoU per class of ``frames`` labelled frames."""
    iou = [_number(value) for value in confusion.iou()]
    return {
        "grouping": confusion.grouping.name,
        "frames": frames,
        "miou": _number(confusion.mean_iou()),
        "pixel_accuracy": _number(confusion.pixel_accuracy()),
        "iou": dict(zip(confusion.grouping.names, iou, strict=True)),
    }


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if math.isfinite(value) else None


def text(summary: dict[str, Any]) -> str:
    """The summary for people."""
    where = " in ".join(summary[key] for key in ("device", "precision") if summary[key]) or "unknown device"
    lines = [f"drive    {summary['source']}", f"model    {summary['model'] or 'unknown'} on {where}"]
    for name, camera in summary["cameras"].items():
        why = "".join(f"; {count} {reason}" for reason, count in camera["dropped_why"].items())
        rate = {key: "-" if value is None else f"{value:.1f}" for key, value in camera["rate"].items()}
        lines += [
            "",
            f"camera   {name}",
            f"frames   {camera['sent']} in, {camera['masks']} out, {camera['dropped']} dropped{why}",
            f"rate     {rate['drive']} Hz recorded, {rate['sent']} Hz sent, {rate['masks']} Hz out",
        ]
        if camera["latency"]:
            figures = ", ".join(f"{key} {1e3 * value:.0f}" for key, value in camera["latency"].items())
            lines.append(f"latency  {figures} ms, from sending a frame to receiving its mask")
    if summary["labels_unused"]:
        lines += ["", f"labels   not compared; {summary['labels_unused']}"]
    if found := summary["accuracy"]:
        lines += ["", f"labels   {found['frames']} frames, {found['grouping']}"]
        lines += [f"mIoU     {_percent(found['miou'])}   pixel accuracy {_percent(found['pixel_accuracy'])}"]
        width = max(len(name) for name in found["iou"])
        cells = [f"{name:{width}} {_percent(value)}" for name, value in found["iou"].items()]
        lines += ["IoU      " + "   ".join(cells[:3])]
        lines += ["         " + "   ".join(cells[i : i + 3]) for i in range(3, len(cells), 3)]
    return "\n".join(lines) + "\n"


def _percent(share: float | None) -> str:
    return "     -" if share is None else f"{100 * share:5.1f}%"
