"""The model bundle, which training writes and run time reads.

It is one ``.safetensors`` file that holds the weights and, as metadata, a JSON manifest that describes them. Nothing is
unpickled. A bad file is refused with one line that names the file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from unet_seg_ros.data.labels import CLASS_COLORS, CLASS_NAMES
from unet_seg_ros.data.yaml_file import parse_json
from unet_seg_ros.files import open_regular, utf8_path, write_atomically
from unet_seg_ros.model import manifest_schema
from unet_seg_ros.model.config import UNetConfig
from unet_seg_ros.model.tensor_shapes import COUNTER, VARIANCE, tensor_shapes
from unet_seg_ros.text import VALUE, last_words, one_line

if TYPE_CHECKING:  # PyTorch is imported only by the functions that need it
    from torch import Tensor

    from unet_seg_ros.model.unet import UNet

Array = NDArray[Any]
FORMAT = 2
READABLE = ("1", "2")
"""In format 1 all weights have 32 bits, and there are no ranges for int8."""
MAX_HEADER = 2**23
"""Largest header of a safetensors file in bytes. One of 60 MB takes a gigabyte of memory and 20 s to read."""
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
MEAN_COLOR = tuple(round(255 * value) for value in MEAN)
"""RGB colour of the padding, in training and at run time. Normalised, it is about 0."""


class BundleError(ValueError):
    """A bundle that cannot be used. The message names the file and says what is wrong with it."""


@dataclass(frozen=True)
class Manifest:
    """Describes the weights: the network, its classes and its training data.

    ``class_ids[c]`` is the mask's value for the network's class ``c`` (255: no class). ``mean`` and ``std`` normalise
    RGB scaled to 0..1. ``max_pixels``: larger frames are shrunk to that many pixels. ``data`` maps the training sets'
    names to their fingerprints, ``data_terms`` are their terms of use. ``metrics`` may hold anything. ``int8_ranges``
    are the lowest and highest value of each operation in calibration, named as in ``engine.openvino_graph`` (empty:
    the network must not run in int8). ``int8_checks`` says on which frames they were measured and how much accuracy
    int8 costs.
    """

    name: str
    config: UNetConfig
    max_pixels: int
    class_names: tuple[str, ...] = CLASS_NAMES
    class_ids: tuple[int, ...] = tuple(range(len(CLASS_NAMES)))
    palette: tuple[tuple[int, int, int], ...] = CLASS_COLORS
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    data: dict[str, str] = field(default_factory=dict)
    data_terms: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    code_version: str = ""
    reference_confidence: float = 0.0
    """Mean confidence on the validation frames, 0..1; 0 means not measured."""
    int8_ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    int8_checks: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        classes = self.config.num_classes
        if not len(self.class_names) == len(self.class_ids) == len(self.palette) == classes:
            raise ValueError(f"class_names, class_ids and palette need {classes} entries, one for each class")
        named = range(len(self.class_names))
        if not all(isinstance(i, int) and (i in named or i == 255) for i in self.class_ids):
            raise ValueError(f"class_ids must be indices into class_names or 255, not {list(self.class_ids)}")
        if len(set(self.class_names)) < classes:
            raise ValueError("class_names must be different from each other")
        for name, (low, high) in self.int8_ranges.items():
            if not np.float32(low) < np.float32(high):
                raise ValueError(f"int8_ranges: {name} needs a lower and a higher number, not {low} and {high}")
        least = self.config.stride**2
        if not isinstance(self.max_pixels, int) or self.max_pixels < least:
            raise ValueError(f"max_pixels must be a whole number of at least {least}, not {self.max_pixels}")

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Raises ValueError if the text is not a manifest, TypeError if a field is missing."""
        values = _tuples(parse_json(text, manifest_schema.MAX_TEXT))
        if not isinstance(values, dict) or not isinstance(values.get("config"), dict):
            raise ValueError("must be a JSON object with a config")
        manifest_schema.check(values, manifest_schema.MANIFEST)
        manifest_schema.check(values["config"], manifest_schema.CONFIG)
        return cls(**{**values, "config": UNetConfig(**values["config"])})


def _tuples(value: Any) -> Any:
    """Lists become tuples, so that a manifest that was written and read again is equal to the original."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and checked. ``tensors`` are float32 (counters int64). ``digest`` is the SHA-256, in
    hexadecimal, of the manifest and the tensors as the file stores them."""

    manifest: Manifest
    tensors: dict[str, Array]
    digest: str

    @property
    def model_id(self) -> str:
        """The name and the first 12 digits of the digest; messages and reports carry it."""
        return f"{self.manifest.name}-{self.digest[:12]}"

    def build(self) -> UNet:
        """The network with its weights, in eval mode."""
        import torch

        from unet_seg_ros.model.unet import UNet

        model = UNet(self.manifest.config)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in self.tensors.items()})
        return model.eval()


