"""Makes items ahead of time in a thread, so that stages of work overlap."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterator[T], depth: int = 4) -> Iterator[T]:
    """The items in order; up to ``depth`` of them are made ahead of time in a thread. Raises the errors of ``items``.

    Closing the generator ends the thread after the current item.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(depth)
    stopped = Event()
    thread = Thread(target=_produce, args=(items, ready, stopped), daemon=True)
    thread.start()
    try:
        while True:
            item, error, last = ready.get()
            if error is not None:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()


def _produce(
    items: Iterator[T], ready: queue.Queue[tuple[T | None, BaseException | None, bool]], stopped: Event
) -> None:
    """Put the items into ``ready``, each with the error that making it raised and whether it is the end."""

    def put(item: T | None, error: BaseException | None, last: bool) -> None:
        while not stopped.is_set():
            try:
                return ready.put((item, error, last), timeout=0.1)
            except queue.Full:
                continue

    try:
        for item in items:
            put(item, None, False)
            if stopped.is_set():
                return
        put(None, None, True)
    except BaseException as error:
        put(None, error, True)
    finally:
        if stopped.is_set() and hasattr(items, "close"):
            items.close()  # `items` may have its own thread
