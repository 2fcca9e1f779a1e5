"""Asked to end, Snipix tells first and finishes: nothing is lost, and nobody is cut off."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection

from snipix import local
from snipix.cache.names import mark_seconds
from snipix.local.processes import ROOT, wait_until
from tests.cache.conftest import Redis
from tests.watched import WatchedWeb, web

pytestmark = pytest.mark.usefixtures("db")
CALLERS = 6
DELAY = 3
"""Seconds between the signal and the end of it: in these a probe and some changes are answered,
which take a tenth of that."""
LIVES_ON = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Caller(threading.Thread):
    """Somebody who makes one project after the other, until nobody listens any more."""

    def __init__(self, name: str, port: int, *, keeps: bool) -> None:
        super().__init__(name=name, daemon=True)
        self.keeps = keeps
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.acknowledged: list[str] = []
        self.statuses: set[int] = set()
        self.refused = 0
        self.unanswered: list[str] = []
        self.cut: list[str] = []
        self.closed = 0
        """Answers that ended the connection."""
        self.is_over = threading.Event()

    def run(self) -> None:
        while not (self.is_over.is_set() or self.refused):
            self._create(f"{self.name}-{len(self.acknowledged)}")

    def _create(self, project: str) -> None:
        try:
            if self.connection.sock is None:
                self.connection.connect()
        except ConnectionRefusedError:
            self.refused += 1
            return
        body = json.dumps({"id": project, "name": "Film"})
        headers = {"Content-Type": "application/json", "Idempotency-Key": project}
        try:
            self.connection.request("POST", "/api/v1/projects/", body, headers)
            response = self.connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.unanswered.append(f"{project}: {error!r}")
            self.connection.close()
            return
        try:
            answer = json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.cut.append(f"{project}: {error!r}")
            return
        self._note(project, response, answer)

    def _note(self, project: str, response: http.client.HTTPResponse, answer: dict) -> None:
        self.statuses.add(response.status)
        if response.status == http.HTTPStatus.CREATED:
            assert answer["id"] == project
            self.acknowledged.append(project)
        self.closed += response.getheader("Connection") == "close"
        if not self.keeps:
            self.connection.close()


def served(folder: Path, **env: str):
    """Two workers on the test run's own servers."""
    place = {"MONGODB_DATABASE": connection.settings_dict["NAME"], "STOP_DELAY": str(DELAY)}
    return web(folder, workers=2, **{**place, **env})


@pytest.fixture
def running(tmp_path: Path) -> Iterator[WatchedWeb]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def callers(running: WatchedWeb) -> Iterator[list[Caller]]:
    """Half of them keep their connections."""
    found = [Caller(f"c{n}", running.port, keeps=n % 2 == 0) for n in range(CALLERS)]
    for caller in found:
        caller.start()
    assert wait_until(lambda: all(len(c.acknowledged) >= 3 for c in found), seconds=30)
    yield found
    for caller in found:
        caller.is_over.set()


def ask_to_end(running: WatchedWeb, number: int = signal.SIGTERM) -> None:
    assert running.process is not None
    running.process.send_signal(number)


def readiness(running: WatchedWeb) -> str:
    body = running.get("/health/ready")[2]
    return json.loads(body)["status"] if body else ""


def answered(sock: socket.socket) -> bytes:
    """All that comes until the other side closes; then this one does, as clients do."""
    parts = []
    with sock:
        while part := sock.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def assert_nobody_was_cut_off(callers: list[Caller]) -> None:
    assert {status for caller in callers for status in caller.statuses} == {201}
    assert not [text for caller in callers for text in (*caller.cut, *caller.unanswered)]


def test_a_stop_under_load_loses_nothing_and_cuts_nobody_off(
    tmp_path: Path, running: WatchedWeb, callers: list[Caller]
) -> None:
    ask_to_end(running)
    assert wait_until(lambda: readiness(running) == "stopping", seconds=DELAY)
    told = [len(caller.acknowledged) for caller in callers]
    assert wait_until(lambda: not running.is_running(), seconds=60)
    for caller in callers:
        caller.join(60)

    assert_nobody_was_cut_off(callers)
    assert all(caller.refused for caller in callers)  # that is how they noticed
    # They were served while load balancers were told, and asked to connect anew each time.
    for caller, before in zip(callers, told, strict=True):
        assert len(caller.acknowledged) > before
        assert caller.closed > 0
    assert running.process is not None
    assert running.process.returncode == 0
    assert sum(line["event"] == "stopped" for line in running.lines()) == 2
    with served(tmp_path / "again") as again:
        for project in (p for caller in callers for p in caller.acknowledged):
            assert again.get(f"/api/v1/projects/{project}/")[0] == 200, project


