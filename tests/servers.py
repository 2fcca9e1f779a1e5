"""Servers for the tests: a pytest plugin, loaded before Django reads its settings.

MongoDB and Redis start on ports and in a folder of their own, unless MONGODB_URI or REDIS_URL
name others, and are gone when the run ends, also after Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from snipix import local

_cleanup = contextlib.ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Start the servers, and name them in the environment."""
    # So that a run that is asked to end by a SIGTERM tidies up as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="snipix-tests-"))
    _cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
    os.environ["MONGODB_URI"] = os.environ.get("MONGODB_URI") or _start(local.Mongo(folder))
    if local.Redis.is_installed() and not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = _start(local.Redis(folder))
    os.environ["MONGODB_DATABASE"] = f"snipix_tests_{os.getpid()}"
    os.environ["SECRET_KEY"] = "only-for-tests-" + "0123456789" * 5


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Stop what was started."""
    _cleanup.close()


def _start(server: local.Server) -> str:
    return _cleanup.enter_context(server).uri
