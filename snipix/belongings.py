"""What belongs to a project: its documents in all collections, read in the order of project ids.

One pass over everything, however much there is: the collections are read side by side, each sorted
by `projectId`, and merged, so that the documents of a project come together. Heads come first, then
pieces, then revisions in their order: who looks into them needs to remember little.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from heapq import merge
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from bson import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from django.apps import apps
from django.db import models
from pymongo import ASCENDING
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from snipix.audit import AuditEntry
from snipix.documents import Document
from snipix.history import Revision
from snipix.idempotency import KeptAnswer
from snipix.pieces import Piece

Raw = Database[RawBSONDocument]
Condition = Mapping[str, Any]
"""What is to hold for `projectId`: operators of MongoDB, as `{"$in": […]}`."""
EVERYTHING: Condition = {"$gt": ""}
_NO_ID: Mapping[str, Any] = {"projectId": {"$not": EVERYTHING}}
_NO_ID_OR_LIST: Mapping[str, Any] = {"$or": [_NO_ID, {"projectId": {"$type": "array"}}]}
"""A list matches by what is in it, and no index tells it from that."""
SPAN = 200
"""Projects that are read together."""
_BATCH = 500
"""Documents that the server sends at once."""
_FIRST = ("projects", "timelines", "transcriptions", "pieces", "revisions")
_NEVER_CHANGED: tuple[type[models.Model], ...] = (Revision, Piece, KeptAnswer, AuditEntry)
"""They are written, in a change that also changes a document that isn't listed here, or removed."""


class Belonging(NamedTuple):
    """One stored document, as the bytes that it consists of."""

    project_id: str
    collection: str
    document: RawBSONDocument


def raw(database: Database[Any]) -> Raw:
    """A database whose documents aren't decoded, and are read as a majority has them."""
    options = CodecOptions(
        document_class=RawBSONDocument,
        # Python knows no year 10000, and MongoDB does.
        datetime_conversion=DatetimeConversion.DATETIME_MS,
    )
    return database.client.get_database(
        database.name, codec_options=options, read_concern=ReadConcern("majority")
    )


@cache
def kinds() -> Mapping[str, type[models.Model]]:
    """The models of what belongs to projects by collection, in the order in which they are read.

    Audit entries are among them, though they stay when a project is purged.
    """
    found = {
        model._meta.db_table: model
        for model in apps.get_models()
        if getattr(model, "goes_with_project", False) or model is AuditEntry
    }
    order = [*_FIRST, *sorted(found.keys() - set(_FIRST))]
    return {name: found[name] for name in order}


def read(
    database: Raw, condition: Condition, *, session: ClientSession | None = None
) -> Iterator[Belonging]:
    """Everything of some projects, sorted by project."""
    streams = [
        _stream(database, name, rank, condition, session) for rank, name in enumerate(kinds())
    ]
    return (found for _, found in merge(*streams, key=lambda pair: pair[0]))


def by_project(found: Iterable[Belonging]) -> Iterator[tuple[str, Iterator[Belonging]]]:
    """What is sorted by project, project by project."""
    return groupby(found, key=attrgetter("project_id"))


def everything(database: Raw) -> Iterator[tuple[str, Iterator[Belonging]]]:
    """All that belongs to projects, project by project."""
    for span, _ in spans(database):
        yield from by_project(read(database, span))


def spans(database: Raw) -> Iterator[tuple[Condition, int]]:
    """Conditions that cut all project ids into spans, each with its number of projects.

    Together they hold for every id, also where there is no project. Each span is asked for when
    the one before is done: a server forgets a cursor that nobody uses for ten minutes.
    """
    rest, ids = EVERYTHING, _first_ids(database, EVERYTHING)
    while len(ids) == SPAN:
        yield {**rest, "$lte": ids[-1]}, len(ids)
        rest = {"$gt": ids[-1]}
        ids = _first_ids(database, rest)
    yield rest, len(ids)


def _first_ids(database: Raw, condition: Condition) -> Sequence[str]:
    """The ids of the first projects, of a span at most."""
    only = {"_id": False, "projectId": True}
    found = database["projects"].find({"projectId": dict(condition)}, only, limit=SPAN)
    ids = (one["projectId"] for one in found.sort("projectId", ASCENDING))
    return [id for id in ids if isinstance(id, str)]


def stray(collection: str) -> Mapping[str, Any]:
    """What finds what belongs to no project, since its `projectId` isn't one, at a moment.

    All of a collection has to be read for lists: not where that is more than the moment allows.
    """
    return _NO_ID if issubclass(kinds()[collection], _NEVER_CHANGED) else _NO_ID_OR_LIST


def strays(database: Raw) -> Mapping[str, int]:
    """How many documents of each collection belong to no project, since their id isn't one."""
    return {name: database[name].count_documents(_NO_ID_OR_LIST) for name in kinds()}


def stamps(
    database: Raw, condition: Condition, *, session: ClientSession | None = None
) -> Iterator[tuple[str, bytes]]:
    """A digest for each project that differs whenever anything of the project was changed.

    Of documents that change, all is looked at but the state, which has a version. The rest only
    comes, or goes, together with such a change. Projects of which nothing is left but what never
    changes have none.
    """
    changing = {name: m for name, m in kinds().items() if not issubclass(m, _NEVER_CHANGED)}
    streams = [
        _stream(database, name, rank, condition, session, _but_for_state(model))
        for rank, (name, model) in enumerate(changing.items())
    ]
    found = (one for _, one in merge(*streams, key=lambda pair: pair[0]))
    for project_id, documents in by_project(found):
        digest = sha256()
        for one in documents:
            digest.update(one.collection.encode() + one.document.raw)
        yield project_id, digest.digest()[:16]


def _stream(
    database: Raw,
    name: str,
    rank: int,
    condition: Condition,
    session: ClientSession | None,
    projection: Mapping[str, Any] | None = None,
) -> Iterator[tuple[tuple[str, int], Belonging]]:
    cursor = database[name].find(
        {"projectId": dict(condition)}, projection, session=session, batch_size=_BATCH
    )
    for document in cursor.sort(_order(name)):
        if isinstance(project_id := document["projectId"], str):  # a list matches by what is in it
            yield (project_id, rank), Belonging(project_id, name, document)


def _order(name: str) -> Sequence[tuple[str, int]]:
    keys = ("projectId", "documentId", "kind", "version") if name == "revisions" else ("projectId",)
    return [(key, ASCENDING) for key in keys]


def _but_for_state(model: type[models.Model]) -> Mapping[str, Any] | None:
    left_out = [
        str(field.column)
        for field in model._meta.concrete_fields
        if (
            field.attname
            in {*model.state_type.__struct_fields__, *model.derived_fields} - {"user_id"}
            if issubclass(model, Document)
            else isinstance(field, models.BinaryField)
        )
    ]
    return dict.fromkeys(left_out, 0) or None
