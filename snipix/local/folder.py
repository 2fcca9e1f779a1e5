"""The data folder of a local Snipix: one user at a time, and the secrets that belong to it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from snipix.local.servers import LocalError


@contextlib.contextmanager
def locked(folder: Path, url: str) -> Iterator[None]:
    """Keep others out of the folder; `url` tells them where its Snipix is to be found.

    The lock ends with our process, however that ends. Raises LocalError if it is taken,
    or if the folder can't be used.
    """
    with _open(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(_taken(folder, (folder / "lock").read_text())) from None
        file.truncate(0)
        file.write(url)
        file.flush()
        yield


def has_data(folder: Path) -> bool:
    """Tell whether a database has been started in this folder before."""
    return any((folder / name).exists() for name in ("mongodb", "mongod"))


def secret(folder: Path, name: str, *, length: int) -> str:
    """Return a secret of this folder; it is made at random on the first call.

    Only the owner may read the file. It is complete or absent, also after a crash.
    """
    path = folder / name
    if not path.exists():
        draft = folder / f"{name}.new"
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(length)[:length])
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    return path.read_text().strip()


def _open(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / "lock").open("a+")
    except OSError as error:
        raise LocalError(f"The data folder {folder} can't be used: {error.strerror}.") from error


def _taken(folder: Path, url: str) -> str:
    return (
        f"Snipix is running already on {folder}: {url or 'it is just starting'}. "
        "Use that one, or stop it (Ctrl-C in its terminal), or choose another folder with --data."
    )
