"""What a process does when its terminal goes away: a closed window, a dropped link, a tmux session that was ended."""

from __future__ import annotations

import os
import select

STANDARD = (0, 1, 2)
_kept: list[int] = []  # the writing end of the pipe below; closed, it would read as an end of input


def gone(descriptor: int = 0) -> bool:
    """True when the terminal behind a descriptor has hung up."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(what & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, what in poll.poll(0))


def let_go() -> None:
    """Put nothing in the place of a terminal that is gone: what is written vanishes, nothing is ever read.

    Work that goes on to its safe point would otherwise fail with the first line it prints.
    """
    reading, writing = os.pipe2(os.O_NONBLOCK)  # who is about to read there must not wait for ever
    _kept.append(writing)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(reading, 0)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(reading)
    os.close(nowhere)
