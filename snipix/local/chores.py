"""What has to be done now and then while `make run` runs: retention, and what it leaves behind.

In production it is cron, systemd or Kubernetes that does this: see docs/operations.md.
"""

import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from snipix.local import processes
from snipix.local.servers import Say

COMMANDS = ("purge_deleted", "sweep_media")
FIRST_SECONDS = 300
"""So that nobody who has just started waits for it."""
EVERY_SECONDS = 3_600


class Chores:
    """Runs the commands one after another, and again after an hour, as processes of their own."""

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        say: Say,
        *,
        commands: Iterable[str] = COMMANDS,
        first: float = FIRST_SECONDS,
        every: float = EVERY_SECONDS,
    ) -> None:
        self._folder, self._say = folder, say
        self._env = {**env, "MONGODB_MIN_POOL_SIZE": "0"}  # They leave before a pool is of use.
        self._commands, self._every = tuple(commands), every
        self._due = time.monotonic() + first
        self._left: list[str] = []
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def is_idle(self) -> bool:
        return self._child is None

    def look(self) -> None:
        """Start what is due, and tell of what has failed; returns at once."""
        if self._child is not None:
            if self._child.poll() is None:
                return
            self._tell(self._child)
            self._child = None
        if time.monotonic() >= self._due:
            self._due += self._every
            self._left = [*self._commands]
        if self._left:
            self._start(self._left.pop(0))

    def stop(self) -> None:
        """End what runs: it is safe to interrupt."""
        if self._child is not None:
            self._child.terminate()
            self._child.wait()
            self._child = None

    def _start(self, command: str) -> None:
        argv = [sys.executable, "manage.py", command, "--verbosity=0"]
        self._child = processes.spawn(argv, folder=self._folder, env=self._env)

    def _tell(self, child: subprocess.Popen[bytes]) -> None:
        if child.returncode:
            self._say(
                "Tidying up isn't finished; the reason is printed above. It is tried again later."
            )
