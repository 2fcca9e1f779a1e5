"""Metrics for Prometheus, right with several gunicorn workers.

gunicorn's configuration sets PROMETHEUS_MULTIPROC_DIR before this module is imported; every
process then counts in files of its own, and an answer adds them up.
"""

import hmac
import os
import struct
import threading
from typing import Any

if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    # Empty means unset; prometheus_client would take it for the folder one happens to be in.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
)
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

WRITE_CONFLICT = 112
_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR" in os.environ
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)

REQUEST_SECONDS = Histogram(
    "snipix_request_seconds",
    "Time from a request to its answer.",
    ["method", "route", "status"],
    buckets=_BUCKETS,
)
OPERATION_SECONDS = Histogram(
    "snipix_operation_seconds",
    "Time of a database operation.",
    ["command", "outcome"],
    buckets=_BUCKETS,
)
TRANSACTIONS = Counter("snipix_transactions", "Changes, by how they ended.", ["outcome"])
TRANSACTION_RETRIES = Counter(
    "snipix_transaction_retries", "Attempts of changes that were repeated, by why.", ["reason"]
)


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count an answered request under its route's name: raw paths would never end."""
    labels = (method if method in _METHODS else "other", route, f"{status // 100}xx")
    REQUEST_SECONDS.labels(*labels).observe(seconds)


def write_error(event: CommandSucceededEvent) -> int | None:
    """Tell the code of a write that was refused inside a reply that says `ok`."""
    errors = event.reply.get("writeErrors")
    return errors[0].get("code") if errors else None


class OperationMetrics(CommandListener):
    """Count and time the operations that are sent to the database."""

    def started(self, event: CommandStartedEvent) -> None:
        pass

    def succeeded(self, event: CommandSucceededEvent) -> None:
        _observe(event, "ok" if write_error(event) is None else "refused")

    def failed(self, event: CommandFailedEvent) -> None:
        _observe(event, "conflict" if event.failure.get("code") == WRITE_CONFLICT else "failed")


def _observe(event: CommandSucceededEvent | CommandFailedEvent, outcome: str) -> None:
    seconds = event.duration_micros / 1_000_000
    OPERATION_SECONDS.labels(event.command_name, outcome).observe(seconds)


class PoolMetrics(ConnectionPoolListener):
    """Count this process's connections to MongoDB: those that are open, and of these the used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.open = self.used = 0

    def connection_created(self, event: ConnectionCreatedEvent) -> None:
        self._add(opened=1)

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        self._add(opened=-1)

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        self._add(used=1)

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        self._add(used=-1)

    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None:
        POOL_FAILURES.labels(event.reason).inc()

    def _nothing(self, event: Any) -> None:
        """Says nothing about how many there are."""

    pool_created = pool_ready = pool_cleared = pool_closed = _nothing
    connection_ready = connection_check_out_started = _nothing

    def _add(self, *, opened: int = 0, used: int = 0) -> None:
        with self._lock:
            self.open += opened
            self.used += used
            POOL.labels("open").set(self.open)
            POOL.labels("used").set(self.used)


pool: PoolMetrics = PoolMetrics()


@require_safe
def metrics_view(request: HttpRequest) -> HttpResponse:
    """Answer all metrics, to whoever shows METRICS_TOKEN where one is set."""
    if not _is_allowed(request):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(collected(), content_type=CONTENT_TYPE_PLAIN_0_0_4)


@retry(
    retry=retry_if_exception_type(struct.error),
    wait=wait_fixed(0.01),
    stop=stop_after_attempt(10),
    reraise=True,
)
def collected() -> bytes:
    """All metrics, of all workers; read again while one has only just begun its empty file."""
    return generate_latest(_registry())


def _is_allowed(request: HttpRequest) -> bool:
    expected = f"Bearer {settings.METRICS_TOKEN}".encode()
    sent = request.headers.get("Authorization", "").encode()
    return not settings.METRICS_TOKEN or hmac.compare_digest(sent, expected)


def _registry() -> CollectorRegistry:
    if not _MULTIPROCESS:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


POOL = Gauge(
    "snipix_pool_connections",
    "Connections to MongoDB, and those of them that are used.",
    ["state"],
    multiprocess_mode="livesum",
)
POOL_FAILURES = Counter(
    "snipix_pool_failures", "Requests for a connection that got none.", ["reason"]
)
ERRORS = Counter(
    "snipix_errors", "Requests answered with a problem document, by its code.", ["code"]
)
REFUSED = Counter(
    "snipix_refused", "Requests of clients that sent too many, by the limit they met.", ["limit"]
)
READ_RETRIES = Counter("snipix_read_retries", "Attempts of reads that were repeated.")
RECOVERIES = Counter(
    "snipix_recoveries",
    "Reads and changes that the database failed for a moment, by what repeating them came to.",
    ["outcome"],
)
CACHE_READS = Counter(
    "snipix_cache_reads", "Looks into the cache, by what was found.", ["part", "kind", "outcome"]
)
CACHE_FILLS = Counter(
    "snipix_cache_fills", "What was to be kept, by what became of it.", ["part", "kind", "outcome"]
)
CACHE_BYTES = Counter("snipix_cache_bytes", "Bytes of bodies, by way.", ["kind", "way"])
CACHE_SECONDS = Histogram(
    "snipix_cache_seconds",
    "Time of a step in Redis.",
    ["step"],
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0),
)
CACHE_FAILURES = Counter("snipix_cache_failures", "Times that Redis was given up.", ["error"])
CACHE_OPEN = Gauge(
    "snipix_cache_open", "Processes that don't ask Redis now.", multiprocess_mode="livesum"
)
CACHE_OWED = Gauge(
    "snipix_cache_owed", "Records changed and not void yet.", multiprocess_mode="livesum"
)
DATABASE_AWAY = Gauge(
    "snipix_database_away", "Processes that refuse what needs MongoDB.", multiprocess_mode="livesum"
)
