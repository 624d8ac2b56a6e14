"""Turns findings into a level that does not flicker: a crossed threshold is a warning, and an error if it lasts.

Imports no ROS; the levels are those of ``diagnostic_msgs/DiagnosticStatus``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

OK, WARN, ERROR = 0, 1, 2
CLEAR_SECONDS = 3.0
"""Seconds that a value must be good again before its warning ends."""
CLEAR_SHARE = 0.9
"""A value is good again at no more than this share of its threshold."""
SENTENCES = 3
"""Most sentences in one message; the key ``troubles`` lists all."""


@dataclass(frozen=True)
class Finding:
    """The result of one check. ``excess`` is the value divided by its threshold: above 1 the threshold is crossed; a
    yes-or-no check gives 2 or 0. ``text`` is the message. ``lasting`` is the level if the trouble lasts."""

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
    """The troubles of one part of the node over time."""

    def __init__(self) -> None:
        self._alarms: dict[str, _Alarm] = {}

    def update(self, findings: Iterable[Finding], now: float, error_after: float) -> tuple[int, str]:
        """Level and message after the findings of ``now`` (seconds of a steady clock); the message is empty if OK.

        A trouble without a finding is over. ``error_after`` is in seconds.
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
        """The keys of the current troubles."""
        return sorted(self._alarms)
