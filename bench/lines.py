"""Clients that cost the machine little, since they share it with what is measured."""

import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Self

_CHUNK = 256 * 1024


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    """By lower-case name."""
    content: bytes


class Line:
    """A connection that is kept, to a server on this machine whose answers have a length."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)

    def send(self, request: bytes) -> Answer:
        """Send a request that `get` wrote, and read its answer to the end."""
        self._socket.sendall(request)
        head, found, content = self._received().partition(b"\r\n\r\n")
        while not found:
            head, found, content = (head + self._received()).partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (at.partition(": ") for at in lines)}
        length, parts = int(headers.get("content-length", 0)), [content]
        missing = length - len(content)
        while missing > 0:
            parts.append(self._received())
            missing -= len(parts[-1])
        return Answer(int(status.split()[1]), headers, b"".join(parts))

    def seconds(self, request: bytes, status: int) -> float:
        """How long an answer takes. Raises ValueError if it has another status."""
        began = time.perf_counter()
        answer = self.send(request)
        took = time.perf_counter() - began
        if answer.status != status:
            raise ValueError(f"answered {answer.status} instead of {status}")
        return took

    def _received(self) -> bytes:
        if not (some := self._socket.recv(_CHUNK)):
            raise ConnectionError("the server has closed the connection")
        return some

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def get(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """A GET as it is sent."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode()


def throughput(lines: Sequence[Line], request: bytes, status: int, times: int) -> float:
    """Answers per second, when each line asks so many times, all at once."""

    def ask(line: Line) -> None:
        for _ in range(times):
            line.seconds(request, status)

    with ThreadPoolExecutor(len(lines)) as pool:
        began = time.perf_counter()
        list(pool.map(ask, lines))
        return len(lines) * times / (time.perf_counter() - began)
