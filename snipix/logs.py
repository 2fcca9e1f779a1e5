"""Logs: one structured line per event, never with a secret or with what a document holds.

Settings import this module, so it reads no setting while it is imported.
"""

import ipaddress
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from logging import DEBUG, Filter, LogRecord
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import LazyObject, empty
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars
from structlog.stdlib import BoundLogger, LoggerFactory, ProcessorFormatter, filter_by_level
from structlog.typing import EventDict, Processor

from snipix import metrics, redaction

APPS = ("snipix", "projects", "timelines", "transcriptions")

structlog.configure(
    processors=[filter_by_level, ProcessorFormatter.wrap_for_formatter],
    wrapper_class=BoundLogger,
    logger_factory=LoggerFactory(),
    cache_logger_on_first_use=True,
)
_request_log: BoundLogger = structlog.stdlib.get_logger("snipix.request")
_database_log: BoundLogger = structlog.stdlib.get_logger("snipix.database")


# --- Where lines go --------------------------------------------------------------------------


def configuration(level: str, line_format: str) -> dict[str, Any]:
    """Describe logging for `dictConfig`: lines on stderr, as JSON or (`console`) for people.

    `level` is for our own code; what others have to say counts from INFO.
    """
    others = "INFO" if level == "DEBUG" else level
    quiet = {
        "pymongo": "WARNING",  # its debug lines are whole commands, documents included
        "django.db.backends": "WARNING",  # so are these
        "django.server": "CRITICAL",  # its lines repeat ours, with the query string
        "gunicorn.access": "CRITICAL",
    }
    speaking = dict.fromkeys(APPS, level) | {"gunicorn.error": others, "django": others}
    loggers: dict[str, dict[str, Any]] = {
        name: {"level": at, "handlers": [], "propagate": True}
        for name, at in (speaking | quiet).items()
    }
    loggers["django.request"] = {"filters": ["with_traceback"]}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"with_traceback": {"()": WithTraceback}},
        "formatters": {"line": {"()": formatter, "line_format": line_format}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": others, "handlers": ["stderr"]},
        "loggers": loggers,
    }


class WithTraceback(Filter):
    """Keep what the request line doesn't say: Django logs every 4xx and 5xx a second time."""

    def filter(self, record: LogRecord) -> bool:
        return bool(record.exc_info)


def formatter(line_format: str) -> ProcessorFormatter:
    """Make the formatter through which every line goes, whoever wrote it."""
    if line_format == "json":
        last: list[Processor] = [structlog.processors.JSONRenderer()]
    else:
        colors = sys.stderr.isatty()
        last = [
            redaction.escape_controls,
            structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False),
        ]
    return ProcessorFormatter(
        processors=[
            merge_contextvars,
            _add_origin,
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.ExceptionRenderer(redaction.format_traceback),
            redaction.remove_secrets,
            *last,
        ]
    )


_NO_PAGES = ("django.security.", "pymongo.")


def _add_origin(_: Any, method: str, event: EventDict) -> EventDict:
    record: LogRecord = event["_record"]
    level = record.levelname.lower()
    if record.name.startswith(_NO_PAGES):
        # A stranger's odd Host header, or a connection that the driver lost while nobody used it,
        # deserves a line, not a page, and nobody's sleep.
        event.pop("exc_info", None)
        level = "warning"
    when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return {
        "timestamp": when.replace("+00:00", "Z"),
        "level": level,
        "logger": record.name,
        "event": event.pop("event"),
        **event,
    }


# --- Requests --------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What one request has asked of the database, what it was spared, and what it had to repeat."""

    operations: int = 0
    ms: float = 0.0
    cache_hits: int = 0
    """Records and bodies that were kept, in Redis or in this process."""
    retries: int = 0
    """Attempts of reads, changes and commits that were repeated."""


_tally: ContextVar[Tally | None] = ContextVar("snipix_tally", default=None)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
PROBES = ("/health", "/metrics")


@contextmanager
def tallied() -> Iterator[Tally]:
    """Count the database operations, cache hits and retries of this thread of work."""
    tally = Tally()
    token = _tally.set(tally)
    try:
        yield tally
    finally:
        _tally.reset(token)


def count_cache_hit() -> None:
    if tally := _tally.get():
        tally.cache_hits += 1


def count_retry() -> None:
    if tally := _tally.get():
        tally.retries += 1


