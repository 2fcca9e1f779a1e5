"""What is current, step by step in every bad order."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from snipix import errors
from snipix.cache import servers
from snipix.cache.names import Name
from snipix.cache.records import Change
from snipix.local.processes import wait_until
from tests.cache.conftest import FILM, Database, Process, Redis

OLD, NEW = b"version 1", b"version 2"
LIST = Name("list", "alice")


def save(process: Process, database: Database) -> None:
    with process.current.changing(FILM):
        database.commit()


def begin(process: Process) -> Change:
    """A writer that has begun."""
    change = Change(process.server)
    change.also(FILM)
    return change


def reading(database: Database, meanwhile: Callable[[], Any]) -> Callable[[], bytes]:
    """A read during which, after it has read, something happens."""

    def load() -> bytes:
        content = database()
        meanwhile()
        return content

    return load


# --- What it is for --------------------------------------------------------------------------


def test_a_record_is_read_from_the_database_once(
    here: Process, there: Process, database: Database
) -> None:
    assert [process.read(database) for process in (here, there, here)] == [OLD] * 3
    assert database.reads == 1


def test_after_a_change_nobody_reads_what_was_before(
    here: Process, there: Process, database: Database
) -> None:
    there.read(database)
    save(here, database)

    assert there.read(database) == here.read(database) == NEW
    assert database.reads == 2


def test_records_of_all_kinds_are_void_at_once(here: Process, database: Database) -> None:
    names = [FILM, LIST, Name("account", "bob")]
    for name in names:
        here.read(database, name)
    with here.current.changing(FILM, LIST) as change:
        change.also(names[2])
        database.commit()

    assert [here.read(database, name) for name in names] == [NEW] * 3


def test_what_does_not_exist_is_not_kept(here: Process, database: Database) -> None:
    assert here.read(lambda: None) is None
    assert here.read(database) == OLD


def test_what_a_read_raises_is_raised(here: Process, database: Database) -> None:
    def fail() -> bytes:
        raise errors.NotFound("gone")

    with pytest.raises(errors.NotFound):
        here.read(fail)
    assert here.read(database) == OLD


def test_without_redis_everything_comes_from_the_database(
    here: Process, database: Database, settings: Any
) -> None:
    settings.REDIS_URL = ""

    assert here.read(database) == OLD
    save(here, database)
    assert here.read(database) == NEW
    assert (here.server.state, here.breaker.owed) == ("not configured", frozenset())


def test_a_kind_may_be_left_out(here: Process, database: Database, settings: Any) -> None:
    settings.CACHE_TTLS = {"project": 0}
    here.read(database)
    here.read(database)

    assert database.reads == 2


# --- Who reads before a change, and fills after it -------------------------------------------


def test_a_late_fill_is_refused(here: Process, there: Process, database: Database) -> None:
    assert here.read(reading(database, lambda: save(there, database))) == OLD

    assert there.read(database) == NEW


def test_a_late_fill_is_refused_also_if_the_writer_died_before_it_could_void(
    here: Process, there: Process, database: Database
) -> None:
    def begin_commit_and_die() -> None:
        begin(there)
        database.commit()

    here.read(reading(database, begin_commit_and_die))

    assert there.read(database) == NEW


def test_a_late_fill_is_refused_also_if_the_mark_was_lost(
    redis: Redis, here: Process, there: Process, database: Database
) -> None:
    change = begin(there)
    redis.client.delete(redis.key("marks"))

    def commit_and_end() -> None:
        database.commit()
        change.end()

    here.read(reading(database, commit_and_end))

    assert there.read(database) == NEW


# --- Writers who die, overlap, or lose their marks -------------------------------------------


def test_a_record_is_void_before_the_commit_since_the_writer_may_die_after_it(
    here: Process, there: Process, database: Database
) -> None:
    there.read(database)
    begin(here)
    database.commit()

    assert there.read(database) == NEW


def test_nobody_fills_while_a_change_runs(
    here: Process, there: Process, database: Database
) -> None:
    begin(here)
    there.read(reading(database, database.commit))  # and the writer dies before it can void

    assert there.read(database) == NEW


def test_the_first_of_two_writers_does_not_lift_the_mark_of_the_second(
    here: Process, there: Process, database: Database
) -> None:
    first, _ = begin(here), begin(there)
    first.end()
    there.read(reading(database, database.commit))  # the second commits, and dies

    assert there.read(database) == NEW


def test_what_was_filled_since_the_mark_was_lost_is_void_when_the_change_is_over(
    redis: Redis, here: Process, there: Process, database: Database
) -> None:
    change = begin(here)
    redis.client.flushall()
    there.read(database)
    database.commit()
    change.end()

    assert there.read(database) == NEW


def test_the_mark_of_a_dead_writer_expires(
    redis: Redis,
    here: Process,
    there: Process,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(servers, "mark_seconds", lambda: 0.1)
        begin(here)
    there.read(database)
    # In this order: on a busy machine the mark may have expired before the read.
    assert not (redis.has("record") and redis.has("marks"))

    assert wait_until(lambda: not redis.has("marks"), seconds=10)
    there.read(database)
    assert redis.has("record")


def test_a_dead_writers_mark_expires_also_while_others_come_and_go(
    redis: Redis, here: Process, there: Process, database: Database, monkeypatch: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(servers, "mark_seconds", lambda: 0.05)
        begin(here)
    other = begin(there)  # lasts for long
    time.sleep(0.1)
    other.end()
    there.read(database)

    assert redis.has("record")


def test_a_change_that_fails_leaves_no_mark(
    redis: Redis, here: Process, database: Database
) -> None:
    with pytest.raises(errors.VersionMismatch), here.current.changing(FILM):
        raise errors.VersionMismatch("too late")
    here.read(database)

    assert redis.has("record")
    assert not redis.has("marks")


def test_nobody_fills_after_a_change_whose_outcome_is_unknown(
    redis: Redis, here: Process, there: Process, database: Database
) -> None:
    there.read(database)
    with pytest.raises(errors.OutcomeUnknown), here.current.changing(FILM):
        raise errors.OutcomeUnknown("the connection broke")
    there.read(reading(database, database.commit))  # it lands late

    assert there.read(database) == NEW


def test_a_change_within_a_change_ends_with_it(
    here: Process, there: Process, database: Database
) -> None:
    with here.current.changing():
        with here.current.changing(FILM):
            pass
        there.read(reading(database, database.commit))
        assert there.read(database) == NEW


def test_what_is_named_within_a_change_is_void_from_then_on(
    here: Process, there: Process, database: Database
) -> None:
    there.read(database)
    with here.current.changing():
        here.current.also(FILM)
        there.read(reading(database, database.commit))
        assert there.read(database) == NEW


def test_records_are_named_within_a_change_only(here: Process) -> None:
    with pytest.raises(RuntimeError, match="changing"):
        here.current.also(FILM)


# --- Any sign that a record is behind --------------------------------------------------------


def test_a_record_that_may_be_behind_is_voided(
    here: Process, there: Process, database: Database
) -> None:
    there.read(database)
    database.commit()  # by whoever
    assert there.read(database) == OLD

    here.current.void(FILM)

    assert there.read(database) == NEW


def test_voiding_refuses_late_fills_as_well(
    here: Process, there: Process, database: Database
) -> None:
    def commit_and_void() -> None:
        database.commit()
        here.current.void(FILM)

    there.read(reading(database, commit_and_void))

    assert there.read(database) == NEW


def test_voiding_leaves_the_marks_of_changes_that_run(
    here: Process, there: Process, database: Database
) -> None:
    begin(here)
    there.current.void(FILM)
    there.read(reading(database, database.commit))

    assert there.read(database) == NEW
