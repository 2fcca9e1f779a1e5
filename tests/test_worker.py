"""gunicorn's workers: a client that is slow to leave is in nobody's way."""

import socket
import time
from collections.abc import Iterator

import pytest

from tests.watched import WatchedWeb, web

LAST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
LEAVING = 5
"""Clients. If the worker waited for each of them, that would be twice as many seconds."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedWeb]:
    """One worker, so that nobody else could answer."""
    with web(tmp_path_factory.mktemp("worker")) as running:
        yield running


def connected(running: WatchedWeb) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=60)


def answered(connection: socket.socket) -> bytes:
    """All that comes until the other side has nothing more to say."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_who_has_an_answer_and_stays_connected_keeps_nobody_waiting(running: WatchedWeb) -> None:
    leaving = [connected(running) for _ in range(LEAVING)]
    for connection in leaving:
        connection.sendall(LAST)
    began = time.monotonic()
    for connection in leaving:
        assert answered(connection).startswith(b"HTTP/1.1 200 ")
    assert running.get("/health/live")[0] == 200
    assert time.monotonic() - began < LEAVING
    for connection in leaving:
        connection.close()


def test_who_stays_connected_is_let_go_in_the_end(running: WatchedWeb) -> None:
    with connected(running) as connection:
        connection.sendall(LAST)
        assert answered(connection).startswith(b"HTTP/1.1 200 ")
        with pytest.raises(ConnectionError):  # noqa: PT012 - the first to be sent tells the kernel
            while True:
                connection.sendall(b"x")
                time.sleep(0.1)


def test_an_answer_reaches_who_is_still_sending(running: WatchedWeb) -> None:
    """What nobody reads makes the kernel reset the connection, and the answer may be lost."""
    with connected(running) as connection:
        connection.sendall(LAST + bytes(500_000))
        time.sleep(0.2)
        assert b'{"status": "alive"}' in answered(connection)
