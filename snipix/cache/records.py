"""What is current: small records that must never lie.

Writers only ever delete, and only readers fill, under a lease ("Scaling Memcache at Facebook",
NSDI 2013). `docs/cache.md` says which step closes which race.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError
from pymongo.errors import PyMongoError

from snipix import logs, metrics
from snipix.cache import staleness
from snipix.cache.flights import Flights
from snipix.cache.names import Name, ttl_seconds
from snipix.cache.servers import Look, Server
from snipix.errors import OutcomeUnknown
from snipix.mongo import is_away


class Found(NamedTuple):
    content: bytes | None
    is_kept: bool
    """Whether it is what every reader finds, until a change voids it."""


class Change:
    """A change that runs, with the records that it makes obsolete."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._writer = secrets.token_hex(8)
        self._names: dict[Name, None] = {}

    def also(self, *names: Name) -> None:
        """Void more records; nobody fills them until the change is over. Call before the commit."""
        new = [name for name in dict.fromkeys(names) if name not in self._names]
        if new:
            self._names.update(dict.fromkeys(new))
            self._server.begin(new, self._writer)

    def end(self) -> None:
        """The change is committed or undone: void again, lest who read before that fills late."""
        if self._names:
            self._server.end(list(self._names), self._writer)

    def leave(self) -> None:
        """Nobody knows yet whether it is committed: as `end`, but nobody fills for a while."""
        self._server.void(*self._names)


_running: ContextVar[Change | None] = ContextVar("running", default=None)


class Current:
    """Records by name. Who reads one after a change was answered doesn't find what was before."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._flights = Flights()

    def get(self, name: Name, load: Callable[[], bytes | None]) -> bytes | None:
        """Return a record: the kept one, otherwise what `load` reads from the database.

        `load` is called in this thread or in one that asks for the same, after both have asked;
        what it raises is raised. None, for what doesn't exist, isn't kept.
        """
        return self.find(name, load).content

    def find(self, name: Name, load: Callable[[], bytes | None]) -> Found:
        """As `get`, and tell whether what is returned is kept."""
        look = self._server.look(name) if ttl_seconds(name.kind) else Look("unreachable")
        metrics.CACHE_READS.labels("record", name.kind, look.outcome).inc()
        if look.outcome == "hit":
            logs.count_cache_hit()
            return Found(look.value, True)
        try:
            if look.outcome != "miss":
                return Found(load(), False)
            # Whoever was given the same lease may share the work, even if it began before they
            # came: no change was answered in between, or the lease would be another one.
            return self._flights.run((name, look.value), lambda: self._fill(name, look.value, load))
        except (DatabaseError, PyMongoError) as error:
            return self._stale(name, error)

    def _stale(self, name: Name, error: Exception) -> Found:
        """What was current when the database went away. Raises the error, if nothing is kept."""
        look = self._server.look(name, settings.STALE_MAX)
        if look.outcome != "hit" or not is_away(error):
            raise error
        metrics.CACHE_READS.labels("record", name.kind, "stale").inc()
        logs.count_cache_hit()
        staleness.note(look.age)
        return Found(look.value, True)

    def _fill(self, name: Name, lease: bytes, load: Callable[[], bytes | None]) -> Found:
        content = load()
        if content is None:
            return Found(None, False)
        outcome = self._server.fill(name, lease, content)
        metrics.CACHE_FILLS.labels("record", name.kind, outcome).inc()
        return Found(content, outcome == "filled")

    @contextmanager
    def changing(self, *names: Name) -> Iterator[Change]:
        """Enclose a change: its transaction from before it begins until it is over, however.

        What it answers is answered afterwards. A change within a change joins it.
        """
        if (outer := _running.get()) is not None:
            outer.also(*names)
            yield outer
            return
        change = Change(self._server)
        reset = _running.set(change)
        finish = change.end
        try:
            change.also(*names)
            yield change
        except OutcomeUnknown:
            finish = change.leave
            raise
        finally:
            _running.reset(reset)
            finish()

    def also(self, *names: Name) -> None:
        """Name what the running change makes obsolete besides; RuntimeError outside of one."""
        change = _running.get()
        if change is None:
            raise RuntimeError("records are changed within current.changing() only")
        change.also(*names)

    def void(self, *names: Name) -> None:
        """Void records that may be behind: at any sign of it, before anybody is told that sign."""
        self._server.void(*names)
