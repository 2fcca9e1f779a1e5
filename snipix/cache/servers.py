"""Redis as the cache uses it: a few steps, none of which raises, or waits longer than a timeout."""

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from django.conf import settings
from django.core.cache import caches
from redis.exceptions import OutOfMemoryError, ResponseError

from snipix import metrics
from snipix.cache import scripts
from snipix.cache.breaker import Breaker
from snipix.cache.connections import Connections
from snipix.cache.names import LEASE_SECONDS, Name, kept_seconds, mark_seconds, ttl_seconds
from snipix.cache.serializer import seal, unseal

T = TypeVar("T")

ALIAS = "documents"
"""The cache's name in Django's settings."""
_AT_ONCE = 500
"""Keys that one command deletes: Redis does nothing else meanwhile."""
_PARTS = ("record", "lease", "marks")
"""The keys of a record, in the order in which scripts take them."""
_PROBE = Name("probe", "")

Outcome = Literal["hit", "miss", "changing", "full", "damaged", "unreachable"]


class Look(NamedTuple):
    """What a reader found: a hit's content, or a miss's lease. Otherwise it may not fill."""

    outcome: Outcome
    value: bytes = b""
    age: float = 0.0
    """Seconds since a hit was filled."""


class Taken(NamedTuple):
    """Of a quota: how many were taken, and how many are left."""

    granted: int
    left: int


class Server:
    """The Redis of one process. Without a REDIS_URL it is as if it were never reached.

    `connect` returns the thread's own django-redis cache.
    """

    def __init__(self, connect: Callable[[], Any] = lambda: caches[ALIAS]) -> None:
        self._connect = connect
        self._connections = Connections()
        self.breaker = Breaker(self._recover)

    @property
    def state(self) -> Literal["ok", "unreachable", "not configured"]:
        """How Redis is, in a word, without asking it."""
        if not settings.REDIS_URL:
            return "not configured"
        return "unreachable" if self.breaker.is_open else "ok"

    # --- Records ---------------------------------------------------------------------------------

    def look(self, name: Name, within: float | None = None) -> Look:
        """Find a record or, where there is none that may be used, a lease for filling it.

        It may be used within its TTL, or within so many seconds.
        """
        seconds = ttl_seconds(name.kind) if within is None else within
        look = self._call("look", lambda: self._look(name, seconds), Look("unreachable"))
        if look.outcome != "hit":
            return look
        content = unseal(str(name), look.value)
        if content is not None:
            return look._replace(value=content)
        self.void(name)
        return Look("damaged")

    def fill(self, name: Name, lease: bytes, content: bytes) -> str:
        """Keep a record that was read after its lease was given; says what became of it.

        It is `filled`, or `refused` since the lease doesn't stand any more, `full`, `unreachable`.
        """
        arguments = (lease, seal(str(name), content), _milliseconds(kept_seconds(name.kind)))
        outcome = self._call("fill", lambda: self._run(scripts.FILL, [name], *arguments), None)
        return "unreachable" if outcome is None else outcome.decode()

    def begin(self, names: Sequence[Name], writer: str) -> None:
        """Void records, and keep them from being filled while this writer changes them."""
        milliseconds = _milliseconds(mark_seconds())
        self._call("begin", lambda: self._run(scripts.BEGIN, names, writer, milliseconds), None)

    def end(self, names: Sequence[Name], writer: str) -> None:
        """Void records again, and take the writer's marks away."""
        self._call("end", lambda: self._run(scripts.END, names, writer), None, owes=names)

    def void(self, *names: Name) -> None:
        """Void records of which there is any sign that they are behind, before anybody is told."""
        self._call("void", lambda: self._void(names), None, owes=names)

    # --- Bytes -----------------------------------------------------------------------------------

    def get(self, key: str) -> Any:
        """What is kept under a key, if anything; whether it is ours is to be seen."""

        def work() -> Any:
            try:
                return self._connect().get(key)
            except ResponseError as error:
                if str(error).startswith("WRONGTYPE"):  # somebody else's list, say
                    return None
                raise

        return self._call("get", work, None)

    def set(self, key: str, value: bytes, seconds: float) -> bool:
        """Keep a value, if Redis has room for it. Returns whether it did."""

        def work() -> bool:
            try:
                return bool(self._connect().set(key, value, timeout=seconds))
            except OutOfMemoryError:
                return False

        return self._call("set", work, False)

    # --- Counts ----------------------------------------------------------------------------------

    def take(self, key: str, wanted: int, quota: int, seconds: float) -> Taken | None:
        """Take so many of a quota, at most, that comes back evenly within so many seconds.

        What is taken by all processes together is never more. None where Redis can't count.
        """
        arguments = (wanted, quota, _milliseconds(seconds))
        taken = self._call("take", lambda: self._take(key, *arguments), None)
        return taken if taken and taken.granted >= 0 else None

    # --- The steps themselves --------------------------------------------------------------------

    def _look(self, name: Name, seconds: float) -> Look:
        ttl, lease = _milliseconds(seconds), _milliseconds(LEASE_SECONDS)
        token = f"{random.getrandbits(64):x}"  # told from others, not kept from them
        found = self._run(scripts.LOOK, [name], ttl, token, lease)
        return Look(found[0].decode(), found[1], (found[2] if len(found) > 2 else 0) / 1000)

    def _take(self, key: str, *arguments: int) -> Taken:
        place = self._connect().client.make_key(f"limit:{key}")
        return Taken(*scripts.TAKE.run(self._execute, [place], *arguments))

    def _void(self, names: Collection[Name]) -> None:
        # Not the marks: those are their writers'.
        keys = list(self._keys(names, ("record", "lease")))
        for start in range(0, len(keys), _AT_ONCE):
            self._client().delete(*keys[start : start + _AT_ONCE])

    def _recover(self, owed: Collection[Name]) -> None:
        """Void what is owed, and see whether Redis does what readers ask of it."""
        self._void(owed)
        self._look(_PROBE, ttl_seconds(_PROBE.kind))

    def _run(self, script: scripts.Script, names: Sequence[Name], *arguments: Any) -> Any:
        return script.run(self._execute, list(self._keys(names)), *arguments)

    def _execute(self, *command: Any) -> Any:
        return self._connections.execute(self._client().connection_pool, *command)

    def _client(self) -> Any:
        return self._connect().client.get_client(write=True)

    def _keys(self, names: Collection[Name], parts: Sequence[str] = _PARTS) -> Iterator[str]:
        key = self._connect().client.make_key
        return (key(f"{part}:{name}") for name in names for part in parts)

    def _call(
        self, step: str, work: Callable[[], T], instead: T, *, owes: Collection[Name] = ()
    ) -> T:
        if not settings.REDIS_URL:
            return instead
        with metrics.CACHE_SECONDS.labels(step).time():
            return self.breaker.call(work, instead, owes=owes)


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
