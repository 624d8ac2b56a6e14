"""The node's parameters: declared from the table, checked when they are set, read into ``Settings``."""

from __future__ import annotations

import difflib
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from unet_seg_ros.ros.parameter_spec import Spec
from unet_seg_ros.ros.parameter_table import TABLE, coerced, names_of, spec_of
from unet_seg_ros.ros.settings import Settings, check_value

TYPES = {
    "string": Parameter.Type.STRING,
    "integer": Parameter.Type.INTEGER,
    "number": Parameter.Type.DOUBLE,
    "boolean": Parameter.Type.BOOL,
    "strings": Parameter.Type.STRING_ARRAY,
    "numbers": Parameter.Type.DOUBLE_ARRAY,
}
ROS_OWN = ("use_sim_time", "start_type_description_service", "qos_overrides.")
"""Names, or beginnings of names, of parameters that rclpy declares."""


class Parameters:
    """The parameters of one node. Raises ValueError if a value that was given at the start is not valid."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._declare({spec.name: spec for spec in TABLE if "<" not in spec.name})
        self._declare(names_of(self._list("cameras"), self._list("regions")))

    def values(self) -> dict[str, Any]:
        """All declared parameters' values by name."""
        return {name: parameter.value for name, parameter in self._node.get_parameters_by_prefix("").items()}

    def settings(self, configured: dict[str, Any]) -> Settings:
        """The current values of live parameters and, for the others, ``configured``, the values at the last configure.

        Raises ValueError."""
        return Settings.of(_merged(self.values(), configured))

    def changed_since(self, configured: dict[str, Any]) -> list[str]:
        """Names of the parameters that are not live and have changed since the last configure."""
        values = self.values()
        return [
            name
            for name, value in values.items()
            if (spec := spec_of(name)) and not spec.live and value != configured.get(name, value)
        ]

    def prepared(self, changed: list[Parameter], active: bool, configured: dict[str, Any]) -> list[Parameter]:
        """Check parameters that are to be set and convert them to their types. Raises ValueError.

        ``configured`` are the values at the last configure. While the node is ``active``, live values must fit them.
        """
        ours = {p.name: p for p in changed if not p.name.startswith(ROS_OWN)}
        unknown = [name for name in ours if spec_of(name) is None]
        if unknown:
            raise ValueError("; ".join(self.unknown(name) for name in unknown))
        specs = {name: spec for name in ours if (spec := spec_of(name))}
        frozen = [name for name, spec in specs.items() if not spec.live]
        if active and frozen:
            raise ValueError(
                f"{', '.join(frozen)}: can be set only while the node is not active, for its next configure or activate"
            )
        new = {name: coerced(spec, name, ours[name].value) for name, spec in specs.items()}
        for name, value in new.items():
            check_value(name, value)
        values = self.values()
        self._declare(specs)
        self._declare(names_of(new.get("cameras", []), new.get("regions", [])))
        # A value that was wrong before must not prevent the correction of another one.
        if active or _is_fit(values):
            Settings.of(_merged({**self.values(), **new}, configured if active else {}))
        return [Parameter(p.name, TYPES[specs[p.name].kind], new[p.name]) if p.name in new else p for p in changed]

    def unknown(self, name: str) -> str:
        """A sentence that there is no such parameter, with the most similar name if there is one."""
        known = list(self.values())
        same_ending = [other for other in known if other.endswith(f".{name}")]  # such as diagnostics.min_rate
        near = same_ending or difflib.get_close_matches(name, known, n=1)
        return f"{name}: there is no such parameter" + (f"; did you mean {near[0]}?" if near else "")

    def unused(self) -> list[str]:
        """A sentence for each parameter that was given at the start and that this node does not have."""
        given = [name for name in self._node._parameter_overrides if not name.startswith(ROS_OWN)]
        return [self._unused(name) for name in given if not self._node.has_parameter(name)]

    def _unused(self, name: str) -> str:
        spec = spec_of(name)
        if spec is None:
            return self.unknown(name)
        return f"{name}: {'cameras' if '<camera>' in spec.name else 'regions'} has no such name"

    def _list(self, name: str) -> list[str]:
        return [item for item in self._node.get_parameter(name).value if item]

    def _declare(self, specs: dict[str, Spec]) -> None:
        for name, spec in specs.items():
            if not self._node.has_parameter(name):
                given = self._node._parameter_overrides.get(name)
                value = spec.default if given is None else coerced(spec, name, given.value)
                # rclpy cannot see the type of an empty list, hence [""]; and a list of numbers may become empty
                value = [""] if spec.kind == "strings" and not value else value
                value = list(value) if isinstance(value, tuple) else value
                self._node.declare_parameter(name, value, _descriptor(spec), ignore_override=True)


def _merged(values: dict[str, Any], configured: dict[str, Any]) -> dict[str, Any]:
    """The values without empty names in lists; parameters that are not live are taken from ``configured``."""
    kept = {name: value for name, value in configured.items() if (spec := spec_of(name)) and not spec.live}
    merged = {**values, **kept}
    return {name: [v for v in value if v != ""] if isinstance(value, list) else value for name, value in merged.items()}


def _is_fit(values: dict[str, Any]) -> bool:
    try:
        Settings.of(_merged(values, {}))
    except (ValueError, KeyError):
        return False
    return True


def _descriptor(spec: Spec) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=spec.description, dynamic_typing=spec.kind == "numbers")
    if spec.choices:
        descriptor.additional_constraints = f"one of {', '.join(spec.choices)}"
    if spec.low is not None and spec.high is not None:
        if spec.kind == "integer":
            descriptor.integer_range = [IntegerRange(from_value=int(spec.low), to_value=int(spec.high), step=1)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=spec.low, to_value=spec.high)]
    return descriptor
