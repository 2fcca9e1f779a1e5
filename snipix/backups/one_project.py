"""Bringing back one project of an archive, into the database that is served.

The archive is proven first, whole. The project is one change: all of it is there, or nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import IO

from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError

from projects.models import Project
from snipix import audit, belongings, cache, history, releases, resilience, times
from snipix.accounts import SYSTEM
from snipix.backups import Say, restoring, silent, verifying
from snipix.backups.archive import Archive, Part, opened
from snipix.backups.claims import NotRestored
from snipix.backups.format import pack_document, unpack_documents
from snipix.backups.restoring import Restored
from snipix.backups.verifying import Proof
from snipix.doctor.examination import examine
from snipix.documents import Document
from snipix.idempotency import KeptAnswer
from snipix.mongo import connection

_AT_ONCE = 500
_IN_MEMORY = 32 << 20
_DUPLICATE_KEY = 11000


def rehearse(path: Path, project_id: str, *, say: Say = silent) -> Restored:
    """What `restore` would do, and raise: it is done, and taken back."""
    with _found(path, project_id, say) as found:
        missing = sum(1 for _ in restoring.missing_media(found.media))
        restored = found.restored(media_files=missing)
        project = history.rehearse(lambda: _insert_project(project_id, found.spool))
        restored.notes += _notes(project)
        return restored


def restore(path: Path, project_id: str, *, say: Say = silent) -> Restored:
    """Restore one project into the database that is served, as one change.

    Raises Damaged, NotRestored if there is one with this id or none in the archive, HalfRestored,
    and what `history.change` raises.
    """
    with _found(path, project_id, say) as found:
        # Before anything names them, as uploads do.
        files = restoring.restore_media(restoring.missing_media(found.media))
        restored = found.restored(media_files=files)
        project = history.change(lambda: _insert_project(project_id, found.spool))
        restored.notes += _notes(project)
    stored = belongings.read(belongings.raw(connection.database), {"$eq": project_id})
    restored.findings = examine(project_id, stored).findings
    return restored


@dataclass
class _Found:
    """A project in an archive, which can be restored as far as one sees before it is."""

    proof: Proof
    project_id: str
    documents: int
    spool: IO[bytes]
    media: Iterator[Part]

    def restored(self, *, media_files: int) -> Restored:
        return Restored(
            connection.settings_dict["NAME"],
            self.proof.moment,
            projects=1,
            documents=self.documents,
            media_files=media_files,
            findings=[one for one in self.proof.findings if one.project_id == self.project_id],
        )


@contextmanager
def _found(path: Path, project_id: str, say: Say) -> Iterator[_Found]:
    """Look for a project. Raises Damaged, NotRestored and HalfRestored."""
    releases.refuse_half_restored()
    with opened(path) as archive, tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
        check_project(project_id)
        proof = verifying.prove(path, archive, say)
        _refuse_misshapen(proof, project_id)
        key, documents = _spool(archive, project_id, spool)
        own = (part for part in archive.media() if part.key == str(key))
        yield _Found(proof, project_id, documents, spool, own)


def _notes(project: Project) -> Iterator[str]:
    if project.purge_after:
        yield (
            "It is in the trash, as it was then: restore it from there before it is purged, which "
            f"is due from {times.write(project.purge_after)} on."
        )


def check_project(project_id: str) -> None:
    """Raise NotRestored if anything but what a purge leaves belongs to a project of this id."""
    for name, model in belongings.kinds().items():
        if (
            model not in (audit.AuditEntry, KeptAnswer)
            and model._default_manager.filter(project_id=project_id).exists()
        ):
            raise NotRestored(
                f"There is something of a project {project_id!r} already (in {name}), and nothing "
                "is overwritten. Restore the archive into another database with --database, and "
                "look there."
            )


def _refuse_misshapen(proof: Proof, project_id: str) -> None:
    """Raise NotRestored for documents that what is served couldn't read."""
    for finding in proof.findings:
        if finding.code == "misshapen" and finding.project_id == project_id:
            raise NotRestored(
                f"Project {project_id!r} can't be served as it is ({finding.where}: "
                f"{finding.what}). Restore the archive into another database with --database, and "
                "look there."
            )


def _spool(archive: Archive, project_id: str, spool: IO[bytes]) -> tuple[ObjectId, int]:
    """Write what belongs to a project where it is quickly read again.

    Returns its ObjectId, and how many documents that are. Raises NotRestored if there is no such
    project, or none that can be served.
    """
    names = list(belongings.kinds())
    key: ObjectId | None = None
    documents = 0
    for (_, name, document), _ in archive.stored():
        if document.get("projectId") == project_id and name in names:
            _refuse(project_id, name, document)
            spool.write(pack_document(names.index(name), bytes(document.raw)))
            key = document["_id"] if name == Project._meta.db_table else key
            documents += 1
    if key is None:
        raise NotRestored(f"There is no project {project_id!r} in the archive.")
    return key, documents


def _refuse(project_id: str, name: str, document: RawBSONDocument) -> None:
    """Raise NotRestored for what would vanish again, or keep all else from being served."""
    if document.get("purgingAt"):
        raise NotRestored(
            f"Project {project_id!r} was just being purged, and is in the archive in part."
        )
    model = belongings.kinds()[name]
    if issubclass(model, Document) and document["schemaVersion"] > model.current_schema():
        raise NotRestored(
            f"Project {project_id!r} was saved by a newer release of Snipix: with it, this release "
            "wouldn't serve the database any more. Use that one."
        )


def _is_unused(kept: RawBSONDocument) -> bool:
    """Whether nobody has used the key of a kept answer since: for another project.

    Whoever did is to get his own answer.
    """
    whose = {"scope": kept["scope"], "user_id": kept["userId"], "key": kept["key"]}
    return not KeptAnswer.objects.filter(**whose).exists()


def _refuse_taken(project_id: str, collection: str, error: BulkWriteError) -> None:
    """Raise NotRestored where MongoDB refuses documents since others have the same keys."""
    if any(each["code"] == _DUPLICATE_KEY for each in error.details["writeErrors"]):
        raise NotRestored(
            f"Other documents have keys of project {project_id!r} by now (in {collection}), and "
            "nothing is overwritten. Restore the archive into another database with --database, "
            "and look there."
        ) from error


def _insert_project(project_id: str, spool: IO[bytes]) -> Project:
    check_project(project_id)
    names = list(belongings.kinds())
    spool.seek(0)
    for number, group in groupby(unpack_documents(spool), key=lambda pair: pair[0]):
        documents = (RawBSONDocument(document) for _, document in group)
        # Audit entries stay when a project is purged, and may be there.
        again = names[number] == audit.AuditEntry._meta.db_table
        collection = connection.get_collection(names[number])
        if names[number] == KeptAnswer._meta.db_table:
            documents = (one for one in documents if _is_unused(one))
        while some := list(islice(documents, _AT_ONCE)):
            try:
                restoring.write(collection, some, again=again, session=connection.session)
            except BulkWriteError as error:
                _refuse_taken(project_id, names[number], error)
                raise
    project = Project.everything.get(project_id=project_id)
    cache.current.also(*project.records)
    project.hold()  # it isn't what it was before it went, for a backup that has seen that
    audit.record(resilience.record_id(), project, "restore backup", SYSTEM, from_version=0)
    return project
