"""The site builds, loads nothing from other hosts, and its links work; reference pages agree with the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import numpy as np
import pytest

from test.pages import rows
from tools import message_pages, report_page
from unet_seg_ros import __version__
from unet_seg_ros.data.image_files import MAX_PIXELS
from unet_seg_ros.data.labels import CLASS_NAMES
from unet_seg_ros.data.ros_images import ENCODINGS
from unet_seg_ros.model.bundle import Manifest, save_bundle
from unet_seg_ros.model.config import CONFIGS, UNetConfig
from unet_seg_ros.model.unet import UNet
from unet_seg_ros.segmenter import Segmenter

ROOT = Path(__file__).parent.parent
OTHER_PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "models").glob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
LOADED = re.compile(r"<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=[\"']([^\"']+)|url\([\"']?([^)\"']+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_builds_without_a_warning(site: Path) -> None:
    assert "unet_seg_ros" in (site / "index.html").read_text(encoding="utf-8")
    api = (site / "api" / "segmenter.html").read_text(encoding="utf-8")
    assert 'id="unet_seg_ros.segmenter.Segmenter.load"' in api
    assert "Segment frames, each uint8[H, W, 3] RGB" in api  # the docstring


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = [path for path in site.rglob("*") if path.suffix in (".html", ".css")]
    assert len(pages) > 10
    loaded = {name for page in pages for match in LOADED.findall(page.read_text(encoding="utf-8")) for name in match}
    assert "css/theme.css" in loaded
    foreign = {urlsplit(name).netloc for name in loaded} - {""}
    assert foreign == set()


@pytest.mark.parametrize("page", OTHER_PAGES, ids=lambda page: page.name)
def test_links_of_pages_outside_the_site_lead_to_files(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if not urlsplit(target).scheme]
    assert [target for target in targets if not (page.parent / target.partition("#")[0]).exists()] == []


def test_the_page_of_topics_names_encodings_limits_and_classes() -> None:
    text = (ROOT / "docs" / "topics.md").read_text(encoding="utf-8")
    assert [encoding for encoding in ENCODINGS if f"`{encoding}`" not in text] == []
    assert MAX_PIXELS == 4096 * 4096
    cells = [cell for row in rows("topics.md", "id") for cell in row]
    listed = dict(zip(map(int, cells[::2]), cells[1::2], strict=True))
    assert listed == {**dict(enumerate(CLASS_NAMES)), 255: "unlabeled"}


def test_the_page_of_topics_names_the_outputs_that_need_a_subscriber() -> None:
    from unet_seg_ros.ros.outputs import frame_outputs

    outputs = frame_outputs(Manifest("any", CONFIGS["nano"], max_pixels=10_000))
    made = {f"~/C/{output.name}": "every frame" if output.always else "while subscribed" for output in outputs}
    listed = {topic: when for topic, _, when, _ in rows("topics.md", "topic")}
    assert made.items() <= listed.items()


def test_the_page_of_messages_is_made_from_the_msg_files() -> None:
    written = message_pages.PAGE.read_text(encoding="utf-8")
    assert written == message_pages.page(), "run .venv/bin/python tools/message_pages.py"


def test_a_message_file_becomes_a_table(tmp_path: Path) -> None:
    path = tmp_path / "Thing.msg"
    path.write_text(
        "# What it is.\n# More.\n\nuint8 A=0\nuint8 B=1\n\n# Names\n# and values.\nstring[] n\nfloat32[] v\n"
    )
    assert message_pages.section(path).splitlines() == [
        "## Thing",
        "",
        "What it is. More.",
        "",
        "| field | type | what |",
        "|---|---|---|",
        "| `A = 0`, `B = 1` | `uint8` |  |",
        "| `n`, `v` | `string[]`, `float32[]` | Names and values. |",
    ]


def test_the_engine_of_the_guide_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = (ROOT / "docs" / "guides" / "add_an_engine.md").read_text(encoding="utf-8")
    config = UNetConfig(widths=(8, 16), depths=(1, 1))
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    path = Path("models/unet_nano.safetensors")
    bundle = save_bundle(path, UNet(config), Manifest("small", config, max_pixels=90 * 70))
    frame = np.random.default_rng(0).integers(0, 256, (75, 101, 3), np.uint8)
    names: dict[str, Any] = {"frame": frame}
    exec("\n".join(re.findall(r"```python\n(.*?)```", guide, re.DOTALL)), names)
    expected = Segmenter.load(bundle, "cpu", precision="fp32")([frame])[0]
    assert (names["seen"].mask == expected.mask).mean() > 0.999
    assert np.abs(names["seen"].confidence.astype(int) - expected.confidence).max() <= 1


def test_the_example_of_a_report_follows_the_schema_and_is_on_its_page() -> None:
    example = json.loads(report_page.EXAMPLE.read_text(encoding="utf-8"))
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(example, schema)
    text = report_page.PAGE.read_text(encoding="utf-8")
    assert text == report_page.page(text, example), "run .venv/bin/python tools/report_page.py"
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    shown = {name: value for block in blocks for name, value in block.items()}
    assert shown == {name: value for name, value in example.items() if name != "bags"}


def test_both_packages_and_their_changelogs_have_one_version() -> None:
    for package in (ROOT, ROOT / "unet_seg_msgs"):
        assert f"<version>{__version__}</version>" in (package / "package.xml").read_text(encoding="utf-8")
        assert f"\n{__version__} (20" in (package / "CHANGELOG.rst").read_text(encoding="utf-8")
