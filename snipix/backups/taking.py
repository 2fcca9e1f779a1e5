"""Making an archive while the server runs.

First every project is copied, however long that takes, each with a stamp of what it was before it
was read. Then, at one moment, all stamps are read again, and what has another one is copied again,
as it was at that moment. So all that counts in the archive is of that moment: what kept its stamp
wasn't changed in between. Should the server forget the moment before that is done, another one is
taken; what was copied at the last one needn't be copied again.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import bson
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import PyMongoError

from media import storage
from snipix import belongings, releases, snapshots, times
from snipix.backups import Say, silent
from snipix.backups.archive import FORMAT, LEFT_OUT, collections, is_media_name
from snipix.backups.format import BLOCK_BYTES, HEAD, MEDIA, Writer
from snipix.mongo import connection

MOMENTS = 5
"""How many are tried."""
RESERVE_BYTES = 64 << 20
_HALF_COPIED = b"half copied"
"""A stamp that no project has."""
_AT_ONCE = 100
"""Projects that are copied together at the moment."""
_CLOCKS_DIFFER = timedelta(hours=1)
"""The most by which, for one thing that is said there, clocks of servers may differ."""


class NotTaken(Exception):
    """Why there is no archive, and what to do about it."""


@dataclass
class Taken:
    """What became of a backup."""

    file: str
    bytes: int
    projects: int
    documents: int
    copied_again: int
    """Projects that were changed meanwhile."""
    moment: str
    media_files: int | None
    left_out: list[str] = field(default_factory=list)
    """Collections that aren't Snipix's."""


def needed_bytes(*, with_media: bool) -> int:
    """About the most that an archive takes: what is in it isn't compressed better yet."""
    stored, _ = snapshots.sizes()
    return stored + (sum(size for *_, size in _media()) if with_media else 0)


def check(path: Path, needed: int) -> None:
    """Raise NotTaken unless an archive of so many bytes can be written there.

    Raises HalfRestored for a database that isn't whole: the archive would look like all there is.
    """
    releases.refuse_half_restored()
    if path.exists():
        raise NotTaken(f"{path} is there already. Choose another name: no archive is overwritten.")
    if not path.parent.is_dir():
        raise NotTaken(f"There is no folder {path.parent}. Make it first.")
    free = shutil.disk_usage(path.parent).free
    if needed + RESERVE_BYTES > free:
        raise NotTaken(
            f"The archive may take up to {needed:,} bytes, and {path.parent} has {free:,} left. "
            "Make room, or write it to another disk."
        )


def take(path: Path, *, with_media: bool, say: Say = silent) -> Taken:
    """Write an archive of everything; `say` is told how far that has come.

    Raises NotTaken, and leaves nothing behind then. Whoever is killed leaves a file that ends in
    `.part`; the next run replaces it.
    """
    check(path, needed_bytes(with_media=with_media))
    with _part(path) as file, snapshots.patient_client() as client:
        return _Taking(file, client, say).run(path, with_media=with_media)


