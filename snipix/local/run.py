"""Run all of Snipix on this machine, and stop it in order."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from snipix.local import folder, ports, processes
from snipix.local.chores import Chores
from snipix.local.ports import HOST
from snipix.local.servers import LocalError, Mongo, Redis, Say, Server, Web

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Local:
    """Snipix with its database and cache, all on this machine.

    What MONGODB_URI or REDIS_URL name isn't started, but used. The demo, which comes with an
    administrator, is loaded only into a database of our own.
    """

    data_dir: Path
    port: int
    workers: int
    demo: bool
    say: Say

    def __post_init__(self) -> None:
        self.data_dir = self.data_dir.resolve()
        self.url = f"http://{HOST}:{self.port}"
        # For people's eyes, unless they have chosen otherwise.
        self.env = {"LOG_FORMAT": "console", **os.environ}
        self.demo = self.demo and not self.env.get("MONGODB_URI")
        self.is_embedded = False

    def run(self) -> None:
        """Run until Ctrl-C, SIGTERM or SIGHUP.

        Raises LocalError if it can't start, or if something that was started ends by itself.
        """
        _interrupt_on_signals()
        with contextlib.suppress(KeyboardInterrupt), folder.locked(self.data_dir, self.url):
            if count := processes.stop_orphans(self.data_dir):
                self.say(f"Stopped {count} processes that a killed run had left behind.")
            self._check_port()
            with contextlib.ExitStack() as running:
                servers = self._start_all(running)
                chores = Chores(self.data_dir, self.env, self.say)
                running.callback(chores.stop)
                _watch(servers, chores)

    def _start_all(self, running: contextlib.ExitStack) -> list[Server]:
        self._set_secrets()
        has_run_before = folder.has_data(self.data_dir) and not self.env.get("MONGODB_URI")
        servers = [*self._mongo(), *self._redis()]
        for server, variable in servers:
            self._start(server, running)
            self.env[variable] = server.uri
        self.env["WEB_CONCURRENCY"] = str(self.workers)  # what the system checks go by
        self.env.setdefault("MEDIA_ROOT", str(self.data_dir / "media"))
        web = Web(self.data_dir, port=self.port, env=self.env, workers=self.workers)
        with self._preparing() as finish:
            if not has_run_before:
                finish()
            # Otherwise there is hardly ever anything to prepare: both take their second at once.
            self._start(web, running)
            finish()
        self._announce()
        return [web, *(server for server, _ in servers)]

    def _mongo(self) -> list[tuple[Server, str]]:
        if self.env.get("MONGODB_URI"):
            self.say("MongoDB: the one that MONGODB_URI names.")
            return []
        if not folder.has_data(self.data_dir):
            self.say(
                f"This is the first run in {self.data_dir}: Snipix starts with an empty database "
                "and brings nothing over from an older one."
            )
        mongo = Mongo(self.data_dir)
        self.is_embedded = mongo.is_secantus
        return [(mongo, "MONGODB_URI")]

    def _redis(self) -> list[tuple[Server, str]]:
        if self.env.get("REDIS_URL"):
            self.say("Redis: the one that REDIS_URL names.")
            return []
        if Redis.is_installed():
            return [(Redis(self.data_dir), "REDIS_URL")]
        # Processes don't see each other's memory, so there can be only one.
        self.workers = 1
        self.say("There is no redis-server here: one process, with a cache in its memory.")
        return []

    def _start(self, server: Server, running: contextlib.ExitStack) -> None:
        began = time.monotonic()
        self.say(f"Starting {server.description} …")
        running.callback(self._stop, server)
        server.start(self.say)
        self.say(f"  {server.name} answers after {time.monotonic() - began:.1f} s.")

    def _stop(self, server: Server) -> None:
        if server.is_running():
            self.say(f"Stopping {server.name} …")
        server.stop()

    @contextlib.contextmanager
    def _preparing(self) -> Iterator[Callable[[], None]]:
        """Bring the database up to date, in a process beside us; yields what waits for its end."""
        began = time.monotonic()
        self.say("Preparing the database …")
        command = [sys.executable, "manage.py", "prepare", "--verbosity=0"]
        env = {**self.env, "MONGODB_MIN_POOL_SIZE": "0"}  # It leaves before a pool is of use.
        command += ["--demo"] * self.demo + ["--without-schema"] * self.is_embedded
        child = processes.spawn(command, folder=self.data_dir, env=env)

        def finish() -> None:
            has_ended = child.returncode is not None
            if child.wait():
                raise LocalError("The database couldn't be prepared; the reason is printed above.")
            if not has_ended:
                self.say(f"  prepared after {time.monotonic() - began:.1f} s.")

        try:
            yield finish
        finally:
            child.terminate()
            child.wait()

    def _set_secrets(self) -> None:
        if not self.env.get("SECRET_KEY"):
            self.env["SECRET_KEY"] = folder.secret(self.data_dir, "secret_key", length=64)
        if self.demo and not self.env.get("SNIPIX_DEMO_ADMIN_PASSWORD"):
            password = folder.secret(self.data_dir, "admin_password", length=16)
            self.env["SNIPIX_DEMO_ADMIN_PASSWORD"] = password

    def _check_port(self) -> None:
        if not ports.gets_free(self.port):
            raise LocalError(
                f"Port {self.port} is taken by another program. Stop that one, or choose another "
                f"port: SNIPIX_PORT={self.port + 1} make run"
            )

    def _announce(self) -> None:
        self.say(f"\nSnipix runs at {self.url} (Ctrl-C stops it)")
        self.say(f"  API     {self.url}/api/v1/")
        self.say(f"  docs    {self.url}/api/docs/")
        self.say(f"  admin   {self.url}/admin/{self._credentials()}")
        self.say(f"  health  {self.url}/health/ready\n")

    def _credentials(self) -> str:
        if not self.demo:
            return ""
        password = self.env["SNIPIX_DEMO_ADMIN_PASSWORD"]
        return f"  (user admin, password {password} unless you have changed it)"


def _interrupt_on_signals() -> None:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        # A second Ctrl-C must not keep the servers from being stopped in order.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in SIGNALS:
        # Under nohup, the end of the terminal is no reason to stop.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)


def _watch(servers: list[Server], chores: Chores) -> None:
    while True:
        chores.look()
        for server in servers:
            if not server.is_running():
                raise LocalError(f"{server.name} has ended by itself. {server.last_words()}")
        time.sleep(0.3)
