"""Whatever breaks, no log has a secret or what a document holds, and no answer shows our code."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from pymongo import MongoClient

from snipix import local
from snipix.local.processes import ROOT, wait_until
from tests import secrecy
from tests.faults import web as of_web
from tests.secrecy import CONTENT
from tests.watched import WatchedWeb, web

pytestmark = pytest.mark.skipif(not local.Redis.is_installed(), reason="there is no Redis here")
DATABASE_PASSWORD = "s3cr3t-of-mongodb"
REDIS_PASSWORD = "s3cr3t-of-redis"
SECRET_KEY = "s3cr3t-key-" + "0123456789" * 5
METRICS_TOKEN = "s3cr3t-of-metrics"
ADMIN_PASSWORD = "s3cr3t-of-the-administrator"
CODE = ("Traceback", 'File "', ".py", "pymongo", "django.", "redis.exc", "mongodb:", "127.0.0.1")
"""What only our own side knows."""


class SecretRedis(local.Redis):
    """Asks for a password."""

    @property
    def uri(self) -> str:
        return super().uri.replace("redis://", f"redis://:{REDIS_PASSWORD}@")

    def command(self) -> list[str]:
        return [*super().command(), "--requirepass", REDIS_PASSWORD]

    def answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 2) as c,
        ):
            c.sendall(b"PING\r\n")
            return c.recv(64).startswith(b"-NOAUTH")
        return False


class SecretMongo(local.Mongo):
    """Has a user with a password."""

    @property
    def uri(self) -> str:
        return super().uri.replace("mongodb://", f"mongodb://snipix:{DATABASE_PASSWORD}@")

    @property
    def open_uri(self) -> str:
        return super().uri

    def answers(self) -> bool:
        with MongoClient[dict[str, Any]](self.open_uri, serverSelectionTimeoutMS=2000) as client:
            return bool(client.admin.command("hello").get("isWritablePrimary"))

    def make_user(self) -> None:
        with MongoClient[dict[str, Any]](self.open_uri) as client:
            client.admin.command("createUser", "snipix", pwd=DATABASE_PASSWORD, roles=["root"])


class Answer(NamedTuple):
    request: str
    status: int
    headers: str
    body: str


class World(NamedTuple):
    web: WatchedWeb
    mongo: SecretMongo
    redis: SecretRedis
    token: str

    @property
    def secrets(self) -> tuple[str, ...]:
        passwords = (DATABASE_PASSWORD, REDIS_PASSWORD, ADMIN_PASSWORD)
        return (*passwords, SECRET_KEY, METRICS_TOKEN, self.token)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Two workers in accounts mode that log everything, on servers with passwords."""
    mongo, redis = SecretMongo(tmp_path / "mongo"), SecretRedis(tmp_path / "redis")
    env = {
        "MONGODB_URI": mongo.uri, "MONGODB_DATABASE": "secrets", "MONGODB_TIMEOUT": "1",
        "MONGODB_SOCKET_TIMEOUT": "3", "REQUEST_DEADLINE": "4", "REDIS_URL": redis.uri,
        "SECRET_KEY": SECRET_KEY, "METRICS_TOKEN": METRICS_TOKEN, "SNIPIX_AUTH": "accounts",
        "BODY_TIMEOUT": "1", **secrecy.LOUD,
        "MEDIA_ROOT": str(tmp_path / "media"), "DJANGO_SUPERUSER_PASSWORD": ADMIN_PASSWORD,
    }  # fmt: skip
    with mongo, redis:
        mongo.make_user()
        manage(env, "prepare", "-v0")
        manage(env, "createsuperuser", "--noinput", "--username=root", "--email=r@example.com")
        token = manage(env, "create_token", "root").strip()
        with web(tmp_path, workers=2, **env) as running:
            yield World(running, mongo, redis, token)


def manage(env: dict[str, str], *command: str) -> str:
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


