"""What every stored state shares: how it is read, refused, normalised and written.

A state is a tree of typed structs. `decode` reads one from JSON (RFC 8259) and `from_builtins` from
what MongoDB gives back. Both normalise: -0.0 becomes 0.0 and, in free-form values, 1.0 becomes 1,
so that two states are equal, as JSON is, exactly when their canonical bytes (`encode`) are.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from math import isfinite
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import inspect
from msgspec.structs import force_setattr

from snipix.free_values import (
    MAX_DEPTH,
    UNCHANGED,
    Refused,
    check_count,
    clean,
    locate,
    not_finite,
)
from snipix.refusals import InvalidState, Problem, not_json, translate

MAX_WARNINGS = 100

# For `Annotated[Any, IGNORED]`: a field that clients may send, and that nobody reads.
IGNORED = msgspec.Meta(extra={"ignored": True})


class Struct(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True, gc=False):
    """A part of a state. It isn't changed in place: `msgspec.structs.replace` makes a new one.

    States are JSON, which has no cycles: the garbage collector needn't walk through megabytes.
    """


S = TypeVar("S", bound=Struct)


class StateWarning(msgspec.Struct, frozen=True):
    """What is odd in a state that is kept all the same."""

    path: str
    code: str
    message: str


def listed(warnings: Iterable[StateWarning]) -> list[StateWarning]:
    """List the first warnings; a last entry says how many there are, if that isn't all."""
    rest = iter(warnings)
    first = list(islice(rest, MAX_WARNINGS))
    if more := sum(1 for _ in rest):
        count = f"{len(first) + more:,} warnings; these are the first {MAX_WARNINGS}."
        first.append(StateWarning("", "more-warnings", f"There are {count}"))
    return first


# --- Reading and writing


def decode(raw: bytes, type_: type[S]) -> S:
    """Read a state from strict JSON, or raise InvalidState with the path of what is wrong."""
    check_count(raw)
    try:
        state = msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidState([_explain(error, raw, type_)]) from None
    return _normalised(state)


def decode_free(raw: bytes) -> Any:
    """Read any JSON value, strictly as `decode` does, and normalised as free-form values are.

    The value itself isn't counted as a level of nesting: what is free-form begins within it.
    """
    check_count(raw)
    try:
        value = msgspec.json.decode(raw)
        return clean(value, -1)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidState([_explain(error, raw, Struct)]) from None
    except Refused as refused:
        raise InvalidState([refused.problem()]) from None


def encode(state: Struct | Mapping[str, Any] | Sequence[Struct]) -> bytes:
    """Write the canonical bytes: equal for equal states, whatever order their keys came in.

    What MongoDB stored of a state may be given as it is: keys are sorted at every level, so that
    it needn't become a struct first.
    """
    return msgspec.json.encode(state, order="sorted", enc_hook=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, int):
        return int(value)  # MongoDB's driver has a type of its own for 64 bits
    raise TypeError(f"{type(value).__name__} isn't JSON")


def to_builtins(state: Struct) -> dict[str, Any]:
    """Turn a state into what MongoDB stores; keys are as on the wire."""
    builtins: dict[str, Any] = msgspec.to_builtins(state)
    return builtins


def from_builtins(mapping: Mapping[str, Any], type_: type[S]) -> S:
    """Read a state from what MongoDB stored, or an edit made of it; refuses what `decode` does."""
    try:
        state = msgspec.convert(mapping, type_)
    except msgspec.ValidationError as error:
        raise InvalidState([translate(error, type_)]) from error
    return _normalised(state)


# --- Normalising


class _Plan(NamedTuple):
    """Which fields of a struct have to be looked at."""

    floats: tuple[str, ...]
    free: tuple[str, ...]
    children: tuple[str, ...]
    child: tuple[str, ...]


@cache
def _plan(type_: type[Struct]) -> _Plan:
    kinds = {f.name: _kind(inspect.type_info(f.type)) for f in msgspec.structs.fields(type_)}
    names = ([n for n, kind in kinds.items() if kind == wanted] for wanted in _Plan._fields)
    return _Plan(*map(tuple, names))


def _kind(node: inspect.Type) -> str:
    match node:
        case inspect.Metadata(extra={"ignored": True}):
            return "plain"
        case inspect.Metadata(type=inner):
            return _kind(inner)
        case inspect.UnionType(types=types) if node.includes_none and len(types) == 2:
            return next(_kind(t) for t in types if not isinstance(t, inspect.NoneType))
        case inspect.FloatType():
            return "floats"
        case inspect.AnyType() | inspect.IntType():
            return "free"
        case inspect.DictType(value_type=inspect.AnyType() | inspect.StrType()):
            return "free"  # for its keys, too
        case inspect.ListType(item_type=inspect.StructType()):
            return "children"
        case inspect.StructType():
            return "child"
        case inspect.StrType() | inspect.BoolType() | inspect.LiteralType():
            return "plain"
        case inspect.ListType(item_type=item) if _kind(item) == "plain":
            return "plain"
    raise TypeError(f"A state can't have a field of this type yet: {node}")


def _normalised(state: S) -> S:
    try:
        _normalise(state)
    except Refused as refused:
        raise InvalidState([refused.problem()]) from None
    return state


def _normalise(state: Struct) -> None:
    plan = _plan(type(state))
    name = ""
    try:
        for name in plan.floats:
            _normalise_float(state, name)
        for name in plan.free:
            _normalise_free(state, name)
        for name in plan.children:
            _normalise_all(getattr(state, name))
        for name in plan.child:
            if (child := getattr(state, name)) is not None:
                _normalise(child)
    except Refused as refused:
        refused.steps.append(name)
        raise


def _normalise_float(state: Struct, name: str) -> None:
    value = getattr(state, name)
    if value == 0:
        force_setattr(state, name, 0.0)  # for -0.0
    elif value is not None and not isfinite(value):
        raise not_finite(value)


def _normalise_free(state: Struct, name: str) -> None:
    value = getattr(state, name)
    if type(value) not in UNCHANGED:
        cleaned = clean(value, 0)
        if cleaned is not value:
            force_setattr(state, name, cleaned)


def _normalise_all(states: Iterable[Struct]) -> None:
    for index, state in enumerate(states):
        try:
            _normalise(state)
        except Refused as refused:
            refused.steps.append(index)
            raise


# --- Saying what is wrong


def _explain(error: Exception, raw: bytes, type_: type[Struct]) -> Problem:
    """Say in people's words why a body couldn't be read."""
    match error:
        case RecursionError():
            hint = f"Keep free-form values within {MAX_DEPTH} levels."
            return Problem("", "is nested too deeply", hint)
        case UnicodeDecodeError():
            return Problem("", "isn't valid UTF-8", "Encode the body as UTF-8.")
        case msgspec.ValidationError() if "out of range" not in str(error):
            return translate(error, type_)
        case msgspec.ValidationError():
            return locate(raw) or translate(error, type_)
    return locate(raw) or not_json(error)
