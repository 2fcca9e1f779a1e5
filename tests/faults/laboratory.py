"""Snipix with everything in reach that may be done to it."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from pymongo import MongoClient

from snipix import local
from snipix.demo.stage import Stage
from snipix.local import LocalError
from snipix.local.processes import Process
from tests import secrecy
from tests.cache.conftest import Redis
from tests.faults import web
from tests.faults.commands import CommandProxy
from tests.faults.proxy import Proxy
from tests.secrecy import CONTENT, TOKEN, TRACEBACKS, Log

REQUEST_DEADLINE = 20
ENV = {"REQUEST_DEADLINE": str(REQUEST_DEADLINE), "REDIS_TIMEOUT": "0.3", **secrecy.LOUD}


class Logged(NamedTuple):
    lines: int
    leaks: list[str]
    """What none of them should hold."""


class Laboratory(Stage):
    """A stage with a proxy before its database, one before itself, and a Redis to be hurt.

    Raises LocalError where there is no Redis.
    """

    redis: Redis

    def __init__(self, folder: Path, *, seed: int = 1, workers: int = 2) -> None:
        super().__init__(folder, workers=workers, **ENV)
        if self.redis is None:
            raise LocalError("There is no redis-server, neither on the PATH nor from a wheel.")
        self.redis = Redis(folder, port=self.redis.port)
        self.mongo = local.Mongo(folder, port=self._own_mongo.port, test_commands=True)
        self.log: Log | None = None
        self.random = Random(seed)
        self.commands = CommandProxy(self._own_mongo.port, seed)
        self.door = Proxy(self.web.port, seed)
        proxied = self.uri.replace(f":{self._own_mongo.port}/", f":{self.commands.port}/")
        self.web.env = {**self.web.env, "MONGODB_URI": proxied}

    def start(self) -> None:
        for proxy in (self.commands, self.door):
            proxy.start()
        super().start()
        self.log = self.log or Log(self.web.log)

    def stop(self) -> None:
        super().stop()
        if self.log:
            self.log.close()
        for proxy in (self.commands, self.door):
            proxy.stop()

    def hang_database(self) -> None:
        os.kill(self._database.pid, signal.SIGSTOP)

    def wake_database(self) -> None:
        os.kill(self._database.pid, signal.SIGCONT)

    def limit_files_of_database(self, size: int = resource.RLIM_INFINITY) -> None:
        """Let no file of the database take a byte beyond `size`: as on a disk that is full."""
        pid = self._database.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    def step_down(self, seconds: int) -> None:
        """Let the database be no primary for so long: it says so, and refuses to write."""
        with self._administrator() as client:
            client.admin.command("replSetStepDown", seconds, force=True)

    def fail_command(self, name: str, code: int, labels: Sequence[str] = ()) -> None:
        """Let the database answer the next command of that name with an error."""
        data = {"failCommands": [name], "errorCode": code, "errorLabels": list(labels)}
        with self._administrator() as client:
            client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=data)

    def fail_no_command(self) -> None:
        with self._administrator() as client:
            client.admin.command("configureFailPoint", "failCommand", mode="off")

    def _administrator(self) -> MongoClient[dict[str, Any]]:
        """Past the proxy."""
        return MongoClient(self.uri)

    def kill_worker(self) -> None:
        """SIGKILL for one worker; returns when another one has taken its place."""
        web.kill_worker(self, self.random)

    def restart_web(self) -> None:
        """SIGTERM for gunicorn, which finishes what it has begun; then start it again."""
        self.web.stop()
        self.web.start()

    def logged(self) -> Logged:
        """What the web server has printed since this was asked last."""
        lines = self.log.unread()
        kept = (self.env["SECRET_KEY"], TOKEN, CONTENT, *TRACEBACKS)
        return Logged(len(lines), secrecy.leaks(lines, kept))

    @property
    def _database(self) -> Process:
        process = self._own_mongo.process
        found = process and Process.find(process.pid)
        if not found:
            raise LocalError("The database doesn't run.")
        return found
