"""Whether the database can be served: it fits this release of Snipix, and is whole.

Two things change from release to release: Django's migrations, and the schemas of stored states,
whose number every document carries. An older database is brought up to date by `prepare`, and by
`migrate_documents` at leisure. A newer one isn't served: this release would misread what it holds.
Nor is one that is only restored in part: what is saved in it would be in the restore's way.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.db import connection as django_connection
from django.db.migrations.executor import MigrationExecutor

from snipix import documents, indexes
from snipix.backups.claims import MARKER
from snipix.documents import Document
from snipix.mongo import connection


class NotServed(ImproperlyConfigured):
    """The database can't be served as it is; says why, and what to do."""


class HalfRestored(NotServed):
    """A restore into the database has begun, and isn't finished."""


class NewerDatabase(NotServed):
    """A newer release of Snipix has written to the database."""


class Migrations(NamedTuple):
    """Django's migrations: those yet to be applied, and those that only a newer release knows."""

    applied: int
    pending: list[str]
    unknown: list[str]


class Stored(NamedTuple):
    """The documents of one collection, by the schema that their states were written in."""

    collection: str
    schema: int
    """The one that this release writes."""
    documents: int
    older: int
    newer: int


def migrations() -> Migrations:
    """What Django has recorded in the database, against the migrations of this release."""
    executor = MigrationExecutor(django_connection)
    known, applied = executor.loader.disk_migrations, executor.loader.applied_migrations
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    ours = {model._meta.app_label for model, _ in indexes.declared()}
    unknown = (key for key in applied if key[0] in ours and key not in known)
    pending = ((migration.app_label, migration.name) for migration, _ in plan)
    return Migrations(len(applied), _names(pending), _names(unknown))


def stored() -> Iterator[Stored]:
    """How many documents there are of which schema; an index counts them."""
    for model in documents.kinds().values():
        collection, schema = _collection(model), model.current_schema()
        yield Stored(
            model._meta.db_table,
            schema,
            collection.estimated_document_count(),
            collection.count_documents({"schemaVersion": {"$lt": schema}}),
            collection.count_documents({"schemaVersion": {"$gt": schema}}),
        )


def refuse_unservable() -> None:
    """Raise HalfRestored or NewerDatabase for a database that this release can't serve."""
    refuse_half_restored()
    refuse_newer()


def refuse_half_restored() -> None:
    """Raise HalfRestored for a database that isn't whole: one look at a collection of one marker.

    Nothing that is made in it would last: the restore goes on where it was, and replaces it.
    """
    if marker := connection.get_collection(MARKER).find_one():
        raise HalfRestored(
            f"The database holds only a part of the archive {marker['file']}, which is being "
            "restored into it, or was until that was interrupted. Finish that first: run restore "
            "again with the same archive. Or use another database."
        )


def refuse_newer() -> None:
    """Raise NewerDatabase, with a sentence that explains, if a newer release was here."""
    if unknown := migrations().unknown:
        raise _newer(f"has migrations of one: {', '.join(unknown)}")
    refuse_newer_documents()


def refuse_newer_documents() -> None:
    """Raise NewerDatabase for documents of a newer schema: one look into an index for each kind."""
    for model in documents.kinds().values():
        newer = {"schemaVersion": {"$gt": model.current_schema()}}
        if _collection(model).find_one(newer, {"_id": 1}):
            raise _newer(f"holds {model._meta.verbose_name_plural} that one has saved")


def _newer(what: str) -> NewerDatabase:
    return NewerDatabase(
        f"The database belongs to a newer release of Snipix than this: it {what}. Serve it with "
        "that release, or restore a backup from before it was installed."
    )


def _collection(model: type[Document]) -> Any:
    return connection.get_collection(model._meta.db_table)


def _names(keys: Iterable[tuple[str, str]]) -> list[str]:
    return sorted(".".join(key) for key in keys)
