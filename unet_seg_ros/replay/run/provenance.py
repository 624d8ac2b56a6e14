"""Describes how a report was made: drive, model, settings, versions and machine, so that it can be reproduced."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import psutil

from unet_seg_ros import __version__
from unet_seg_ros.engine.threads import usable_cores
from unet_seg_ros.files import open_regular
from unet_seg_ros.model.shipped_models import DEFAULT_MODEL, shipped_or_path
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.schema import Machine, MadeBy, Model
from unet_seg_ros.replay.source.drive import Drive

PACKAGES = ("openvino", "torch", "numpy", "rosbags")


def made_by(drive: Drive, options: Options, model: Model, hashed: bool = True) -> MadeBy:
    """The report's ``made_by``; ``model`` must hold its ``id``. With ``hashed``, the files of the drive are read for
    their hash."""
    return {
        "bag": {
            "path": str(drive.source),
            "bytes": sum(file.stat().st_size for file in drive.files if file.exists()),
            "sha256": digest(drive.files) if hashed else None,
        },
        "model": model,
        "settings": options.settings(),
        "versions": versions(),
        "machine": machine(),
    }


def model_file(model: str, model_id: str) -> Model:
    """The description of the bundle ``model`` (name or path; empty: the shipped nano). Raises OSError or ValueError."""
    path = shipped_or_path(model or DEFAULT_MODEL)
    return {"id": model_id, "path": str(path), "sha256": digest([path])}


def digest(files: Iterable[Path]) -> str | None:
    """SHA-256 in hexadecimal over the contents of all files in order; None if one can no longer be read."""
    found = hashlib.sha256()
    try:
        for path in files:
            with open_regular(path) as file:
                while block := file.read(1 << 20):
                    found.update(block)
    except OSError:
        return None
    return found.hexdigest()


def versions() -> dict[str, str]:
    """Versions of this code, of Python and of the packages that influence the figures, if they are installed."""
    found = {"unet_seg_ros": __version__, "python": platform.python_version(), "opencv": cv2.__version__}
    if commit := _commit():
        found["unet_seg_ros commit"] = commit
    found |= {name: os.environ[name] for name in ("ROS_DISTRO", "RMW_IMPLEMENTATION") if name in os.environ}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """The commit of the clone, with -dirty if files were changed; empty if this is not a clone or git is missing."""
    git = ["git", "-C", str(Path(__file__).parent)]
    ours = ["ls-files", "--error-unmatch", Path(__file__).name]  # false where this is only installed
    describe = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        for command in (ours, describe):
            done = subprocess.run([*git, *command], capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def machine() -> Machine:
    """The machine of the replay."""
    import torch

    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": usable_cores(),
        "memory": psutil.virtual_memory().total,
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
