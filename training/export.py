"""Make a bundle of a run: ``python -m training.export RUN OUTPUT.safetensors --name unet_nano [--onnx OUTPUT.onnx]``.

It exports the averaged weights of the run's best checkpoint (the last one if the run was not validated or the best one
is damaged), with batch normalisation folded into the convolutions. A file is written only if it computes the same as
the checkpoint.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training import config as configuration
from training.config import TrainConfig
from training.data.cache import fingerprint
from training.data.dataset import labelled_pairs
from training.exporting.equivalence import LOGITS, MASKS, Forward, Frame, compare, spread
from training.exporting.onnx import onnx_forward, write_onnx
from training.exporting.reference_confidence import reference_confidence
from training.interruption import end_in_one_line
from training.run.checkpoint import DamagedCheckpoint, check_tensors, check_values, part, read_checkpoint, to_export
from training.run.trainer import normalise
from unet_seg_ros import __version__
from unet_seg_ros.data.yaml_file import parse_json
from unet_seg_ros.engine import Engine
from unet_seg_ros.engine.selection import make_engine
from unet_seg_ros.files import read_bytes
from unet_seg_ros.model import manifest_schema
from unet_seg_ros.model.bundle import Bundle, BundleError, Manifest, load_bundle, not_finite, save_bundle
from unet_seg_ros.model.fold import fold
from unet_seg_ros.model.unet import CONFIGS, UNet
from unet_seg_ros.text import never_fail_to_print


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
        root = Path(source.root)
        found = fingerprint(root, labelled_pairs(root, source.split, source.labels, source.leave_out))
        data[source.name] = _joined(", ", data.get(source.name, ""), found)
        terms = _joined("; ", terms, source.terms)
    return data, terms


def read_network(path: Path) -> tuple[TrainConfig, UNet]:
    """A checkpoint's configuration and its averaged network, in eval mode. Raises DamagedCheckpoint for a damaged one,
    BundleError or ValueError for one of another kind."""
    tensors, values = read_checkpoint(path)
    check_values(path, values)
    config = configuration.from_dict(values["config"], str(path))
    model, averaged = UNet(CONFIGS[config.model]), part(tensors, "ema.")
    check_tensors(path, averaged, model.state_dict(), "ema.")
    model.load_state_dict(averaged)
    return config, model.eval()


def first_undamaged(paths: Sequence[Path]) -> tuple[Path, TrainConfig, UNet]:
    """The first of the checkpoints that is not damaged, and its contents. Raises as ``read_network``."""
    *others, last = paths
    for path in others:
        try:
            return path, *read_network(path)
        except DamagedCheckpoint as error:
            print(f"{error}; trying the next checkpoint", file=sys.stderr)
    try:
        return last, *read_network(last)
    except DamagedCheckpoint as error:
        advice = "all checkpoints are damaged" if others else "name another checkpoint"
        raise DamagedCheckpoint(f"{error}; {advice}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path to write to. Its file becomes ``path`` at the end, unless there is an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        candidate = Path(folder) / path.name
        yield candidate
        os.replace(candidate, path)


def _on_images(forward: Callable[[Tensor], Tensor]) -> Forward:
    """A function of uint8 images, made from one of normalised images."""

    @torch.inference_mode()
    def run(images: Tensor) -> Tensor:
        return forward(normalise(images))

    return run


def _of(engine: Engine) -> Forward:
    """A function that returns an engine's logits, computed for one image after another."""

    def run(images: Tensor) -> Tensor:
        return torch.stack([torch.as_tensor(scores.logits).cpu() for scores in engine(images.numpy())])

    return run


def _folded(model: UNet, output: Path) -> UNet:
    """The network with batch normalisation folded. Raises BundleError if a weight is not a finite number."""
    folded = fold(model)
    if strange := not_finite({key: value.numpy() for key, value in folded.state_dict().items()}):
        raise BundleError(f"{output}: not written, {strange} holds NaN or infinity")
    return folded


