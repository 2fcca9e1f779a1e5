"""A client's connection, which holds one of a few threads no longer than the client gets on.

Whoever sends less than LEAST bytes of a request a second is given up after some seconds: a head
that never ends as well as a body that comes byte by byte. So is who doesn't take a part of an
answer within as many: each part has them anew, so that a long answer may take long.
"""

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

LEAST = 1_000
"""Bytes that have to come for a second that was waited."""
_PART_BYTES = 256 * 1024
"""A part of an answer."""


class Paced(socket.socket):
    """A socket that raises ConnectionResetError, as if the client were gone, for one too slow."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        """Take over a connected socket; its client may rest for so many seconds."""
        super().__init__(fileno=sock.detach())
        self._seconds = self._left = seconds

    def begin(self) -> None:
        """A request begins, and with it all of its time. What we do ourselves takes none of it."""
        self._left = self._seconds

    def recv(self, size: int, flags: int = 0) -> bytes:
        if self.gettimeout() == 0:
            return super().recv(size, flags)  # nobody waits
        began = time.monotonic()
        with self._within(min(self._left, self.gettimeout() or inf)):
            data = super().recv(size, flags)
        left = self._left - (time.monotonic() - began) + len(data) / LEAST
        self._left = min(left, self._seconds)
        return data

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]
        view = memoryview(data)
        for start in range(0, len(view), _PART_BYTES):
            with self._within(self._seconds):
                super().sendall(view[start : start + _PART_BYTES], flags)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        with self._within(self._seconds):  # for each piece that the system takes
            return super().sendfile(file, offset, count)

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        before = self.gettimeout()
        try:
            self.settimeout(max(seconds, 0.001))
            yield
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the client is too slow") from error
        finally:
            self.settimeout(before)
