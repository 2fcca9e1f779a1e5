"""Counts of clients' requests: exact, whoever counts, and in nobody's way while Redis is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from snipix import cache, limits
from snipix.cache.servers import Server, Taken
from snipix.limits import Limiter, Policy
from tests.cache.conftest import Redis
from tests.together import at_once

HOUR = 3600
"""A window in which nothing comes back while a test runs."""
CHANGES = Policy("changes", 50, HOUR)
READS = Policy("reads", 1000, HOUR, at_once=limits.AT_ONCE)
AT_ONCE = 0.9 * django_settings.REDIS_TIMEOUT
"""Seconds: less than if any of many requests waited for Redis; they take some hundredths."""
_numbers = count(1)


def together(work: Callable[[int], bool], threads: int, times: int) -> int:
    """How often work is done that many threads do at once."""
    return sum(at_once(threads, lambda number: sum(work(number) for _ in range(times))))


def test_of_many_changes_at_once_exactly_the_quota_is_allowed(redis: Redis) -> None:
    limiters = [Limiter(Server()) for _ in range(4)]

    def one(number: int) -> bool:
        return limiters[number % 4].take(CHANGES, "alice").is_allowed

    assert together(one, threads=8, times=25) == CHANGES.quota


def test_reads_that_are_counted_in_advance_are_never_more_than_the_quota(redis: Redis) -> None:
    limiters = [Limiter(Server()) for _ in range(4)]
    before = _round_trips()

    def one(number: int) -> bool:
        return limiters[number % 4].take(READS, "alice").is_allowed

    allowed = together(one, threads=8, times=100)
    assert 800 - 4 * limits.AT_ONCE <= allowed <= 800
    assert _round_trips() - before < 160  # nearly all had none of their own

    allowed += together(one, threads=8, times=100)
    assert READS.quota - 4 * limits.AT_ONCE <= allowed <= READS.quota


def _round_trips() -> float:
    return REGISTRY.get_sample_value("snipix_cache_seconds_count", {"step": "take"}) or 0


def test_what_a_client_that_sends_little_has_left_is_not_held_by_processes(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LEASE_SECONDS", 0)
    limiters = [Limiter(Server()) for _ in range(3)]
    policy = READS._replace(quota=30)

    assert [limiters[n % 3].take(policy, "a").is_allowed for n in range(33)] == [True] * 30 + [
        False
    ] * 3


def test_a_quota_comes_back_evenly(redis: Redis) -> None:
    limiter, policy = Limiter(Server()), Policy("changes", 20, seconds=2)
    is_allowed = True
    while is_allowed:
        began = time.monotonic()  # before it is asked: what comes back from then on is counted
        is_allowed = limiter.take(policy, "alice").is_allowed
    time.sleep(0.55)

    again = sum(limiter.take(policy, "alice").is_allowed for _ in range(20))
    assert 5 <= again <= min(20, 10 * (time.monotonic() - began) + 1)


@given(st.lists(st.integers(0, 1), max_size=12), st.integers(1, 9))
@hypothesis_settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_process_alone_counts_as_redis_does(redis: Redis, wanted: list[int], quota: int) -> None:
    key, policy = f"changes:{next(_numbers)}", Policy("changes", quota, HOUR)
    limiter = Limiter(Server())

    for number in wanted:
        alone = limiter._taken_alone(policy, key, number)
        assert limiter._server.take(key, number, quota, HOUR) == alone


@pytest.mark.parametrize("garbage", ["", "x", "-1", "1e99", "nan", "inf"])
def test_what_is_no_count_counts_as_none_or_ends_soon(redis: Redis, garbage: str) -> None:
    key = caches["documents"].client.make_key("limit:changes:alice")
    redis.client.set(key, garbage)

    taken = Server().take("changes:alice", 1, 5, 1)
    assert taken in (Taken(1, 4), Taken(0, 0))
    time.sleep(1.1)
    assert Server().take("changes:alice", 0, 5, 1) == Taken(0, 5)


def test_what_is_another_type_counts_as_none(redis: Redis) -> None:
    redis.client.rpush(caches["documents"].client.make_key("limit:changes:alice"), "x")

    assert Server().take("changes:alice", 1, 5, 60) == Taken(1, 4)


# --- Without Redis ---------------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["hung", "killed"])
def test_without_redis_each_process_counts_alone_and_nobody_waits(redis: Redis, fate: str) -> None:
    here, there = Limiter(Server()), Limiter(Server())
    assert not _used_up(here, "alice").is_allowed
    try:
        {"hung": redis.hang, "killed": redis.kill}[fate]()
        for limiter in (here, there):
            limiter.take(CHANGES, "bob")  # who waits just then loses one timeout
        began = time.monotonic()
        for limiter in (here, there):
            # Open again, also for who had used up the quota …
            assert limiter.take(CHANGES, "alice").is_allowed
            # … but not without end.
            assert not _used_up(limiter, "alice").is_allowed
        assert time.monotonic() - began < AT_ONCE
    finally:
        redis.go_on() if redis.is_running() else redis.restart()


def test_a_full_redis_counts_as_none(redis: Redis) -> None:
    limiter = Limiter(Server())
    redis.fill_up()

    began = time.monotonic()
    assert limiter.take(CHANGES, "alice").is_allowed
    assert not _used_up(limiter, "alice").is_allowed
    assert time.monotonic() - began < AT_ONCE
    assert not limiter._server.breaker.is_open  # being full is an answer


def _used_up(limiter: Limiter, client: str) -> limits.Standing:
    standing = limiter.take(CHANGES, client)
    for _ in range(CHANGES.quota):
        standing = limiter.take(CHANGES, client)
    return standing


def test_without_a_redis_url_the_process_counts(settings: Any) -> None:
    settings.REDIS_URL = ""
    limiter = Limiter(cache.server)

    allowed = [limiter.take(Policy("changes", 3), "alice").is_allowed for _ in range(5)]
    assert allowed == [True, True, True, False, False]
