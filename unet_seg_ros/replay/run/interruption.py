"""Ends a replay after the current frame at Ctrl-C, SIGTERM or SIGHUP, so that its report is still written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Protocol


@contextmanager
def interruptible() -> Iterator[Event]:
    """An event that the first signal sets; a second one ends the process at once. Outside the main thread no signal is
    caught."""
    stopped = Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(number: int, _: object) -> None:
        stopped.set()
        signal.signal(number, before[signal.Signals(number)])

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup
            signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interruptible(Protocol):
    """What remembers whether a signal came."""

    interrupted: bool


@contextmanager
def finishing(work: Interruptible) -> Iterator[None]:
    """The end of a replay, such as the writing of its report: the first signal does not break it off, ``work`` is only
    marked as interrupted. If it was interrupted before, or at a second signal, the process ends at once."""
    if work.interrupted:
        yield
        return
    with interruptible() as stopped:
        yield
    work.interrupted = stopped.is_set()