class Sender(threading.Thread):
    """Sends good and bad requests in turns, and keeps what isn't answered with a document."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(daemon=True)
        self.world, self.project = world, f"film-{number}"
        self.answers: list[Answer] = []
        self.succeeded = 0
        self.is_over = threading.Event()

    def run(self) -> None:
        path = f"/api/v1/projects/{self.project}/"
        while not self.is_over.is_set():
            self.send("POST", "/api/v1/projects/", {"id": self.project, "name": CONTENT})
            self.save(f"{path}timeline/")
            self.send("GET", f"{path}?{CONTENT}={CONTENT}")
            self.send("GET", f"/api/v1/projects/?q={CONTENT}")
            self.send("GET", f"/projects/{self.project}")
            self.send_nonsense(path)
            self.enter()

    def save(self, path: str) -> None:
        head = self.send("GET", path)
        state = {
            "metadata": {CONTENT: CONTENT},
            "markers": [{"id": CONTENT, "time": self.succeeded, "label": CONTENT}],
        }
        self.send("PUT", path, state, **{"If-Match": head.headers} if head else {})

    def send_nonsense(self, path: str) -> None:
        wrong = {"Authorization": f"Bearer {self.world.token}x"}
        self.send("GET", path, **wrong)
        self.send("GET", path, Cookie=f"sessionid={self.world.token}")
        self.send("PATCH", path, {"name": {CONTENT: CONTENT}, CONTENT: 1}, **{"If-Match": "*"})
        for raw in (b"\xff" + CONTENT.encode(), f'{{"{CONTENT}": '.encode(), b"[" * 5000):
            self.send("PUT", f"{path}timeline/", raw, **{"If-Match": CONTENT})
        self.send("POST", "/api/v1/projects/", b"", **{"Content-Length": str(2**30)})
        self.send("POST", "/api/v1/projects/", b"{", **{"Content-Length": "2000"})  # stops coming
        self.send("POST", f"{path}video/", CONTENT.encode() * 99, **{"Content-Type": "text/plain"})
        self.send("GET", f"/nowhere?token={self.world.token}&q={CONTENT}")

    def enter(self) -> None:
        """Log in at the admin site, rightly and wrongly, but for the form's token."""
        form = f"username=root&password={ADMIN_PASSWORD}"
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": ""}
        self.send("POST", "/admin/login/", form.encode(), **kind)
        self.send("GET", "/metrics", Authorization=f"Bearer {METRICS_TOKEN}x")
        self.send("GET", "/health/")

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer | None:
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {
            "Authorization": f"Bearer {self.world.token}",
            "Content-Type": "application/json",
            **headers,
        }
        line = http.client.HTTPConnection("127.0.0.1", self.world.web.port, timeout=40)
        with contextlib.closing(line), contextlib.suppress(OSError, http.client.HTTPException):
            line.request(method, path, raw, sent)
            response = line.getresponse()
            etag, told = response.headers.get("ETag", ""), str(response.headers)
            answer = Answer(f"{method} {path}", response.status, told, response.read().decode())
            if response.status < 300:
                self.succeeded += 1
                return answer._replace(headers=etag)
            self.answers.append(answer)
        return None


def test_no_fault_brings_a_secret_or_content_into_the_logs(world: World) -> None:
    senders = [Sender(world, number) for number in range(4)]
    for sender in senders:
        sender.start()
    for fault in (nothing, redis_killed, database_killed, database_hung, worker_killed, both_away):
        fault(world)
        time.sleep(0.5)
    assert wait_until(lambda: world.web.get("/health/ready")[0] == 200, seconds=60)
    wait_until(lambda: are_enough(senders), seconds=60)
    for sender in senders:
        sender.is_over.set()
    for sender in senders:
        sender.join(60)
        assert not sender.is_alive()

    answers = [answer for sender in senders for answer in sender.answers]
    assert_all_was_tried(world, senders)
    for answer in answers:
        for text in (*world.secrets, *CODE):
            assert text not in answer.body + answer.headers, (text, answer)
    assert not secrecy.leaks(world.web.printed().splitlines(), (*world.secrets, CONTENT))


def assert_all_was_tried(world: World, senders: list[Sender]) -> None:
    """Otherwise nothing would be shown."""
    assert are_enough(senders), [answer.status for each in senders for answer in each.answers]
    events = {line["event"] for line in map(json.loads, world.web.printed().splitlines())}
    told = {"request", "operation failed", "slow operation", "cache not reached", "not ready"}
    assert told <= events, told - events


def are_enough(senders: list[Sender]) -> bool:
    statuses = {answer.status for sender in senders for answer in tuple(sender.answers)}
    succeeded = sum(sender.succeeded for sender in senders)
    return succeeded > 40 and statuses >= {400, 401, 404, 408, 413, 415, 503}


def nothing(world: World) -> None:
    time.sleep(1)


def redis_killed(world: World) -> None:
    world.redis.kill()
    time.sleep(1)
    world.redis.start()


def database_killed(world: World) -> None:
    world.mongo.kill()
    time.sleep(3.5)  # longer than requests wait for it
    world.web.get("/health/ready")
    world.mongo.start()


def database_hung(world: World) -> None:
    assert world.mongo.process is not None
    os.killpg(world.mongo.process.pid, signal.SIGSTOP)
    time.sleep(4)  # longer than an operation may take
    os.killpg(world.mongo.process.pid, signal.SIGCONT)


def worker_killed(world: World) -> None:
    workers = of_web.workers_of(world.web)
    Random(1).choice(workers).send(signal.SIGKILL)
    time.sleep(1)


def both_away(world: World) -> None:
    world.mongo.kill()
    world.redis.kill()
    time.sleep(3)
    world.redis.start()
    world.mongo.start()
