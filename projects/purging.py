"""How a project is destroyed for ever, with all that belongs to it, however much that is.

A batch of documents goes in each change, and the project's own document goes with the last; after
it the media. Where one batch isn't enough, the first change marks the project: from then on it
exists for nobody, and nothing brings it back. Whoever finds a marked project goes on, so that an
interrupted purge is finished by the next one. Each batch holds the project's document: of two
purges that run at once, neither can remove what belongs to a later project of the same id.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from bson import ObjectId
from django.apps import apps
from django.db import DatabaseError, models
from django_mongodb_backend.query import wrap_database_errors
from pymongo import ASCENDING
from pymongo.errors import PyMongoError

from projects.models import Project
from snipix import audit, cache, errors, history, resilience
from snipix.accounts import SYSTEM, Actor
from snipix.documents import MENDED
from snipix.idempotency import KeptAnswer
from snipix.left import FAILURES, Left, why
from snipix.mongo import connection, one

BATCH = 500
"""Documents that go in one change: MongoDB allows a transaction a minute."""
_AT_ONCE = 1_000
"""Projects that are looked up together."""
_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class TrashedByHand(errors.SnipixError):
    """Only a mark says that it is in the trash: its history doesn't, and nobody deleted it."""

    status = 409
    code = "trashed-by-hand"
    title = "The project's history doesn't say that it is in the trash"


class Purged(NamedTuple):
    """A project that is gone: how many documents of each collection, and how many files."""

    project_id: str
    documents: Counter[str]
    files: int


def count(project: Project) -> dict[str, int]:
    """How many documents of each collection would go with a project."""
    return {model._meta.db_table: _count(model, project) for model in _belonging()}


def begin(
    project: Project, *, actor: Actor, deleted_until: datetime | None = None
) -> Counter[str] | None:
    """Remove the first batch of what is in the trash, and mark what is left; within a change.

    Returns how many documents of each collection went: None, if it was restored or purged
    meanwhile, or deleted (again) later than `deleted_until`. Raises TrashedByHand.
    """
    current = one(Project.everything.filter(pk=project.pk))
    if current is None or not (current.is_deleted or current.is_going):
        return None
    _refuse_trashed_by_hand(current)
    if deleted_until and current.deleted_at > deleted_until:
        return None
    if not current.is_going:
        cache.current.also(*current.records)
        id = resilience.record_id()
        audit.record(id, current, "purge", actor, from_version=current.version)
    return _remove_some(current)


def _refuse_trashed_by_hand(project: Project) -> None:
    """Raise TrashedByHand. Once a purge has begun, the newest version may be gone already."""
    is_marked = project.is_deleted and project.deleted_at is not None
    if not is_marked or not (project.is_going or history.is_trash(project)):
        raise TrashedByHand(
            f"Project {project.project_id!r} is marked as deleted, and its newest version isn't. "
            "It stays. Run doctor --fix, which makes the mark what the history says; then delete "
            "the project, if it is to go."
        )


def finish(key: ObjectId, gone: Counter[str]) -> int:
    """Remove what is left of a project, adding to what is gone already. Returns how many files.

    Within a change the media stay, since it may be undone: `sweep_media` finds them.
    """
    from media import storage

    while not gone[Project._meta.db_table]:
        if not (batch := history.change(lambda: _remove_more(key))):
            break  # somebody else has finished it
        gone.update(batch)
    return 0 if resilience.is_running() else storage.remove_all(str(key))


def finish_begun(key: ObjectId) -> None:
    """Finish a purge whose first change was committed, or taken back by a dry run.

    What fails is left to the next run of `purge_deleted`, or of `sweep_media`.
    """
    try:
        project = one(Project.everything.filter(pk=key))
        if project is None or project.is_going:
            finish(key, Counter())
    except (errors.SnipixError, DatabaseError, PyMongoError, OSError) as error:
        _log.warning("purge not finished", error=type(error.__cause__ or error).__name__)


def waiting(until: datetime) -> dict[str, int]:
    """How many projects were deleted until then, and how many purges were interrupted."""
    return {
        "expired": _projects().count_documents(_expired(until)),
        "interrupted": _projects().count_documents(_INTERRUPTED),
    }


