"""Reading edits from JSON, and why they can't be read."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from msgspec import Meta, Raw
from msgspec.structs import replace

from snipix import states
from snipix.free_values import check_count, check_free
from snipix.refusals import InvalidState, Problem, join, translate
from snipix.states import Struct
from timelines.edits.operations import MAX_EDITS, Edit, Edits, Operation
from timelines.state import Clip, Keyframe, Layer, Marker

_TYPES: dict[str, type[Operation]] = {
    type_.__struct_config__.tag: type_ for type_ in get_args(Edit)
}
_FREE = {"metadata", "properties", "value"}

T = TypeVar("T", bound=msgspec.Struct)


class _Body(Struct, frozen=True, kw_only=True):
    """`Edits` with each edit still in JSON, so that the reasons against one can be its own."""

    edits: Annotated[list[Raw], Meta(min_length=1, max_length=MAX_EDITS)]
    description: Annotated[str, Meta(max_length=500)] = ""


class _Tagged(msgspec.Struct):
    op: Any = ""


def decode(raw: bytes) -> Edits:
    """Read edits from strict JSON; raises InvalidState with the path of what is wrong."""
    check_count(raw)
    body = _read(raw, _Body, raw)
    edits: list[Any] = []
    for index, edit in enumerate(body.edits):
        with within(f"edits[{index}]"):
            edits.append(_normalised(_read(bytes(edit), _type(edit, raw), raw)))
    return Edits(edits=edits, description=body.description)


@contextmanager
def within(place: str) -> Iterator[None]:
    """Say of every refusal that it is about something in this place."""
    try:
        yield
    except _ElsewhereRefused as refused:
        raise InvalidState(refused.errors) from None
    except InvalidState as refused:
        raise InvalidState([_placed(place, problem) for problem in refused.errors]) from None


class _ElsewhereRefused(InvalidState):
    """A refusal whose paths are those of the whole body already."""


def _placed(place: str, problem: Problem) -> Problem:
    dot = "." if problem.path and problem.path[0] != "[" else ""
    return Problem(f"{place}{dot}{problem.path}", problem.reason, problem.hint)


def _type(edit: Raw, body: bytes) -> type[Operation]:
    op = _read(bytes(edit), _Tagged, body).op
    if isinstance(op, str) and op in _TYPES:
        return _TYPES[op]
    if op == "":
        raise InvalidState([Problem("op", "is missing", f"Send one of {', '.join(_TYPES)}.")])
    near = get_close_matches(str(op)[:100], _TYPES, 1, 0.6)
    hint = f"Did you mean `{near[0]}`?" if near else f"Send one of {', '.join(_TYPES)}."
    raise InvalidState([Problem("op", "isn't a known operation", hint)])


def _read(raw: bytes, type_: type[T], body: bytes) -> T:
    try:
        return msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not isinstance(error, msgspec.ValidationError) or "out of range" in str(error):
            _explain(body)
        if not isinstance(error, msgspec.ValidationError):
            reason = "can't be read"
            raise InvalidState([Problem("", reason, "Send plain JSON (RFC 8259).")]) from None
        raise InvalidState([translate(error, type_)]) from None


def _explain(body: bytes) -> None:
    """Say why a body isn't JSON, or holds a number that is none, in people's words."""
    try:
        states.decode_free(body)
    except InvalidState as refused:
        raise _ElsewhereRefused(refused.errors) from None


# --- Normalising: as whole states are


def _normalised(value: Struct, place: str = "") -> Struct:
    changes = {
        name: _normal(name, getattr(value, name), join(place, name))
        for name in value.__struct_fields__
    }
    return replace(value, **changes)


def _normal(name: str, value: Any, place: str) -> Any:
    match value:
        case Layer() | Clip() | Keyframe() | Marker():
            with within(place):
                return states.from_builtins(states.to_builtins(value), type(value))
        case Struct():
            return _normalised(value, place)
        case _ if name in _FREE and value is not msgspec.UNSET:
            return check_free(value, place)
        case float():
            return value + 0.0  # for -0.0
    return value