def _frames_of(config: TrainConfig) -> list[Frame]:
    """Some frames of the validation data or, without validation, of the training data."""
    shown = config.validation or config.data[0]
    return spread(Path(shown.root), shown.split)


def _checker(
    path: Path, expected: Forward, manifest: Manifest, frames: Sequence[Frame]
) -> Callable[[Path, str, Forward, str], None]:
    """A function that compares what is to be written with ``expected``, the network of the checkpoint ``path``."""
    print(f"compared with {path} on {len(frames)} frames:")

    def check(target: Path, what: str, forward: Forward, precision: str) -> None:
        difference = compare(expected, forward, manifest, frames)
        print(f"{what}: {difference}")
        if not difference.within(precision):
            raise BundleError(
                f"{target}: not written, {what} does not compute what {path} does: {difference} "
                f"(allowed: {LOGITS[precision]:.0e}, {100 * MASKS[precision]:g} %)"
            )

    return check


def export(
    run: Path, output: Path, name: str, metrics: dict[str, Any], frames: Sequence[Frame] = (), onnx: Path | None = None
) -> Bundle:
    """Write the averaged network of ``run`` (a folder or a checkpoint) as a bundle and, with ``onnx``, as ONNX.

    Each is first compared with the checkpoint's own network on ``frames`` (uint8[H, W, 3] RGB; default: some of those
    that the run was validated or trained on) and the differences are printed. Raises BundleError if one is too large,
    BundleError or ValueError if the run or the bundle that it started from cannot be used, FileNotFoundError if its
    data is gone; ``output`` and ``onnx`` are then as they were.
    """
    manifest_schema.check({"name": name}, manifest_schema.MANIFEST)  # before all data is read
    for file in (output, onnx):
        if file and file.is_dir():
            raise IsADirectoryError(f"{file}: is a folder; name a file")
    path, config, model = first_undamaged(to_export(run))
    data, terms = data_and_terms(config)
    folded = _folded(model, output)
    manifest = Manifest(
        name, folded.config, config.max_pixels, data=data, data_terms=terms, metrics=metrics, code_version=__version__
    )
    check = _checker(path, _on_images(model), manifest, frames or _frames_of(config))
    with replacing(output) as candidate:
        reference = reference_confidence(save_bundle(candidate, folded, manifest), config)
        save_bundle(candidate, folded, replace(manifest, reference_confidence=reference))
        bundle = load_bundle(candidate)
        check(output, "bundle", _on_images(bundle.build()), "16 bits")
        engine = make_engine(bundle, "cpu")
        check(output, f"bundle in the engine of the CPU, {engine.precision}", _of(engine), engine.precision)
        if onnx:
            with replacing(onnx) as onnx_candidate:
                write_onnx(onnx_candidate, bundle)
                check(onnx, "ONNX in onnxruntime", _on_images(onnx_forward(onnx_candidate)), "16 bits")
    return bundle


def _metrics(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(read_bytes(path, manifest_schema.MAX_TEXT), manifest_schema.MAX_TEXT)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: must hold a JSON object")
    return found


def main() -> None:
    never_fail_to_print()
    end_in_one_line()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run folder of training.train, or one of its checkpoints")
    parser.add_argument("output", type=Path, help="bundle to write (.safetensors)")
    parser.add_argument("--name", required=True, help="name of the model")
    parser.add_argument("--metrics", type=Path, help="JSON file of measured figures for the manifest")
    parser.add_argument("--onnx", type=Path, help="ONNX file to write as well")
    parser.add_argument(
        "--frames", nargs=2, metavar=("DATA", "SPLIT"), help="compare on frames of this folder in Cityscapes layout"
    )
    arguments = parser.parse_args()
    try:
        metrics = _metrics(arguments.metrics) if arguments.metrics else {}
        frames = spread(Path(arguments.frames[0]), arguments.frames[1]) if arguments.frames else ()
        bundle = export(arguments.run, arguments.output, arguments.name, metrics, frames, arguments.onnx)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    print(f"{arguments.output}: {bundle.model_id}")


if __name__ == "__main__":
    main()
