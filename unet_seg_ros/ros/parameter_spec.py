"""One row of the parameter table. Imports no ROS."""

from __future__ import annotations

import re
from dataclasses import dataclass

Value = str | int | float | bool | tuple[str, ...] | tuple[float, ...]


@dataclass(frozen=True)
class Spec:
    """One parameter. With ``<camera>`` or ``<region>`` in its name it is a family: one for each camera or region.

    ``kind`` is string, integer, number, boolean, strings or numbers (lists). ``low`` and ``high`` bound a number.
    A ``live`` parameter takes effect at once. The others can be set while the node is not active, and take effect when
    the node is configured or activated. ``example`` is the line for a family in the parameter file.
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
        """Matches every name of the family; its groups ``camera`` and ``region`` are the names of camera and region."""
        escaped = re.escape(self.name)
        return re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[A-Za-z_][A-Za-z0-9_]*)", escaped))
