"""The indexes of all collections: declared on the models, brought about here.

Not by Django's migrations: what those make of `unique` is an index for strings only (`$type`), and
MongoDB doesn't use such a partial index for a query by equality.
"""

from collections.abc import Iterator, Sequence

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

    Creating an index that is there already does nothing. One whose options differ from its
    declaration is an error (IndexOptionsConflict) that names it.
    """
    for model, indexes in declared():
        collection = connection.get_collection(model._meta.db_table)
        yield model._meta.db_table, list(collection.create_indexes(list(indexes)))
