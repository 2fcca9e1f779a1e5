"""The MongoDB backend, with a breaker: while MongoDB is away, operations are refused at once.

The driver's own monitors ask the servers once a second, and know before any request does whether
one of them takes writes. Without this, each request would wait for as long as an election may take
(MONGODB_TIMEOUT), and hold one of a few threads. The breaker looks whenever they have asked, so
that it opens in time in a process that serves nobody just then.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django_mongodb_backend import base
from pymongo.errors import ServerSelectionTimeoutError
from pymongo.monitoring import (
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
)
from pymongo.topology_description import TopologyDescription

from snipix import metrics

GRACE_SECONDS = 2.0
"""For how long requests wait for a server before they are refused: an election is mostly over."""


class Breaker(ServerHeartbeatListener):
    """Since when MongoDB is away, as this process's monitors see it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        """Nothing is known yet."""

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        self.is_open()

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        self.is_open()

    def is_open(self) -> bool:
        """Whether no server has taken writes for longer than is worth waiting."""
        client = DatabaseWrapper._connection_pools.get(DEFAULT_DB_ALIAS)
        is_away = client is not None and _is_away(client.topology_description)
        with self._lock:
            if not is_away:
                self._since = None
            elif self._since is None:
                self._since = time.monotonic()
            is_open = is_away and time.monotonic() - (self._since or 0) > GRACE_SECONDS
        metrics.DATABASE_AWAY.set(is_open)
        return is_open


def _is_away(topology: TopologyDescription) -> bool:
    """Whether all servers were asked, and none takes writes: at first nothing is known."""
    servers = topology.server_descriptions().values()
    were_asked = all(server.error is not None or server.is_server_type_known for server in servers)
    return were_asked and not topology.has_writable_server()


breaker = Breaker()


class TooLate(ServerSelectionTimeoutError):
    """The time that a request has for its operations is over."""


_ends_at: ContextVar[float] = ContextVar("ends_at", default=inf)
_is_patient: ContextVar[bool] = ContextVar("is_patient", default=False)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Refuse operations that would begin after a time of `time.monotonic()`, as if it was away.

    So what waits for a slow server ends one operation after its deadline, at the latest.
    """
    reset = _ends_at.set(min(deadline, _ends_at.get()))
    try:
        yield
    finally:
        _ends_at.reset(reset)


@contextmanager
def patient() -> Iterator[None]:
    """Let operations begin however late it is: nobody waits for a command's answer."""
    reset = _is_patient.set(True)
    try:
        yield
    finally:
        _is_patient.reset(reset)


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        return {**params, "event_listeners": [*params["event_listeners"], breaker]}

    def get_collection(self, name: str, **kwargs: Any) -> Any:
        """A collection. Raises ServerSelectionTimeoutError while MongoDB is away, or TooLate."""
        refuse_if_away()
        if time.monotonic() > _ends_at.get() and not _is_patient.get():
            raise TooLate("what came before took too long")
        return super().get_collection(name, **kwargs)


def refuse_if_away() -> None:
    """Raise ServerSelectionTimeoutError while MongoDB is away. Asks nobody itself."""
    if breaker.is_open():
        raise ServerSelectionTimeoutError("MongoDB is away, and was asked just now")
