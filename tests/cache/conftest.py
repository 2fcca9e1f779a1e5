"""A Redis that tests may kill, and processes that share it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from redis import Redis as Client

from snipix import local
from snipix.cache.answers import Bodies, Pages
from snipix.cache.names import Name
from snipix.cache.records import Current
from snipix.cache.servers import Server
from snipix.local import ports

FILM = Name("project", "film")


class Redis(local.Redis):
    """A Redis to which everything can be done that happens to one."""

    @cached_property
    def client(self) -> Client:
        """The test's own, which the cache's timeouts don't concern."""
        return Client(port=self.port)

    def key(self, part: str, name: Name | str = FILM) -> str:
        return str(caches["documents"].client.make_key(f"{part}:{name}"))

    def has(self, part: str, name: Name | str = FILM) -> bool:
        return bool(self.client.exists(self.key(part, name)))

    @property
    def snapshot(self) -> Path:
        return self.data_dir / "redis" / "dump.rdb"

    def restart(self, snapshot: bytes | None = None) -> None:
        """Come back after a crash, empty or with what was saved once."""
        self.kill()
        self.snapshot.unlink(missing_ok=True)
        if snapshot is not None:
            self.snapshot.write_bytes(snapshot)
        self.start()

    def saved(self) -> bytes:
        """A snapshot of now."""
        self.client.save()
        return self.snapshot.read_bytes()

    def fill_up(self) -> None:
        self.client.config_set("maxmemory-policy", "noeviction")
        self.client.config_set("maxmemory", 1)

    def make_room(self) -> None:
        self.client.config_set("maxmemory", 0)

    def hang(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)


class Process:
    """What one process of many has of the cache, and its own line to Redis, which can be cut."""

    def __init__(self, alias: str = "documents") -> None:
        self.is_cut = False
        self.server = Server(lambda: caches["nowhere" if self.is_cut else alias])
        self.current = Current(self.server)
        self.bodies = Bodies(self.server)
        self.pages = Pages(self.current, self.bodies)

    @property
    def breaker(self) -> Any:
        return self.server.breaker

    def read(self, load: Callable[[], bytes | None], name: Name = FILM) -> bytes | None:
        return self.current.get(name, load)


class Database:
    """One document of which only the version is interesting."""

    def __init__(self) -> None:
        self.version = 1
        self.reads = 0

    def __call__(self) -> bytes:
        """Read it."""
        self.reads += 1
        return b"version %d" % self.version

    def commit(self) -> None:
        self.version += 1


@pytest.fixture(scope="session")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    if not Redis.is_installed():
        pytest.skip("there is no redis-server")
    server = Redis(tmp_path_factory.mktemp("cache"))
    with server:
        yield server


@pytest.fixture
def redis(own_redis: Redis, settings: Any) -> Iterator[Redis]:
    """An empty Redis that keeps everything."""
    documents = settings.CACHES["documents"] | {"LOCATION": own_redis.uri}
    nowhere = documents | {"LOCATION": f"redis://127.0.0.1:{ports.unused()}/0"}
    settings.REDIS_URL = own_redis.uri
    settings.CACHES = settings.CACHES | {"documents": documents, "nowhere": nowhere}
    if not own_redis.is_running():
        own_redis.restart()
    own_redis.make_room()
    own_redis.client.flushall()
    yield own_redis
    if own_redis.is_running():
        own_redis.go_on()


@pytest.fixture
def here(redis: Redis) -> Iterator[Process]:
    yield from _process(redis)


@pytest.fixture
def there(redis: Redis) -> Iterator[Process]:
    yield from _process(redis)


def _process(redis: Redis) -> Iterator[Process]:
    process = Process()
    yield process
    process.is_cut = False
    redis.go_on()
    assert process.breaker._closed.wait(30)


@pytest.fixture
def database() -> Database:
    return Database()
