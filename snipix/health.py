"""Health: whether the process lives, and whether it can serve.

Answers hold one word per check, for everyone to read: no addresses, versions or drivers' messages.
"""

from collections.abc import Callable, Mapping
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

from snipix import cache, releases
from snipix.logs import PROBES

PING_SECONDS = 2.0
RETRY_AFTER_SECONDS = 5
_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)
_proven: set[str] = set()
"""What was true once stays true as long as this process runs."""


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

    Without Redis everything works, only slower: its state is told and changes nothing.
    """
    needed = _database_checks()
    checks = needed | {"redis": _redis()}
    if all(state == "ok" for state in needed.values()):
        return JsonResponse({"status": "ready", "checks": checks})
    _log.warning("not ready", **checks)
    answer = {"status": "unavailable", "checks": checks}
    return JsonResponse(answer, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def reach_database() -> None:
    """Say hello to MongoDB; raises StandaloneServer, or the driver's error when it isn't there."""
    with pymongo.timeout(PING_SECONDS):
        connection.ensure_connection()
        check_server(connection.connection)


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
    checks = dict.fromkeys(("database", "transactions", "migrations"), "unknown")
    checks["database"] = "unreachable"
    try:
        with pymongo.timeout(PING_SECONDS):
            connection.ensure_connection()
            hello = connection.connection.admin.command("hello")
        checks["database"] = "ok" if hello.get("isWritablePrimary") else "read-only"
        checks["transactions"] = "ok" if _has_transactions(hello) else "unsupported"
        with pymongo.timeout(PING_SECONDS):
            checks["migrations"] = _migrations()
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


def _redis() -> str:
    """How Redis is; it is asked as readers ask it, and not at all while it is given up."""
    cache.server.get("health")
    return cache.server.state
