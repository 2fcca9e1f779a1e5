"""What several threads of a test do at the same moment, or one beside it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from django.db import connections

T = TypeVar("T")
_LATEST_SECONDS = 60


def at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """What so many threads return that begin at the same moment, each told its number."""
    everybody = threading.Barrier(count)

    def run(number: int) -> T:
        everybody.wait(_LATEST_SECONDS)
        try:
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@contextmanager
def meanwhile(work: Callable[[], T]) -> Iterator[list[T]]:
    """Do it again and again in another thread, as long as the block runs; yields what it gives.

    Raises what it raises, when the block is over.
    """
    is_over, given = threading.Event(), list[T]()

    def run() -> None:
        try:
            while not is_over.is_set():
                given.append(work())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield given
        finally:
            is_over.set()
        running.result()
