"""Health: whether the process lives, whether it can serve, and how it is.

Answers hold one word per check, for everyone to read: no addresses, versions or drivers' messages.
What administrators read besides is in `snipix.condition`.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import pymongo
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import Resolver404, resolve
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from pymongo.errors import PyMongoError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from snipix import cache, condition, releases, stopping
from snipix.database.base import refuse_if_away
from snipix.logs import PROBES
from snipix.mongo import is_away

PING_SECONDS = 2.0
LONGEST_PAUSE = 5.0
"""Seconds between two attempts to reach a database that isn't there yet."""
RETRY_AFTER_SECONDS = 5
RETRY_LATER = {"Retry-After": str(RETRY_AFTER_SECONDS)}
NEEDED = ("database", "transactions", "migrations", "restore")
"""Without any of these no request can be served."""
_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)
_proven: set[str] = set()
"""What was true once stays true as long as this process runs."""
_seen: dict[str, str] = {}
"""What was found last, which counts where MongoDB answers too slowly to look again.

It still serves then, if slowly; to be taken out of use, with all others, would help nobody.
"""


class StandaloneServer(ImproperlyConfigured):
    """The MongoDB server has no transactions."""


class ProbeMiddleware:
    """Answer probes before whatever they can't satisfy.

    They come from inside, with an address as their Host and without HTTPS.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PROBES):
            return self.get_response(request)
        try:
            request.resolver_match = match = resolve(request.path_info)
        except Resolver404:
            return self.get_response(request)
        return match.func(request, *match.args, **match.kwargs)


@require_safe
@never_cache
def live(request: HttpRequest) -> JsonResponse:
    """Answer that the process runs. Touches nothing: a restart heals no database."""
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """Answer whether requests can be served: 200, or 503 with Retry-After.

    What only makes Snipix slower, or keeps videos out, is told and changes nothing.
    """
    checks = look()
    status = {"unhealthy": "unavailable", "stopping": "stopping"}.get(sum_up(checks), "ready")
    if status == "ready":
        return JsonResponse({"status": status, "checks": checks})
    if status != "stopping":
        _log.warning("not ready", **checks)
    answer = {"status": status, "checks": checks}
    return JsonResponse(answer, status=503, headers=RETRY_LATER)


@require_safe
@never_cache
def report(request: HttpRequest) -> JsonResponse:
    """Answer how Snipix is: a word for everyone, and for administrators what was looked at."""
    checks = look()
    answer: dict[str, Any] = {"status": sum_up(checks)}
    if condition.is_for(request, is_database_there=checks.get("database") == "ok"):
        answer |= {"checks": checks, **condition.details(checks)}
    if answer["status"] in ("healthy", "degraded"):
        return JsonResponse(answer)
    return JsonResponse(answer, status=503, headers=RETRY_LATER)


def look() -> dict[str, str]:
    """A word for each thing that Snipix needs, or is better with."""
    if stopping.is_told():
        return {"server": "stopping"}
    needed = _database_checks()
    indexes = condition.index_state() if needed["database"] == "ok" else "unknown"
    return needed | {"indexes": indexes, "redis": _redis(), "disk": condition.disk_state()}


def sum_up(checks: Mapping[str, str]) -> str:
    """One word for all: healthy, degraded (everything is served), unhealthy or stopping."""
    if "server" in checks:
        return "stopping"
    if any(checks[name] != "ok" for name in NEEDED):
        return "unhealthy"
    return "healthy" if set(checks.values()) <= {"ok", "not configured"} else "degraded"


def reach_database() -> None:
    """Say hello to MongoDB; raises StandaloneServer, or the driver's error when it isn't there."""
    with pymongo.timeout(PING_SECONDS):
        connection.ensure_connection()
        check_server(connection.connection)


def await_database(seconds: float = inf, tell: Callable[[], None] = lambda: None) -> None:
    """Say hello until MongoDB is there, with exponential backoff and jitter; `tell` of each pause.

    Raises what `reach_database` does, if it isn't within so many seconds, or refuses us.
    """
    for attempt in Retrying(
        retry=retry_if_exception(is_away),
        wait=wait_random_exponential(multiplier=0.25, max=LONGEST_PAUSE),
        stop=stop_after_delay(seconds),
        before_sleep=lambda _: tell(),
        reraise=True,
    ):
        with attempt:
            reach_database()


def check_server(client: pymongo.MongoClient[Any]) -> None:
    """Raise StandaloneServer, with a sentence that explains, unless there are transactions."""
    if not _has_transactions(client.admin.command("hello")):
        raise StandaloneServer(
            "The MongoDB server that MONGODB_URI names stands alone and has no transactions, and "
            "Snipix saves each change in one. Make it a replica set (one member is enough: start "
            "mongod with --replSet rs0, then run rs.initiate() once), use MongoDB Atlas, or let "
            "`make run` start a suitable server."
        )


def _has_transactions(hello: Mapping[str, Any]) -> bool:
    """Tell whether it is a replica set or a sharded cluster that says so."""
    return "setName" in hello or hello.get("msg") == "isdbgrid"


def _database_checks() -> dict[str, str]:
    checks = dict.fromkeys(NEEDED, "unknown")
    checks["database"] = "unreachable"
    try:
        refuse_if_away()  # as requests are: probes hold no threads while MongoDB hangs
        with pymongo.timeout(PING_SECONDS):
            connection.ensure_connection()
            hello = connection.connection.admin.command("hello")
        checks["database"] = "ok" if hello.get("isWritablePrimary") else "read-only"
        checks["transactions"] = "ok" if _has_transactions(hello) else "unsupported"
        checks |= _seen
        with pymongo.timeout(PING_SECONDS):
            for name, find in (("migrations", _migrations), ("restore", _restore)):
                checks[name] = _seen[name] = find()
    except (PyMongoError, DatabaseError) as error:
        _log.warning("database not reached", error=type(error.__cause__ or error).__name__)
    return checks


def _migrations() -> str:
    """Whether this release and the database fit; a newer one may come while this one serves."""
    try:
        releases.refuse_newer_documents()
        if "migrations" not in _proven:
            found = releases.migrations()
            if found.unknown:
                return "newer"
            if found.pending:
                return "pending"
            _proven.add("migrations")
    except releases.NewerDatabase:
        return "newer"
    return "ok"


def _restore() -> str:
    """Whether the database is whole, or only restored in part; one may begin while this serves."""
    try:
        releases.refuse_half_restored()
    except releases.HalfRestored:
        return "unfinished"
    return "ok"


def _redis() -> str:
    """How Redis is; it is asked as readers ask it, and not at all while it is given up."""
    cache.server.get("health")
    return cache.server.state
