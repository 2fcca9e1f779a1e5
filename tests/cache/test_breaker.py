"""A Redis that is dead, hung or out of reach is in nobody's way; what it missed is made up for."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from prometheus_client import REGISTRY
from redis.exceptions import ConnectionError as RedisConnectionError

from snipix.cache import breaker
from snipix.cache.breaker import Breaker
from snipix.cache.names import Name
from snipix.local.processes import ROOT, wait_until
from tests.cache.conftest import FILM, Database, Process, Redis
from tests.cache.test_records import NEW, OLD, save

TIMEOUT = django_settings.REDIS_TIMEOUT
SLACK = 0.9 * TIMEOUT
"""Seconds that a busy machine may add: whoever waits for another timeout takes more. What is timed
takes some hundredths of a second; the tests' REDIS_TIMEOUT is long for its sake."""


def is_back(*processes: Process) -> bool:
    return wait_until(lambda: not any(p.breaker.is_open for p in processes), seconds=30)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


# --- In nobody's way -------------------------------------------------------------------------


def test_a_hung_redis_costs_one_timeout_and_then_nothing(
    redis: Redis, here: Process, database: Database
) -> None:
    here.read(database)
    redis.hang()
    with at_most(TIMEOUT + SLACK):
        here.read(database)
    with at_most(SLACK):
        for _ in range(100):
            here.read(database)
            save(here, database)
            here.bodies.put("timeline", "film", "1", b"{}")
            here.bodies.get("timeline", "film", "1")

    redis.go_on()
    assert is_back(here)
    assert here.read(database) == here.read(database) == b"version 101"


def test_a_change_waits_for_a_hung_redis_once(
    redis: Redis, here: Process, database: Database
) -> None:
    redis.hang()
    with at_most(TIMEOUT + SLACK):
        save(here, database)


def test_a_new_process_waits_for_a_hung_redis_once(redis: Redis, database: Database) -> None:
    caches["documents"].client.get_client().connection_pool.disconnect()
    redis.hang()
    with at_most(TIMEOUT + SLACK):
        Process().read(database)


def test_a_dead_redis_fails_nobody(redis: Redis, here: Process, database: Database) -> None:
    here.read(database)
    redis.kill()
    with at_most(SLACK):
        for _ in range(100):
            here.read(database)
    save(here, database)
    assert here.read(database) == NEW
    assert here.server.state == "unreachable"

    redis.restart()
    assert is_back(here)
    assert here.server.state == "ok"
    assert here.read(database) == here.read(database) == NEW


def test_a_redis_that_restarted_unnoticed_costs_nobody_anything(
    redis: Redis, here: Process, database: Database
) -> None:
    here.read(database)
    redis.restart()

    assert here.read(database) == OLD
    assert here.server.state == "ok"


def test_a_redis_that_only_reads_is_not_used(
    redis: Redis, here: Process, database: Database
) -> None:
    redis.client.replicaof("127.0.0.1", "1")
    try:
        save(here, database)
        assert here.breaker.owed == {FILM}
        assert not wait_until(lambda: not here.breaker.is_open, seconds=0.3)
    finally:
        redis.client.replicaof("NO", "ONE")
    assert is_back(here)
    assert not here.breaker.owed


def test_each_change_of_state_is_told_once(
    redis: Redis, here: Process, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "snipix.cache")
    with caplog.at_level(logging.INFO, "snipix.cache.breaker"):
        here.is_cut = True
        for _ in range(20):
            here.read(database)
        here.is_cut = False
        assert is_back(here)
        wait_until(lambda: len(caplog.records) > 1, seconds=10)

    events = [str(r.msg["event"] if isinstance(r.msg, dict) else r.msg) for r in caplog.records]
    assert events == ["cache not reached", "cache reached again"]


def test_metrics_tell_the_state(redis: Redis, here: Process, database: Database) -> None:
    here.is_cut = True
    save(here, database)
    assert REGISTRY.get_sample_value("snipix_cache_open") == 1
    assert REGISTRY.get_sample_value("snipix_cache_owed") == 1

    here.is_cut = False
    assert is_back(here)
    assert REGISTRY.get_sample_value("snipix_cache_open") == 0
    assert REGISTRY.get_sample_value("snipix_cache_owed") == 0


# --- What it missed --------------------------------------------------------------------------


def test_the_one_window_ends_when_the_writer_reaches_redis_again(
    here: Process, there: Process, database: Database
) -> None:
    there.read(database)
    here.is_cut = True
    save(here, database)
    assert here.read(database) == NEW
    assert there.read(database) == OLD  # this is the window

    here.is_cut = False
    assert is_back(here)
    assert there.read(database) == NEW


def test_a_record_that_may_be_behind_is_voided_when_redis_is_reached_again(
    here: Process, there: Process, database: Database
) -> None:
    there.read(database)
    database.commit()
    here.is_cut = True
    here.current.void(FILM)
    assert here.read(database) == NEW

    here.is_cut = False
    assert is_back(here)
    assert there.read(database) == NEW


def test_a_change_that_lost_redis_half_way_opens_no_window(
    here: Process, there: Process, database: Database
) -> None:
    there.read(database)
    with here.current.changing(FILM):
        here.is_cut = True
        database.commit()

    assert here.breaker.owed == {FILM}
    assert there.read(database) == NEW


