"""The indexes of all collections: declared on the models, brought about here.

Not by Django's migrations: what those make of `unique` is an index for strings only (`$type`), and
MongoDB doesn't use such a partial index for a query by equality.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from django.apps import apps
from django.db import DatabaseError, models
from pymongo import IndexModel
from pymongo.errors import OperationFailure, PyMongoError

from snipix.left import why
from snipix.mongo import connection

_NOT_OPTIONS = {"v", "key", "name", "ns", "background"}
_RETENTION = "expireAfterSeconds"
_INDEX_NOT_FOUND = 27
_CONFLICTS = {85, 86}
"""IndexOptionsConflict, IndexKeySpecsConflict."""


class Drift(NamedTuple):
    """An index that isn't as it is declared."""

    collection: str
    name: str
    problem: Literal["missing", "retention", "differs", "undeclared"]
    detail: str

    def __str__(self) -> str:
        return f"{self.collection}: {self.name} {self.detail}"


class IndexesLeft(Exception):
    """Indexes that aren't as they are declared, and can't be brought about like this; and why."""


def declared() -> Iterator[tuple[type[models.Model], Sequence[IndexModel]]]:
    """Every model that declares `collection_indexes`, with them."""
    for model in apps.get_models():
        if indexes := getattr(model, "collection_indexes", ()):
            yield model, indexes


def drift() -> Iterator[Drift]:
    """What isn't as declared, of the collections of models that declare indexes.

    It costs a `listIndexes` for each. Those of `_id` and of a hashed shard key are MongoDB's own.
    """
    for model, indexes in declared():
        yield from differing(model._meta.db_table, indexes, _existing(model))


def ensure(*, prune: bool = False) -> Iterator[Drift]:
    """Create what is missing, and change retentions that differ; yields what it has mended.

    Only with `prune` is anything removed: what isn't declared any more and, to be built anew at
    once, what differs otherwise. Raises IndexesLeft, after all else, where that would be needed, or
    where stored documents are in the way; and DatabaseError or PyMongoError if MongoDB is away.
    """
    left = []
    for model, indexes in declared():
        wanted = {index.document["name"]: index for index in indexes}
        drift = differing(model._meta.db_table, indexes, _existing(model))
        # What has to go is first: MongoDB builds no index twice, under two names.
        for found in sorted(drift, key=lambda each: each.problem != "undeclared"):
            try:
                if _mend(found, wanted.get(found.name), prune=prune):
                    yield found
                elif found.problem == "differs":
                    left.append(f"{found}: ensure_indexes --prune builds it anew")
            except (DatabaseError, PyMongoError) as error:
                left.append(f"{found}, and can't be built: {_why(error)}")
    if left:
        raise IndexesLeft("; ".join(left))


def create(collection: str, name: str) -> bool:
    """Create one declared index. False if there is none of that name. Raises OperationFailure."""
    for model, indexes in declared():
        for index in indexes if model._meta.db_table == collection else ():
            if index.document["name"] == name:
                connection.get_collection(collection).create_indexes([index])
                return True
    return False


def differing(
    collection: str, indexes: Sequence[IndexModel], existing: Mapping[str, Mapping[str, Any]]
) -> Iterator[Drift]:
    """What isn't as declared of the indexes that a collection has, by name."""
    left = dict(existing)
    for index in indexes:
        name = index.document["name"]
        if (found := left.pop(name, None)) is None:
            yield Drift(collection, name, "missing", "is missing")
        elif names := _differing(wanted := _described(index.document), found := _described(found)):
            told = (f"has {name} {found.get(name)}, declared {wanted.get(name)}" for name in names)
            yield Drift(collection, name, _kind(names, found), ", ".join(told))
    for name, found in left.items():
        if name != "_id_" and "hashed" not in dict(found["key"]).values():
            yield Drift(collection, name, "undeclared", "isn't declared (any more)")


def _existing(model: type[models.Model]) -> dict[str, Any]:
    found: dict[str, Any] = connection.get_collection(model._meta.db_table).index_information()
    return found


def _described(index: Mapping[str, Any]) -> dict[str, Any]:
    """What matters of an index, as it is declared or as MongoDB tells of it."""
    options = {name: value for name, value in index.items() if name not in _NOT_OPTIONS}
    keys = dict(index["key"]).items()
    return {"key": list(keys), **options}


def _differing(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    names = wanted.keys() | found.keys()
    return sorted(n for n in names if (wanted.get(n) or None) != (found.get(n) or None))


def _kind(differing: list[str], found: Mapping[str, Any]) -> Literal["retention", "differs"]:
    """A retention can be changed in place, where there is one."""
    return "retention" if differing == [_RETENTION] and _RETENTION in found else "differs"


def _mend(drift: Drift, declared: IndexModel | None, *, prune: bool) -> bool:
    """Bring one index about. Returns False if one would have to go for it, and may not."""
    collection = connection.get_collection(drift.collection)
    if drift.problem == "retention" and declared is not None:
        index = {"name": drift.name, _RETENTION: declared.document[_RETENTION]}
        connection.database.command("collMod", drift.collection, index=index)
        return True
    if drift.problem != "missing":
        if not prune:
            return False
        _drop(collection, drift.name)
    if declared is not None:
        collection.create_indexes([declared])
    return True


def _why(error: Exception) -> str:
    """Why an index can't be built. Raises the error itself if MongoDB is away."""
    if getattr(error, "code", None) in _CONFLICTS:
        return "another one has these keys, or this name: ensure_indexes --prune builds it anew"
    return why(error)


def _drop(collection: Any, index: str) -> None:
    try:
        collection.drop_index(index)
    except OperationFailure as error:
        if error.code != _INDEX_NOT_FOUND:  # somebody else was faster
            raise
