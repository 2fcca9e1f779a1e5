"""MongoDB gone: what is cached still answers and says so, the rest is refused at once; and back."""

import http.client
import time
from collections.abc import Iterator

import pytest

from snipix import local
from snipix.demo.client import Client, Reply
from snipix.demo.stage import Stage
from snipix.local.ports import HOST

pytestmark = pytest.mark.skipif(not local.Redis.is_installed(), reason="there is no Redis here")
FILM, OTHER = "/projects/film/", "/projects/other/"
READS = (FILM, f"{FILM}timeline/", f"{FILM}transcription/", f"{FILM}timeline/versions/1/",
         f"{FILM}transcription/captions/?format=vtt", "/projects/")  # fmt: skip
AT_ONCE = 1.0
"""Seconds: half of what anything takes that waits for MongoDB; a busy machine needs less."""


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("fallback"), CACHE_TTL="1", MONGODB_TIMEOUT="3") as stage:
        yield stage


@pytest.fixture
def client(stage: Stage) -> Iterator[Client]:
    """A project that was read, and one that wasn't."""
    with Client(stage.web.port) as client:
        for id in ("film", "other"):
            body = f'{{"id": "{id}", "name": "{id}"}}'.encode()
            assert client.send("POST", "/projects/", body).status == 201
        etag = client.send("GET", f"{FILM}timeline/").etag
        assert client.send("PUT", f"{FILM}timeline/", b'{"zoom": 2}', if_match=etag).status == 200
        assert client.send("POST", f"{FILM}transcription/", b"{}").status == 201
        yield client


def timed(client: Client, method: str, path: str, body: bytes | None = None) -> tuple[Reply, float]:
    began = time.monotonic()
    reply = client.send(method, path, body, if_match='"1.0000000000000000.1.0"')
    return reply, time.monotonic() - began


def probed(stage: Stage) -> tuple[int, float]:
    connection = http.client.HTTPConnection(HOST, stage.web.port, timeout=30)
    began = time.monotonic()
    connection.request("GET", "/health/ready")
    with connection.getresponse() as response:
        return response.status, time.monotonic() - began


def test_what_is_cached_answers_while_mongodb_is_away(stage: Stage, client: Client) -> None:
    before = {path: client.send("GET", path) for path in READS}
    assert {reply.status for reply in before.values()} == {200}
    assert not any("x-snipix-stale" in reply.headers for reply in before.values())
    stage.kill_database()
    time.sleep(1.1)  # past the TTL
    for path, kept in before.items():
        reply = client.send("GET", path)
        assert (reply.status, reply.body, reply.etag) == (200, kept.body, kept.etag), path
        assert reply.headers["x-snipix-stale"] == "true"
        assert 1 <= int(reply.headers["age"]) < 60
        assert client.send("GET", path, if_none_match=kept.etag).status == 304

    wait_until_it_is_refused_at_once(client)
    for path in READS:
        reply, seconds = timed(client, "GET", path)
        assert (reply.status, seconds < AT_ONCE) == (200, True), (path, seconds)
    for method, path, body in (
        ("GET", OTHER, None),
        ("GET", f"{OTHER}timeline/", None),
        ("GET", f"{FILM}versions/", None),
        ("PATCH", FILM, b'{"name": "New"}'),
        ("PUT", f"{FILM}timeline/", b'{"zoom": 3}'),
        ("POST", "/projects/", b'{"name": "New"}'),
    ):
        reply, seconds = timed(client, method, path, body)
        assert (reply.status, reply.json["code"]) == (503, "database-unavailable"), path
        assert int(reply.headers["retry-after"]) > 0
        assert seconds < AT_ONCE, (method, path, seconds)
        if method != "GET":
            assert "not saved" in reply.json["detail"]

    for _ in range(10):  # each over a connection of its own, so that both workers are asked
        status, seconds = probed(stage)
        assert (status, seconds < AT_ONCE) == (503, True), f"a probe holds a thread for {seconds} s"

    stage.start()
    wait_until_it_answers(client)
    for path in (*READS, OTHER):
        reply = client.send("GET", path)
        assert (reply.status, "x-snipix-stale" in reply.headers) == (200, False)
    etag = client.send("GET", f"{FILM}timeline/").etag
    assert client.send("PUT", f"{FILM}timeline/", b'{"zoom": 4}', if_match=etag).status == 200
    assert client.send("GET", f"{FILM}timeline/").json["zoom"] == 4


def wait_until_it_is_refused_at_once(client: Client) -> None:
    """Until the worker that serves this client is sure; the other is so at that time, unasked."""
    deadline, quick = time.monotonic() + 30, 0
    while quick < 12:
        reply, seconds = timed(client, "GET", OTHER)
        assert reply.status == 503
        quick = quick + 1 if seconds < AT_ONCE else 0
        assert time.monotonic() < deadline, "requests still wait for the database"


def wait_until_it_answers(client: Client) -> None:
    """No worker is restarted for it."""
    deadline, good = time.monotonic() + 20, 0
    while good < 12:
        good = good + 1 if client.send("GET", f"{OTHER}versions/").status == 200 else 0
        assert time.monotonic() < deadline, "the database is back, and isn't used"
        time.sleep(0.05)
