"""Typed structs as MongoDB's `$jsonSchema` describes documents.

MongoDB speaks draft 4 of JSON Schema, with types of BSON and without references, defaults, formats
or examples (MongoDB manual, "$jsonSchema"). msgspec describes a struct as JSON Schema 2020-12.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

Schema = dict[str, Any]

INTEGER = ["int", "long"]
NUMBER = ["double", *INTEGER]
_TYPES: Mapping[str, str | list[str]] = {
    "string": "string",
    "integer": INTEGER,
    "number": NUMBER,
    "boolean": "bool",
    "array": "array",
    "object": "object",
    "null": "null",
}
_SAME = ("enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
_DEPTH = 20
"""Structs within structs, at most: what holds itself can't be written without references."""


def of(type_: Any) -> Schema:
    """The schema of what `msgspec.to_builtins` makes of a struct. Raises TypeError for one that
    holds itself, or that uses what MongoDB can't check.

    Defaults are filled in before anything is stored, so every field is required.
    """
    (schema,), definitions = msgspec.json.schema_components([type_], ref_template="{name}")
    return _Translation(definitions).of(schema, _DEPTH)


class _Translation:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def of(self, schema: Mapping[str, Any], depth: int) -> Schema:
        if depth == 0:
            raise TypeError("a struct that holds itself has no schema without references")
        if "$ref" in schema:
            return self.of(self._definitions[schema["$ref"]], depth - 1)
        return dict(self._parts(schema, depth))

    def _parts(self, schema: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
        for key, value in schema.items():
            match key:
                case "type":
                    yield "bsonType", _TYPES[value]
                case "properties":
                    yield key, {name: self.of(inner, depth) for name, inner in value.items()}
                    yield "required", sorted(value)
                case "items":
                    yield key, self.of(value, depth)
                case "additionalProperties":
                    yield key, value if isinstance(value, bool) else self.of(value, depth)
                case "anyOf":
                    yield key, [self.of(inner, depth) for inner in value]
                case "exclusiveMinimum" | "exclusiveMaximum":
                    yield key.removeprefix("exclusive").lower(), value
                    yield key, True
                case "title" | "description" | "default" | "examples" | "format" | "required":
                    pass  # for people, or said by "properties"
                case _ if key in _SAME:
                    yield key, value
                case _:
                    raise TypeError(f"MongoDB can't check {key!r} of {schema}")
