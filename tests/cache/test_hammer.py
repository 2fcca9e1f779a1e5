"""Everything at once: savers, readers, and a Redis to which everything happens.

The database is a table of numbers; the cache, its processes and Redis are the real ones. Whatever
happens, no read that begins after a change was answered shows what was before. The one exception
is the window that `docs/cache.md` describes: a process that couldn't void hasn't reached Redis
again yet; until then *other* processes may be behind. Here it is known who owes what, so that a
read is excused for no other reason.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from redis.exceptions import ResponseError

from snipix.cache.names import Name
from snipix.cache.records import Change
from snipix.local.processes import wait_until
from tests.cache.conftest import Process, Redis

SECONDS = float(os.environ.get("SNIPIX_HAMMER_SECONDS", "60"))
FILMS = [f"film-{i}" for i in range(6)]
VIEWERS = {film: ["alice", "bob"] if i % 2 else ["alice"] for i, film in enumerate(FILMS)}
PROCESSES = 4
SAVERS, READERS = 1, 2
"""Threads of each process."""
PAUSE = 0.15
"""Seconds, at most, from one save of a process to its next: records live for a while."""


def names(film: str) -> list[Name]:
    return [Name("project", film), *(Name("list", viewer) for viewer in VIEWERS[film])]


def a_moment(most: float = 0.003) -> None:
    """Mostly nothing, now and then so long that much can happen meanwhile."""
    time.sleep(random.uniform(0, 0.4 if random.random() < 0.02 else most))


class Table:
    """The database, and what has been answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions = dict.fromkeys(FILMS, 0)
        self._answered = dict.fromkeys(FILMS, 0)
        self._answered_by: Counter[tuple[Process, str]] = Counter()
        self._behind: list[tuple[Process, str, int]] = []

    def read(self, film: str) -> int:
        with self._lock:
            version = self._versions[film]
        a_moment()  # the answer is under way, and may be late
        return version

    def commit(self, film: str) -> int:
        a_moment()
        with self._lock:
            self._versions[film] += 1
            version = self._versions[film]
        a_moment()
        return version

    def answer(self, process: Process, film: str, version: int) -> None:
        with self._lock:
            mine = (process, film)
            self._answered_by[mine] = max(self._answered_by[mine], version)
            self._behind.append((process, film, version))

    def expected(self, process: Process) -> dict[str, int]:
        """What a read of this process that begins now has to show, at least."""
        with self._lock:
            still = []
            for writer, film, version in self._behind:
                if writer.breaker.owed.isdisjoint(names(film)):
                    self._answered[film] = max(self._answered[film], version)
                else:
                    still.append((writer, film, version))
            self._behind = still
            return {f: max(self._answered[f], self._answered_by[process, f]) for f in FILMS}


