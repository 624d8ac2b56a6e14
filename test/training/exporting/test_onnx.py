"""The contents of the ONNX file, and its results in ONNX Runtime at other sizes."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from training.exporting.onnx import onnx_forward, write_onnx
from unet_seg_ros.model.bundle import Bundle, Manifest, save_bundle
from unet_seg_ros.model.unet import UNet, UNetConfig

CONFIG = UNetConfig(widths=(4, 8, 8), depths=(1, 1, 1))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of an unfolded network whose normalisations have statistics."""
    torch.manual_seed(0)
    model = UNet(CONFIG)
    with torch.no_grad():
        for _ in range(5):
            model(torch.randn(2, 3, 32, 48))
    path = tmp_path_factory.mktemp("bundle") / "small.safetensors"
    return save_bundle(path, model, Manifest("small", CONFIG, 1000, class_ids=(*range(18), 255), data_terms="free"))


@pytest.fixture(scope="module")
def path(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    write_onnx(path, bundle)
    return path


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 16, 24), (3, 40, 8), (2, 96, 200)])
def test_any_batch_and_size_gives_the_networks_logits(shape: tuple[int, int, int], path: Path, bundle: Bundle) -> None:
    frames, height, width = shape
    images = torch.randn(frames, 3, height, width)
    with torch.inference_mode():
        expected = bundle.build()(images)
    np.testing.assert_allclose(onnx_forward(path)(images), expected, atol=1e-5)


def test_the_file_has_the_documented_inputs_outputs_and_metadata(path: Path, bundle: Bundle) -> None:
    session = onnxruntime.InferenceSession(str(path))
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata == {"manifest": bundle.manifest.to_json(), "model_id": bundle.model_id}
    assert Manifest.from_json(metadata["manifest"]) == bundle.manifest
    (images,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape[:2]) == ("images", "tensor(float)", ["n", 3])
    assert images.shape[2:] == ["8*h", "8*w"]
    assert (logits.name, logits.type, logits.shape[:2]) == ("logits", "tensor(float)", ["n", 19])


def test_the_graph_holds_only_the_networks_operations(path: Path) -> None:
    proto = onnx.load(path)
    operators = collections.Counter(node.op_type for node in proto.graph.node)
    convolutions = sum(isinstance(module, torch.nn.Conv2d) for module in UNet(CONFIG).modules())
    assert operators["Conv"] == convolutions
    assert operators.keys() == {"Conv", "ConvTranspose", "Relu", "MaxPool", "Concat", "ReduceMean", "Add"}
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]
    assert str(Path(__file__).parents[3]).encode() not in path.read_bytes()
