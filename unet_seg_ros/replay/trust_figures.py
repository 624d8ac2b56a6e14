"""The health of a replay's frames: the columns of the table of frames, and the figures of the report."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pandas as pd

from unet_seg_ros.health.trust import Health
from unet_seg_ros.replay.schema import Trust


def columns(health: Health | None) -> dict[str, Any]:
    """A frame's cells by column: ``trust`` 0..1, ``flags`` separated by spaces, ``reason``. None: its health is not
    known, ``trust`` is NaN and the others are empty."""
    if health is None:
        return {"trust": math.nan, "flags": "", "reason": ""}
    return {"trust": health.trust, "flags": " ".join(health.flags), "reason": health.reason}


def figures(frames: pd.DataFrame) -> Trust | None:
    """Over the table of frames; None where no frame's health is known."""
    known = frames[frames["trust"].notna()] if "trust" in frames else frames[:0]
    if not len(known):
        return None
    causes = Counter(flag for flags in known["flags"] for flag in flags.split())
    p05, p50 = (float(p) for p in known["trust"].quantile([0.05, 0.5]))
    distrusted = float((known["flags"] != "").mean())
    return {"p05": p05, "p50": p50, "distrusted": distrusted, "causes": dict(causes.most_common())}
