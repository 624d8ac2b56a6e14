"""Checks of a camera's images. Each gives a sentence for the diagnostics. Imports no ROS."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from unet_seg_ros.ros.camera_stats import CameraStats
from unet_seg_ros.ros.diagnostic_levels import WARN, Finding
from unet_seg_ros.ros.settings import Limits

SILENCE = 2.0
"""Seconds without an image after which a camera is silent."""
FEWEST = 5
"""Fewest frames for a ratio to be meaningful."""
MIXED = 3
"""Images count as mixed if their publishers alternate at least this many times."""
OTHER_CLOCK = 3600.0
"""At more seconds of age, the stamps must come from another clock."""
LARGE = 500_000
"""Images of more bytes get lost with best effort unless they go through shared memory, see config/shared_memory.xml."""


@dataclass(frozen=True)
class Publisher:
    """A publisher of the camera's topic: its message type, and whether its QoS is reliable."""

    type: str
    reliable: bool


@dataclass(frozen=True)
class Situation:
    """The state of a camera's topic and clocks.

    ``silent`` is the time in seconds since the last image or, if that was later, since a publisher appeared.
    ``elsewhere`` is a similar topic if nobody publishes this one, else empty. ``now_ns`` is the node's clock."""

    topic: str
    type: str
    reliable: bool
    silent: float
    publishers: tuple[Publisher, ...]
    elsewhere: str = ""
    now_ns: int = 1


def check(situation: Situation, stats: CameraStats, limits: Limits) -> Iterator[Finding]:
    """All checks of a camera while the node is subscribed to it."""
    # a camera that sends less than one image per second is not silent between two images
    rate = stats.stream.rate
    patience = max(SILENCE, 3 / rate) if rate > 0 else SILENCE
    yield _silence(situation, stats, patience)
    mixed = _publishers(situation, stats)
    yield mixed
    yield from _stamps(situation, stats)
    if mixed.excess:  # stamps of several publishers tell no rate, so nobody can say how many images are missing
        limits = replace(limits, max_lost_ratio=1.0)
    yield from _ratios(stats, limits)
    masks = stats.output_rate.hertz()
    flowing = stats.heard >= FEWEST and situation.silent <= patience
    low = limits.min_rate / max(masks, 1e-9) if limits.min_rate and flowing else 0.0
    yield Finding("slow", low, f"{masks:.1f} masks per second (required: {limits.min_rate:g})")


def _silence(situation: Situation, stats: CameraStats, patience: float) -> Finding:
    right = [publisher for publisher in situation.publishers if publisher.type == situation.type]
    silent = 2.0 if situation.silent > patience else 0.0
    if not situation.publishers:
        hint = f"; did you mean {situation.elsewhere}?" if situation.elsewhere else ""
        return Finding("no publisher", silent, f"nobody publishes {situation.topic}{hint}")
    if not right:
        found = ", ".join(sorted({publisher.type for publisher in situation.publishers}))
        text = f"{situation.topic} carries {found}, not {situation.type}; see the parameter transport"
        return Finding("wrong type", 2.0, text)
    if situation.reliable and not any(publisher.reliable for publisher in right):
        text = (
            f"{situation.topic} is published with best effort, but the subscription is reliable and receives "
            "nothing; set input_reliability to auto or best_effort"
        )
        return Finding("wrong QoS", 2.0, text)
    return Finding("silent", silent, _why_silent(situation, stats))


def _why_silent(situation: Situation, stats: CameraStats) -> str:
    text = f"no image on {situation.topic} for {situation.silent:.0f} s"
    bytes_each = 3 * stats.size[0] * stats.size[1] if stats.size else None
    if stats.heard and (situation.reliable or (bytes_each is not None and bytes_each < LARGE)):
        return f"{text}: its publisher still exists but has stopped sending"
    if situation.reliable:
        return f"{text}: its publisher exists but has sent nothing"
    return (
        f"{text}: its publisher sends nothing, or its images are too large for best effort; give the publisher the "
        "shared-memory profile (config/shared_memory.xml)"
    )


def _publishers(situation: Situation, stats: CameraStats) -> Finding:
    """Whether images of several publishers are mixed. After a driver was killed and started again, its old publisher
    stays listed for 20 s; that is not a fault."""
    count = len(situation.publishers)
    numbered = stats.number is not None or not stats.heard
    changes = stats.totals()["alternating"] if numbered else MIXED
    text = f"{situation.topic} has {count} publishers, so their images are mixed; stop all but one"
    return Finding("several publishers", 2.0 if count > 1 and changes >= MIXED else 0.0, text, lasting=WARN)


def _stamps(situation: Situation, stats: CameraStats) -> Iterator[Finding]:
    stream = stats.stream
    frozen = 2.0 if stream.repeated >= FEWEST else 0.0
    yield Finding("frozen stamps", frozen, "every image has the same stamp; check the camera's driver")
    text = "stamps go backwards: there are two publishers, or a recording has started again"
    yield Finding("stamps backwards", 2.0 * stats.totals()["backwards"], text, lasting=WARN)
    no_clock = 2.0 if situation.now_ns == 0 and stats.heard else 0.0
    text = "use_sim_time is true but nobody publishes /clock; publish it or set use_sim_time to false"
    yield Finding("no clock", no_clock, text)


def _ratios(stats: CameraStats, limits: Limits) -> Iterator[Finding]:
    recent = stats.totals()
    received = recent["received"]
    age = stats.age_p95()
    if abs(age) > OTHER_CLOCK:
        text = (
            f"stamps differ by {age:.0f} s from the node's clock; for a recording, play its clock and set use_sim_time"
        )
        yield Finding("other clock", 2.0 if limits.max_age else 0.0, text, lasting=WARN)
    else:
        late = age / limits.max_age if limits.max_age and not math.isnan(age) else 0.0
        yield Finding(
            "late", late, f"masks are published {age:.2f} s after the images' stamps (allowed: {limits.max_age:g} s)"
        )
    arrived, sent = received, received + recent["lost"]
    for key, whole, limit, text in (
        ("dropped", arrived, limits.max_drop_ratio, "of the images are dropped because this device is too slow"),
        ("lost", sent, limits.max_lost_ratio, "of the images are lost before they reach the node"),
        ("malformed", arrived, limits.max_malformed_ratio, "of the images are malformed"),
    ):
        value = recent[key]
        ratio = value / whole if whole >= FEWEST or (value and key == "malformed") else 0.0
        excess = 0.0 if limit >= 1 else ratio / max(limit, 1e-6)
        yield Finding(key, excess, f"{ratio:.0%} {text} (allowed: {limit:.0%})")
