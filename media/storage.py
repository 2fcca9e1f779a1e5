"""Where media are kept: through Django's storages, in one folder per project, under names of ours.

What is kept is never written to again, and nothing that a version of a project names is removed
before the project itself is purged: so an old version still has the video that it was made on, and
whoever is just being sent a video gets all of it. What is on its way in waits in a folder of the
local disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.files import File
from django.core.files.storage import Storage, storages

from media.facts import InsufficientStorage
from projects.models import Project
from snipix import times

RESERVE_BYTES = 64 * 2**20
"""What an upload leaves free: the database may be on the same disk."""
SETTLED = timedelta(hours=1)
"""Files that are younger may be those of an upload, or a restore, that is just being made."""
_FOLDER = "projects"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def media() -> Storage:
    return storages["default"]


def folder_of(key: object) -> str:
    """The storage's folder for a project with this ObjectId."""
    return f"{_FOLDER}/{key}"


def name_of(project: Project, file: str) -> str:
    """How the storage names a file of which the project itself keeps the last part."""
    return f"{folder_of(project.pk)}/{file}"


def new_name(suffix: str) -> str:
    """A name that nobody can guess, and that no file had before."""
    return f"{secrets.token_hex(16)}.{suffix}"


def incoming() -> Path:
    """The folder for what is on its way in: on the disk of the media, where that is a local one."""
    folder = Path(settings.MEDIA_ROOT) / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Say of a disk that fills up while something is written that there is no room."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise _no_room("The server's disk filled up, and nothing was kept.") from error


def check_room(needed: int) -> None:
    """Raise InsufficientStorage unless so many bytes can be taken in."""
    with writing():
        free = shutil.disk_usage(incoming()).free
    if needed + RESERVE_BYTES > free:
        raise _no_room(f"The file needs {needed:,} bytes, and there is no room for them.")


def _no_room(what: str) -> InsufficientStorage:
    return InsufficientStorage(f"{what} Ask whoever runs the server to make room, and try again.")


class _Moved(File):
    """A file on the local disk, which a storage on that disk moves instead of copying it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.open("rb"), name=path.name)
        self._path = path

    def temporary_file_path(self) -> str:
        return str(self._path)


def keep(path: Path, name: str) -> None:
    """Take a file that is complete and on the disk into the storage, to survive a power failure."""
    with writing(), _Moved(path) as file:
        kept = media().save(name, file)
    if kept != name:
        raise FileExistsError(f"there is a {name} already")
    with contextlib.suppress(NotImplementedError):  # on another server: its own affair
        _sync_folders(Path(media().path(name)))


def _sync_folders(path: Path) -> None:
    """A file that was moved is only found again once its folders are on the disk, too."""
    root = Path(settings.MEDIA_ROOT)
    for folder in path.parents:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if folder == root:
            return


def is_settled(*names: str) -> bool:
    """Whether files are so old that nobody is just about to have a version name them."""
    return all(map(_is_old, names))


def _is_old(name: str) -> bool:
    try:
        return times.now() - stored_at(name) > SETTLED
    except FileNotFoundError:
        return False


def stored_at(name: str) -> datetime:
    """When a file was stored. Raises FileNotFoundError."""
    return times.aware(media().get_modified_time(name))


def remove(*names: str) -> None:
    """Remove files if they are there."""
    for name in names:
        media().delete(name)


def projects() -> list[str]:
    """The ObjectIds of projects that have, or had, media."""
    if not media().exists(_FOLDER):
        return []
    return sorted(media().listdir(_FOLDER)[0])


def files_of(key: object) -> list[str]:
    """How the storage names the media of a project."""
    folder = folder_of(key)
    try:
        return [f"{folder}/{file}" for file in media().listdir(folder)[1]]
    except FileNotFoundError:  # it never had any, or was purged just now
        return []


def remove_all(key: str) -> int:
    """Remove all media of a project that was purged. Returns how many files."""
    folder = folder_of(key)
    if not media().exists(folder):
        return 0
    _, files = media().listdir(folder)
    remove(*(f"{folder}/{file}" for file in files), folder)
    return len(files)
