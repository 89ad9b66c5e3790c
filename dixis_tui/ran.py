"""What was run: every statement sent to the target and every command on a host, before it is begun.

Whoever runs something says so here and knows nobody who listens; the run's command log listens (`commandlog`).
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

# sql: a statement that may change something; ask: one that only reads or sets up a session; shell: a command line;
# file: a file written or fetched as a whole.
Kind = Literal["sql", "ask", "shell", "file"]


@dataclass(frozen=True)
class Command:
    """One thing that was run. where: server or host; step: who ran it, empty when that is not known."""

    kind: Kind
    where: str
    text: str
    step: str = ""


Listener = Callable[[Command], None]
_listeners: list[Listener] = []
_step: contextvars.ContextVar[str] = contextvars.ContextVar("step", default="")


def ran(kind: Kind, where: str, text: str) -> None:
    """Tell that this is about to be run."""
    if _listeners:
        command = Command(kind, where, text, _step.get())
        for listener in tuple(_listeners):
            listener(command)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Everything that is run meanwhile, from any thread, is told to the listener."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def by_step(step: str) -> Iterator[None]:
    """What this thread runs meanwhile is run by that step."""
    token = _step.set(step)
    try:
        yield
    finally:
        _step.reset(token)
