"""A stand-in for ROS's launch and launch_ros, of which there are no wheels: it records what a launch file declares and
starts. Where the real ones are installed, ``test_launch.py`` runs the launch files with them as well."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MODULES = (
    "launch",
    "launch.actions",
    "launch.event_handlers",
    "launch.launch_description_sources",
    "launch.substitutions",
    "launch_ros",
    "launch_ros.actions",
    "launch_ros.substitutions",
)


class Recorded:
    """An object that a launch file makes; it keeps its arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs

    def perform(self, context: dict[str, str]) -> str:
        """Stands for a LaunchConfiguration."""
        return context[self.args[0]]


class StandIn(ModuleType):
    """A module that has every class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, type(name, (Recorded,), {}))
        return getattr(self, name)


def declared(file: Path, monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """The launch description of the file, made with the stand-in instead of launch."""
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, StandIn(name))
    (entities,) = runpy.run_path(str(file))["generate_launch_description"]().args
    return list(entities)


def started(entities: list[Recorded], arguments: dict[str, str]) -> list[Recorded]:
    """What a launch file starts with these arguments, each an action or what becomes of an OpaqueFunction."""
    kinds = [type(entity).__name__ for entity in entities]
    context = {e.args[0]: e.kwargs["default_value"] for e in entities if type(e).__name__ == "DeclareLaunchArgument"}
    assert arguments.keys() <= context.keys()
    functions = [entities[i] for i, kind in enumerate(kinds) if kind == "OpaqueFunction"]
    return [action for function in functions for action in function.kwargs["function"]({**context, **arguments})]


def of_kind(kind: str, things: list[Any]) -> Iterator[Recorded]:
    """The objects of a class, by its name, also in nested lists."""
    for thing in things:
        if isinstance(thing, Recorded):
            if type(thing).__name__ == kind:
                yield thing
            yield from of_kind(kind, [*thing.args, *thing.kwargs.values()])
        elif isinstance(thing, list | tuple):
            yield from of_kind(kind, list(thing))


def node_arguments(node: Recorded) -> list[str]:
    """The command line that launch_ros gives to a Node."""
    kwargs = node.kwargs
    args = [*kwargs.get("arguments", []), "--ros-args", "-r", f"__node:={kwargs['name']}"]
    if kwargs["namespace"]:
        args += ["-r", f"__ns:=/{kwargs['namespace'].strip('/')}"]
    for file in kwargs["parameters"]:
        args += ["--params-file", file]
    return args
