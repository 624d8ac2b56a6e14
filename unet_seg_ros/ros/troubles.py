"""From findings to a level that does not flicker: a warning once a threshold is crossed, an error when that lasts.

Imports no ROS; the levels are those of ``diagnostic_msgs/DiagnosticStatus``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

OK, WARN, ERROR = 0, 1, 2
CLEAR_SECONDS = 3.0
"""How long a value must be well again before its warning ends."""
CLEAR_SHARE = 0.9
"""Well again is at most this share of the threshold."""
SENTENCES = 3
"""Sentences of one message; the values say the rest."""


@dataclass(frozen=True)
class Finding:
    """What one check found. ``excess`` is the value as a share of its threshold: above 1 it is crossed; a check that is
    true or false gives 2 or 0. ``text`` is the sentence for people. ``lasting`` is the level of a trouble that
    lasts."""

    key: str
    excess: float
    text: str
    lasting: int = ERROR


@dataclass
class _Alarm:
    since: float
    bad: float
    text: str
    lasting: int


class Troubles:
    """What is wrong with one thing, over time."""

    def __init__(self) -> None:
        self._alarms: dict[str, _Alarm] = {}

    def judge(self, findings: Iterable[Finding], now: float, error_after: float) -> tuple[int, str]:
        """Level and message after the findings of ``now`` (seconds of a steady clock); the message is empty if OK.

        A trouble of which there is no finding is well again. ``error_after`` are seconds.
        """
        for finding in findings:
            alarm = self._alarms.get(finding.key)
            if finding.excess > (CLEAR_SHARE if alarm else 1.0):
                alarm = alarm or self._alarms.setdefault(finding.key, _Alarm(now, now, "", finding.lasting))
                alarm.bad, alarm.text = now, finding.text
        self._alarms = {key: alarm for key, alarm in self._alarms.items() if now - alarm.bad < CLEAR_SECONDS}
        levels = {
            key: alarm.lasting if now - alarm.since >= error_after else min(WARN, alarm.lasting)
            for key, alarm in self._alarms.items()
        }
        worst = sorted(self._alarms, key=lambda key: -levels[key])
        more = f"; and {len(worst) - SENTENCES} more" if len(worst) > SENTENCES else ""
        text = "; ".join(self._alarms[key].text for key in worst[:SENTENCES]) + more
        return max(levels.values(), default=OK), text

    @property
    def keys(self) -> list[str]:
        """What is wrong now, by the findings' keys."""
        return sorted(self._alarms)
