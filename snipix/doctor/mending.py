"""Mending what is safe to mend: what is made again comes from the history, and nothing is lost.

A document that is replaced is kept as it was in the collection `mended_documents`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db import models
from pymongo import MongoClient

from media import storage, sweeping
from projects.models import Project
from snipix import (
    audit,
    belongings,
    cache,
    documents,
    history,
    indexes,
    pieces,
    resilience,
    snapshots,
    times,
)
from snipix.accounts import SYSTEM
from snipix.chains import Chain, HistoryDamaged
from snipix.doctor import checkup
from snipix.doctor.examination import wanted_summaries, wrong_fields
from snipix.doctor.findings import Finding
from snipix.documents import MENDED, Document
from snipix.errors import NewerSchema
from snipix.history import Revision
from snipix.left import FAILURES, NOT_READ, why
from snipix.mongo import connection, one

_ROUNDS = 4
"""Of looking at a project again after something was mended in it."""


def mend(finding: Finding) -> bool:
    """Mend what was found; False if it isn't there any more, or can't be mended. PyMongoError."""
    mender = _MENDERS.get(finding.code)
    return bool(mender and mender(finding))


def mend_all(
    findings: Iterable[Finding], say: Callable[[int], None] = lambda _: None
) -> tuple[list[Finding], list[Finding]]:
    """Mend what can be mended; returns what was, and what is left to people. PyMongoError.

    Each project is looked at again afterwards: what was mended may uncover something else.
    """
    mended: list[Finding] = []
    left: list[Finding] = []
    in_projects: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.project_id:
            in_projects.setdefault(finding.project_id, []).append(finding)
        else:
            still = _tried(finding)
            mended += [finding] if still is None else []
            left += [still] if still else []
    with snapshots.patient_client() as client:
        for done, (project_id, found) in enumerate(in_projects.items(), 1):
            left += _mend_project(client, project_id, found, mended)
            say(done)
    return mended, left


def _mend_project(
    client: MongoClient[Any], project_id: str, findings: list[Finding], mended: list[Finding]
) -> list[Finding]:
    """Mend a project as far as possible; returns what is left of it."""
    for _ in range(_ROUNDS):
        tried = [(finding, _tried(finding)) for finding in findings]
        done = [finding for finding, still in tried if still is None]
        mended += done
        findings = list(checkup.in_project(client, project_id))
        if not done:  # what isn't found any more, somebody else has mended
            failed = {(still.code, still.where): still for _, still in tried if still}
            return [failed.get((each.code, each.where), each) for each in findings]
    return findings


def _tried(finding: Finding) -> Finding | None:
    """Mend a finding, if that can be done: None once it is, or else what is left. PyMongoError."""
    try:
        return None if mend(finding) else finding
    except FAILURES as error:
        return finding._replace(failure=why(error))


def _head(finding: Finding) -> bool:
    """Make a head again of the last version of its history, whatever it was."""
    model = documents.kinds()[finding.kind]

    def work() -> bool:
        stored = one(model.everything.filter(pk=finding.document_id))
        if stored is None or stored.is_going:
            return False
        head = _from_history(stored)
        _keep(stored)
        _keep_pieces(stored)
        cache.current.also(*_records(stored), *head.records)
        head.overwrite()
        action, before = "mend", int(stored.version)
        audit.record(resilience.record_id(), head, action, SYSTEM, from_version=before)
        return True

    return history.change(work)


def _records(document: Document) -> list[cache.Name]:
    """What the cache keeps that says what is current of a document, as far as that can be read."""
    try:
        return document.records
    except TypeError:  # its readers aren't a list
        return []


def _from_history(stored: Document) -> Document:
    """A head as its history has it. Raises HistoryDamaged."""
    chain, head = Chain(stored.pk), type(stored)(id=stored.pk, project_id=stored.project_id)
    last: Revision | None = None
    for revision in history.of(stored).iterator(chunk_size=100):
        chain.add(revision)
        last = revision
    if last is None:
        raise HistoryDamaged(f"{stored} has no history")
    head.user_id, head.created_by = stored.user_id, stored.created_by
    head.created_at, head.updated_at = stored.created_at, last.created_at
    if isinstance(head, Project):  # a save of its timeline sets that, too
        head.updated_at = max(stored.updated_at or last.created_at, last.created_at)
    head.version = last.version
    head.full_version, head.chain_size = chain.full_version, chain.chain_size
    head.is_deleted, head.deleted_at = chain.deleted_at is not None, chain.deleted_at
    head.digest, head.content_digest = chain.digest, chain.content_digest
    head.schema_version = head.current_schema()
    state = history.state_of(head, chain.content, last.schema_version)
    head.hold_state(pieces.split(head, state))
    head.derive()
    return head


def _keep(stored: Document) -> None:
    """Keep a document as it is stored, before it is replaced."""
    _set_aside(stored, type(stored), {"_id": stored.pk})


def _keep_pieces(stored: Document) -> None:
    """Keep the pieces of a document's project: which of them are its own may be what is wrong."""
    _set_aside(stored, pieces.Piece, {"projectId": stored.project_id})


