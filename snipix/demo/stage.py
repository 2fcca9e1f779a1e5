"""Snipix on servers of its own, made to be killed and started again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from snipix import local
from snipix.local import ports, processes
from snipix.mongo import connection

PREPARE_SECONDS = 120

# What a .env file or the environment says of another Snipix isn't meant for this one.
_PLAIN = {
    "SNIPIX_AUTH": "anonymous",
    "DEBUG": "false",
    "HTTPS": "false",
    "BEHIND_PROXY": "false",
    "ALLOWED_HOSTS": "127.0.0.1",
    "METRICS_TOKEN": "",
    "WEB_BIND": "",
    "LOG_LEVEL": "WARNING",
    "LOG_FORMAT": "json",
}


class Web(local.Web):
    """gunicorn; what it prints goes to a file."""

    log = local.Server.log  # type: ignore[assignment]


class Stage:
    """A database, a cache and a web server in one folder, with what is needed to kill them.

    `uri` names a database server that is there already; then there is none of its own to kill.
    `env` adds to the web server's environment.
    """

    def __init__(
        self, folder: Path, *, database: str = "snipix", uri: str = "", workers: int = 2, **env: str
    ) -> None:
        self.folder = folder
        self.database = database
        self.mongo = None if uri else local.Mongo(folder)
        self.redis = local.Redis(folder) if local.Redis.is_installed() else None
        self.uri = uri or self._own_mongo.uri
        self.env = {**os.environ, **_PLAIN, "MONGODB_URI": self.uri, "MONGODB_DATABASE": database}
        self.env["REDIS_URL"] = self.redis.uri if self.redis else ""
        self.env["SECRET_KEY"] = os.urandom(32).hex()
        self.env["TMPDIR"] = str(folder)  # what is killed leaves its files there
        # Processes don't see each other's memory: without a Redis there can be only one.
        workers = workers if self.redis else 1
        self.web = Web(folder, env={**self.env, **env}, workers=workers)

    @property
    def _own_mongo(self) -> local.Mongo:
        if self.mongo is None:
            raise RuntimeError("the database belongs to others")
        return self.mongo

    @property
    def servers(self) -> list[local.Server]:
        """What is started, in order."""
        return [server for server in (self.mongo, self.redis, self.web) if server]

    def start(self) -> None:
        """Start what doesn't run, on what is stored. Raises LocalError."""
        for server in self.servers:
            if server is self.web and not self.is_prepared:
                self._prepare()
            if not server.is_running():
                server.start()

    def stop(self) -> None:
        with contextlib.ExitStack() as stack:
            for server in self.servers:
                stack.callback(server.stop)

    def kill_database(self) -> None:
        """SIGKILL, as the kernel does when memory runs out."""
        _kill(self._own_mongo)

    def kill_web(self) -> None:
        """SIGKILL for gunicorn's master and all of its workers."""
        _kill(self.web)

    @property
    def is_prepared(self) -> bool:
        return self._stamp.exists()

    @property
    def _stamp(self) -> Path:
        return self.folder / "prepared"

    def _prepare(self) -> None:
        """Make the collections and their indexes, once."""
        log = self.folder / "logs" / "prepare.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "manage.py", "prepare"]
        with log.open("wb") as output:
            child = processes.spawn(command, folder=self.folder, env=self.env, output=output)
        with _ended_afterwards(child):
            if child.wait(PREPARE_SECONDS):
                raise local.LocalError(f"The database couldn't be prepared:\n{log.read_text()}")
        self._stamp.touch()

    def inside(self) -> contextlib.AbstractContextManager[None]:
        """Point this process's own models at the stage's database; see `pointed_at`."""
        return pointed_at(self.uri, self.database)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


@contextlib.contextmanager
def pointed_at(uri: str, database: str) -> Iterator[None]:
    """Let this process's models use another database for a while.

    Only where no other thread of the process uses, or has used, them.
    """
    connection.close_pool()
    if connection._connection_pools:
        raise RuntimeError("another thread is connected to another database")
    place = connection.settings_dict
    before = {name: place[name] for name in ("HOST", "NAME")}
    place.update(HOST=uri, NAME=database)
    try:
        yield
    finally:
        connection.close_pool()
        place.update(before)


def _kill(server: local.Server) -> None:
    server.kill()
    # A process whose first thread is gone counts as ended; its last one still holds the port.
    processes.wait_until(lambda: ports.is_free(server.port), seconds=5)


@contextlib.contextmanager
def _ended_afterwards(child: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        child.kill()
        child.wait()
