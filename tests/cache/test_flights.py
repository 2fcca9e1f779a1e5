"""Who misses at once reads once, and nobody gets what is older than their question."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from snipix import errors
from snipix.local.processes import wait_until
from tests.cache.conftest import Database, Process
from tests.cache.test_records import NEW, OLD, save
from tests.together import at_once


def test_who_misses_at_once_reads_once(here: Process, database: Database) -> None:
    def load() -> bytes:
        time.sleep(0.2)
        return database()

    assert at_once(8, lambda _: here.read(load)) == [OLD] * 8
    assert database.reads == 1


@pytest.mark.parametrize("is_hung_up", [False, True])
def test_nobody_joins_a_read_that_began_before_a_change_was_answered(
    here: Process, there: Process, database: Database, is_hung_up: bool
) -> None:
    here.is_cut = is_hung_up
    has_read, may_go_on = threading.Event(), threading.Event()

    def load() -> bytes:
        content = database()
        has_read.set()
        may_go_on.wait(30)
        return content

    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(here.read, load)
        has_read.wait()
        save(there, database)
        late = pool.submit(here.read, database)
        wait_until(late.done, seconds=0.3)
        may_go_on.set()

        assert (early.result(), late.result()) == (OLD, NEW)


def test_who_waited_for_a_read_that_failed_reads_for_themselves(
    here: Process, database: Database
) -> None:
    has_begun, may_fail = threading.Event(), threading.Event()

    def fail() -> bytes:
        has_begun.set()
        may_fail.wait(30)
        raise errors.DatabaseUnavailable("gone for a moment")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(here.read, fail)
        has_begun.wait()
        second = pool.submit(here.read, database)
        wait_until(second.done, seconds=0.1)
        may_fail.set()

        assert second.result() == OLD
        with pytest.raises(errors.DatabaseUnavailable):
            first.result()
