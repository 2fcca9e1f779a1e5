"""Bringing back all that is in an archive, into an empty database.

The archive is proven first, whole. Then it is inserted block by block, and a marker in the database
(`claims`) says how far that has come, so that the next run goes on there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from bson.raw_bson import RawBSONDocument
from django.conf import settings
from pymongo import InsertOne, ReplaceOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError
from redis.exceptions import RedisError

from media import storage
from media.incoming import Incoming
from snipix import belongings, snapshots
from snipix.backups import Say, claims, silent, verifying
from snipix.backups.archive import Archive, Part, Stored, opened
from snipix.backups.claims import MARKER, Claim, NotRestored
from snipix.backups.verifying import Proof
from snipix.cache import stats
from snipix.doctor.examination import examine, strays
from snipix.doctor.findings import Finding
from snipix.mongo import connection

_MADE_BY_MIGRATE = {"django_migrations", "django_content_type", "auth_permission"}
_AT_ONCE = 500
_IN_MEMORY = 32 << 20


@dataclass
class Restored:
    """What was brought back."""

    database: str
    moment: str
    projects: int = 0
    documents: int = 0
    media_files: int = 0
    went_on: bool = False
    """Whether an interrupted run was continued."""
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @classmethod
    def whole(cls, database: str, proof: Proof, *, went_on: bool = False) -> Restored:
        """All that an archive holds, but for media."""
        return cls(
            database,
            proof.moment,
            proof.projects,
            proof.documents.total(),
            went_on=went_on,
            findings=proof.findings,
        )

    def as_json(self) -> dict[str, Any]:
        return {**self.__dict__, "findings": [finding.as_json() for finding in self.findings]}


def check_database(database: Database[Any], archive: Archive) -> bool:
    """Whether an interrupted run can be continued. Raises NotRestored unless that, or empty."""
    goes_on = claims.check(database, archive)
    if not goes_on:
        _check_empty(database)
    return goes_on


def _check_empty(database: Database[Any]) -> None:
    full = [
        name
        for name in database.list_collection_names()
        if not name.startswith("system.")
        and name not in {*_MADE_BY_MIGRATE, MARKER}
        and database[name].find_one({}, {"_id": True})
    ]
    if full:
        raise NotRestored(
            f"The database {database.name} isn't empty ({', '.join(sorted(full)[:3])}), and "
            "nothing is overwritten. Name another one with --database, and serve that by setting "
            "MONGODB_DATABASE."
        )


def rehearse(path: Path, name: str, *, say: Say = silent) -> Restored:
    """What `restore` would do, and raise."""
    with opened(path) as archive, snapshots.patient_client() as client:
        goes_on = check_database(client[name], archive)
        restored = Restored.whole(name, verifying.prove(path, archive, say), went_on=goes_on)
        restored.media_files = sum(1 for _ in missing_media(archive.media()))
        return restored


def restore(path: Path, name: str, *, say: Say = silent) -> Restored:
    """Restore an archive into the database `name`; `say` is told how far that has come.

    Raises Damaged, NotRestored and PyMongoError; after the last, and after being killed, the next
    run goes on. Of several at the same time, one restores. Nobody else may write to that database
    meanwhile.
    """
    with opened(path) as archive, snapshots.patient_client() as client:
        database: Database[Any] = client[name]
        check_database(database, archive)
        proof = verifying.prove(path, archive, say)
        with claims.claimed(database, archive, path) as claim:
            restored = Restored.whole(name, proof, went_on=claim.block is not None)
            _begin(database, archive, claim)
            _fill(database, archive, claim, proof.documents.total(), say)
            media = missing_media(archive.media(), say, archive.manifest.media_files or 0)
            restored.media_files = restore_media(media)
            if not claim.is_proven:
                _check(database, proof, say)
                claim.prove()
            _make_indexes(database, archive, retentions=True)  # from now on, something may expire
            _empty_cache(name, restored)
            claim.finish()
            return restored


def _begin(database: Database[Any], archive: Archive, claim: Claim) -> None:
    """Make what the documents go into, if no run has done so yet. Raises NotRestored."""
    if claim.block is not None:
        return
    try:
        _check_empty(database)  # again: another run may have begun and finished meanwhile
    except NotRestored:
        claim.finish()
        raise
    _prepare(database, archive)
    claim.advance(0)


def _prepare(database: Database[Any], archive: Archive) -> None:
    """Make the collections as they were, with their options, and indexes but for retentions."""
    for name in _MADE_BY_MIGRATE:
        database[name].delete_many({})
    there = set(database.list_collection_names())
    for one in archive.collections:
        if not one.is_there:
            continue
        if one.name not in there:
            database.command({"create": one.name, **one.options})
            continue
        database[one.name].drop_indexes()  # they may be those of another release
        if "validator" in one.options:
            database.command({"collMod": one.name, **one.options})
    _make_indexes(database, archive, retentions=False)


def _make_indexes(database: Database[Any], archive: Archive, *, retentions: bool) -> None:
    """Make indexes as they were.

    Those that remove what is past its retention come last: what had expired since the backup would
    be gone before it could be counted.
    """
    for one in archive.collections:
        indexes = [
            _plain(index)
            for index in one.indexes
            if index["name"] != "_id_" and ("expireAfterSeconds" in index) == retentions
        ]
        if indexes:
            database.command("createIndexes", one.name, indexes=indexes)


def _plain(index: Any) -> dict[str, Any]:
    return {key: value for key, value in index.items() if key not in ("v", "ns")}


def _fill(database: Database[Any], archive: Archive, claim: Claim, total: int, say: Say) -> None:
    first, done = claim.block or 0, 0
    again = True  # what comes first may be there in part, if the run before was interrupted
    for number, group in groupby(archive.stored(), key=lambda one: one.block):
        stored = list(group)
        if number >= first:
            _insert(database, stored, again=again)
            claim.advance(number + 1)
            again = False
        for _ in stored:
            done += 1
            say("documents restored", done, total)


def _insert(database: Database[Any], stored: Iterable[Stored], *, again: bool) -> None:
    by_collection: dict[str, list[RawBSONDocument]] = {}
    for one in stored:
        by_collection.setdefault(one.belonging.collection, []).append(one.belonging.document)
    for name, documents in by_collection.items():
        try:
            write(database[name], documents, again=again)
        except BulkWriteError as error:
            if not (refused := error.details["writeErrors"]):
                raise
            raise NotRestored(
                f"MongoDB refuses what the archive has of {name} (code {refused[0]['code']}): the "
                "archive isn't one of ours, or somebody else writes to the database."
            ) from error


def write(
    collection: Collection[Any],
    documents: list[RawBSONDocument],
    *,
    again: bool,
    session: Any = None,
) -> None:
    """Insert documents, which were proven already; `again` replaces what is there of them."""
    operations: list[Any] = [
        ReplaceOne({"_id": one["_id"]}, one, upsert=True) if again else InsertOne(one)
        for one in documents
    ]
    collection.bulk_write(
        operations, ordered=False, bypass_document_validation=True, session=session
    )


def _check(database: Database[Any], proof: Proof, say: Say) -> None:
    """Prove what was restored, as it is read again. Raises NotRestored."""
    raw = belongings.raw(database)
    counted: Counter[str] = Counter(
        {name: database[name].count_documents({}) for name in proof.documents}
    )
    if counted != proof.documents:
        wrong = {name: counted[name] for name in counted if counted[name] != proof.documents[name]}
        raise NotRestored(
            f"The database isn't what the archive holds: {wrong}. Somebody else writes to it; drop "
            "it, and restore into a database that nobody uses yet."
        )
    findings: list[Finding] = []
    done = 0
    for project_id, found in belongings.everything(raw):
        seen = examine(project_id, found)
        findings += seen.findings
        done += seen.key is not None
        say("projects checked", done, proof.projects)
    findings += strays(belongings.strays(raw))
    if findings != proof.findings:
        raise NotRestored("What was restored isn't what the archive holds: run doctor on it.")


def _empty_cache(name: str, restored: Restored) -> None:
    """Nothing that Redis keeps of an earlier life of this database may be answered."""
    if not settings.REDIS_URL:
        return
    try:
        stats.clear(None if name == connection.settings_dict["NAME"] else name)
    except RedisError:
        restored.notes.append(
            f"Redis can't be reached: run `MONGODB_DATABASE={name} manage.py cache clear` before "
            "anybody is served."
        )


# --- Media


def restore_media(missing: Iterable[tuple[str, Iterator[Part]]]) -> int:
    """Write media files that aren't there. Returns how many were restored."""
    restored = 0
    for name, content in missing:
        with Incoming("restored") as incoming:
            for part in content:
                incoming.write(part.content)
            incoming.finish()
            storage.keep(incoming.path, name)
        restored += 1
    return restored


def missing_media(
    parts: Iterator[Part], say: Say = silent, total: int = 0
) -> Iterator[tuple[str, Iterator[Part]]]:
    """The files that aren't there: where they belong, and their parts."""
    files = groupby(parts, key=lambda part: (part.key, part.file))
    for done, ((key, file), content) in enumerate(files, 1):
        name = f"{storage.folder_of(key)}/{file}"
        if not storage.media().exists(name):
            yield name, content
        say("media files restored", done, total)
