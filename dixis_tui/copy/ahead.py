"""Work done ahead of need: an iterator that runs in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
# Seconds after which a full queue looks whether it is still wanted.
LOOK = 0.05


@dataclass(frozen=True)
class _End:
    error: BaseException | None


@contextmanager
def ahead(make: Callable[[], Generator[T, None, None]], depth: int) -> Iterator[Iterator[T]]:
    """The items of make(), up to depth of them made before they are asked for.

    What make() raises is raised where its item would have been. The thread has ended when the block is left.
    """
    ready: queue.Queue[T | _End] = queue.Queue(depth)
    closed = threading.Event()

    def put(item: T | _End) -> None:
        while not closed.is_set():
            try:
                ready.put(item, timeout=LOOK)
            except queue.Full:
                continue
            return

    def work() -> None:
        error: BaseException | None = None
        try:
            with closing(make()) as items:
                for item in items:
                    put(item)
                    if closed.is_set():
                        break
        except BaseException as caught:
            error = caught
        put(_End(error))

    def read() -> Iterator[T]:
        while True:
            item = ready.get()
            if not isinstance(item, _End):
                yield item
            elif item.error is None:
                return
            else:
                raise item.error

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        yield read()
    finally:
        closed.set()
        thread.join()
