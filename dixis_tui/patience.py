"""Waiting for a server's answer: as long as the server lives, and no longer.

A statement may rightly take minutes, building an index does; a server that is frozen, or a link that was cut without a
word, would keep its client waiting for ever. So after some seconds of silence somebody else is asked whether the work
still goes on.
"""

from __future__ import annotations

import io
import select
import socket
import ssl
from collections.abc import Callable


class PatientReader(io.RawIOBase):
    """The reading end of a socket. After each `seconds` of silence `alive` is asked; TimeoutError when it says no."""

    def __init__(self, sock: socket.socket, seconds: float, alive: Callable[[], bool]) -> None:
        self._socket = sock
        self._seconds = seconds
        self._alive = alive
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        # What TLS has decrypted already is not announced by the socket.
        if not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            while not self._poll.poll(self._seconds * 1000):
                if not self._alive():
                    raise TimeoutError(f"no answer for {self._seconds:g} s, and nobody works on it any more")
        return self._socket.recv_into(buffer)
