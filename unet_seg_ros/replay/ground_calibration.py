"""Reads the parameters ``ground.*`` of the parameter file that ``--calibration`` names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unet_seg_ros.data.yaml_file import read_yaml
from unet_seg_ros.ground.settings import GroundSettings
from unet_seg_ros.replay.nested import flattened
from unet_seg_ros.ros.parameter_table import coerced, names_of, spec_of
from unet_seg_ros.text import quoted


def load_calibration(path: Path, cameras: Sequence[str]) -> GroundSettings:
    """The file's settings for the grid and for a drive's ``cameras``; other cameras are ignored.

    Raises ValueError with one line that names the file: for an unknown parameter, for a value that is not valid, and
    if the file describes none of the cameras.
    """
    content = read_yaml(path)
    node = next(iter(content.values()), None) if isinstance(content, dict) else None
    parameters = node.get("ros__parameters") if isinstance(node, dict) else None
    if not isinstance(parameters, dict):
        raise ValueError(
            f"{path}: must be a parameter file: '/**:' that contains 'ros__parameters:' that contains 'ground.…'"
        )
    given = {name: value for name, value in flattened(parameters) if name.startswith("ground.")}
    specs = {name: spec for name, spec in names_of(list(cameras), []).items() if name.startswith("ground.")}
    unknown = [name for name in given if spec_of(name) is None]
    if unknown:
        raise ValueError(f"{path}: {quoted(unknown[0])}: there is no such parameter")
    try:
        values = {name: coerced(spec, name, given.get(name, spec.default)) for name, spec in specs.items()}
        settings = GroundSettings.of(values, cameras)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not any(own.camera and own.pose for own in settings.cameras.values()):
        raise ValueError(f"{path}: describes none of the drive's cameras ({', '.join(cameras)}); see docs/planners.md")
    return settings
