"""Evaluates trust from the measurements: detection, false alarms, remaining accuracy and ranking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.trust.measure import CLEAN, FROZEN, STAYING, Table
from unet_seg_ros.health.lens import KEPT
from unet_seg_ros.health.rules import Thresholds
from unet_seg_ros.health.trust import Level, judge_trust

FALSE_ALARMS = 0.01
"""The threshold of the mean confidence is chosen so that this share of clean frames gives a false alarm."""
SEVERE = 3
"""A corruption of this severity or a higher one should be detected."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Opinion:
    """The result of one method for each row: ``alarm`` and ``score``; a larger score is better."""

    name: str
    alarm: NDArray[np.bool_]
    score: Floats


def opinions(table: Table, thresholds: Thresholds, chosen_on: Sequence[str]) -> list[Opinion]:
    """The results of trust, of Autoware's rules, and of the mean confidence with a threshold from the clean frames of
    ``chosen_on``."""
    names = table.names.tolist()
    health = [judge_trust(dict(zip(names, row, strict=True)), thresholds) for row in table.signals.tolist()]
    confidence = np.nan_to_num(table.signals[:, list(table.names).index("confidence")])
    own = np.isin(table.source, list(chosen_on)) & (table.corruption == CLEAN)
    least = np.quantile(confidence[own], FALSE_ALARMS)
    return [
        Opinion("trust", np.array([h.level != Level.OK for h in health]), np.array([h.trust for h in health])),
        Opinion("Autoware", table.autoware > 0, -table.autoware.astype(float)),
        Opinion("confidence", confidence < least, confidence),
    ]


def report(table: Table, ways: Sequence[Opinion], sources: Sequence[str]) -> str:
    """All tables, as Markdown."""
    return "\n\n".join([_detection(table, ways, sources), _by_source(table, ways, sources)])


def _share(alarm: NDArray[np.bool_], where: NDArray[np.bool_]) -> str:
    return f"{100 * alarm[where].mean():.1f}" if where.any() else "–"


def _detection(table: Table, ways: Sequence[Opinion], sources: Sequence[str]) -> str:
    """Share of frames with an alarm at severities 3 to 5 and, for trust, at 1 and 2; mean trust and the remaining share
    of the mIoU at 1, 3 and 5."""
    judged = np.isin(table.source, list(sources))
    # the first frames of a drive cannot show that the camera is frozen or that dirt stays
    early = np.where(np.isin(table.corruption, STAYING), KEPT, np.where(table.corruption == FROZEN, 1, 0))
    lines = [
        f"| corruption | {' | '.join(way.name for way in ways)} | trust at 1–2 | mean trust / mIoU left at 1, 3, 5 |",
        "|---|" + "---|" * (len(ways) + 2),
    ]
    names = [name for name in dict.fromkeys(table.corruption.tolist()) if name != CLEAN]
    for name in [*names, "all"]:
        these = judged & (table.corruption != CLEAN) & ((table.corruption == name) | (name == "all"))
        these &= table.place >= early
        cells = [_share(way.alarm, these & (table.severity >= SEVERE)) for way in ways]
        cells.append(_share(ways[0].alarm, these & (table.severity < SEVERE)))
        cells.append(", ".join(_left(table, ways[0], these & (table.severity == s)) for s in (1, 3, 5)))
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _left(table: Table, way: Opinion, where: NDArray[np.bool_]) -> str:
    known = where & np.isfinite(table.miou)
    if not known.any():
        return "–"
    return f"{way.score[where].mean():.2f} / {table.miou[known].mean() / table.clean_miou[known].mean():.2f}"


def _by_source(table: Table, ways: Sequence[Opinion], sources: Sequence[str]) -> str:
    head = ["source", "clean frames"]
    figures: list[tuple[str, Callable[[Opinion, NDArray[np.bool_]], str]]] = [
        ("false alarms", lambda way, rows: _share(way.alarm, rows & (table.corruption == CLEAN))),
        ("detected at 3–5", lambda way, rows: _share(way.alarm, rows & (table.severity >= SEVERE))),
        ("rank correlation", lambda way, rows: _ranked(table, way, rows)),
        ("AURC", lambda way, rows: _aurc(table, way, rows)),
    ]
    head += [f"{name}: {way.name}" for name, _ in figures for way in ways]
    lines = ["| " + " | ".join([*head, "mIoU all → trust ≥ 0.5 (kept)"]) + " |", "|---" * (len(head) + 1) + "|"]
    for source in [*sources, "all"]:
        rows = np.isin(table.source, list(sources) if source == "all" else [source])
        count = np.count_nonzero(rows & (table.corruption == CLEAN))
        cells = [figure(way, rows) for _, figure in figures for way in ways]
        lines.append("| " + " | ".join([source, str(count), *cells, _kept(table, ways[0], rows)]) + " |")
    return "\n".join(lines)


def _known(table: Table, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    corrupted = (table.corruption != CLEAN) & (table.corruption != FROZEN)
    return np.asarray(rows & np.isfinite(table.miou) & corrupted)


def _ranked(table: Table, way: Opinion, rows: NDArray[np.bool_]) -> str:
    """Spearman's rank correlation of the score with the frame's mIoU, over corrupted frames."""
    these = _known(table, rows)
    return f"{spearmanr(way.score[these], table.miou[these])[0]:.2f}" if these.any() else "–"


def aurc(score: Floats, risk: Floats) -> float:
    """Area under the risk–coverage curve: the mean, over all shares of frames kept in order of their score, of the
    kept frames' mean risk (Geifman & El-Yaniv 2017). Frames of equal score are kept together."""
    order = np.argsort(-score, kind="stable")
    score, risk = score[order], risk[order]
    kept = np.arange(1, len(risk) + 1)
    means = np.cumsum(risk) / kept
    last = np.searchsorted(-score, -score, side="right") - 1
    return float(means[last].mean())


def _aurc(table: Table, way: Opinion, rows: NDArray[np.bool_]) -> str:
    these = _known(table, rows)
    return f"{aurc(way.score[these], 1 - table.miou[these]):.3f}" if these.any() else "–"


def _kept(table: Table, way: Opinion, rows: NDArray[np.bool_]) -> str:
    """The mean mIoU of the frames, in percent, over all corrupted frames and over those with a score of at least
    0.5."""
    these = _known(table, rows)
    if not these.any():
        return "–"
    kept = these & (way.score >= 0.5)
    share = np.count_nonzero(kept) / np.count_nonzero(these)
    return f"{100 * table.miou[these].mean():.1f} → {100 * table.miou[kept].mean():.1f} ({100 * share:.0f} %)"
