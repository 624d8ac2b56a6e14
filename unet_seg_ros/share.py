"""Finds the files that come with the package: launch files, configuration, models."""

import os
from pathlib import Path

from unet_seg_ros.text import quoted

PACKAGE = "unet_seg_ros"
DEFAULT_MODEL = "unet_nano"


def share_folder() -> Path:
    """The clone that this code runs from or, if it is installed, ``<prefix>/share/unet_seg_ros``.

    Raises FileNotFoundError if there is neither.
    """
    for folder in Path(__file__).resolve().parents:
        for candidate in (folder, folder / "share" / PACKAGE):
            if (candidate / "config" / "seg.param.yaml").is_file():
                return candidate
    raise FileNotFoundError(f"{PACKAGE} is not installed whole: no config/seg.param.yaml near {Path(__file__).parent}")


def shipped_or_path(model: str) -> Path:
    """The file of the shipped model ``model`` or, if none has this name, of the path ``model``. Raises ValueError,
    which lists the shipped models, if there is no such file."""
    models = share_folder() / "models"
    shipped = models / f"{model}.safetensors"
    path = shipped if "/" not in model and os.path.isfile(shipped) else Path(model).expanduser()
    if not os.path.isfile(path):  # also where the name is too long
        names = ", ".join(sorted(bundle.stem for bundle in models.glob("*.safetensors")))
        raise ValueError(
            f"model: there is no file {quoted(model)} and no shipped model of that name (shipped: {names})"
        )
    return path
