"""What is current, whatever becomes of the Redis that keeps it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from snipix.cache.names import Name
from snipix.local.processes import wait_until
from tests.cache.conftest import Database, Process, Redis
from tests.cache.test_records import NEW, OLD, begin, reading, save


def test_a_redis_with_an_old_snapshot_starts_empty_for_us(
    redis: Redis, here: Process, database: Database
) -> None:
    here.read(database)
    snapshot = redis.saved()
    save(here, database)
    redis.restart(snapshot)

    assert redis.has("record")
    assert here.read(database) == NEW


def test_a_lease_from_an_old_snapshot_does_not_count(
    redis: Redis, here: Process, there: Process, database: Database
) -> None:
    def crash() -> None:
        snapshot = redis.saved()
        save(there, database)
        redis.restart(snapshot)
        assert redis.has("lease")

    here.read(reading(database, crash))

    assert there.read(database) == NEW


def test_a_late_fill_is_refused_by_a_redis_that_came_back_empty(
    redis: Redis, here: Process, there: Process, database: Database
) -> None:
    def crash() -> None:
        save(there, database)
        redis.restart()

    here.read(reading(database, crash))

    assert there.read(database) == NEW


def test_a_redis_that_was_a_replica_meanwhile_starts_empty_for_us(
    redis: Redis, here: Process, database: Database, tmp_path: Any
) -> None:
    here.read(database)
    with Redis(tmp_path) as other:
        other.client.replicaof("127.0.0.1", str(redis.port))
        assert wait_until(lambda: other.has("record"), seconds=60)
        other.client.replicaof("NO", "ONE")
        save(here, database)  # the other one doesn't hear of it
        redis.client.replicaof("127.0.0.1", str(other.port))
        assert wait_until(lambda: redis.has("record"), seconds=60)
        redis.client.replicaof("NO", "ONE")

    assert redis.has("record")
    assert here.read(database) == NEW


def test_the_records_of_a_replica_which_may_lag_are_not_used(
    redis: Redis, here: Process, database: Database, tmp_path: Any, settings: Any
) -> None:
    here.read(database)
    with Redis(tmp_path) as other:
        other.client.replicaof("127.0.0.1", str(redis.port))
        assert wait_until(lambda: other.has("record"), seconds=60)
        documents = settings.CACHES["documents"] | {"LOCATION": other.uri}
        settings.CACHES = settings.CACHES | {"replica": documents}
        database.commit()  # and the replica doesn't hear of it yet

        assert Process("replica").read(database) == NEW


def test_a_full_redis_still_voids_and_fails_nobody(
    redis: Redis, here: Process, there: Process, database: Database
) -> None:
    there.read(database)
    redis.fill_up()

    save(here, database)

    assert there.read(database) == here.read(database) == NEW
    assert (here.server.state, there.server.state) == ("ok", "ok")
    assert not redis.has("record")


def test_a_redis_that_was_filled_up_while_one_read_keeps_nothing(
    redis: Redis, here: Process, database: Database
) -> None:
    assert here.read(reading(database, redis.fill_up)) == OLD
    assert here.server.state == "ok"


def test_a_full_redis_keeps_marks(
    redis: Redis, here: Process, there: Process, database: Database
) -> None:
    redis.fill_up()
    begin(here)
    redis.make_room()
    there.read(reading(database, database.commit))

    assert there.read(database) == NEW


@pytest.mark.parametrize("part", ["record", "lease", "marks"])
def test_foreign_values_of_other_types_harm_nobody(
    redis: Redis, here: Process, there: Process, database: Database, part: str
) -> None:
    here.read(database)
    redis.client.delete(redis.key(part), redis.key("record"))
    redis.client.rpush(redis.key(part), "a", "b")

    assert here.read(database) == here.read(database) == OLD
    save(there, database)
    assert here.read(database) == here.read(database) == NEW
    assert (here.server.state, there.server.state) == ("ok", "ok")
    assert database.reads == 3


def test_a_foreign_lease_is_replaced(redis: Redis, here: Process, database: Database) -> None:
    redis.client.set(redis.key("lease"), "foreign")
    assert here.read(database) == here.read(database) == OLD
    assert database.reads == 1


@pytest.mark.parametrize("position", [0, 45, -1])
def test_a_damaged_record_is_no_record(
    redis: Redis, here: Process, database: Database, position: int
) -> None:
    here.read(database)
    stored = bytearray(redis.client.get(redis.key("record")))
    stored[position] ^= 1
    redis.client.set(redis.key("record"), bytes(stored))

    assert here.read(lambda: b"from the database") == b"from the database"


def test_the_record_of_another_is_no_record(
    redis: Redis, here: Process, database: Database
) -> None:
    here.read(lambda: b"secret", Name("project", "of-charlie"))
    redis.client.copy(redis.key("record", "project:of-charlie"), redis.key("record"))

    assert here.read(database) == OLD


# --- Time ------------------------------------------------------------------------------------


def test_a_record_past_its_ttl_is_kept_and_not_used(
    redis: Redis, here: Process, database: Database, settings: Any
) -> None:
    here.read(database)
    database.commit()  # nobody is told
    settings.CACHE_TTLS = {"project": 0.05}
    time.sleep(0.1)

    assert redis.has("record")
    assert here.read(database) == NEW


def test_a_record_from_the_future_is_not_used(
    redis: Redis, here: Process, database: Database
) -> None:
    here.read(database)
    stored = redis.client.get(redis.key("record"))
    redis.client.set(redis.key("record"), stored[:80] + b"9999999999999" + stored[93:])
    database.commit()

    assert here.read(database) == NEW