def test_what_is_owed_is_voided_before_the_cache_is_used_again(
    here: Process, there: Process, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.read(database)
    here.is_cut = True
    save(here, database)
    reads = []
    void = here.server._void

    def slowly(names: Collection[Name]) -> None:
        reads.append(here.read(database))
        void(names)
        reads.append(here.read(database))

    monkeypatch.setattr(here.server, "_void", slowly)
    here.is_cut = False

    assert is_back(here)
    assert reads == [NEW, NEW]
    assert here.read(database) == NEW


def test_what_comes_to_be_owed_while_it_is_being_voided_stays_owed() -> None:
    voided: list[set[Name]] = []

    def probe(names: Collection[Name]) -> None:
        voided.append(set(names))
        if len(voided) == 1:
            # Meanwhile, the same record is changed again.
            assert found.call(lambda: "asked", "not asked", owes=[FILM]) == "not asked"

    found = Breaker(probe)
    found.call(_fail, None, owes=[FILM])

    assert wait_until(lambda: not found.is_open, seconds=10)
    assert voided == [{FILM}, {FILM}]


def test_what_is_owed_stays_owed_while_redis_is_away() -> None:
    is_away, voided = True, []

    def probe(names: Collection[Name]) -> None:
        if is_away:
            _fail()
        voided.append(set(names))

    found = Breaker(probe)
    found.call(_fail, None, owes=[FILM])
    assert not found.settle(0.3)
    assert found.owed == {FILM}
    is_away = False

    assert found.settle(10)
    assert voided == [{FILM}]


def test_what_is_older_than_every_record_is_not_owed_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breaker, "forget_seconds", lambda: 0.01)
    found = Breaker(lambda names: _fail())
    found.call(_fail, None, owes=[FILM])

    assert wait_until(lambda: not found.owed, seconds=10)
    assert found.is_open


def test_a_change_that_could_not_void_has_redis_looked_for_at_once(
    here: Process, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "LONGEST_PAUSE", 30.0)
    here.is_cut = True
    here.breaker._pause, here.breaker._changed_at = 30.0, time.monotonic()  # failed just before
    here.read(database)
    time.sleep(0.1)
    here.is_cut = False
    assert not wait_until(lambda: not here.breaker.is_open, seconds=0.3)

    save(here, database)

    # Far less than the pause that it would wait for otherwise.
    assert wait_until(lambda: not here.breaker.is_open, seconds=10)


def test_a_redis_that_answers_probes_and_nothing_else_is_asked_ever_less_often() -> None:
    found, openings = Breaker(lambda names: None), []
    for _ in range(5):
        assert wait_until(lambda: not found.is_open, seconds=10)
        openings.append(time.monotonic())
        found.call(_fail, None)

    pauses = [after - before for before, after in pairwise(openings)]
    # A busy machine only makes them longer. (Timers are a little less exact than clocks.)
    assert all(p > 0.9 * breaker.FIRST_PAUSE * 2**n for n, p in enumerate(pauses)), pauses
    assert wait_until(lambda: not found.is_open, seconds=10)


def test_a_late_failure_of_an_earlier_call_says_nothing_about_now() -> None:
    found = Breaker(lambda names: None)

    def late() -> None:
        found.call(_fail, None)
        assert wait_until(lambda: not found.is_open, seconds=10)
        _fail()

    found.call(late, None)

    assert not found.is_open


def test_a_late_failure_to_void_is_made_up_for_all_the_same() -> None:
    voided: list[set[Name]] = []
    found = Breaker(lambda names: voided.append(set(names)))

    def late() -> None:
        found.call(_fail, None)
        assert wait_until(lambda: not found.is_open, seconds=10)
        _fail()

    found.call(late, None, owes=[FILM])

    assert wait_until(lambda: not found.is_open, seconds=10)
    assert voided == [set(), {FILM}]


def test_answers_that_make_no_sense_count_as_failures() -> None:
    found = Breaker(lambda names: _fail())

    assert found.call(lambda: int("not Redis"), 0) == 0
    assert found.is_open


def test_mistakes_of_ours_are_not_hidden() -> None:
    found = Breaker(lambda names: None)

    with pytest.raises(KeyError):
        found.call(lambda: {}["a"], None)


def test_a_process_that_redis_forbids_what_it_needs_does_not_use_it(
    redis: Redis, here: Process, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    redis.client.acl_setuser("default", enabled=True, nopass=True, commands=["+@all", "-info"])
    try:
        for _ in range(3):
            assert here.read(database) == OLD
            time.sleep(0.1)
        assert here.server.state == "unreachable"
    finally:
        redis.client.acl_setuser("default", enabled=True, nopass=True, commands=["+@all"])
    assert is_back(here)


# --- Processes -------------------------------------------------------------------------------


def test_a_fork_finds_a_breaker_of_its_own() -> None:
    found = Breaker(lambda names: _fail())
    found.call(_fail, None)
    with found._lock:  # another thread was busy
        child = os.fork()
        if child == 0:
            os._exit(found.call(lambda: 42, 1))
    try:
        assert wait_until(lambda: os.waitpid(child, os.WNOHANG) == (child, 42 << 8), seconds=5)
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_a_process_that_ends_tries_once_more_to_void(
    redis: Redis, here: Process, database: Database
) -> None:
    here.read(database)
    assert redis.has("record")
    program = """
import django; django.setup()
from snipix.cache import Name, current, server

def unreachable():
    raise OSError

server._connect, reach = unreachable, server._connect
with current.changing(Name("project", "film")):
    pass
assert server.breaker.owed
server._connect = reach
"""
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "snipix.settings",
        "REDIS_URL": redis.uri,
        "MONGODB_DATABASE": django_settings.MONGODB_DATABASE,
    }
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, check=True)
    database.commit()

    assert here.read(database) == NEW


def test_a_process_that_ends_waits_for_a_dead_redis_no_longer_than_a_timeout(
    here: Process, database: Database
) -> None:
    here.is_cut = True
    save(here, database)
    with at_most(TIMEOUT + SLACK):
        assert not here.breaker.settle(TIMEOUT)


def _fail() -> Any:
    raise RedisConnectionError("on purpose")
