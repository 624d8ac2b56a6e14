"""Which engine is chosen. Each test runs in a new process, since a loaded library stays loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from test.engine.test_openvino import SHAPES, bundle_of
from unet_seg_ros.engine import selection
from unet_seg_ros.engine.openvino import OpenVinoEngine
from unet_seg_ros.engine.selection import make_engine
from unet_seg_ros.model.bundle import Bundle

WITHOUT = "import sys; sys.modules['openvino'] = None\n"  # as Python sees a package that is not installed
SCRIPT = """
import os
from pathlib import Path
import numpy as np
from unet_seg_ros.segmenter import Segmenter
segmenter = Segmenter.load(Path({path!r}), {arguments})
frame = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
mask = segmenter([frame])[0].mask
print(type(segmenter.engine).__name__, segmenter.engine.precision, mask.shape, os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return bundle_of(SHAPES["residual with context"], tmp_path)


def said(tmp_path: Path, before: str, arguments: str, after: str = "", **environment: str) -> str:
    script = before + SCRIPT.format(path=str(tmp_path / "x.safetensors"), arguments=arguments) + after
    kept = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env={**kept, **environment})
    return done.stdout or done.stderr.splitlines()[-1]


def test_without_openvino_pytorch_is_used_with_all_cores(bundle: Bundle, tmp_path: Path) -> None:
    one_core = f"{WITHOUT}import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})\n"
    threads = "import torch; assert torch.get_num_threads() == 1, torch.get_num_threads()\n"
    assert said(tmp_path, one_core, "'cpu', precision='fp32'", threads) == "TorchEngine fp32 (37, 53) 1000\n"
    assert said(tmp_path, WITHOUT, "'auto'", OMP_WAIT_POLICY="passive").endswith("(37, 53) None\n")
    assert said(tmp_path, WITHOUT, "'cpu', precision='fp32'", GOMP_SPINCOUNT="5").endswith(" 5\n")


def test_with_openvino_pytorchs_settings_are_not_changed(bundle: Bundle, tmp_path: Path) -> None:
    loaded = "assert 'torch' not in sys.modules\n"
    assert said(tmp_path, "import sys\n", "'cpu', precision='fp32'", loaded) == "OpenVinoEngine fp32 (37, 53) None\n"


def test_without_openvino_int8_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    assert said(tmp_path, WITHOUT, "'cpu', precision='int8'").startswith("ValueError: precision int8: PyTorch on cpu ")


def test_without_both_libraries_the_missing_one_is_named(bundle: Bundle, tmp_path: Path) -> None:
    assert "torch" in said(tmp_path, f"{WITHOUT}sys.modules['torch'] = None\n", "'cpu'")


def test_with_a_gpu_that_cannot_be_used_the_cpu_is_used(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "GPU_FILES", (str(tmp_path),))
    assert isinstance(make_engine(bundle, "auto", "fp32"), OpenVinoEngine)


@pytest.mark.parametrize("device", ["tpu", "cuda:77"])
def test_a_missing_device_is_refused(device: str, bundle: Bundle) -> None:
    with pytest.raises(ValueError, match=f"device.*{device}"):
        make_engine(bundle, device)


def test_an_unknown_precision_is_refused_before_anything_is_loaded(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match=r"^precision must be one of auto, fp32, bf16, int8, not 'fp16'$"):
        make_engine(bundle, "cpu", "fp16")


def test_no_engine_writes_a_cache(bundle: Bundle, tmp_path: Path) -> None:
    """No cache can then be damaged or outdated. The home is a file, so that nothing can be written there."""
    before = sorted(tmp_path.rglob("*"))
    home = str(tmp_path / "x.safetensors")
    environment = {"HOME": home, "XDG_CACHE_HOME": f"{home}/cache", "TMPDIR": str(tmp_path)}
    assert said(tmp_path, "import sys\n", "'cpu', precision='fp32'", **environment).startswith("OpenVinoEngine fp32")
    assert sorted(tmp_path.rglob("*")) == before
