"""gunicorn's configuration: `gunicorn --config python:snipix.gunicorn snipix.wsgi:application`.

The application isn't preloaded: a MongoClient doesn't survive a fork. Settings are read once, in
the master; to change them, restart (or send SIGUSR2: a SIGHUP starts new workers on old settings).
"""

import importlib
import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

_began = time.perf_counter()
_METRICS_PREFIX = f"snipix-metrics-{socket.gethostname()}-"
_WORKER_BOOT_ERROR = 3  # the master stops, rather than starting workers for ever


def _fresh_metrics_folder() -> str:
    """Make a folder for the processes' counters, inside PROMETHEUS_MULTIPROC_DIR if that is set."""
    parent = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR") or tempfile.gettempdir())
    if parent.name.startswith(_METRICS_PREFIX):
        parent = parent.parent  # inherited from the master that this one replaces (SIGUSR2)
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob(f"{_METRICS_PREFIX}*"):
        if not _is_running(old.name.removeprefix(_METRICS_PREFIX).partition("-")[0]):
            shutil.rmtree(old, ignore_errors=True)  # its master was killed
    return tempfile.mkdtemp(prefix=f"{_METRICS_PREFIX}{os.getpid()}-", dir=parent)


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "snipix.settings")
# prometheus_client chooses how to count when it is imported, so this comes before the settings.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _fresh_metrics_folder()

import structlog  # noqa: E402
from gunicorn.glogging import Logger as GunicornLogger  # noqa: E402
from prometheus_client.multiprocess import mark_process_dead  # noqa: E402

from snipix import environment, logs, settings  # noqa: E402
from snipix.worker import Worker  # noqa: E402

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("snipix.start")
_loaded = time.perf_counter()


class Logger(GunicornLogger):
    """gunicorn's own, without a line per request: we write one that says more."""

    def access(self, *args: Any) -> None:
        """Don't put together what nobody reads."""


_port = environment.integer("SNIPIX_PORT", 8000)
bind = environment.text("WEB_BIND", f"127.0.0.1:{_port}")
worker_class = Worker
Worker.stop_delay = settings.STOP_DELAY
Worker.patience = settings.BODY_TIMEOUT
workers = settings.WEB_CONCURRENCY
threads = settings.WEB_THREADS
timeout = int(settings.REQUEST_DEADLINE) + 10
# As long as a change may take: what runs longer (a download) is cut off then.
graceful_timeout = 5 + int(
    settings.STOP_DELAY + settings.REQUEST_DEADLINE + settings.MONGODB_SOCKET_TIMEOUT
)
keepalive = 65  # longer than the 60 s after which load balancers usually drop an idle connection
limit_request_line = 4094
limit_request_fields = 60
limit_request_field_size = 8190
# gunicorn itself reads this variable too early for a .env file.
forwarded_allow_ips = environment.text("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
control_socket_disable = True
logger_class = Logger
logconfig_dict = logs.configuration(settings.LOG_LEVEL, settings.LOG_FORMAT)
if os.access("/dev/shm", os.W_OK):  # noqa: S108 - the heartbeat must not wait for a disk
    worker_tmp_dir = "/dev/shm"  # noqa: S108


def on_starting(server: Any) -> None:
    """Tell how long the settings took."""
    logging.captureWarnings(True)
    _step("settings loaded", _began, until=_loaded)


def on_reload(server: Any) -> None:
    """Warn that SIGHUP doesn't do what one might hope."""
    _log.warning("workers are replaced, settings stay as they were: restart to change them")


def pre_fork(server: Any, worker: Any) -> None:
    """Close what a preloading master may have opened to MongoDB: a worker would inherit it.

    In a worker it would be too late: the sockets of the driver's monitors stay open there. In the
    master, these are closed by the threads that read from them.
    """
    _close_pools()
    for thread in threading.enumerate():
        if thread.name.startswith("pymongo_"):
            thread.join(2)


def post_fork(server: Any, worker: Any) -> None:
    """Note when the worker began."""
    worker.snipix_began = time.perf_counter()


def post_worker_init(worker: Any) -> None:
    """Refuse wrong settings and servers, and tell how long each step took."""
    importlib.import_module(settings.ROOT_URLCONF)  # or the first request would wait for it
    _step("application loaded", worker.snipix_began)
    _check_settings(is_first=worker.age == 1)
    _reach_database()


def worker_exit(server: Any, worker: Any) -> None:
    """Close what is open to MongoDB, now that everything is answered.

    What the cache owes is tried once more later, as in every process that ends (`snipix.cache`).
    """
    if worker.pid != os.getpid():  # the master, told of a worker that was gone already
        return
    began = time.perf_counter()
    _close_pools()
    _step("stopped", began)


def child_exit(server: Any, worker: Any) -> None:
    """Forget what only a living process has."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Remove the counters with the processes that kept them."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def _close_pools() -> None:
    if "django_mongodb_backend.base" in sys.modules:
        from django.db import connections

        for connection in connections.all(initialized_only=True):
            connection.close_pool()  # type: ignore[attr-defined]


def _check_settings(*, is_first: bool) -> None:
    from django.core.checks import ERROR, run_checks

    from snipix import checks

    found = run_checks(tags=[checks.TAG], include_deployment_checks=True)
    for message in found:
        if message.level >= ERROR:
            _log.critical(message.msg, hint=message.hint, id=message.id)
        elif is_first:
            _log.warning(message.msg, hint=message.hint, id=message.id)
    if any(message.level >= ERROR for message in found):
        sys.exit(_WORKER_BOOT_ERROR)


def _reach_database() -> None:
    """Wait for MongoDB a moment; after that, serve cached reads and clear refusals meanwhile."""
    from django.db import Error
    from pymongo.errors import PyMongoError

    from snipix import health, releases

    began = time.perf_counter()
    try:
        health.reach_database()
        releases.refuse_unservable()
    except (health.StandaloneServer, releases.NotServed) as error:
        _log.critical(str(error))
        sys.exit(_WORKER_BOOT_ERROR)
    except (PyMongoError, Error) as error:
        _log.warning("database not reached yet", error=type(error.__cause__ or error).__name__)
        threading.Thread(target=_await_database, args=(began,), daemon=True).start()
    else:
        _begin_with_database(began)


def _await_database(began: float) -> None:
    """In a thread of its own, do what couldn't be done at the start, once MongoDB is there."""
    from django.db import Error
    from pymongo.errors import PyMongoError

    from snipix import health, releases

    try:
        health.await_database()
        releases.refuse_unservable()
    except (health.StandaloneServer, releases.NotServed) as error:
        _log.critical(str(error))
        os._exit(_WORKER_BOOT_ERROR)  # nothing was served: it was never ready
    except (PyMongoError, Error) as error:
        _log.error("database refuses us", error=type(error.__cause__ or error).__name__)
    else:
        _begin_with_database(began)


def _begin_with_database(began: float) -> None:
    _step("database reached", began)
    _end_abandoned_transactions()


def _end_abandoned_transactions() -> None:
    """Free at once what a killed worker was just changing."""
    from pymongo.errors import PyMongoError

    from snipix import open_transactions

    try:
        if count := open_transactions.end_abandoned():
            _log.warning("transactions of a killed process ended", count=count)
    except (PyMongoError, OSError) as error:
        # They end by themselves, when the server's limit for transactions is over.
        _log.warning("transactions of killed processes not ended", error=type(error).__name__)


def _step(name: str, began: float, *, until: float | None = None) -> None:
    ms = ((until or time.perf_counter()) - began) * 1000
    _log.info(name, duration_ms=round(ms, 1), pid=os.getpid())
