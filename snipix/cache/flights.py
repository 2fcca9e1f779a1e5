"""The same work once per process, however many threads want it at once."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Flights:
    """Work that is under way, by key. The key must prove that the work is fresh for all who join.

    What somebody else began to read before a change may not be handed to who comes after it. So
    keys hold a lease or an ETag: see `docs/cache.md`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Future[Any]] = {}

    def run(self, key: Hashable, work: Callable[[], T]) -> T:
        """Do the work, or wait for who does it already; if that fails, do it after all."""
        with self._lock:
            flight = self._flights.get(key)
            is_mine = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if is_mine:
            return self._lead(key, flight, work)
        return flight.result() if flight.exception() is None else work()

    def _lead(self, key: Hashable, flight: "Future[T]", work: Callable[[], T]) -> T:
        try:
            result = work()
        except BaseException as error:
            flight.set_exception(error)
            raise
        else:
            flight.set_result(result)
            return result
        finally:
            with self._lock:
                del self._flights[key]
