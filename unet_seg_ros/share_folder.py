"""Finds the files that come with the package: launch files, configuration, models."""

import re
from pathlib import Path

PACKAGE = "unet_seg_ros"


def share_folder() -> Path:
    """The clone that this code runs from or, if it is installed, ``<prefix>/share/unet_seg_ros``.

    Raises FileNotFoundError if there is neither.
    """
    for folder in Path(__file__).resolve().parents:
        for candidate in (folder, folder / "share" / PACKAGE):
            if (candidate / "config" / "seg.param.yaml").is_file():
                return candidate
    missing = f"there is no config/seg.param.yaml near {Path(__file__).parent}"
    raise FileNotFoundError(f"{PACKAGE} is not installed completely: {missing}")


def version() -> str:
    """The version of this package. It is written in ``package.xml`` only."""
    text = (share_folder() / "package.xml").read_text(encoding="utf-8")
    return str(re.findall(r"<version>(.+?)</version>", text)[0])
