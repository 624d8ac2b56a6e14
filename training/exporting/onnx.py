"""A bundle's network as ONNX.

Input ``images``: float32[n, 3, H, W], RGB / 255, normalised with the manifest's mean and std; any n, H and
W multiples of the stride. Output ``logits``: float32[n, C, H / stem_stride, W / stem_stride]. The file's metadata holds
the bundle's ``manifest`` (JSON) and ``model_id``.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch
from torch import Tensor
from torch.export import Dim

from unet_seg_ros.model.bundle import Bundle
from unet_seg_ros.model.fold import fold

OPSET = 18


def write_onnx(path: Path, bundle: Bundle) -> None:
    """Write the bundle's network, without normalisations, as an ONNX file."""
    model = fold(bundle.build())
    stride = model.config.stride
    sizes = {0: Dim("n"), 2: stride * Dim("h", min=1), 3: stride * Dim("w", min=1)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns that torchvision is missing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's own
        program = torch.onnx.export(
            model,
            (torch.zeros(2, 3, 2 * stride, 3 * stride),),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=(sizes,),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")  # the exporter's notes, with paths of this machine
    onnx.helper.set_model_props(proto, {"manifest": bundle.manifest.to_json(), "model_id": bundle.model_id})
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString())


def onnx_forward(path: Path) -> Callable[[Tensor], Tensor]:
    """The network of the file in ONNX Runtime on the CPU: normalised images → logits."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def forward(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(["logits"], {"images": images.contiguous().numpy()})[0])

    return forward
