"""Servers for the tests: a pytest plugin, loaded before Django reads its settings.

MongoDB and Redis start on ports and in a folder of their own, unless MONGODB_URI or REDIS_URL
name others, and are gone when the run ends, also after Ctrl-C.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from snipix import local
from snipix.local import ports

_cleanup = contextlib.ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start the servers, and name them in the environment."""
    if early_config.known_args_namespace.numprocesses and "PYTEST_XDIST_WORKER" not in os.environ:
        return  # this process runs no tests, and those that do start servers of their own
    # So that a run that is asked to end, or loses its terminal, tidies up as after Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    # Not a hook of pytest's: those that end a run aren't called if it fails this early.
    atexit.register(_cleanup.close)
    folder = Path(tempfile.mkdtemp(prefix="snipix-tests-"))
    _cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
    # What tests leave in temporary folders, and killed processes of theirs, goes with it.
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    _share_ports()
    # Longer than a machine that does everything at once ever takes to answer.
    os.environ["REDIS_TIMEOUT"] = "1"
    if not os.environ.get("MONGODB_URI"):
        os.environ["MONGODB_URI"] = _start(local.Mongo(folder))
        os.environ["SNIPIX_TESTS_EMBEDDED"] = "1"  # for tests that only a real MongoDB can pass
    if local.Redis.is_installed() and not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = _start(local.Redis(folder))
    os.environ["MONGODB_DATABASE"] = f"snipix_tests_{os.getpid()}"
    os.environ["MEDIA_ROOT"] = str(folder / "media")
    os.environ["SECRET_KEY"] = "only-for-tests-" + "0123456789" * 5


def _share_ports() -> None:
    """Leave to other processes of this run theirs: a port is free until its server listens."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports._given.update(port for port in range(65_536) if port % count != number % count)


def _start(server: local.Server) -> str:
    return _cleanup.enter_context(server).uri
