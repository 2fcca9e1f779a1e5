"""Slow clients: they keep nobody from being served."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from snipix.local.processes import wait_until
from snipix.pace import Paced
from tests.watched import WatchedWeb, web

PATIENCE = 1
THREADS = 4
LIVES = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
HEAD = b"POST /api/v1/projects/ HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedWeb]:
    folder = tmp_path_factory.mktemp("pace")
    with web(folder, BODY_TIMEOUT=str(PATIENCE), WEB_THREADS=str(THREADS)) as running:
        yield running


def send(running: WatchedWeb, content: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", running.port), timeout=10)
    sock.sendall(content)
    return sock


def seconds_until_served(running: WatchedWeb) -> float:
    began = time.monotonic()
    assert running.get("/health/live")[0] == 200
    return time.monotonic() - began


def test_heads_that_never_end_hold_no_thread(running: WatchedWeb) -> None:
    halves = [send(running, HEAD) for _ in range(3 * THREADS)]

    assert seconds_until_served(running) < 4 * PATIENCE
    for sock in halves:
        with sock:
            assert sock.recv(1000) == b""  # nothing was asked, so nothing is answered


def test_connections_on_which_nothing_comes_hold_no_thread(running: WatchedWeb) -> None:
    """Browsers open them in advance."""
    silent = [send(running, b"") for _ in range(3 * THREADS)]
    try:
        assert seconds_until_served(running) < 2
        silent[0].sendall(LIVES)
        assert silent[0].recv(1000).startswith(b"HTTP/1.1 200 ")
    finally:
        for sock in silent:
            sock.close()


def test_a_connection_on_which_nothing_comes_puts_off_no_stop(tmp_path: Path) -> None:
    with web(tmp_path, STOP_DELAY="0") as running, send(running, b"") as silent:
        time.sleep(1)
        assert running.process is not None
        running.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert silent.recv(1000) == b""
        assert wait_until(lambda: not running.is_running(), seconds=20)
        assert time.monotonic() - began < 8


def test_a_body_that_comes_byte_by_byte_is_given_up(running: WatchedWeb) -> None:
    head = HEAD + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    began = time.monotonic()
    with send(running, head) as sock:
        sock.settimeout(PATIENCE / 10)
        answer = b""
        while not answer and time.monotonic() - began < 10 * PATIENCE:
            sock.sendall(b" ")
            try:
                answer = sock.recv(1000)
            except TimeoutError:
                continue

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 4 * PATIENCE


def test_slow_clients_are_no_errors_in_the_log(running: WatchedWeb) -> None:
    with send(running, HEAD) as sock:
        assert sock.recv(1000) == b""

    assert wait_until(lambda: seconds_until_served(running) < 1, seconds=10)
    assert not [line for line in running.lines() if line["level"] in ("error", "critical")]


@pytest.fixture
def ends() -> Iterator[tuple[Paced, socket.socket]]:
    ours, theirs = socket.socketpair()
    with Paced(ours, 0.4) as paced, theirs:
        paced.begin()
        yield paced, theirs


def test_a_long_answer_may_take_long_as_long_as_it_is_taken(
    ends: tuple[Paced, socket.socket],
) -> None:
    paced, theirs = ends
    content = bytes(3 * 2**20)
    taken = 0

    def take() -> None:
        nonlocal taken
        while taken < len(content):
            taken += len(theirs.recv(2**18, socket.MSG_WAITALL))
            time.sleep(0.1)

    taker = threading.Thread(target=take)
    taker.start()
    began = time.monotonic()
    paced.sendall(content)
    assert time.monotonic() - began > 0.8  # more than twice what one write has
    taker.join(5)
    assert taken == len(content)


def test_an_answer_that_nobody_takes_is_given_up(ends: tuple[Paced, socket.socket]) -> None:
    with pytest.raises(ConnectionResetError):
        ends[0].sendall(bytes(3 * 2**20))


def test_nor_is_a_file_sent_for_ever(ends: tuple[Paced, socket.socket], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * 2**20))
    began = time.monotonic()
    with path.open("rb") as file, pytest.raises(ConnectionResetError):
        ends[0].sendfile(file)
    assert time.monotonic() - began < 2


def test_what_takes_us_long_is_not_the_clients_fault(ends: tuple[Paced, socket.socket]) -> None:
    paced, theirs = ends
    theirs.sendall(b"first")
    assert paced.recv(100) == b"first"
    time.sleep(0.6)
    theirs.sendall(b"second")
    assert paced.recv(100) == b"second"


def test_what_came_fast_buys_no_long_rest(ends: tuple[Paced, socket.socket]) -> None:
    paced, theirs = ends
    theirs.sendall(bytes(50_000))
    began = time.monotonic()
    with pytest.raises(ConnectionResetError):
        list(iter(lambda: paced.recv(50_000), b""))
    assert time.monotonic() - began < 2
