"""Where the files are that come with the package: launch, config, models."""

from pathlib import Path

PACKAGE = "unet_seg_ros"


def share_folder() -> Path:
    """The clone that this code is run from, or ``<prefix>/share/unet_seg_ros`` where it is installed.

    Raises FileNotFoundError where neither is there.
    """
    for folder in Path(__file__).resolve().parents:
        for candidate in (folder, folder / "share" / PACKAGE):
            if (candidate / "config" / "seg.param.yaml").is_file():
                return candidate
    raise FileNotFoundError(f"{PACKAGE} is not installed whole: no config/seg.param.yaml near {Path(__file__).parent}")
