"""Who restores into a database: one run at a time, and none for ever.

A marker in the database names the archive, how far it has come, and the run that is at it. A run
takes the marker by one conditional write, and says every few seconds that it is alive; one that is
stopped gives it back, and of one that was killed it can be taken once it has been silent for
`EXPIRES`. All times are the server's, whatever clocks the runs have.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from snipix.backups.archive import Archive

MARKER = "restores"
"""The collection that says that a database isn't whole yet."""
EXPIRES = timedelta(seconds=60)
"""So long a run may be silent before another one takes its place."""
_BEAT_SECONDS = 10.0
_WHOLE = {"_id": "whole"}
_ALIVE = {"$currentDate": {"aliveAt": True}}


class NotRestored(Exception):
    """Why nothing is restored, or not all, and what to do about it."""


class Claim:
    """A database that is this run's to fill."""

    def __init__(self, collection: Collection[Any], marker: dict[str, Any]) -> None:
        self.block: int | None = marker["block"]
        """Where to go on; None, if nothing was made yet."""
        self.is_proven: bool = marker.get("isProven", False)
        """Whether all was restored, and found to be what the archive holds."""
        self._collection = collection
        self._mine = {**_WHOLE, "owner": marker["owner"]}
        self._is_over = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()

    def advance(self, block: int) -> None:
        """Note how far this has come. Raises NotRestored if another run has taken its place."""
        self._note({"block": block})

    def prove(self) -> None:
        """Note that all is there as it should be, for good. Raises as `advance`."""
        self._note({"isProven": True})

    def _note(self, what: dict[str, Any]) -> None:
        if not self._collection.update_one(self._mine, {"$set": what}).matched_count:
            raise NotRestored(
                f"Another run goes on with this one, which was silent for over {EXPIRES.seconds} "
                "seconds. Wait for that."
            )

    def finish(self) -> None:
        """Let the database be whole: nothing says any more that it isn't."""
        self._fall_silent()
        if self._collection.delete_one(self._mine).deleted_count:
            self._collection.drop()

    def release(self) -> None:
        """Let the next run go on at once, where this one hasn't finished."""
        if not self._is_over.is_set():
            self._fall_silent()
            with suppress(PyMongoError):  # it expires
                self._collection.update_one(self._mine, {"$unset": {"owner": True}})

    def _fall_silent(self) -> None:
        self._is_over.set()
        self._beating.join()

    def _beat(self) -> None:
        """Say now and then that this run is alive."""
        while not self._is_over.wait(_BEAT_SECONDS):
            with suppress(PyMongoError):  # it is said again
                self._collection.update_one(self._mine, _ALIVE)


@contextmanager
def claimed(database: Database[Any], archive: Archive, path: Path) -> Iterator[Claim]:
    """Claim a database. Raises NotRestored where another run is at it, or another archive."""
    collection = database[MARKER]
    marker = _take(collection, archive, path)
    if marker is None:
        check(database, archive)
        raise NotRestored("Another run was faster. Look at the database, or try again.")
    claim = Claim(collection, marker)
    try:
        yield claim
    finally:
        claim.release()


def _take(collection: Collection[Any], archive: Archive, path: Path) -> Any:
    """The marker as it is ours now, or None. One write: of several runs, one gets it."""
    silent_since = _now(collection.database) - EXPIRES
    free = [{"owner": None}, {"aliveAt": {"$lt": silent_since}}]
    owner = f"{socket.gethostname()}, process {os.getpid()}, {ObjectId()}"
    first = {"file": str(path), "block": None}
    try:
        return collection.find_one_and_update(
            {**_WHOLE, "archive": archive.id, "$or": free},
            {"$set": {"owner": owner}, "$setOnInsert": first, **_ALIVE},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
    except DuplicateKeyError:  # there is one, and it isn't free, or of another archive
        return None


def check(database: Database[Any], archive: Archive) -> bool:
    """Whether an interrupted run can be continued.

    Raises NotRestored where it is of another archive, or still running.
    """
    marker = database[MARKER].find_one(_WHOLE)
    if marker is None:
        return False
    if marker["archive"] != archive.id:
        raise NotRestored(
            f"The database {database.name} holds the beginning of another archive "
            f"({marker['file']}). Finish that one, or drop the database."
        )
    if marker.get("owner") and (silent := _now(database) - marker["aliveAt"]) < EXPIRES:
        raise NotRestored(
            f"Another run ({marker['owner']}) restores this archive into {database.name}; it was "
            f"alive {silent.seconds} seconds ago. Wait for it, or, if it was killed, try again in "
            f"{EXPIRES.seconds} seconds."
        )
    return True


def _now(database: Database[Any]) -> datetime:
    now: datetime = database.client.admin.command("hello")["localTime"]
    return now
