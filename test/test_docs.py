"""The site builds without a warning, loads nothing from elsewhere, and links in the other pages lead to files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

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
    assert "Segment frames, each H×W×3 uint8 RGB" in api  # the docstring


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = [path for path in site.rglob("*") if path.suffix in (".html", ".css")]
    assert len(pages) > 10
    loaded = {name for page in pages for match in LOADED.findall(page.read_text(encoding="utf-8")) for name in match}
    assert "css/theme.css" in loaded
    foreign = {urlsplit(name).netloc for name in loaded} - {""}
    assert foreign == set()


@pytest.mark.parametrize("page", OTHER_PAGES, ids=lambda page: page.name)
def test_links_of_other_pages_lead_to_files(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if not urlsplit(target).scheme]
    assert [target for target in targets if not (page.parent / target.partition("#")[0]).exists()] == []
