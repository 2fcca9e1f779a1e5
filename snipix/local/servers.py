"""MongoDB, Redis and gunicorn as child processes on 127.0.0.1, for development and tests."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from snipix.local import ports, processes
from snipix.local.ports import HOST

START_SECONDS = 60
STOP_SECONDS = 30
LOG_BYTES = 5_000_000
NOT_YET_INITIALIZED = 94

Say = Callable[[str], None]


class LocalError(Exception):
    """What keeps Snipix from running on this machine; the message says what to do about it."""


class Server:
    """A program that listens on one port of 127.0.0.1 and keeps it over restarts.

    Use as a context manager, or call `start` and `stop`. Start it in the main thread where
    possible: only then does it end with us when we are killed.
    """

    name = "server"
    on_our_death = signal.SIGKILL
    """A database outlives that, and SecantusDB sometimes misses a SIGTERM."""

    def __init__(
        self, data_dir: Path, *, port: int | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port or ports.unused()
        self.env = env
        self.process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def uri(self) -> str:
        """The address for clients."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """Return the program and its arguments."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Tell whether the server, whose port is open, is ready for clients."""
        raise NotImplementedError

    @property
    def description(self) -> str:
        """The server in words, with where it listens and keeps its data."""
        return f"{self.name} on port {self.port}"

    @property
    def log(self) -> Path | None:
        """The file that takes what the server prints; None leaves it on the terminal."""
        return self.data_dir / "logs" / f"{self.name.lower()}.log"

    def start(self, say: Say = lambda _text: None) -> Self:
        """Start the server and return when it answers.

        Raises LocalError if it exits instead, or doesn't answer within a minute. `say` is
        told every few seconds that it still takes.
        """
        with contextlib.ExitStack() as undo:
            undo.callback(self.kill)
            self._launch()
            if not self._wait(say):
                raise LocalError(f"{self.name} didn't start. {self.last_words()}")
            undo.pop_all()
        return self

    def stop(self) -> None:
        """Ask the server to end, and wait until it has; kill it if it won't."""
        if self.process is None:
            return
        self._ask_to_end()
        if not processes.wait_until(self._has_ended, seconds=STOP_SECONDS):
            self.kill()
        self.process = None

    def kill(self) -> None:
        """End the server and its workers with SIGKILL, and wait until they are gone."""
        if self.process is None:
            return
        group = self.process.pid
        if self.process.poll() is None:
            os.killpg(group, 9)
            self.process.wait()
            # The workers aren't our children: nobody tells us when they have let the port go.
            processes.wait_until(lambda: not processes.is_group_alive(group), seconds=5)
            processes.wait_until(lambda: ports.is_free(self.port), seconds=5)
        self.process = None

    def is_running(self) -> bool:
        """Tell whether the process has been started and hasn't ended."""
        return self.process is not None and self.process.poll() is None

    def last_words(self) -> str:
        """Return what the server printed last since its start."""
        if self.log is None:
            return "It printed the reason above."
        with self.log.open("rb") as output:
            output.seek(self._log_start)
            lines = output.read().decode(errors="replace").splitlines()[-8:]
        return f"The end of {self.log}:\n" + "\n".join(f"  {line}" for line in lines)

    def __enter__(self) -> Self:
        return self if self.is_running() else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        if self.is_running():
            raise LocalError(f"{self.name} is running already.")
        if not ports.gets_free(self.port):
            # What listens there would otherwise be taken for our server.
            raise LocalError(f"Port {self.port}, meant for {self.name}, is taken.")
        if self.log is None:
            self.process = self._spawn(None)
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self.process = self._spawn(output)

    def _spawn(self, output: IO[bytes] | None) -> subprocess.Popen[bytes]:
        return processes.spawn(
            self.command(),
            folder=self.data_dir,
            env=self.env,
            output=output,
            on_our_death=self.on_our_death,
        )

    def _ask_to_end(self) -> None:
        if self.process is not None:
            self.process.terminate()

    def _has_ended(self) -> bool:
        return not self.is_running()

    def _wait(self, say: Say) -> bool:
        """Return whether the server answered within START_SECONDS."""
        for waited in range(2, START_SECONDS + 1, 2):
            if processes.wait_until(self._has_answered_or_ended, seconds=2):
                break
            say(f"  still waiting for {self.name} ({waited} s) …")
        return self.is_running() and self._has_answered_or_ended()

    def _has_answered_or_ended(self) -> bool:
        return not self.is_running() or (ports.is_open(self.port) and self.answers())


