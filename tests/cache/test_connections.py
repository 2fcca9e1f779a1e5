"""Each thread's own connection to Redis: what it survives, and that it ends with its thread."""

from __future__ import annotations

import threading

from snipix.local.processes import wait_until
from tests.cache.conftest import FILM, Process, Redis


def looked_in_a_thread(process: Process) -> list[str]:
    """What a look by a thread that ends with it comes to."""
    outcomes: list[str] = []
    thread = threading.Thread(target=lambda: outcomes.append(process.server.look(FILM).outcome))
    thread.start()
    thread.join()
    return outcomes


def test_a_redis_that_was_restarted_meanwhile_is_asked_at_once(redis: Redis, here: Process) -> None:
    assert here.server.look(FILM).outcome == "miss"
    redis.restart()
    assert here.server.look(FILM).outcome == "miss"
    assert not here.breaker.is_open


def test_a_connection_that_redis_has_closed_is_made_anew(redis: Redis, here: Process) -> None:
    assert here.server.look(FILM).outcome == "miss"
    redis.client.client_kill_filter(_type="normal", skipme=True)
    assert here.server.look(FILM).outcome == "miss"


def test_a_connection_ends_with_its_thread(redis: Redis, here: Process) -> None:
    def connections() -> int:
        return len(redis.client.client_list())

    looked_in_a_thread(here)
    before = connections()
    for _ in range(120):  # more than a pool has
        assert looked_in_a_thread(here) == ["miss"]
    assert wait_until(lambda: connections() <= before, seconds=30)
