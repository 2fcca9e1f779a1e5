"""How Snipix is, in numbers, for administrators: what `/health/` tells nobody else.

An administrator is who shows the token of a staff account, where there are accounts, or has entered
the admin site. While MongoDB is away a token is still known from the cache; a session isn't.
"""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import pymongo
from cachetools import TTLCache, cached
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from pymongo.errors import PyMongoError
from rest_framework.exceptions import APIException
from rest_framework.request import Request

import snipix
from media.storage import RESERVE_BYTES
from snipix import cache, indexes, metrics
from snipix.accounts import TokenAuthentication
from snipix.errors import SnipixError
from snipix.mongo import connection as mongo

INDEXES_SECONDS = 60
"""For how long what was found of the indexes is told again: it takes a command a collection."""
PING_SECONDS = 2.0


def is_for(request: HttpRequest, *, is_database_there: bool) -> bool:
    """Whether an administrator asks."""
    try:
        user = _user_of_token(request) or (is_database_there and _user_of_session(request))
    except (DatabaseError, PyMongoError, SnipixError, APIException):
        return False
    return bool(user and user.is_active and user.is_staff)


def _user_of_token(request: HttpRequest) -> Any:
    if settings.SNIPIX_AUTH != "accounts":
        return None
    found = TokenAuthentication().authenticate(Request(request))
    return found and found[0]


def _user_of_session(request: HttpRequest) -> Any:
    """Probes are answered before any middleware could have looked."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return None
    SessionMiddleware(lambda _: HttpResponse()).process_request(request)
    return get_user(request)


def details(checks: Mapping[str, str]) -> dict[str, Any]:
    """What there is to know beyond a word: numbers of this process and of what it uses."""
    told = {"snipix": _snipix(), "pool": _pool(), "redis": _redis(), "disk": _disk()}
    if checks.get("database") == "ok":
        told["database"] = _database()
    if checks.get("indexes") in ("ok", "missing"):
        told["indexes"] = {"missing": _missing_indexes()}
    return {"details": told}


def _snipix() -> dict[str, Any]:
    return {"version": snipix.__version__, "commit": settings.SNIPIX_COMMIT or None}


def _pool() -> dict[str, Any]:
    """Of this process; /metrics has the sum."""
    most = settings.MONGODB_MAX_POOL_SIZE
    return {"open": metrics.pool.open, "used": metrics.pool.used, "most": most}


def _database() -> dict[str, Any]:
    database = mongo.database
    began = time.perf_counter()
    try:
        with pymongo.timeout(PING_SECONDS):
            database.command("ping")
    except PyMongoError as error:
        return {"error": type(error).__name__}
    return {
        "latency_ms": _milliseconds(began),
        "write_concern": database.write_concern.document,
        "read_concern": database.read_concern.document,
    }


def _redis() -> dict[str, Any]:
    began = time.perf_counter()
    cache.server.get("health")
    latency = _milliseconds(began) if cache.server.state == "ok" else None
    return {"latency_ms": latency, "owed": len(cache.server.breaker.owed)}


def index_state() -> str:
    try:
        return "missing" if _missing_indexes() else "ok"
    except (PyMongoError, DatabaseError):
        return "unknown"


@cached(TTLCache(1, INDEXES_SECONDS), lock=Lock())
def _missing_indexes() -> list[str]:
    """What is declared and isn't there, or not so: `projects.name_1`. One too many harms nobody."""
    with pymongo.timeout(PING_SECONDS):
        drift = [found for found in indexes.drift() if found.problem != "undeclared"]
    return [f"{found.collection}.{found.name}" for found in drift]


def disk_state() -> str:
    """Whether there is room for a video: `low` means not for one as large as is taken."""
    free = _disk().get("free_bytes")
    if free is None:
        return "unknown"
    if free < RESERVE_BYTES:
        return "full"
    return "ok" if free >= RESERVE_BYTES + settings.MAX_VIDEO_BYTES else "low"


def _disk() -> dict[str, Any]:
    """Of the disk beneath MEDIA_ROOT, which the first upload makes."""
    folder = Path(settings.MEDIA_ROOT)
    there = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        usage = shutil.disk_usage(there)
    except OSError as error:
        return {"error": type(error).__name__}
    return {"free_bytes": usage.free, "total_bytes": usage.total}


def _milliseconds(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
