"""Make a bundle of a run: ``python -m training.export RUN_FOLDER OUTPUT.safetensors --name unet_nano``."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from training import config as configuration
from training.config import TrainConfig
from training.data import labelled_pairs
from training.train import CHECKPOINT, part
from unet_seg_ros import __version__
from unet_seg_ros.model.bundle import Bundle, BundleError, Manifest, load_bundle, read_tensors, save_bundle
from unet_seg_ros.model.unet import CONFIGS, UNet


def fingerprint(root: Path, split: str) -> str:
    """SHA-256, hexadecimal, over the paths (relative to ``root``) and sizes of a split's images and labels."""
    files = [path for pair in labelled_pairs(root, split) for path in (pair.image, pair.label) if path]
    lines = sorted(f"{path.relative_to(root).as_posix()} {path.stat().st_size}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _joined(separator: str, *texts: str) -> str:
    """The texts' parts, each once, in order."""
    parts = (part for text in texts for part in text.split(separator) if part)
    return separator.join(dict.fromkeys(parts))


def data_and_terms(config: TrainConfig) -> tuple[dict[str, str], str]:
    """The manifest's ``data`` and ``data_terms``: of the bundle that the run started from and of its own sources.

    Sources of one name with other contents keep all their fingerprints.
    """
    data: dict[str, str] = {}
    terms = ""
    if config.init:
        start = load_bundle(Path(config.init)).manifest
        data, terms = dict(start.data), start.data_terms
    for source in config.data:
        found = fingerprint(Path(source.root), source.split)
        data[source.name] = _joined(", ", data.get(source.name, ""), found)
        terms = _joined("; ", terms, source.terms)
    return data, terms


def read_run(folder: Path) -> tuple[TrainConfig, UNet]:
    """A run's configuration and its averaged network, in eval mode. Raises BundleError for a broken checkpoint."""
    path = folder / CHECKPOINT
    tensors, metadata = read_tensors(path)
    if "config" not in metadata:
        raise BundleError(f"{path}: not the checkpoint of a training run")
    try:
        config = configuration.from_dict(json.loads(metadata["config"]), str(path))
    except json.JSONDecodeError as error:
        raise BundleError(f"{path}: its configuration is not JSON: {error}") from error
    model = UNet(CONFIGS[config.model])
    try:
        model.load_state_dict(part(tensors, "ema."))
    except RuntimeError as error:
        raise BundleError(f"{path}: its averaged weights are not those of a {config.model}") from error
    return config, model.eval()


def export(folder: Path, output: Path, name: str, metrics: dict[str, Any]) -> Bundle:
    """Write the averaged weights of the run in ``folder`` as a bundle, once it is known to compute the same.

    Raises BundleError or ValueError if the run or the bundle that it started from cannot be used, FileNotFoundError if
    its data is gone; ``output`` is then as it was.
    """
    config, model = read_run(folder)
    data, terms = data_and_terms(config)
    manifest = Manifest(
        name, model.config, config.max_pixels, data=data, data_terms=terms, metrics=metrics, code_version=__version__
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as temporary:
        candidate = Path(temporary) / output.name
        save_bundle(candidate, model, manifest)
        bundle = load_bundle(candidate)
        image = torch.randn(1, 3, 2 * model.config.stride, 3 * model.config.stride)
        with torch.inference_mode():
            if not torch.equal(bundle.build()(image), model(image)):  # NaN is not equal either
                raise BundleError(f"{output}: the bundle does not compute what {folder / CHECKPOINT} does; not written")
        os.replace(candidate, output)
    return bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="run folder of training.train")
    parser.add_argument("output", type=Path, help="bundle to write (.safetensors)")
    parser.add_argument("--name", required=True, help="name of the model")
    parser.add_argument("--metrics", type=Path, help="JSON file of measured figures for the manifest")
    arguments = parser.parse_args()
    try:
        metrics = json.loads(arguments.metrics.read_text()) if arguments.metrics else {}
        if not isinstance(metrics, dict):
            raise ValueError(f"{arguments.metrics}: must hold a JSON object")
        bundle = export(arguments.folder, arguments.output, arguments.name, metrics)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    print(f"{arguments.output}: {bundle.model_id}")


if __name__ == "__main__":
    main()
