"""A circuit breaker: after its first failure Redis isn't asked any more, until it answers again.

So a hung Redis costs those who are waiting just then one timeout, and nobody else anything. A
thread of its own looks for Redis, and first of all makes up for the invalidations that failed.
"""

import os
import threading
import time
from collections.abc import Callable, Collection
from typing import TypeVar

import structlog
from redis.exceptions import RedisError

from snipix import metrics
from snipix.cache.names import Name, forget_seconds

T = TypeVar("T")

FIRST_PAUSE = 0.05
"""Seconds between two probes at least …"""
LONGEST_PAUSE = 1.0
"""… and at most: they double, and a change that couldn't void asks for the next one at once."""
CALM_SECONDS = 10.0
"""A Redis that fails again within these, though it answered a probe, is trusted later each time."""

FAILURES = (RedisError, OSError, ValueError)
"""What a call raises when Redis is no use; ValueError is a parser's, if somebody else answers."""

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Breaker:
    """Lets calls through while Redis answers. Shared by the threads of a process; survives forks.

    `probe` is called with the names whose invalidation failed: it voids them, and raises if Redis
    can't be used.
    """

    def __init__(self, probe: Callable[[Collection[Name]], None]) -> None:
        self._probe = probe
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._closed.set()
        self._wake = threading.Event()
        self._openings = 0
        self._changed_at = float("-inf")
        self._pause = FIRST_PAUSE
        self._owed: dict[Name, float] = {}
        self._voiding: dict[Name, float] = {}

    @property
    def is_open(self) -> bool:
        """Whether Redis isn't asked."""
        return not self._closed.is_set()

    @property
    def owed(self) -> frozenset[Name]:
        """The records that this process has changed and couldn't void yet."""
        with self._lock:
            return frozenset(self._owed) | frozenset(self._voiding)

    def call(self, work: Callable[[], T], instead: T, *, owes: Collection[Name] = ()) -> T:
        """Return what `work` returns; `instead` if Redis can't be asked, or fails.

        `owes` names what is then to be voided before Redis is asked again.
        """
        opening = self._enter(owes)
        if opening is None:
            return instead
        try:
            return work()
        except FAILURES as error:
            self._fail(error, opening, owes)
            return instead

    def settle(self, seconds: float) -> bool:
        """Wait until nothing is owed any more, so long at most. Returns whether that is so."""
        self._wake.set()
        return not self.owed or self._closed.wait(seconds)

    def _enter(self, owes: Collection[Name]) -> int | None:
        if self._pid != os.getpid():
            self._start_afresh()  # after a fork: the lock may be held, and no thread came along
        with self._lock:
            if self._closed.is_set():
                return self._openings
            self._owe(owes)
            return None

    def _owe(self, names: Collection[Name]) -> None:
        if names:
            until = time.monotonic() + forget_seconds()
            self._owed.update(dict.fromkeys(names, until))
            metrics.CACHE_OWED.set(len(self._owed) + len(self._voiding))
            self._wake.set()

    def _fail(self, error: Exception, opening: int, owes: Collection[Name]) -> None:
        with self._lock:
            self._owe(owes)
            # A call that began before Redis was found again says nothing about it now.
            if self.is_open or (opening != self._openings and not owes):
                return
            self._closed.clear()
            self._openings += 1
            is_calm = time.monotonic() - self._changed_at > CALM_SECONDS
            self._pause = FIRST_PAUSE if is_calm else min(2 * self._pause, LONGEST_PAUSE)
            self._changed_at = time.monotonic()
            metrics.CACHE_OPEN.set(1)
            metrics.CACHE_FAILURES.labels(type(error).__name__).inc()
        _log.warning("cache not reached", error=type(error).__name__)
        threading.Thread(target=self._watch, name="snipix-cache-probe", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(FIRST_PAUSE)
            self._wake.wait(self._pause - FIRST_PAUSE)
            try:
                while not self._recover():
                    pass
                return
            except FAILURES:
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
            except Exception:  # noqa: BLE001 - a probe that ended would leave Redis unused for ever
                _log.exception("cache not looked for")
                self._pause = LONGEST_PAUSE

    def _recover(self) -> bool:
        """Void what is owed, and close. Returns False if more came to be owed meanwhile."""
        self._wake.clear()
        with self._lock:
            # Moved, not copied: what is owed anew while it is being voided stays owed.
            owed, now = {**self._voiding, **self._owed}, time.monotonic()
            self._voiding, self._owed = {n: t for n, t in owed.items() if t > now}, {}
        self._probe(self._voiding)
        with self._lock:
            voided, self._voiding = len(self._voiding), {}
            metrics.CACHE_OWED.set(len(self._owed))
            if self._owed:
                return False
            seconds, self._changed_at = time.monotonic() - self._changed_at, time.monotonic()
            metrics.CACHE_OPEN.set(0)
            self._closed.set()
        _log.info("cache reached again", seconds=round(seconds, 3), voided=voided)
        return True
