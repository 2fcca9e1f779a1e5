"""Files on their way in: hidden until they are complete, and gone if they never are.

Each is locked as long as somebody writes it. A process that is killed loses its locks, so what can
be locked by others is nobody's any more (`sweep`).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path
from typing import BinaryIO, Self

from media import storage
from media.facts import InsufficientStorage


class Incoming:
    """A file that is being written. Use as a context manager: whatever isn't moved away is removed.

    `size` and `sha256` are those of what was written so far. Raises InsufficientStorage where the
    disk fills up.
    """

    def __init__(self, suffix: str) -> None:
        with storage.writing():
            self.path, self._file = _locked(suffix)
        self.size = 0
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, chunk: bytes) -> None:
        with storage.writing():
            self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)

    def finish(self) -> None:
        """Wait until all of it is on the disk."""
        with storage.writing():
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(InsufficientStorage), storage.writing():
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _locked(suffix: str) -> tuple[Path, BinaryIO]:
    """Make a file and lock it, before anybody takes it for an abandoned one."""
    while True:
        path = storage.incoming() / storage.new_name(suffix)
        file = path.open("xb")
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return path, file
        file.close()  # somebody swept in between


def sweep() -> int:
    """Remove what killed processes have left. Returns how many files."""
    return sum(map(_is_swept, storage.incoming().iterdir()))


def _is_swept(path: Path) -> bool:
    if path.is_dir():
        return False  # not of our making
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False  # it is being written, or was complete just now
    return True