class Mongo(Server):
    """A MongoDB server with transactions: `mongod` where there is one, otherwise SecantusDB.

    The two can't read each other's files, so each has a folder of its own, and the one that
    has data already is used whatever else has been installed since.
    """

    name = "MongoDB"

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        test_commands: bool = False,
    ) -> None:
        super().__init__(data_dir, port=port, env=env)
        self.test_commands = test_commands
        self.program, self.storage = _find_mongo(self.data_dir)

    @property
    def is_secantus(self) -> bool:
        """Whether the server is SecantusDB, the stand-in for a real MongoDB."""
        return self.program.name.startswith("secantus")

    @property
    def uri(self) -> str:
        # Without the journal, acknowledged writes are lost when the server is killed.
        # SecantusDB gets slower with every retryable write that it remembers.
        retry = "&retryWrites=false" if self.is_secantus else ""
        options = f"journal=true&w=majority&serverSelectionTimeoutMS=3000{retry}"
        return f"mongodb://{HOST}:{self.port}/?directConnection=true&{options}"

    @property
    def description(self) -> str:
        kind = "SecantusDB, for development only" if self.is_secantus else "mongod"
        return f"{self.name} ({kind}) on port {self.port}, data in {self.storage}"

    def command(self) -> list[str]:
        self.storage.mkdir(parents=True, exist_ok=True)
        return self._secantus() if self.is_secantus else self._mongod()

    def answers(self) -> bool:
        options: dict[str, Any] = {"serverSelectionTimeoutMS": 2000, "socketTimeoutMS": 5000}
        with MongoClient[dict[str, Any]](self.uri, **options) as client:
            try:
                if not self.is_secantus:
                    self._form_replica_set(client)
                return bool(client.admin.command("hello").get("isWritablePrimary"))
            except PyMongoError:
                return False

    def _ask_to_end(self) -> None:
        super()._ask_to_end()
        if not self.is_secantus or processes.wait_until(self._has_ended, seconds=0.1):
            return
        # SecantusDB goes on with ending when a client connects, or after 2 s. And a client that
        # it accepts in the instant of the signal swallows that: the thread that is just being
        # started gets it, and the main thread sleeps on.
        ports.is_open(self.port)
        if not processes.wait_until(self._has_ended, seconds=3) and ports.is_open(self.port):
            super()._ask_to_end()

    def _secantus(self) -> list[str]:
        # An empty file of our own: otherwise one in the home folder would change the server.
        config = self.data_dir / "secantusd.toml"
        config.touch()
        place = ["--host", HOST, "--port", str(self.port), "--storage-path", str(self.storage)]
        test = ["--enable-test-commands"] if self.test_commands else []
        return [str(self.program), "--config", str(config), "--sync-on-commit", *place, *test]

    def _mongod(self) -> list[str]:
        place = ["--bind_ip", HOST, "--port", str(self.port), "--dbpath", str(self.storage)]
        place.append("--nounixsocket")  # It would stay in /tmp after a kill.
        size = ["--oplogSize", "256", "--wiredTigerCacheSizeGB", "0.5"]
        test = ["--setParameter", "enableTestCommands=1"] if self.test_commands else []
        return [str(self.program), "--replSet", "snipix", "--quiet", *place, *size, *test]

    def _form_replica_set(self, client: MongoClient[dict[str, Any]]) -> None:
        """Make this server the only member of its set, also after its port has changed."""
        host = f"{HOST}:{self.port}"
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != NOT_YET_INITIALIZED:
                raise
            members = [{"_id": 0, "host": host}]
            client.admin.command("replSetInitiate", {"_id": "snipix", "members": members})
            return
        if config["members"][0]["host"] != host:
            config["members"][0]["host"] = host
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)


class Redis(Server):
    """A Redis server that keeps nothing on disk."""

    name = "Redis"

    def __init__(
        self, data_dir: Path, *, port: int | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(data_dir, port=port, env=env)
        if (program := find_program("redis-server")) is None:
            raise LocalError("There is no redis-server, neither on the PATH nor from a wheel.")
        self.program = program

    @staticmethod
    def is_installed() -> bool:
        """Tell whether there is a Redis server to start; without one, Snipix runs as well."""
        return find_program("redis-server") is not None

    @property
    def uri(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def command(self) -> list[str]:
        storage = self.data_dir / "redis"
        storage.mkdir(parents=True, exist_ok=True)
        place = ["--bind", HOST, "--port", str(self.port), "--dir", str(storage)]
        memory = ["--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"]
        return [str(self.program), *place, "--save", "", "--appendonly", "no", *memory]

    def answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class Web(Server):
    """Snipix itself under gunicorn; prints to the terminal."""

    name = "Snipix"
    on_our_death = signal.SIGTERM  # its master ends its workers

    def __init__(
        self, data_dir: Path, *, port: int | None = None, env: Mapping[str, str], workers: int = 2
    ) -> None:
        # What gunicorn leaves behind when it is killed stays in the data folder. There is no load
        # balancer that would have to notice that it stops.
        place = {"PROMETHEUS_MULTIPROC_DIR": str(data_dir.resolve() / "metrics")}
        super().__init__(data_dir, port=port, env={"STOP_DELAY": "0", **place, **env})
        self.workers = workers

    @property
    def uri(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def log(self) -> None:
        return None

    def command(self) -> list[str]:
        config = ["--config", "python:snipix.gunicorn"]
        place = ["--bind", f"{HOST}:{self.port}", "--workers", str(self.workers)]
        return [sys.executable, "-m", "gunicorn", *config, *place, "snipix.wsgi:application"]

    def answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def find_program(name: str) -> Path | None:
    """Return the program on the PATH, otherwise the one that a wheel put beside Python."""
    beside = Path(sys.executable).parent
    found = shutil.which(name) or shutil.which(name, path=str(beside))
    return Path(found) if found else None


def _find_mongo(data_dir: Path) -> tuple[Path, Path]:
    """Return the server's program and its storage folder."""
    choices = [("mongod", data_dir / "mongod"), ("secantusd-py", data_dir / "mongodb")]
    used = [(name, storage) for name, storage in choices if storage.exists()]
    for name, storage in used or choices:
        if program := find_program(name):
            return program, storage
    if used:
        name, storage = used[0]
        raise LocalError(f"The data in {storage} needs {name}, which isn't installed any more.")
    raise LocalError(
        "There is no MongoDB server here. Install `mongod`, or requirements-local.txt on Python "
        "3.11 to 3.13, or set MONGODB_URI to a replica set or an Atlas cluster."
    )
