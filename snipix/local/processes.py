"""Child processes that end with their parent, and the search for those that outlived it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MARK = "started-by-"
ROOT = Path(__file__).resolve().parents[2]

# Runs between fork and the real program: asks the kernel for a signal when the parent dies,
# and leaves at once if it died before we could ask. A program of its own rather than a
# preexec_fn, which may deadlock in a process that has threads.
LAUNCHER = """
import ctypes, os, sys
if int(sys.argv[1]) and sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(sys.argv[1]))
    if os.getppid() != int(sys.argv[2]):
        sys.exit(1)
try:
    os.execv(sys.argv[3], sys.argv[3:])
except OSError as error:
    sys.exit(f"{sys.argv[3]}: {error.strerror}")
"""


@dataclass(frozen=True)
class Process:
    """A process of this machine; pid and start time together are never used again."""

    pid: int
    started: str
    group: int

    @classmethod
    def find(cls, pid: int) -> Process | None:
        """Return the process with this pid; None if there is none or it is a zombie."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # The name in brackets may itself hold brackets and spaces.
        fields = stat[stat.rindex(")") + 2 :].split()
        return None if fields[0] in "ZX" else cls(pid, fields[19], int(fields[2]))

    def is_alive(self) -> bool:
        """Tell whether this very process, not a later one with its pid, still runs."""
        return Process.find(self.pid) == self

    def mark(self, folder: Path) -> str | None:
        """Return who started it for this folder (see `_mark`); None if it wasn't us."""
        prefix = f"{folder.resolve()}/{MARK}"
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{self.pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if (target := os.readlink(descriptor)).startswith(prefix):
                        return target[len(prefix) :].removesuffix(" (deleted)")
        return None

    def send(self, number: int) -> None:
        """Send a signal, unless the process is gone."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def spawn(
    argv: Sequence[str],
    *,
    folder: Path,
    env: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
    on_our_death: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a program for the data in `folder`, in a session of its own.

    A Ctrl-C in the terminal therefore reaches only us, who stop the children in order.
    It runs in the root of the source tree.
    The child gets the signal `on_our_death` when we die. The kernel means the *thread* that
    started it, so that is asked for only in the main thread.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    number = on_our_death if in_main_thread else 0
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(int(number)), str(os.getpid())]
    with _mark(folder) as mark:
        return subprocess.Popen(
            [*launcher, *argv],
            cwd=ROOT,
            env=env,
            pass_fds=[mark],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output and subprocess.STDOUT,
            start_new_session=True,
        )


def stop_orphans(folder: Path, *, seconds: float = 1) -> int:
    """End what was started for `folder` by a process that is dead by now; return how many.

    They are asked to stop, and killed if they don't within `seconds`: few, since what has been
    acknowledged is on the disk by then.
    """
    orphans = list(_orphans(folder))
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        for orphan in orphans:
            orphan.send(number)
        if wait_until(lambda: not any(o.is_alive() for o in orphans), seconds=patience):
            break
    return len(orphans)


def started_for(folder: Path) -> list[Process]:
    """Return what runs now for the data in this folder, the workers of servers included."""
    return [process for process in _processes() if process.mark(folder) is not None]


def is_group_alive(group: int) -> bool:
    """Tell whether any process of this process group still runs."""
    return any(process.group == group for process in _processes())


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Poll until the condition holds; return False if it doesn't within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def _mark(folder: Path) -> Iterator[int]:
    """Open a deleted file of this folder whose name says who we are.

    A child that inherits it shows that name in /proc as long as it lives, its own children too,
    and nothing stays on the disk that could go stale. (Redis overwrites its environment and its
    command line, so these wouldn't do.)
    """
    me = Process.find(os.getpid())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / f"{MARK}{os.getpid()}-{me.started if me else 0}"
    descriptor = os.open(path, os.O_CREAT | os.O_RDONLY, 0o600)
    try:
        path.unlink()
        yield descriptor
    finally:
        os.close(descriptor)


def _orphans(folder: Path) -> Iterator[Process]:
    for process in started_for(folder):
        pid, started = (process.mark(folder) or "0-0").split("-")
        starter = Process.find(int(pid))
        if starter is None or starter.started != started:
            yield process


def _processes() -> Iterator[Process]:
    # Without /proc (macOS) this finds nothing: a leftover server then has to be ended by hand.
    for entry in Path("/proc").glob("[0-9]*"):
        if process := Process.find(int(entry.name)):
            yield process