class RequestMiddleware:
    """Give each request an id, time it, and write its one line.

    It goes first, so that what other middleware does counts too and every answer has the id.
    An unhandled error is logged by Django itself, with its traceback, inside `get_response`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = _request_id(request)
        request.request_id = request_id  # type: ignore[attr-defined]
        began = time.perf_counter()
        clear_contextvars()  # threads are reused
        bind_contextvars(request_id=request_id)
        try:
            with tallied() as tally:
                response = self.get_response(request)
            response["X-Request-ID"] = request_id
            _record(request, response, time.perf_counter() - began, tally)
        finally:
            clear_contextvars()
        return response


def _request_id(request: HttpRequest) -> str:
    sent = request.headers.get("X-Request-ID", "")
    return sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex


def _record(request: HttpRequest, response: HttpResponseBase, seconds: float, tally: Tally) -> None:
    match = request.resolver_match
    route = (match.view_name or match.route) if match else "unmatched"
    metrics.observe_request(request.method or "", route, response.status_code, seconds)
    write = _request_log.info
    if request.path.startswith(PROBES):
        write = _request_log.debug
    elif response.status_code >= 500:
        write = _request_log.error
    write(
        "request",
        method=request.method,
        path=request.path,
        route=route,
        status=response.status_code,
        duration_ms=round(seconds * 1000, 1),
        bytes=_size(response),
        operations=tally.operations,
        operations_ms=round(tally.ms, 1),
        cache_hits=tally.cache_hits,
        retries=tally.retries,
        user=_known_user(request),
    )


def _size(response: HttpResponseBase) -> int | None:
    if not response.streaming:
        return len(response.content)  # type: ignore[attr-defined]
    length = response.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _known_user(request: HttpRequest) -> str | None:
    """Name the user if someone has looked: `request.user` would ask the database now."""
    user = request.__dict__.get("user")
    if user is None or (isinstance(user, LazyObject) and user._wrapped is empty):
        return None
    key = getattr(user, "pk", None)
    return None if key is None else str(key)


def client_address(request: HttpRequest) -> str:
    """Tell from where a request comes, as an IP address ("" over a Unix socket).

    With TRUSTED_PROXIES = n, the n-th entry of X-Forwarded-For from the right was written by the
    outermost of our proxies. What stands left of it is the client's own claim and never used.
    """
    direct = _address(request.META.get("REMOTE_ADDR", ""))
    proxies = settings.TRUSTED_PROXIES
    if proxies <= 0:
        return direct
    entries = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    return (_address(entries[-proxies]) if len(entries) >= proxies else "") or direct


@lru_cache
def _address(text: str) -> str:
    """Read an address, perhaps with a port; "" if it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


# --- Database operations ---------------------------------------------------------------------


class OperationLog(CommandListener):
    """Write a line per database operation: debug, or warning when it is slow or has failed.

    The driver calls back in the thread that runs the operation, so that a thread-local remembers
    the command and the request's tally is the right one; its own threads have neither.
    """

    def __init__(self, slow_ms: int) -> None:
        self._slow_ms = slow_ms
        self._running = threading.local()

    def started(self, event: CommandStartedEvent) -> None:
        self._running.command = event.command

    def succeeded(self, event: CommandSucceededEvent) -> None:
        command, ms = self._finished(event)
        code = metrics.write_error(event)
        if ms >= self._slow_ms:
            _database_log.warning(
                "slow operation", **_facts(event, command, ms, code), shape=shape(command)
            )
        elif _database_log.isEnabledFor(DEBUG):
            _database_log.debug("operation", **_facts(event, command, ms, code))

    def failed(self, event: CommandFailedEvent) -> None:
        command, ms = self._finished(event)
        failure = event.failure
        # Savers that meet are no failure: the runner tries again, and counts it.
        expected = failure.get("code") == metrics.WRITE_CONFLICT
        write = (
            _database_log.debug
            if expected or event.command_name == "abortTransaction"
            else _database_log.warning
        )
        write(
            "operation failed",
            **_facts(event, command, ms, failure.get("code")),
            error=failure.get("codeName") or failure.get("errtype"),
            labels=failure.get("errorLabels"),
        )

    def _finished(
        self, event: CommandSucceededEvent | CommandFailedEvent
    ) -> tuple[Mapping[str, Any], float]:
        command: Mapping[str, Any] = getattr(self._running, "command", {})
        self._running.command = {}  # not to keep a state of megabytes alive
        ms = event.duration_micros / 1000
        if tally := _tally.get():
            tally.operations += 1
            tally.ms += ms
        return command, ms


def _facts(
    event: CommandSucceededEvent | CommandFailedEvent,
    command: Mapping[str, Any],
    ms: float,
    code: int | None,
) -> dict[str, Any]:
    target = command.get("collection") or command.get(event.command_name)
    facts = {
        "command": event.command_name,
        "collection": target if isinstance(target, str) else None,
        "duration_ms": round(ms, 1),
        "ok": code is None and isinstance(event, CommandSucceededEvent),
        "code": code,
    }
    return {name: value for name, value in facts.items() if value is not None}


_SHAPED = (
    "filter",
    "query",
    "q",
    "sort",
    "projection",
    "hint",
    "key",
    "pipeline",
    "updates",
    "deletes",
)
_FIELD = re.compile(r"[$\w.-]{1,64}")
_FREE_FORM = ("properties", "metadata", "state")


def shape(command: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce a command to what an index could serve: names of fields, every value a `?`.

    Of documents and updates nothing remains: even their keys may be a user's.
    """
    return {name: _shape(command[name], 0) for name in _SHAPED if name in command}


def _shape(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping) and depth < 6:
        return {
            str(key): "?" if key in (*_FREE_FORM, "u") else _shape(inner, depth + 1)
            for key, inner in value.items()
            if _FIELD.fullmatch(str(key))
        }
    if isinstance(value, list | tuple) and depth < 6 and any(isinstance(v, Mapping) for v in value):
        return [_shape(inner, depth + 1) for inner in value[:20]]
    return "?"
