"""Text from outside becomes one printable line of limited length, and no character ends a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.text import cell, last_words, listed, one_line, quoted

COMMANDS = [
    str(path.with_suffix("")).replace(os.sep, ".")
    for folder in ("unet_seg_ros", "training")
    for path in sorted(Path(folder).rglob("*.py"))
    if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
]
"""Modules that are started with ``python -m``."""


@given(st.text(st.characters(), max_size=100))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert text.isprintable() <= (line == text)


def test_a_text_cannot_forge_a_line() -> None:
    assert one_line("rgb8\n[ERROR] forged") == "rgb8\\n[ERROR] forged"
    assert one_line("\x1b[2J") == "\\x1b[2J"
    assert one_line(os.fsdecode(b"caf\xe9")) == "caf\\xe9"
    assert one_line("x" * 2**20) == "x" * 500 + "… (1048576 characters)"
    assert quoted("a\nb") == "'a\\nb'"
    assert quoted([1, 2]) == "[1, 2]"
    assert listed(range(100), 3) == "0, 1, 2 and 97 more"
    assert last_words(ValueError("a\n  b")) == "a b"
    assert last_words(KeyError()) == "KeyError"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1"])
def test_no_cell_becomes_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(-1.5) == -1.5
    assert cell("/front/image") == "/front/image"


def test_a_terminal_without_some_characters_ends_no_run() -> None:
    script = "from unet_seg_ros.text import never_fail_to_print as f; f(); print('mIoU –'); print('saved')"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"mIoU ?\nsaved\n")


@pytest.mark.parametrize("streams", ["> /dev/full 2> /dev/full", ">&- 2>&- <&-"])
def test_output_that_cannot_be_written_ends_no_run(streams: str, tmp_path: Path) -> None:
    script = (
        "from unet_seg_ros.text import never_fail_to_print as f; f(); f(); import sys; from tqdm import tqdm\n"
        f"file = open({str(tmp_path / 'saved')!r}, 'w')\n"
        "for _ in tqdm(range(3), mininterval=0): print('–' * 10_000, flush=True)\n"
        "assert file.fileno() > 2\n"
        "file.write('saved')"
    )
    done = subprocess.run(
        f'"{sys.executable}" -c "$SCRIPT" {streams}', shell=True, env={**os.environ, "SCRIPT": script}
    )
    assert done.returncode == 0
    assert (tmp_path / "saved").read_text() == "saved"


def test_a_pipe_whose_reader_ended_ends_no_run() -> None:
    script = "from unet_seg_ros.text import never_fail_to_print as f; f(); [print('x' * 999) for _ in range(999)]"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.close()
    assert process.returncode == 0


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_uses_this_protection(module: str) -> None:
    text = Path(f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    assert "    never_fail_to_print()\n" in text
