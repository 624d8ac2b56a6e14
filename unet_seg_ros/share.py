"""Where the files are that come with the package: launch, config, models."""

from pathlib import Path

PACKAGE = "unet_seg_ros"
DEFAULT_MODEL = "unet_nano"


def share_folder() -> Path:
    """The clone that this code is run from, or ``<prefix>/share/unet_seg_ros`` where it is installed.

    Raises FileNotFoundError where neither is there.
    """
    for folder in Path(__file__).resolve().parents:
        for candidate in (folder, folder / "share" / PACKAGE):
            if (candidate / "config" / "seg.param.yaml").is_file():
                return candidate
    raise FileNotFoundError(f"{PACKAGE} is not installed whole: no config/seg.param.yaml near {Path(__file__).parent}")


def shipped_or_path(model: str) -> Path:
    """The bundle of that name or path. Raises ValueError listing the shipped ones if there is none."""
    models = share_folder() / "models"
    shipped = models / f"{model}.safetensors"
    path = shipped if "/" not in model and shipped.is_file() else Path(model).expanduser()
    if not path.is_file():
        names = ", ".join(sorted(bundle.stem for bundle in models.glob("*.safetensors")))
        raise ValueError(f"model: there is no file {model!r} and no shipped model of that name (shipped: {names})")
    return path
