"""Ends a command that is interrupted with one line instead of a traceback."""

from __future__ import annotations

import signal
import sys
from types import TracebackType


def end_in_one_line(advice: str = "") -> None:
    """From now on Ctrl-C and SIGTERM, the end of a job, clean up and end the process with the line ``interrupted`` and
    ``advice``, with status 130."""

    def last_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print(f"interrupted{advice}", file=sys.stderr)
            raise SystemExit(130)
        sys.__excepthook__(kind, error, trace)

    sys.excepthook = last_line
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
