"""JSON Patch (RFC 6902): applying one, and making one of two states."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

import msgspec
from jsonpatch import JsonPatch, JsonPatchException, JsonPatchPathNotFound, JsonPatchTestFailed
from jsonpointer import JsonPointer, JsonPointerException

from snipix.free_values import MAX_VALUES, check_count
from snipix.refusals import InvalidState, Problem, not_json, refuse
from timelines.elements import same

MAX_OPERATIONS = 20_000
_CHARACTERS = 16
"""Of a text that is copied: so many count as one more value."""

Operation: TypeAlias = dict[str, Any]

_NEEDED = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("from", "path"),
    "copy": ("from", "path"),
    "test": ("path", "value"),
}
_READ_AGAIN = "Read the state again: it isn't the one that this patch was made for."

# Steps of looking for elements that are moved within a list, above which the list is sent whole.
_MAX_STEPS = 10_000_000


# --- Applying


def parse(raw: bytes) -> list[Operation]:
    """Read a patch from JSON; raises InvalidState with the paths of everything that is wrong."""
    check_count(raw)
    try:
        patch = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidState([not_json(error)]) from None
    return check(patch)


def check(patch: Any) -> list[Operation]:
    """Refuse what is no patch, whatever it might be applied to."""
    if not isinstance(patch, list):
        hint = "Send a JSON Patch: an array of operations (RFC 6902)."
        raise InvalidState([Problem("", "must be an array", hint)])
    if len(patch) > MAX_OPERATIONS:
        reason = f"has {len(patch):,} operations, more than {MAX_OPERATIONS:,}"
        raise InvalidState([Problem("", reason, "Save the whole state instead.")])
    refuse(problem for at, one in enumerate(patch) for problem in _problems(f"[{at}]", one))
    return patch


def apply(document: Any, patch: Any) -> Any:
    """Apply a patch to a document and return what becomes of it, which may be another document.

    The document is used up: it is changed in place, also when the patch is refused. Raises
    InvalidState with the path of what can't be done, as `[3].path`.
    """
    copied = 0
    for at, operation in enumerate(check(patch)):
        try:
            copied += _size_of_copy(document, operation)
            if copied > MAX_VALUES:
                reason = f"makes this patch copy more than {MAX_VALUES:,} values, or long texts"
                raise InvalidState([Problem(f"[{at}]", reason, "Copy less.")])
            document = JsonPatch([operation]).apply(document, in_place=True)
        except (JsonPatchException, JsonPointerException, RecursionError) as error:
            raise InvalidState([_explain(f"[{at}]", operation, error)]) from None
    return document


def _problems(path: str, operation: Any) -> Iterator[Problem]:
    if not isinstance(operation, dict):
        yield Problem(path, "must be an object", 'Send an operation: {"op": …, "path": …}.')
        return
    kind = operation.get("op")
    if not isinstance(kind, str) or kind not in _NEEDED:
        yield Problem(f"{path}.op", f"must be one of {', '.join(_NEEDED)}", "Send one of them.")
        return
    for name in _NEEDED[kind]:
        if name not in operation:
            yield Problem(f"{path}.{name}", "is missing", f"Send it: `{kind}` needs it.")
        elif name != "value" and not _is_pointer(operation[name]):
            hint = "Send a path like `/layers/0/clips/3`, with ~0 for ~ and ~1 for /."
            yield Problem(f"{path}.{name}", "isn't a JSON Pointer", hint)


def _is_pointer(value: Any) -> bool:
    try:
        JsonPointer(value)
    except (JsonPointerException, TypeError):
        return False
    return isinstance(value, str)


def _size_of_copy(document: Any, operation: Operation) -> int:
    """Count the values that are copied: copies of copies would double with every operation."""
    if operation["op"] != "copy":
        return 0
    count, rest = 0, [JsonPointer(operation["from"]).resolve(document, None)]
    while rest:
        value = rest.pop()
        count += 1
        if isinstance(value, str):
            count += len(value) // _CHARACTERS
        elif isinstance(value, list):
            rest.extend(value)
        elif isinstance(value, dict):
            count += sum(map(len, value)) // _CHARACTERS
            rest.extend(value.values())
    return count


def _explain(path: str, operation: Operation, error: Exception) -> Problem:
    match error:
        case RecursionError():
            return Problem(path, "makes the document too deep", "Copy or add less deep values.")
        case JsonPatchTestFailed():
            return Problem(f"{path}.path", "doesn't hold the value of this test", _READ_AGAIN)
        case JsonPatchPathNotFound() if "from" in _NEEDED[operation["op"]]:
            return Problem(f"{path}.from", "leads to nothing", _READ_AGAIN)
    return Problem(f"{path}.path", f"is no place to {operation['op']}", _READ_AGAIN)


# --- Making


def between(before: Any, after: Any) -> list[Operation]:
    """Make a patch that turns one JSON value into the other, exactly.

    Elements of lists are known by their ids, and so stay, move, come or go; other values that
    differ are replaced. What would take more operations than `apply` takes is replaced as a whole.
    """
    patch = list(islice(_changes("", before, after), MAX_OPERATIONS + 1))
    is_long = len(patch) > MAX_OPERATIONS
    return [{"op": "replace", "path": "", "value": after}] if is_long else patch


def _changes(path: str, before: Any, after: Any) -> Iterator[Operation]:
    if same(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _of_objects(path, before, after)
    elif (old := _ids(before)) and (new := _ids(after)):
        yield from _of_elements(path, dict(zip(old, before, strict=True)), new, after)
    else:
        yield {"op": "replace", "path": path, "value": after}


def _of_objects(
    path: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[Operation]:
    for key in before:
        if key not in after:
            yield {"op": "remove", "path": _step(path, key)}
    for key, value in after.items():
        if key in before:
            yield from _changes(_step(path, key), before[key], value)
        else:
            yield {"op": "add", "path": _step(path, key), "value": value}


def _of_elements(
    path: str, before: Mapping[str, Any], ids: Sequence[str], after: Sequence[Any]
) -> Iterator[Operation]:
    """Remove from the end, put in order what stays, add from the start, then change each."""
    stays = set(ids) & before.keys()
    order = [id for id in before if id in stays]
    moved = _moved(order, [id for id in ids if id in stays])
    if len(moved) * len(order) > _MAX_STEPS:
        yield {"op": "replace", "path": path, "value": after}
        return
    for at, id in reversed(list(enumerate(before))):
        if id not in stays:
            yield {"op": "remove", "path": f"{path}/{at}"}
    yield from _moves(path, order, [id for id in ids if id in stays], moved)
    for at, id in enumerate(ids):
        if id not in stays:
            yield {"op": "add", "path": f"{path}/{at}", "value": after[at]}
    for at, id in enumerate(ids):
        if id in stays:
            yield from _changes(f"{path}/{at}", before[id], after[at])


def _moves(
    path: str, order: list[str], wanted: Sequence[str], moved: set[str]
) -> Iterator[Operation]:
    """Put each that has to move after the one that it is wanted after."""
    for place, id in enumerate(wanted):
        if id in moved:
            start = order.index(id)
            del order[start]
            end = order.index(wanted[place - 1]) + 1 if place else 0
            order.insert(end, id)
            yield {"op": "move", "from": f"{path}/{start}", "path": f"{path}/{end}"}


def _moved(order: Sequence[str], wanted: Sequence[str]) -> set[str]:
    """The fewest that have to move: all but a longest increasing subsequence (patience sorting)."""
    if order == wanted:
        return set()
    place = {id: at for at, id in enumerate(wanted)}
    tops: list[int] = []
    below: dict[str, str | None] = {}
    piles: list[str] = []
    for id in order:
        at = bisect_left(tops, place[id])
        below[id] = piles[at - 1] if at else None
        tops[at : at + 1] = [place[id]]
        piles[at : at + 1] = [id]
    last: str | None = piles[-1]
    while last is not None:
        del place[last]
        last = below[last]
    return set(place)


def _ids(value: Any) -> list[str] | None:
    """The ids of a list's elements, if each has one of its own."""
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        return None
    ids = [item.get("id") for item in value]
    is_known = all(isinstance(id, str) for id in ids) and len(set(ids)) == len(ids)
    return ids if is_known else None


def _step(path: str, key: str) -> str:
    return f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