def test_workers_that_are_replaced_cut_nobody_off(
    running: WatchedWeb, callers: list[Caller]
) -> None:
    before = [len(caller.acknowledged) for caller in callers]
    ask_to_end(running, signal.SIGHUP)

    def has_stopped() -> bool:
        return sum(line["event"] == "stopped" for line in running.lines()) == 2

    assert wait_until(has_stopped, seconds=60)
    time.sleep(0.5)
    for caller in callers:
        caller.is_over.set()
        caller.join(60)
    assert_nobody_was_cut_off(callers)
    assert not any(caller.refused for caller in callers)
    assert all(len(c.acknowledged) > n for c, n in zip(callers, before, strict=True))


def test_what_has_begun_is_finished_and_who_comes_then_is_refused(tmp_path: Path) -> None:
    body = json.dumps({"id": "begun", "name": "Film"}).encode()
    head = (
        "POST /api/v1/projects/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with (
        served(tmp_path, STOP_DELAY="0") as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=20) as begun,
    ):
        begun.sendall(head.encode() + body[:5])
        time.sleep(0.3)
        ask_to_end(running)

        def is_refused() -> bool:
            with socket.socket() as late:
                return late.connect_ex(("127.0.0.1", running.port)) != 0

        assert wait_until(is_refused, seconds=15)
        assert running.is_running()
        begun.sendall(body[5:])
        answer = answered(begun)
        assert wait_until(lambda: not running.is_running(), seconds=60)

    assert answer.startswith(b"HTTP/1.1 201 ")
    head, _, content = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(content)}".encode() in head


def test_who_is_connected_already_is_answered(tmp_path: Path) -> None:
    with served(tmp_path, STOP_DELAY="0") as running:
        waiting = [socket.create_connection(("127.0.0.1", running.port), 20) for _ in range(8)]
        ask_to_end(running)
        time.sleep(0.3)
        for sock in waiting:
            sock.sendall(LIVES_ON)
        with ThreadPoolExecutor(len(waiting)) as pool:
            answers = list(pool.map(answered, waiting))

    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
    assert all(b"Connection: close" in answer for answer in answers)


def test_what_the_cache_owes_is_paid_by_a_worker_that_ends(tmp_path: Path) -> None:
    if not Redis.is_installed():
        pytest.skip("there is no redis-server")
    database = connection.settings_dict["NAME"]
    with Redis(tmp_path / "redis") as redis:
        env = {"REDIS_URL": redis.uri, "REDIS_TIMEOUT": "1", "STOP_DELAY": "0"}
        with served(tmp_path, **env) as running:
            change(running, "POST", "/api/v1/projects/", {"id": "film", "name": "Old"})
            etag = running.get("/api/v1/projects/film/")[1]["ETag"]
            kept = f"snipix:{database}:1:record:project:film"
            assert redis.client.exists(kept)

            redis.hang()
            change(running, "PATCH", "/api/v1/projects/film/", {"name": "New"}, etag)
            ask_to_end(running)
            time.sleep(0.3)
            redis.go_on()
            assert wait_until(lambda: not running.is_running(), seconds=60)

        assert not redis.client.exists(kept)


def change(running: WatchedWeb, method: str, path: str, body: dict, etag: str = "") -> None:
    headers = {"Content-Type": "application/json", **({"If-Match": etag} if etag else {})}
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    connection.request(method, path, json.dumps(body), headers)
    response = connection.getresponse()
    assert response.status in (200, 201), response.read()
    connection.close()


def test_a_worker_is_given_as_long_as_a_change_may_take() -> None:
    command = [sys.executable, "-m", "gunicorn", "--config", "python:snipix.gunicorn"]
    shown = subprocess.run(
        [*command, "--print-config", "snipix.wsgi:application"],
        cwd=ROOT, env={**os.environ, "STOP_DELAY": "7"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.search(r"^graceful_timeout\s*= (\d+)", shown, re.MULTILINE)

    assert found is not None
    assert int(found[1]) >= 7 + mark_seconds()


def test_make_run_stops_at_once(tmp_path: Path) -> None:
    server = local.Web(tmp_path, env={})

    assert server.env is not None
    assert server.env["STOP_DELAY"] == "0"
