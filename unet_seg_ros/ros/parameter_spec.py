"""What one row of the parameter table holds. No ROS."""

from __future__ import annotations

import re
from dataclasses import dataclass

Value = str | int | float | bool | tuple[str, ...] | tuple[float, ...]


@dataclass(frozen=True)
class Spec:
    """One parameter, or with ``<camera>`` or ``<region>`` in its name one for each camera or region.

    ``kind`` is string, integer, number, boolean, strings or numbers (lists). ``low`` and ``high`` bound a number.
    ``live``: it takes effect at once. Any other one can be set while the node is not active, and takes effect when the
    node is configured or activated. ``example`` is what the parameter file shows for a family of names.
    """

    name: str
    kind: str
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    example: str = ""

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches every name of the family; its groups ``camera`` and ``region`` are whose it is."""
        escaped = re.escape(self.name)
        return re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[A-Za-z_][A-Za-z0-9_]*)", escaped))
