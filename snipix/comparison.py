"""What differs between two states, told in places that people and programs find again.

Elements of lists are known by their ids (layers, clips, segments): moving one, or adding another
before it, changes nothing else. Lists without ids are compared as a whole.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from snipix.refusals import join

Kind: TypeAlias = Literal["added", "removed", "changed", "reordered"]


class Difference(msgspec.Struct, frozen=True):
    """One thing that differs.

    `path` names elements by id: `layers["v1"].clips["c7"].duration`. `before` and `after` are the
    two values; for what was reordered, the ids in their order. What was added has no `before`, what
    was removed no `after`.
    """

    path: str
    kind: Kind
    before: Any = None
    after: Any = None


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Everything that differs between two JSON values; nothing for equal ones, as JSON is equal."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _of_objects(before, after, path)
    elif _have_ids(before) and _have_ids(after) and (before or after):
        yield from _of_elements(before, after, path)
    elif not _is_equal(before, after):
        yield Difference(path, "changed", before, after)


def _of_objects(
    before: Mapping[str, Any], after: Mapping[str, Any], path: str
) -> Iterator[Difference]:
    for key in before:
        if key not in after:
            yield Difference(join(path, key), "removed", before[key])
    for key, value in after.items():
        if key not in before:
            yield Difference(join(path, key), "added", None, value)
        else:
            yield from differences(before[key], value, join(path, key))


def _of_elements(before: list[Any], after: list[Any], path: str) -> Iterator[Difference]:
    old = {element["id"]: element for element in before}
    new = {element["id"]: element for element in after}
    for id, element in old.items():
        if id not in new:
            yield Difference(path_of(path, id), "removed", element)
    for id, element in new.items():
        if id not in old:
            yield Difference(path_of(path, id), "added", None, element)
        else:
            yield from differences(old[id], element, path_of(path, id))
    stayed_old = [id for id in old if id in new]
    stayed_new = [id for id in new if id in old]
    if stayed_old != stayed_new:
        yield Difference(path, "reordered", stayed_old, stayed_new)


def path_of(path: str, id: str) -> str:
    """Extend a path by the id of an element: `layers["v1"]`."""
    return f"{path}[{msgspec.json.encode(id).decode()}]"


def _have_ids(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    ids = [item.get("id") for item in value if isinstance(item, Mapping)]
    return len(ids) == len(value) == len({id for id in ids if isinstance(id, str)})


def _is_equal(one: Any, other: Any) -> bool:
    """Equality of JSON: true isn't 1, as it is in Python; 1.0 is 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_equal, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_is_equal(one[k], other[k]) for k in one)
    return bool(one == other)
