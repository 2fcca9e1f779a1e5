"""How a project is destroyed for ever, with all that belongs to it, however much that is.

First it is marked, in one change with its audit entry: from then on it exists for nobody, and
nothing brings it back. Then what belongs to it goes, some hundred documents at a time, each time in
a change that holds the project's own document; this goes with the last of them, and after it the
media. Whoever finds a marked project may go on: an interrupted purge is finished by the next one,
and of two that run at once neither can remove what belongs to a later project of the same id.
"""

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
from snipix import audit, errors, history, resilience
from snipix.accounts import SYSTEM, Actor
from snipix.idempotency import KeptAnswer
from snipix.mongo import connection, one

BATCH = 500
"""Documents that go in one change: MongoDB allows a transaction a minute."""
_AT_ONCE = 100
"""Projects that are looked up together."""
_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Purged(NamedTuple):
    """A project that is gone: how many documents of each collection, and how many files."""

    project_id: str
    documents: dict[str, int]
    files: int


def begin(
    project: Project, *, actor: Actor, deleted_until: datetime | None = None
) -> dict[str, int]:
    """Mark what is in the trash, within a change; one that is marked already stays so.

    Returns how many documents of each collection will be gone: none, if it was restored or purged
    meanwhile, or deleted (again) later than `deleted_until`.
    """
    current = one(Project.everything.trashed().filter(pk=project.pk))
    if current is None or (deleted_until and current.deleted_at > deleted_until):
        return {}
    if not current.is_going:
        current.mark()
        id = resilience.record_id()
        audit.record(id, current, "purge", actor, from_version=current.version)
    return {model._meta.db_table: _count(model, current) for model in _belonging()}


def finish(key: ObjectId) -> int:
    """Remove a marked project, and what is left of all that belongs to it. Returns how many files.

    Within a change the media stay, since it may be undone: `sweep_media` finds them.
    """
    from media import storage

    while history.change(lambda: _remove_some(key)):
        pass
    return 0 if resilience.is_running() else storage.remove_all(str(key))


def finish_if_begun(project_id: str) -> None:
    """Go on with a purge that was begun; what fails is left to the next run of `purge_deleted`."""
    try:
        project = one(Project.everything.trashed().filter(project_id=project_id))
        if project and project.is_going:
            finish(project.pk)
    except (errors.SnipixError, DatabaseError, PyMongoError, OSError) as error:
        _log.warning("purge not finished", error=type(error.__cause__ or error).__name__)


def waiting(until: datetime) -> dict[str, int]:
    """How many projects were deleted until then, and how many purges were interrupted."""
    return {
        "expired": _projects().count_documents(_expired(until)),
        "interrupted": _projects().count_documents(_INTERRUPTED),
    }


def purge_deleted(until: datetime, *, actor: Actor = SYSTEM) -> Iterator[Purged]:
    """Finish what was interrupted, and purge what was deleted until then, the oldest first.

    Each is looked at again when its turn comes: what was restored meanwhile stays.
    """
    for match, order, deleted_until in (
        (_INTERRUPTED, "purgingAt", None),
        (_expired(until), "deletedAt", until),
    ):
        while found := _first(match, order):
            for project in found:
                yield from _purge(project, actor, deleted_until)


def _purge(project: Project, actor: Actor, deleted_until: datetime | None) -> Iterator[Purged]:
    gone = history.change(lambda: begin(project, actor=actor, deleted_until=deleted_until))
    if gone:
        yield Purged(project.project_id, gone, finish(project.pk))


_INTERRUPTED = {"isDeleted": True, "purgingAt": {"$gt": datetime(1970, 1, 1)}}


def _expired(until: datetime) -> dict[str, Any]:
    return {"isDeleted": True, "deletedAt": {"$lte": until}}


@wrap_database_errors
def _first(match: dict[str, Any], order: str) -> list[Project]:
    """The projects that match and come first: keys alone, since each is read again."""
    found = _projects().find(match, {"projectId": 1}).sort(order, ASCENDING).limit(_AT_ONCE)
    return [Project(id=each["_id"], project_id=each["projectId"]) for each in found]


def _projects() -> Any:
    return connection.get_collection(Project._meta.db_table)


# --- Removing


@wrap_database_errors
def _remove_some(key: ObjectId) -> bool:
    """Remove a batch; with the last, the project itself. Returns whether there is more."""
    project = one(Project.everything.trashed().filter(pk=key))
    if project is None or not project.is_going:
        return False  # somebody else has finished it
    project.hold()
    left = BATCH
    for model in _belonging():
        if model is not Project:
            left -= _remove(model, project, left)
        if left <= 0:
            return True
    Project.everything.filter(pk=key).erase()
    return False


def _remove(model: type[models.Model], project: Project, limit: int) -> int:
    collection, session = connection.get_collection(model._meta.db_table), connection.session
    found = collection.find(_of(model, project), {"_id": 1}, session=session).limit(limit)
    if not (keys := [each["_id"] for each in found]):
        return 0
    return int(collection.delete_many({"_id": {"$in": keys}}, session=session).deleted_count)


@wrap_database_errors
def _count(model: type[models.Model], project: Project) -> int:
    collection = connection.get_collection(model._meta.db_table)
    return int(collection.count_documents(_of(model, project), session=connection.session))


def _of(model: type[models.Model], project: Project) -> dict[str, Any]:
    """What belongs to a project, but for what the purge itself is answered."""
    match: dict[str, Any] = {"projectId": project.project_id}
    return match | ({"createdAt": {"$lt": project.purging_at}} if model is KeptAnswer else {})


def _belonging() -> Iterator[type[models.Model]]:
    return (model for model in apps.get_models() if getattr(model, "goes_with_project", False))