def _set_aside(stored: Document, model: type[models.Model], whose: Mapping[str, Any]) -> None:
    name, session = model._meta.db_table, connection.session
    about = {"projectId": stored.project_id, "mendedAt": times.now(), "collection": name}
    for document in belongings.raw(connection.database)[name].find(whose, session=session):
        kept = {**about, "document": document}
        connection.get_collection(MENDED).insert_one(kept, session=session)


def _project(finding: Finding) -> bool:
    """Compute the summaries and the derived fields of a project again."""

    def work() -> bool:
        project = one(Project.everything.filter(pk=finding.document_id))
        if project is None or project.is_going:
            return False
        cache.current.also(*_records(project))
        if not (wrong := _computed_again(project)):
            return False
        _keep(project)
        cache.current.also(*project.records)
        project.amend(*wrong)
        version = int(project.version)
        audit.record(resilience.record_id(), project, "mend", SYSTEM, from_version=version)
        return True

    return history.change(work)


def _computed_again(project: Project) -> list[str]:
    """Set what is computed of a project's parts and of its state. Returns what was wrong of it."""
    heads = [
        p for m in documents.kinds().values() if (p := one(m.everything.filter(pk=project.pk)))
    ]
    known = dict(_states(heads))
    wanted = wanted_summaries(project, heads, known)
    wrong = [name for name, told in wanted.items() if _aware(getattr(project, name)) != told]
    for name in wrong:
        setattr(project, name, wanted[name])
    return [*wrong, *(wrong_fields(project) if project.kind in known else ())]


def _aware(summary: Any) -> Any:
    """A summary as it was read, its times being of UTC: free-form fields are read without."""
    if not isinstance(summary, dict):
        return summary
    return {k: times.aware(v) if isinstance(v, datetime) else v for k, v in summary.items()}


def _states(heads: Iterable[Document]) -> Iterator[tuple[str, Any]]:
    """The states that can be read, by kind."""
    for head in heads:
        try:
            yield head.kind, head.state
        except (HistoryDamaged, NewerSchema, *NOT_READ):
            continue


def _orphaned_pieces(finding: Finding) -> bool:
    """Remove pieces that nothing refers to; a save that runs conflicts with this."""

    def work() -> bool:
        whose = {"projectId": finding.project_id}
        heads = [
            head
            for model in documents.kinds().values()
            for head in model.everything.filter(project_id=finding.project_id)
        ]
        if any(head.schema_version > head.current_schema() for head in heads):
            return False  # where that one has its pieces, only a newer release knows
        for head in heads:
            head.hold()
        used = [id for head in heads for id in pieces.all_ids(head)]
        gone = connection.get_collection(pieces.Piece._meta.db_table).delete_many(
            {**whose, "_id": {"$nin": used}}, session=connection.session
        )
        return bool(gone.deleted_count)

    return history.change(work)


def _left_media(finding: Finding) -> bool:
    storage.remove(finding.where)
    return True


def _orphaned_media(_: Finding) -> bool:
    purged = (orphan for orphan in sweeping.orphans() if orphan.is_purged)
    try:
        return bool(sum(map(sweeping.remove, purged)))
    except OSError:
        return False  # sweep_media names the folder, and goes on with others


def _index(finding: Finding) -> bool:
    return indexes.create(*finding.where.split(": "))


_MENDERS: Mapping[str, Callable[[Finding], bool]] = {
    "head-behind": _head,
    "head-differs": _head,
    "piece-missing": _head,
    "summary-wrong": _project,
    "derived-wrong": _project,
    "piece-orphaned": _orphaned_pieces,
    "media-left": _left_media,
    "media-orphaned": _orphaned_media,
    "index-missing": _index,
}