def purge_deleted(until: datetime, *, actor: Actor = SYSTEM) -> Iterator[Purged | Left]:
    """Finish what was interrupted, and purge what was deleted until then, the oldest first.

    Each is looked at again when its turn comes: what was restored meanwhile stays. What can't be
    purged is left, and in nobody's way. Raises DatabaseUnavailable, or what the driver does, while
    MongoDB is away.
    """
    for match, order, deleted_until in (
        (_INTERRUPTED, "purgingAt", None),
        (_expired(until), "deletedAt", until),
    ):
        for project in _matching(match, order):
            try:
                yield from _purge(project, actor, deleted_until)
            except FAILURES as error:
                yield Left(f"project {project.project_id}", why(error))


def _purge(project: Project, actor: Actor, deleted_until: datetime | None) -> Iterator[Purged]:
    gone = history.change(lambda: begin(project, actor=actor, deleted_until=deleted_until))
    if gone is not None:
        files = finish(project.pk, gone)
        yield Purged(project.project_id, gone, files)


_INTERRUPTED = {"isDeleted": True, "purgingAt": {"$gt": datetime(1970, 1, 1)}}


def _expired(until: datetime) -> dict[str, Any]:
    return {"isDeleted": True, "deletedAt": {"$lte": until}}


def _matching(match: dict[str, Any], order: str) -> Iterator[Project]:
    """The projects that match, the earliest first: keys alone, since each is read again.

    It goes on behind the last one, whatever became of that: so it ends, whatever stays.
    """
    behind: dict[str, Any] = {}
    while found := _some({**match, **behind}, order):
        for each in found:
            yield Project(id=each["_id"], project_id=each["projectId"])
        at, key = found[-1][order], found[-1]["_id"]
        behind = {
            order: {**match[order], "$gte": at},
            "$or": [{order: {"$gt": at}}, {"_id": {"$gt": key}}],
        }


@wrap_database_errors
def _some(match: dict[str, Any], order: str) -> list[dict[str, Any]]:
    names = {"projectId": 1, "deletedAt": 1, "purgingAt": 1}
    by = [(order, ASCENDING), ("_id", ASCENDING)]
    return list(_projects().find(match, names).sort(by).limit(_AT_ONCE))


def _projects() -> Any:
    return connection.get_collection(Project._meta.db_table)


# --- Removing


def _remove_more(key: ObjectId) -> Counter[str]:
    """Remove a batch of a marked project, within a change; nothing of one that is gone."""
    project = one(Project.everything.filter(pk=key))
    return _remove_some(project) if project and project.is_going else Counter()


@wrap_database_errors
def _remove_some(project: Project) -> Counter[str]:
    """Remove a batch; with the last the project itself, which otherwise is marked."""
    gone, left = Counter[str](), BATCH
    for model in _belonging():
        if model is not Project:
            removed = _remove(model, project, left)
            gone[model._meta.db_table] = removed
            left -= removed
        if left <= 0:
            project.mark()
            return gone
    whose = {"projectId": project.project_id}
    connection.get_collection(MENDED).delete_many(whose, session=connection.session)
    gone[Project._meta.db_table] = Project.everything.filter(pk=project.pk).erase()
    return gone


def _remove(model: type[models.Model], project: Project, limit: int) -> int:
    collection, session = connection.get_collection(model._meta.db_table), connection.session
    found = collection.find(_of(model, project), {"_id": 1}, session=session).limit(limit)
    if not (keys := [each["_id"] for each in found]):
        return 0
    # All by what they have in common: the embedded server finds no index for many keys.
    match = {"_id": {"$in": keys}} if len(keys) == limit else _of(model, project)
    return int(collection.delete_many(match, session=session).deleted_count)


@wrap_database_errors
def _count(model: type[models.Model], project: Project) -> int:
    collection = connection.get_collection(model._meta.db_table)
    return int(collection.count_documents(_of(model, project), session=connection.session))


def _of(model: type[models.Model], project: Project) -> dict[str, Any]:
    """What belongs to a project, but for what a purge that was begun is answered."""
    match: dict[str, Any] = {"projectId": project.project_id}
    if model is KeptAnswer and project.purging_at:
        match["createdAt"] = {"$lt": project.purging_at}
    return match


def _belonging() -> Iterator[type[models.Model]]:
    return (model for model in apps.get_models() if getattr(model, "goes_with_project", False))