@contextmanager
def _part(path: Path) -> Iterator[BinaryIO]:
    """A file for its owner alone, that gets its name once it is whole, and is gone otherwise."""
    part = path.with_name(f"{path.name}.part")
    try:
        file = os.fdopen(os.open(part, os.O_CREAT | os.O_RDWR, 0o600), "r+b")
    except OSError as error:
        raise NotTaken(f"{path} can't be written: {error.strerror}.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotTaken(f"Another backup is being written to {path} just now.") from None
        if not _is_at(part, file):  # it was finished, or given up, between opening and locking
            raise NotTaken(f"Another backup to {path} ended just now. Look at it, or try again.")
        try:
            if path.exists():
                raise NotTaken(f"Another backup was written to {path} just now.")
            os.fchmod(file.fileno(), 0o600)
            file.truncate()
            yield file
            part.rename(path)
            _sync(path.parent)
        finally:
            part.unlink(missing_ok=True)


def _is_at(path: Path, file: BinaryIO) -> bool:
    """Whether an open file is still what has that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Taking:
    """One run."""

    def __init__(self, file: BinaryIO, client: MongoClient[Any], say: Say) -> None:
        self.client, self.say, self.file = client, say, file
        self.database = belongings.raw(client[connection.settings_dict["NAME"]])
        self.writer = Writer(file, collections())
        self.begun = times.now()
        self.renewed: dict[str, tuple[int, bytes | None]] = {}
        """What was copied again: from which block on, and the stamp that it had then."""

    def run(self, path: Path, *, with_media: bool) -> Taken:
        head = {
            "format": FORMAT,
            "begun": times.write(self.begun),
            "collections": _described(self.client[self.database.name]),
        }
        self.writer.write(HEAD, 0, "head", bson.encode(head))
        with tempfile.TemporaryFile("w+", dir=path.parent) as stamps:
            self._copy_all(stamps)
            about = self._settle(stamps)
        files, size = self._copy_media() if with_media else (None, 0)
        self.writer.finish(
            database=self.database.name,
            renewed={id: block for id, (block, _) in self.renewed.items()},
            media_files=files,
            media_bytes=size,
            **about,
        )
        return Taken(
            file=str(path),
            bytes=self.file.tell(),
            projects=about["projects"],
            documents=self.writer.documents,
            copied_again=len(self.renewed),
            moment=about["moment"],
            media_files=files,
            left_out=sorted(
                set(self.client[self.database.name].list_collection_names())
                - {*collections(), *LEFT_OUT}
            ),
        )

    def _copy_all(self, stamps: TextIO) -> None:
        done, total = 0, self.database["projects"].estimated_document_count()
        for span, count in belongings.spans(self.database):
            for id, stamp in belongings.stamps(self.database, span):  # before what they speak of
                stamps.write(json.dumps([id, stamp.hex()]) + "\n")
            self._copy(span)
            for _ in range(count):
                done += 1
                self.say("projects copied", done, max(done, total))

    def _copy(self, condition: belongings.Condition, session: ClientSession | None = None) -> None:
        for one in belongings.read(self.database, condition, session=session):
            self.writer.add(one.collection, bytes(one.document.raw), f"project {one.project_id}")

    def _settle(self, stamps: TextIO) -> dict[str, Any]:
        """Bring all that was copied to one moment; say which, and what there was."""
        for attempt in range(1, MOMENTS + 1):
            try:
                with snapshots.moment(self.client) as session:
                    return self._settle_at(session, stamps)
            except PyMongoError as error:
                if not snapshots.is_over(error):
                    raise
                if attempt == MOMENTS:
                    raise NotTaken(_TOO_MUCH) from error
        raise AssertionError

    def _settle_at(self, session: ClientSession, stamps: TextIO) -> dict[str, Any]:
        moment = times.write(times.now())
        changed = self._changed(session, stamps)
        done, ids = (
            0,
            iter(sorted(changed)),
        )  # some servers answer `$in` in its order, whatever the sort
        while some := list(islice(ids, _AT_ONCE)):
            self.writer.flush()
            first = self.writer.number
            # Should it end amidst, what is in the archive of them then must not count.
            self.renewed |= dict.fromkeys(some, (first, _HALF_COPIED))
            self._copy({"$in": some}, session)
            self.writer.flush()
            self.renewed |= {id: (first, changed[id]) for id in some}
            for _ in some:
                done += 1
                self.say("projects copied again", done, len(changed))
        self.writer.flush()
        others_from = self.writer.number
        for name in collections():
            rest = belongings.stray(name) if name in belongings.kinds() else {}
            for document in self.database[name].find(rest, session=session):
                self.writer.add(name, bytes(document.raw), f"collection {name}")
        self.writer.flush()
        projects = self.database["projects"].count_documents({}, session=session)
        return {"moment": moment, "others_from": others_from, "projects": projects}

    def _changed(self, session: ClientSession, stamps: TextIO) -> dict[str, bytes | None]:
        """What was changed since it was copied, with the stamp that it has at the moment."""
        changed: dict[str, bytes | None] = dict.fromkeys(self._purged_lately(session))
        current = belongings.stamps(self.database, belongings.EVERYTHING, session=session)
        before = self._before(stamps)
        found = merge(((id, 0, s) for id, s in before), ((id, 1, s) for id, s in current))
        total = self.database["projects"].estimated_document_count()
        for done, (id, group) in enumerate(groupby(found, key=itemgetter(0)), 1):
            was, is_ = None, None
            for _, is_current, stamp in group:
                was, is_ = (was, stamp) if is_current else (stamp, is_)
            if was != is_:
                changed[id] = is_
            self.say("projects compared", done, max(done, total))
        return changed

    def _before(self, stamps: TextIO) -> Iterator[tuple[str, bytes]]:
        """The stamps of what was copied, as it was copied last, sorted by project."""
        stamps.seek(0)
        first = ((id, bytes.fromhex(stamp)) for id, stamp in map(json.loads, stamps))
        kept = ((id, stamp) for id, stamp in first if id not in self.renewed)
        renewed = ((id, stamp) for id, (_, stamp) in sorted(self.renewed.items()) if stamp)
        return merge(kept, renewed)

    def _purged_lately(self, session: ClientSession) -> list[str]:
        """Projects that may have been made and purged meanwhile: their audit entries stay."""
        since = {"action": "purge", "createdAt": {"$gte": self.begun - _CLOCKS_DIFFER}}
        found = self.database["audit_entries"].find(since, {"projectId": True}, session=session)
        ids = (one.get("projectId") for one in found)
        return [id for id in ids if id and isinstance(id, str)]

    def _copy_media(self) -> tuple[int, int]:
        files, size, total = 0, 0, sum(1 for _ in _media())
        for done, (key, file, _) in enumerate(_media(), 1):
            with suppress(FileNotFoundError):  # its project was purged just now
                size += self._copy_file(key, file)
                files += 1
            self.say("media files copied", done, max(done, total))
        return files, size

    def _copy_file(self, key: str, file: str) -> int:
        size = 0
        with storage.media().open(f"{storage.folder_of(key)}/{file}") as content:
            parts = content.chunks(BLOCK_BYTES) if content.size else [b""]
            for number, part in enumerate(parts):
                self.writer.write(MEDIA, number, f"{key}/{file}", part)
                size += len(part)
        return size


_TOO_MUCH = (
    "So much is changed all the time that it couldn't be copied at one moment before the server "
    "forgot that. Try again when less is going on, or raise MongoDB's "
    "transactionLifetimeLimitSeconds."
)


def _media() -> Iterator[tuple[str, str, int]]:
    """All media: the key of the project, the file's name, if it can be one of ours, and its size.

    What is gone by the time that it is looked at isn't among them.
    """
    for key in storage.projects():
        for name in sorted(storage.files_of(key)):
            file = name.rpartition("/")[2]
            if is_media_name(key, file):
                with suppress(FileNotFoundError):
                    size = storage.media().size(name)
                    yield key, file, size


def _described(database: Database[Any]) -> list[dict[str, Any]]:
    """The collections: their options, such as validators, and their indexes."""
    there = {one["name"]: one.get("options", {}) for one in database.list_collections()}
    return [
        {
            "name": name,
            "is_there": name in there,
            "options": there.get(name, {}),
            "indexes": list(database[name].list_indexes()) if name in there else [],
        }
        for name in [*collections(), *sorted(LEFT_OUT)]
    ]