def digest(manifest: str, tensors: dict[str, Array]) -> str:
    sha = hashlib.sha256(manifest.encode())
    for name in sorted(tensors):
        sha.update(f"{name} torch.{tensors[name].dtype} {tensors[name].shape}".encode())
        sha.update(tensors[name].tobytes())
    return sha.hexdigest()


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file that is either complete or absent."""
    from safetensors.torch import save

    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata)
    write_atomically(path, data)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. Raises BundleError if it is missing, cut short or of another
    format."""
    return _read(path, "pt")


def _read(path: Path, framework: str) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        with open_regular(path) as opened:  # refuses a pipe, which might never end
            header = int.from_bytes(opened.read(8), "little")
        if header > MAX_HEADER:
            raise BundleError(f"{path}: not a complete safetensors file (its header has {header} bytes)")
        with utf8_path(path) as place, safe_open(place, framework=framework) as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise BundleError(f"{path}: no such file") from None
    except BundleError:
        raise
    except Exception as error:  # those of the library, and NumPy's for shapes and types that it does not have
        raise BundleError(f"{path}: not a complete safetensors file ({last_words(error)})") from error


def not_finite(arrays: Mapping[str, Array]) -> str:
    """The name of the first array that holds NaN or infinity; empty if there is none."""
    return next((name for name, a in arrays.items() if a.dtype.kind == "f" and not np.isfinite(a).all()), "")


def negative_variance(arrays: Mapping[str, Array]) -> str:
    """The name of the first variance of a normalisation that holds a negative number; empty if there is none."""
    return next((name for name, array in arrays.items() if name.endswith(VARIANCE) and (array < 0).any()), "")


def _stored(array: Array) -> Array:
    """Weights of convolutions are stored in 16 bits if they fit, which does not change masks visibly; others as they
    are."""
    if array.ndim != 4 or np.abs(array).max() > np.finfo(np.float16).max:
        return array
    return array.astype(np.float16)


def _loaded(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def save_bundle(path: Path, model: UNet, manifest: Manifest) -> Bundle:
    """Write the model's weights and manifest atomically; returns the bundle that ``load_bundle`` will read.

    Weights of convolutions are rounded to 16 bits (IEEE half precision).
    """
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    return write_bundle(path, arrays, manifest)


def write_bundle(path: Path, tensors: dict[str, Array], manifest: Manifest) -> Bundle:
    """The same as ``save_bundle``, but with arrays. It can write a bundle again with another manifest."""
    from safetensors.numpy import save

    arrays = {name: _stored(array) for name, array in tensors.items()}
    text = manifest.to_json()
    found = digest(text, arrays)
    write_atomically(path, save(arrays, {"format": str(FORMAT), "manifest": text, "sha256": found}))
    return Bundle(manifest, {name: _loaded(array) for name, array in arrays.items()}, found)


def _fits(name: str, array: Array | None, shape: tuple[int, ...] | None) -> bool:
    """Whether a tensor has the shape and dtype that the manifest's network needs for this name."""
    if array is None or array.shape != shape:
        return False
    halved = array.dtype == np.float16 and array.ndim == 4
    return halved or array.dtype == (np.int64 if name.endswith(COUNTER) else np.float32)


def load_bundle(path: Path) -> Bundle:
    """Read and check a bundle.

    Raises BundleError with one line if the file is missing, cut short, altered or of another version, or if its tensors
    do not fit the network that its manifest describes.
    """
    tensors, metadata = _read(path, "np")
    if "manifest" not in metadata:
        raise BundleError(f"{path}: this safetensors file has no manifest, so it is not a model bundle")
    if metadata.get("format") not in READABLE:
        readable = " and ".join(READABLE)
        given = one_line(metadata.get("format"), VALUE)
        raise BundleError(f"{path}: bundle format {given}, but this version reads formats {readable}")
    text = metadata["manifest"]
    try:
        manifest = Manifest.from_json(text)
    except (ValueError, TypeError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else last_words(error)
        raise BundleError(f"{path}: its manifest is not valid: {reason}") from error
    if digest(text, tensors) != metadata.get("sha256"):
        raise BundleError(f"{path}: its contents do not match its SHA-256; copy or export it again")
    shapes = tensor_shapes(manifest.config)
    wrong = [name for name in shapes.keys() | tensors.keys() if not _fits(name, tensors.get(name), shapes.get(name))]
    if wrong:
        first = one_line(min(wrong), VALUE)
        raise BundleError(f"{path}: {len(wrong)} tensors do not fit its manifest, the first is {first}")
    if strange := not_finite(tensors):
        raise BundleError(f"{path}: {strange} holds NaN or infinity; train or export it again")
    if strange := negative_variance(tensors):
        raise BundleError(f"{path}: {strange} must not be negative; train or export it again")
    return Bundle(manifest, {name: _loaded(array) for name, array in tensors.items()}, metadata["sha256"])
