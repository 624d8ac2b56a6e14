"""The types of ``report.json``, the same for both modes, and a function that reads such a file.

Times are in seconds; shares, IoUs and confidences are 0..1; what was not measured is null. The table ``frames.csv`` in
the same folder has one row per frame. ``tools/report_schema.py`` makes docs/report.schema.json of these types.
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
    """What became of the drive's frames."""

    sent: Annotated[Count, "Frames that were played."]
    received: Annotated[Count | None, "Of these the node took; null where it does not say."]
    processed: Annotated[Count, "Of these a mask came back."]
    dropped: Annotated[dict[str, int], "Count by reason; they sum to sent - processed."]


class Timing(TypedDict):
    """How fast."""

    latency: Annotated[Distribution | None, "From sending a frame to receiving its mask. null in an offline replay."]
    work: Annotated[Distribution | None, "The sum of the stages of work on a frame. null in a live replay."]
    stages: Annotated[
        dict[str, Distribution | None],
        "By name; null where it can't be known. wait: in the node while it worked on something else. transport: the "
        "ways to the node and back. publish ends after the mask has gone and is no part of the latency; the others add "
        "up to it.",
        ("propertyNames", {"enum": STAGES}),
    ]
    sent: Annotated[float | None, "Frames a second as sent."]
    rate: Annotated[float | None, "Frames a second as processed."]
    jitter: Annotated[float | None, "Standard deviation of the intervals between the masks of a camera, in seconds."]
    streaming_miou: Annotated[Share | None, "Each label compared with the newest mask that had arrived at its instant."]


class Trust(TypedDict):
    """How far the health of the camera and the model lets the masks be believed, over all frames of known health."""

    p05: Annotated[Share, "Trust that 5 % of the frames are below; linear between ranks."]
    p50: Annotated[Share, "The median."]
    distrusted: Annotated[Share, "Share of the frames that were flagged: level degraded or blind."]
    causes: Annotated[dict[str, Count], "Frames by flag, the most frequent first; a frame can have several flags."]


class SourceCheck(TypedDict):
    """One camera as recorded."""

    topic: str
    frames: Count
    seconds: Annotated[float, "From the first frame to the last."]
    rate: Annotated[float | None, "Frames a second."]
    monotonic: Annotated[bool, "Whether each stamp is later than the one before."]
    backward: Annotated[Count, "Stamps that are earlier."]
    repeated: Annotated[Count, "Stamps that are the same."]
    gaps: Annotated[Count, "Intervals of more than 1.5 times the median."]
    longest_gap: Annotated[float | None, "In seconds."]


class Resources(TypedDict):
    """The process that segments, over time, one entry a sample; empty for a node that the replay did not start."""

    at: Annotated[list[float], "Seconds since the drive began."]
    cpu: Annotated[list[float], "Cores in use: 1.5 is one and a half."]
    memory: Annotated[list[Count], "Resident, in bytes."]


class Check(TypedDict):
    """One requirement."""

    require: Annotated[str, "As it was given."]
    value: Annotated[float | None, "What was found."]
    passed: bool
    line: Annotated[str, "For people."]


class Comparison(TypedDict):
    """A metric against the baseline's over the frames that both have."""

    metric: str
    baseline: float
    value: float
    low: Annotated[float, "Of the 95 % interval of the difference, by a paired bootstrap over blocks of one second."]
    high: float
    worse: bool


class _Path(TypedDict):
    path: str


class Bag(_Path, total=False):
    """The drive. Of several: what the whole is called, and how many drives it is."""

    bytes: int
    sha256: Annotated[Sha256 | None, "Of the drive's files, one after another; null where it was interrupted."]
    folder: Annotated[str, "One of several: the folder beside this report that its own report is in."]
    drives: int


class _Id(TypedDict):
    id: str


class ModelFile(_Id, total=False):
    """Path and hash are not known of somebody else's node."""

    path: str
    sha256: Sha256 | None


class Model(ModelFile, total=False):
    """The model; what it ran on and how is known offline."""

    device: str
    precision: str


class Machine(TypedDict):
    """Where it ran."""

    system: str
    processor: str
    cores: int
    memory: Annotated[int, "Bytes."]
    gpus: list[str]


class _MadeBy(TypedDict):
    bag: Bag
    model: Model
    settings: Annotated[dict[str, Any], "As on the command line; empty or null is what was not asked for."]
    versions: Annotated[
        dict[str, str],
        "Of the code and what the figures depend on.",
        ("required", ("unet_seg_ros", "python", "opencv")),
    ]
    machine: Machine


class MadeBy(_MadeBy, total=False):
    """What made the report, so that it can be made again."""

    against: Annotated[ModelFile, "The second model."]
    node: Annotated[dict[str, str], "Live: what the node said of itself in its diagnostics."]


class Report(TypedDict):
    """One drive, or the sum of several."""

    format: Annotated[int, ("const", FORMAT)]
    mode: Annotated[str, ("enum", ("offline", "live"))]
    made_by: MadeBy
    frames: Frames
    timing: Timing
    accuracy: Annotated[Accuracy | None, "null without labels."]
    stability: Stability
    trust: Annotated[Trust | None, "null where no frame's health is known."]
    source: Annotated[dict[str, SourceCheck], "By camera."]
    resources: Annotated[Resources | None, "null where nothing was measured."]
    verdict: Annotated[list[Check], "One entry for each requirement."]
    baseline: Annotated[list[Comparison], "Empty without a baseline."]
    problems: Annotated[list[str], "What went wrong, a line each; what could be evaluated is here all the same."]
    bags: Annotated[list[Report], "The reports of several bags; empty for one."]


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
    return report
