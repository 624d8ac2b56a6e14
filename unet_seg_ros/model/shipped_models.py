"""The models that ship with the package, by name."""

from __future__ import annotations

import os
from pathlib import Path

from unet_seg_ros.files import of_user
from unet_seg_ros.share_folder import share_folder
from unet_seg_ros.text import LINE, quoted

DEFAULT_MODEL = "unet_nano"


def shipped_or_path(model: str) -> Path:
    """The file of the shipped model ``model`` or, if none has this name, of the path ``model``. Raises ValueError,
    which lists the shipped models, if there is no such file."""
    models = share_folder() / "models"
    shipped = models / f"{model}.safetensors"
    path = shipped if "/" not in model and os.path.isfile(shipped) else of_user(model)
    if not os.path.isfile(path):  # False also if the name is too long
        names = ", ".join(sorted(bundle.stem for bundle in models.glob("*.safetensors")))
        raise ValueError(
            f"model: there is no file {quoted(model, LINE)} and no shipped model of that name (shipped: {names})"
        )
    return path