class Hammer:
    """Threads that save and read until they are told to stop."""

    def __init__(self) -> None:
        self.table = Table()
        self.processes = [Process() for _ in range(PROCESSES)]
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.is_over = threading.Event()

    @contextmanager
    def running(self) -> Any:
        works = [self.save] * SAVERS + [self.read] * READERS
        threads = [
            threading.Thread(target=self._repeat, args=(work, process), daemon=True)
            for process in self.processes
            for work in works
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.is_over.set()
            for thread in threads:
                thread.join(60)
        assert not any(thread.is_alive() for thread in threads)

    def _repeat(self, work: Callable[[Process], None], process: Process) -> None:
        while not self.is_over.is_set() and not self.wrong:
            try:
                work(process)
            except Exception as error:  # noqa: BLE001 - no request may fail
                self.wrong.append(repr(error))

    def save(self, process: Process) -> None:
        film = random.choice(FILMS)
        a_moment(PAUSE)
        if random.random() < 0.05:
            return self.save_and_die(process, film)
        with process.current.changing(Name("project", film)):
            process.current.also(*names(film))
            version = self.table.commit(film)
        self.table.answer(process, film, version)
        self.counts["saves"] += 1
        return None

    def save_and_die(self, process: Process, film: str) -> None:
        """A writer that is killed after its commit; perhaps its client sends the change again."""
        Change(process.server).also(*names(film))
        version = self.table.commit(film)
        if random.random() < 0.5:
            process.current.void(*names(film))
            self.table.answer(process, film, version)
        self.counts["deaths"] += 1

    def read(self, process: Process) -> None:
        film, viewer = random.choice(FILMS), random.choice(["alice", "bob"])
        expected = self.table.expected(process)
        content = process.current.get(Name("project", film), lambda: self.record(film))
        etag = (content or b"-1").decode()
        self.check("record", {film: int(etag)}, expected)
        body = process.bodies.fetch("timeline", film, etag, lambda: self.body(film))
        self.check("body", {film: int(body.content)}, expected)
        assert body.content == body.etag.encode()

        expected = self.table.expected(process)
        page = process.pages.fetch(viewer, "", lambda: self.page(viewer))
        self.check("page", json.loads(page.content), expected)
        self.counts["reads"] += 1
        a_moment()

    def record(self, film: str) -> bytes:
        self.counts["records read"] += 1
        return b"%d" % self.table.read(film)

    def body(self, film: str) -> tuple[str, bytes]:
        version = str(self.table.read(film))
        return version, version.encode()

    def page(self, viewer: str) -> bytes:
        self.counts["pages made"] += 1
        seen = [film for film in FILMS if viewer in VIEWERS[film]]
        return json.dumps({film: self.table.read(film) for film in seen}).encode()

    def check(self, what: str, shown: dict[str, int], expected: dict[str, int]) -> None:
        for film, version in shown.items():
            if version < expected[film]:
                self.wrong.append(f"{what} of {film}: {version} instead of {expected[film]}")


class Fate:
    """What happens to Redis."""

    def __init__(self, redis: Redis, processes: list[Process]) -> None:
        self.redis = redis
        self.processes = processes
        self.snapshot: bytes | None = None

    def nothing(self) -> None:
        time.sleep(0.2)

    def emptied(self) -> None:
        self.redis.client.flushall()

    def garbled(self) -> None:
        """Every value is cut, turned, changed in one bit, or replaced, some by another type."""
        for key in list(self.redis.client.scan_iter()):
            value = b""
            with suppress(ResponseError):  # of another type
                value = self.redis.client.get(key) or b""
            with self.redis.client.pipeline() as at_once:  # or somebody fills it in between
                at_once.delete(key)
                self._garble(at_once, key, value)
                at_once.execute()

    def _garble(self, pipeline: Any, key: bytes, value: bytes) -> None:
        match random.randrange(5):
            case 0:
                pipeline.set(key, random.randbytes(random.randrange(200)))
            case 1:
                pipeline.rpush(key, "a")
            case 2:
                pipeline.set(key, value[: random.randrange(100)])
            case 3:
                pipeline.set(key, value[::-1])
            case 4:
                pipeline.set(key, value[:-1] + bytes([value[-1] ^ 1]) if value else b"")

    def full(self) -> None:
        self.redis.fill_up()
        time.sleep(0.2)
        self.redis.make_room()

    def restarted_empty(self) -> None:
        self.redis.restart()

    def saved(self) -> None:
        self.snapshot = self.redis.saved()

    def restarted_old(self) -> None:
        self.redis.restart(self.snapshot)

    def hung(self) -> None:
        self.redis.hang()
        time.sleep(random.uniform(0.1, 0.8))
        self.redis.go_on()

    def cut_off(self) -> None:
        """One process doesn't reach it, the others do."""
        process = random.choice(self.processes)
        process.is_cut = True
        time.sleep(random.uniform(0.05, 0.4))
        process.is_cut = False


FATES = [
    Fate.nothing,
    Fate.emptied,
    Fate.garbled,
    Fate.full,
    Fate.saved,
    Fate.restarted_empty,
    Fate.restarted_old,
    Fate.hung,
    Fate.cut_off,
]


def hammer(redis: Redis, seconds: float) -> Counter[str]:
    """Let everything happen, several times and in any order."""
    hammered = Hammer()
    fate = Fate(redis, hammered.processes)
    fate.snapshot = redis.saved()
    until = time.monotonic() + seconds
    with hammered.running():
        while time.monotonic() < until and not hammered.wrong:
            for happening in random.sample(FATES, len(FATES)):
                happening(fate)
                hammered.counts[happening.__name__] += 1
                wait_until(lambda: bool(hammered.wrong), seconds=random.uniform(0.02, 0.2))
        time.sleep(0.3)
    assert hammered.wrong == []
    for process in hammered.processes:
        assert wait_until(lambda p=process: not p.breaker.is_open, seconds=30)
    return hammered.counts


@pytest.fixture
def short_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that dead writers don't keep everything from being cached."""
    monkeypatch.setattr("snipix.cache.servers.mark_seconds", lambda: 0.1)


@pytest.fixture
def short_timeouts(redis: Redis, settings: Any) -> None:
    """So that a Redis that hangs is given up, and not only waited for."""
    short = dict.fromkeys(("SOCKET_CONNECT_TIMEOUT", "SOCKET_TIMEOUT"), 0.3)
    settings.CACHES = {
        alias: {**place, "OPTIONS": {**place["OPTIONS"], **short}}
        for alias, place in settings.CACHES.items()
    }


@pytest.mark.usefixtures("short_marks", "short_timeouts")
def test_no_read_is_behind_whatever_happens_to_redis(redis: Redis) -> None:
    counts = hammer(redis, seconds=4)

    assert counts["saves"] > 50
    assert counts["records read"] < counts["reads"] * 0.7  # or nothing was proved


@pytest.mark.long
@pytest.mark.usefixtures("short_marks", "short_timeouts")
def test_no_read_is_behind_for_long(redis: Redis) -> None:
    counts = hammer(redis, seconds=SECONDS)

    print(dict(counts))
    assert counts["deaths"] > 10
    assert counts["records read"] < counts["reads"] * 0.7
