"""The types of ``report.json``, the same for both modes, and a function that reads such a file.

Times are in seconds; shares, IoUs and confidences are 0..1; a value that was not measured is null. The table
``frames.csv`` in the same folder has one row for each frame. ``tools/report_schema.py`` writes docs/report.schema.json
from these types.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypedDict

from unet_seg_ros.data.yaml_file import parse_json
from unet_seg_ros.files import read_bytes
from unet_seg_ros.metrics.figures import Accuracy, Count, Distribution, Share, Stability
from unet_seg_ros.replay.errors import ReportError
from unet_seg_ros.vocabulary import STAGES

FORMAT = 2
Sha256 = Annotated[str, ("pattern", "^[0-9a-f]{64}$")]


class Frames(TypedDict):
    """Numbers of the drive's frames."""

    sent: Annotated[Count, "Frames that were played."]
    received: Annotated[Count | None, "Frames that the node received; null if the node does not report it."]
    processed: Annotated[Count, "Frames whose mask arrived."]
    dropped: Annotated[dict[str, int], "Frames without a mask, by reason; their sum is sent - processed."]


class Timing(TypedDict):
    """Times and rates."""

    latency: Annotated[Distribution | None, "Time from sending a frame to receiving its mask; null if offline."]
    work: Annotated[Distribution | None, "Sum of the stages of the work on a frame; null if live."]
    stages: Annotated[
        dict[str, Distribution | None],
        "Times by stage; null if a stage was not measured. wait: the frame waits in the node. transport: the messages "
        "are on their way to the node and back. publish ends after the mask has been sent and is not part of the "
        "latency; the sum of the other stages is the latency.",
        ("propertyNames", {"enum": STAGES}),
    ]
    sent: Annotated[float | None, "Frames per second that were sent."]
    rate: Annotated[float | None, "Frames per second that were processed."]
    jitter: Annotated[float | None, "Standard deviation of the intervals between the masks of a camera, in seconds."]
    streaming_miou: Annotated[
        Share | None, "mIoU if each label is compared with the newest mask that had arrived at its time."
    ]


class Trust(TypedDict):
    """How far the masks can be trusted, over all frames whose health is known."""

    p05: Annotated[Share, "5th percentile of the trust, linear between ranks."]
    p50: Annotated[Share, "Median of the trust."]
    distrusted: Annotated[Share, "Share of the frames with a flag: their level is degraded or blind."]
    causes: Annotated[
        dict[str, Count], "Number of frames with each flag, the most frequent first. A frame can have several flags."
    ]


class SourceCheck(TypedDict):
    """The recorded stamps of one camera."""

    topic: str
    frames: Count
    seconds: Annotated[float, "Time from the first frame to the last one."]
    rate: Annotated[float | None, "Frames per second."]
    monotonic: Annotated[bool, "Whether each stamp is later than the previous one."]
    backward: Annotated[Count, "Stamps that are earlier than the previous one."]
    repeated: Annotated[Count, "Stamps that are equal to the previous one."]
    gaps: Annotated[Count, "Intervals that are longer than 1.5 times the median."]
    longest_gap: Annotated[float | None, "Longest interval in seconds."]


class Resources(TypedDict):
    """CPU and memory of the process that segments, one entry for each sample. The lists are empty for a node that the
    replay did not start."""

    at: Annotated[list[float], "Seconds since the drive began."]
    cpu: Annotated[list[float], "Number of cores in use, such as 1.5."]
    memory: Annotated[list[Count], "Resident memory in bytes."]


class Check(TypedDict):
    """The result of one requirement."""

    require: Annotated[str, "The requirement as it was given."]
    value: Annotated[float | None, "The measured value."]
    passed: bool
    line: Annotated[str, "A sentence for people."]


class Comparison(TypedDict):
    """One metric compared with the baseline, over the frames that both reports have."""

    metric: str
    baseline: float
    value: float
    low: Annotated[
        float,
        "Lower end of the 95 % confidence interval of the difference, by a paired bootstrap over blocks of one second.",
    ]
    high: Annotated[float, "Upper end of the interval."]
    worse: Annotated[bool, "Whether the value is significantly worse than the baseline."]


class _Path(TypedDict):
    path: str


class Bag(_Path, total=False):
    """The drive, or the common name and the number of several drives."""

    bytes: int
    sha256: Annotated[Sha256 | None, "Hash of the drive's files, one after another; null after an interruption."]
    folder: Annotated[str, "For one of several drives: the folder of its own report, beside this report."]
    drives: int


class _Id(TypedDict):
    id: str


class ModelFile(_Id, total=False):
    """The file of a model. Path and hash are not known if the replay did not start the node."""

    path: str
    sha256: Sha256 | None


class Model(ModelFile, total=False):
    """The model. Device and precision are given in offline replays only."""

    device: str
    precision: str


class Machine(TypedDict):
    """The machine of the replay."""

    system: str
    processor: str
    cores: Annotated[int, "Cores that the replay may use."]
    memory: Annotated[int, "Bytes."]
    gpus: list[str]


class _MadeBy(TypedDict):
    bag: Bag
    model: Model
    settings: Annotated[dict[str, Any], "The options of the command line; empty or null if an option was not given."]
    versions: Annotated[
        dict[str, str],
        "Versions of this package and of the libraries that the figures depend on.",
        ("required", ("unet_seg_ros", "python", "opencv")),
    ]
    machine: Machine


class MadeBy(_MadeBy, total=False):
    """How the report was made, so that it can be made again."""

    against: Annotated[ModelFile, "The second model."]
    node: Annotated[dict[str, str], "Live: the diagnostics of the node's engine."]


class Report(TypedDict):
    """The report of one drive, or of several drives together."""

    format: Annotated[int, ("const", FORMAT)]
    mode: Annotated[str, ("enum", ("offline", "live"))]
    made_by: MadeBy
    frames: Frames
    timing: Timing
    accuracy: Annotated[Accuracy | None, "null without labels."]
    stability: Stability
    trust: Annotated[Trust | None, "null if the health of no frame is known."]
    source: Annotated[dict[str, SourceCheck], "The stamps of each camera, by camera."]
    resources: Annotated[Resources | None, "null if nothing was measured."]
    verdict: Annotated[list[Check], "One entry for each requirement."]
    baseline: Annotated[list[Comparison], "One entry for each metric; empty without a baseline."]
    problems: Annotated[
        list[str], "One line for each problem. The report still has all figures that could be measured."
    ]
    bags: Annotated[list[Report], "The reports of several drives; empty for one drive."]


MAX_REPORT = 2**28
"""Largest size of a report in bytes, enough for thousands of drives."""


def read_report(path: Path) -> dict[str, Any]:
    """Read a report. Raises ReportError if the file cannot be read or is not a report."""
    try:
        report = parse_json(read_bytes(path, MAX_REPORT), MAX_REPORT)
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ReportError(f"{path}: not a report.json: {error}") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise ReportError(f"{path}: not a report of a replay in format {FORMAT}")
    frames, accuracy = report.get("frames"), report.get("accuracy")
    if not (isinstance(frames, dict) and isinstance(frames.get("sent"), int) and "mode" in report):
        raise ReportError(f"{path}: not a report of a replay: frames or mode are missing")
    if accuracy is not None and not (isinstance(accuracy, dict) and isinstance(accuracy.get("grouping"), str)):
        raise ReportError(f"{path}: not a report of a replay: accuracy has no grouping")
    return report
