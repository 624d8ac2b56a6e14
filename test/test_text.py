"""Text from outside: on one line, bounded and printable, wherever it goes; and no character ends a run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_seg_ros.text import cell, last_words, listed, one_line, quoted


@given(st.text(st.characters(), max_size=100))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert text.isprintable() <= (line == text)


def test_what_a_text_could_forge() -> None:
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
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(-1.5) == -1.5
    assert cell("/front/image") == "/front/image"


def test_a_terminal_that_knows_no_dash_ends_nothing() -> None:
    script = "from unet_seg_ros.text import never_fail_to_print as f; f(); print('mIoU –'); print('saved')"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"mIoU ?\nsaved\n")
