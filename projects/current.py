"""What is current of a project: who may read it, and the tags of all that it consists of.

One record per project, kept in the cache: with it, a read is answered without asking the database.
`docs/cache.md` says how it stays true.
"""

from __future__ import annotations

import msgspec

from projects.models import Project, not_found, parts
from snipix import cache
from snipix.cache import Name
from snipix.documents import Document, Tag
from snipix.mongo import one


class Record(msgspec.Struct, frozen=True):
    key: str
    """The ObjectId, since a project's public id may be used again after a purge."""
    readers: list[str]
    is_deleted: bool
    tags: dict[str, Tag]
    """By kind; a document that isn't there, or is in the trash, has none."""


def find(project_id: str, user_id: str) -> Record:
    """The record of a project that somebody can see. Raises NotFound."""
    content = cache.current.get(Name("project", project_id), lambda: _load(project_id))
    record = msgspec.json.decode(content, type=Record) if content else None
    if record is None or record.is_deleted or user_id not in record.readers:
        raise not_found(project_id)
    return record


def _load(project_id: str) -> bytes | None:
    project = one(Project.everything.filter(project_id=project_id))
    if project is None:
        return None
    documents: list[Document | None] = [project, *(part.current(project) for part in parts())]
    record = Record(
        key=str(project.pk),
        readers=project.readers,
        is_deleted=project.is_deleted,
        tags={document.kind: document.tag for document in documents if document},
    )
    return msgspec.json.encode(record)
