"""What MongoDB itself accepts in each collection: `$jsonSchema` validators, made of the models.

The part of a document that is a state is described by the very definition that validates the API;
the rest by the model's fields. So whatever writes past the API is held to the same rules, and
refused with code 121.

Documents of an older schema version stay as they are until they are saved again, and machines that
still run the release before write them, too: of these, only what isn't state is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from django.db import models
from django_mongodb_backend.fields import ArrayField
from pymongo.errors import OperationFailure

from snipix import bson_schema, documents, indexes, pieces
from snipix.bson_schema import Schema
from snipix.documents import Document
from snipix.mongo import BsonField, connection

_ENFORCED = {"validationLevel": "strict", "validationAction": "error"}
_NO_COLLECTION = 26
_REFERENCES: Schema = {
    "bsonType": "object",
    "properties": {"pieces": {"bsonType": "array", "items": {"bsonType": "binData"}}},
    "required": ["pieces"],
    "additionalProperties": False,
}
"""What stands in a document for a long list."""


class Drift(NamedTuple):
    """A collection whose validator isn't the one that its model makes."""

    collection: str
    problem: Literal["missing", "differs"]

    def __str__(self) -> str:
        return f"{self.collection}: its validator {self.problem.replace('missing', 'is missing')}"


def validators() -> Iterator[tuple[str, Schema]]:
    """The validator of every collection of ours."""
    for model, _ in indexes.declared():
        yield model._meta.db_table, {"$jsonSchema": schema_of(model)}


def drift() -> Iterator[Drift]:
    """Which collections aren't guarded as they should be. It costs one `listCollections`."""
    found = {
        each["name"]: each.get("options", {}) for each in connection.database.list_collections()
    }
    for name, validator in validators():
        options = found.get(name, {})
        if not options.get("validator"):  # an empty one is none
            yield Drift(name, "missing")
        elif options["validator"] != validator or not _is_enforced(options):
            yield Drift(name, "differs")


def ensure() -> Iterator[Drift]:
    """Have MongoDB check what is written from now on; yields what it has mended.

    What is stored isn't looked at: see `misfits`.
    """
    wanted = dict(validators())
    for found in drift():
        _guard(found.collection, wanted[found.collection])
        yield found


def misfits(model: type[models.Model], limit: int) -> list[Any]:
    """The keys of stored documents that the validator would refuse; reads the whole collection."""
    collection = connection.get_collection(model._meta.db_table)
    unfit = {"$nor": [{"$jsonSchema": schema_of(model)}]}
    return [found["_id"] for found in collection.find(unfit, {"_id": 1}).limit(limit)]


def _is_enforced(options: Mapping[str, Any]) -> bool:
    return all(options.get(name, value) == value for name, value in _ENFORCED.items())


def _guard(collection: str, validator: Schema) -> None:
    options = {"validator": validator, **_ENFORCED}
    try:
        connection.database.command("collMod", collection, **options)
    except OperationFailure as error:
        if error.code != _NO_COLLECTION:
            raise
        connection.database.create_collection(collection, **options)


# --- Describing


def schema_of(model: type[models.Model]) -> Schema:
    """What a model's documents are, as MongoDB describes them."""
    if issubclass(model, Document):
        return _document(model)
    properties = {_key(field): _field(field) for field in model._meta.concrete_fields}
    if model is pieces.Piece:
        properties["elements"] = {"anyOf": list(_elements())}
    required = sorted(_key(field) for field in model._meta.concrete_fields if not field.null)
    return _closed(properties, required)


def _closed(properties: Schema, required: list[str]) -> Schema:
    return {
        "bsonType": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _document(model: type[Document]) -> Schema:
    """Of the newest schema and whole, or of an older one and whatever that was."""
    state = _state(model)
    fields = [field for field in model._meta.concrete_fields if field.name not in state]
    own = {_key(field): _field(field) for field in fields}
    newest = model.current_schema()
    whole = {_key(model._meta.get_field(name)): schema for name, schema in state.items()}
    whole["schemaVersion"] = {"enum": [newest]}
    told = sorted(_key(f) for f in fields if not f.null and not _fills_itself_in(model, f))
    if newest == 1:
        return _closed(own | whole, sorted({*told, *whole}))
    return {
        "bsonType": "object",
        "properties": own,
        "required": told,
        "anyOf": [
            {"properties": {"schemaVersion": {"maximum": newest - 1}}},
            {
                "properties": {**{name: {} for name in own}, **whole},
                "required": sorted(whole),
                "additionalProperties": False,
            },
        ],
    }


def _fills_itself_in(model: type[Document], field: models.Field[Any, Any]) -> bool:
    """Whether a document from before there was this field is read with its default."""
    return isinstance(field, BsonField) and field.name not in model.derived_fields


def _key(field: Any) -> str:
    """What a field is called in MongoDB."""
    return "_id" if field.primary_key else str(field.column)


def _state(model: type[Document]) -> Schema:
    """The fields of a state, with references where long lists may be."""
    state = bson_schema.of(model.state_type)
    for path in model.long_lists:
        owner = _at(state, path[:-1])["properties"]
        owner[path[-1]] = {"anyOf": [owner[path[-1]], _REFERENCES]}
    properties: Schema = state["properties"]
    return properties


def _at(schema: Schema, path: pieces.Path) -> Schema:
    """The schema of the elements of nested lists."""
    for name in path:
        schema = schema["properties"][name]["items"]
    return schema


def _elements() -> Iterator[Schema]:
    """What pieces hold: elements of one list. Of a schema that has grown, older ones as well."""
    for model in documents.kinds().values():
        state = bson_schema.of(model.state_type)
        for path in model.long_lists:
            element = _at(state, path)
            if model.current_schema() > 1:
                element = {"bsonType": "object", "required": ["id"]}
            yield {"bsonType": "array", "minItems": 1, "items": element}


def _field(field: models.Field[Any, Any]) -> Schema:
    """What MongoDB keeps of a model's field."""
    if isinstance(field, BsonField):
        return {"bsonType": "array" if field.default is list else "object"}
    if isinstance(field, ArrayField):
        return {"bsonType": "array", "items": _field(field.base_field)}
    types = _types(field)
    schema: Schema = {"bsonType": [*types, *(["null"] if field.null else [])]}
    if types == ["string"] and field.max_length:
        schema["maxLength"] = field.max_length
    if types == bson_schema.INTEGER and "Positive" in field.get_internal_type():
        schema["minimum"] = 0
    return schema


def _types(field: models.Field[Any, Any]) -> list[str]:
    """What a field may be in BSON; of numbers, the driver chooses the smallest that holds one."""
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    match target.db_type(connection):
        case "int" | "long":
            return bson_schema.INTEGER
        case "double":
            return bson_schema.NUMBER
        case kind:
            return [str(kind)]
