"""What operators see of the cache, and how they empty it."""

from __future__ import annotations

from snipix.cache import stats
from snipix.cache.names import Name
from tests.cache.conftest import Database, Process, Redis
from tests.cache.test_records import FILM, NEW, begin, reading


def test_what_is_kept_is_counted_by_part_and_kind(here: Process, database: Database) -> None:
    here.read(database)
    here.read(database, Name("account", "a:b:c"))
    here.bodies.put("timeline", "film", "1", b"{}")
    begin(here)

    assert stats.contents() == {
        "body:timeline": 1,
        "lease:account": 1,
        "marks:project": 1,
        "record:account": 1,
    }


def test_redis_tells_of_its_memory(redis: Redis) -> None:
    assert stats.redis()["used_memory"] > 0


def test_hits_and_misses_are_counted_by_kind(here: Process, database: Database) -> None:
    def counts() -> list[float]:
        reads = stats.counted()["snipix_cache_reads_total"]
        fills = stats.counted()["snipix_cache_fills_total"]
        outcomes = [reads.get(f"record project {o}", 0) for o in ("hit", "miss", "changing")]
        return [*outcomes, fills.get("record project filled", 0)]

    before = counts()
    here.read(database)
    here.read(database)
    begin(here)
    here.read(database)

    assert [new - old for new, old in zip(counts(), before, strict=True)] == [1, 1, 1, 1]


def test_refused_fills_are_counted(here: Process, there: Process, database: Database) -> None:
    def refused() -> float:
        return stats.counted()["snipix_cache_fills_total"].get("record project refused", 0)

    before = refused()
    here.read(reading(database, lambda: there.current.void(FILM)))

    assert refused() == before + 1


def test_emptying_removes_what_is_ours_alone(
    redis: Redis, here: Process, database: Database
) -> None:
    here.read(database)
    here.bodies.put("timeline", "film", "1", b"{}")
    redis.client.set("of-others", "stays")

    assert stats.clear() == 3
    assert redis.client.keys() == [b"of-others"]
    assert here.read(database) == here.read(database)
    assert database.reads == 2


def test_emptying_is_safe_beside_changes_that_run(
    here: Process, there: Process, database: Database
) -> None:
    begin(here)
    stats.clear()
    there.read(reading(database, database.commit))

    assert there.read(database) == NEW
