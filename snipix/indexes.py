"""The indexes of all collections: declared on the models, brought about here.

Not by Django's migrations: what those make of `unique` is an index for strings only (`$type`), and
MongoDB doesn't use such a partial index for a query by equality.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.apps import apps
from django.db import models
from pymongo import IndexModel

from snipix.mongo import connection


def declared() -> Iterator[tuple[type[models.Model], Sequence[IndexModel]]]:
    """Every model that declares `collection_indexes`, with them."""
    for model in apps.get_models():
        if indexes := getattr(model, "collection_indexes", ()):
            yield model, indexes


def ensure() -> Iterator[tuple[str, list[str]]]:
    """Create what is missing; yields each collection with the names of its indexes.

    Creating an index that is there already does nothing. A retention that was changed in the
    settings is changed in its index. One whose other options differ from its declaration is an
    error (IndexOptionsConflict) that names it.
    """
    for model, indexes in declared():
        collection = connection.get_collection(model._meta.db_table)
        existing = collection.index_information()
        for index in indexes:
            _change_retention(model._meta.db_table, index.document, existing)
        yield model._meta.db_table, list(collection.create_indexes(list(indexes)))


def _change_retention(
    collection: str, wanted: Mapping[str, Any], existing: Mapping[str, Mapping[str, Any]]
) -> None:
    seconds = wanted.get("expireAfterSeconds")
    found = existing.get(wanted["name"], {}).get("expireAfterSeconds")
    if None not in (seconds, found) and seconds != found:
        index = {"name": wanted["name"], "expireAfterSeconds": seconds}
        connection.database.command("collMod", collection, index=index)
