"""What every stored state shares: how it is read, refused, normalised and written.

A state is a tree of typed structs. `decode` reads one from JSON (RFC 8259) and `from_builtins` from
what MongoDB gives back. Both normalise: -0.0 becomes 0.0 and, in free-form values, 1.0 becomes 1,
so that two states are equal, as JSON is, exactly when their canonical bytes (`encode`) are.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from itertools import islice
from math import inf, isfinite
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import inspect
from msgspec.structs import force_setattr

MAX_PROBLEMS = 20
MAX_WARNINGS = 100
MAX_DEPTH = 32
MAX_KEY_LENGTH = 255
MIN_INT, MAX_INT = -(2**63), 2**63 - 1
_UNCHANGED = frozenset({str, bool, type(None)})

# For `Annotated[Any, IGNORED]`: a field that clients may send, and that nobody reads.
IGNORED = msgspec.Meta(extra={"ignored": True})


class Struct(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A part of a state. It isn't changed in place: `msgspec.structs.replace` makes a new one."""


S = TypeVar("S", bound=Struct)


class Problem(msgspec.Struct, frozen=True):
    """Why a state is refused, and what to do about it.

    `path` reads like `layers[2].clips[17].duration`, and is empty for the whole body.
    """

    path: str
    reason: str
    hint: str

    def __str__(self) -> str:
        return f"{self.path or 'the body'} {self.reason}"


class StateWarning(msgspec.Struct, frozen=True):
    """What is odd in a state that is kept all the same."""

    path: str
    code: str
    message: str


class InvalidState(ValueError):
    """A state that can't be kept; `errors` say why, the first ones if there are very many."""

    def __init__(self, errors: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = list(errors)


def refuse(problems: Iterable[Problem]) -> None:
    """Raise InvalidState with the first problems, if there are any."""
    if errors := list(islice(problems, MAX_PROBLEMS)):
        raise InvalidState(errors)


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
    try:
        state = msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidState([_explain(error, raw, type_)]) from None
    return _normalised(state)


def decode_free(raw: bytes) -> Any:
    """Read any JSON value, strictly as `decode` does, and normalised as free-form values are."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidState([_explain(error, raw, Struct)]) from None
    return check_free(value, "")


def encode(state: Struct) -> bytes:
    """Write the canonical bytes: equal for equal states, whatever order their keys came in."""
    return msgspec.json.encode(state, order="deterministic")


def to_builtins(state: Struct) -> dict[str, Any]:
    """Turn a state into what MongoDB stores; keys are as on the wire."""
    builtins: dict[str, Any] = msgspec.to_builtins(state)
    return builtins


def from_builtins(mapping: Mapping[str, Any], type_: type[S]) -> S:
    """Read a state from what MongoDB stored, or an edit made of it; refuses what `decode` does."""
    try:
        state = msgspec.convert(mapping, type_)
    except msgspec.ValidationError as error:
        raise InvalidState([_translate(error, type_)]) from error
    return _normalised(state)


def json_schema(type_: type[Struct]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Describe a state for OpenAPI: the schema (a reference) and the components by name."""
    template = "#/components/schemas/{name}"
    (schema,), components = msgspec.json.schema_components([type_], ref_template=template)
    return schema, components


# --- Normalising


def check_free(value: Any, path: str) -> Any:
    """Return a free-form JSON value normalised: the same object when nothing had to change.

    Raises InvalidState for what MongoDB or other readers can't hold: more than MAX_DEPTH levels,
    integers over 64 bits, numbers that aren't finite, and keys that start with `$`, hold NUL or
    are longer than MAX_KEY_LENGTH.
    """
    try:
        return _clean(value, 0)
    except _Refused as refused:
        raise InvalidState([refused.problem(path)]) from None


class _Refused(Exception):
    """A Problem on its way up; every level adds its step, so that good values pay for no path."""

    def __init__(self, reason: str, hint: str, *steps: str | int) -> None:
        super().__init__(reason)
        self.reason, self.hint, self.steps = reason, hint, list(steps)

    def problem(self, path: str = "") -> Problem:
        for step in reversed(self.steps):
            path = join(path, step)
        return Problem(path, self.reason, self.hint)


def join(path: str, step: str | int) -> str:
    """Extend a path by a key or an index: `a.b`, `a[3]`, `a["odd key"]`."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    if re.fullmatch(r"[A-Za-z_]\w{0,99}", step):
        return f"{path}.{step}" if path else step
    return f"{path}[{json.dumps(_short(step), ensure_ascii=False)}]"


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"


def _clean(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _UNCHANGED:
        return value
    if kind is float:
        return _clean_float(value)
    if kind is dict:
        return _clean_dict(value, depth + 1)
    if kind is list:
        changed = _cleaned_items(enumerate(value), depth + 1)
        return [changed.get(i, item) for i, item in enumerate(value)] if changed else value
    if isinstance(value, int):
        return _clean_int(value)
    raise _Refused(f"can't be written as JSON ({kind.__name__})", "Send plain JSON.")


def _clean_int(value: int) -> int:
    if not MIN_INT <= value <= MAX_INT:
        raise _Refused("is an integer over 64 bits", "Send a smaller number, or a string.")
    return value if type(value) is int else int(value)  # MongoDB's driver has its own, for 64 bits


def _clean_float(value: float) -> float | int:
    if not isfinite(value):
        raise _not_finite(value)
    return int(value) if value.is_integer() and MIN_INT <= value <= MAX_INT else value


def _not_finite(value: float) -> _Refused:
    what = "is infinite, or too large a number" if value in (inf, -inf) else "is NaN, not a number"
    return _Refused(what, "Send a finite number.")


def _clean_dict(value: dict[str, Any], depth: int) -> dict[str, Any]:
    for key in value:
        if key[:1] == "$" or "\0" in key or len(key) > MAX_KEY_LENGTH:
            raise _bad_key(key)
    changed = _cleaned_items(value.items(), depth)
    return {**value, **changed} if changed else value


def _bad_key(key: str) -> _Refused:
    if len(key) > MAX_KEY_LENGTH:
        return _Refused("is too long a key", f"Use at most {MAX_KEY_LENGTH} characters.", key)
    what = "a key that starts with `$`" if key[:1] == "$" else "a key that holds a NUL character"
    return _Refused(f"is {what}", "Rename the key.", key)


def _cleaned_items(items: Iterable[tuple[Any, Any]], depth: int) -> dict[Any, Any]:
    """Return what has to change in a list or an object, by index or key."""
    if depth > MAX_DEPTH:
        raise _Refused("is nested too deeply", f"Keep it within {MAX_DEPTH} levels.")
    changed = {}
    for key, item in items:
        if type(item) in _UNCHANGED:
            continue
        try:
            cleaned = _clean(item, depth)
        except _Refused as refused:
            refused.steps.append(key)
            raise
        if cleaned is not item:
            changed[key] = cleaned
    return changed


class _Plan(NamedTuple):
    """Which fields of a struct have to be looked at."""

    floats: tuple[str, ...]
    free: tuple[str, ...]
    children: tuple[str, ...]


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
        case inspect.AnyType() | inspect.IntType() | inspect.DictType(value_type=inspect.AnyType()):
            return "free"
        case inspect.ListType(item_type=inspect.StructType()):
            return "children"
        case inspect.StrType() | inspect.BoolType() | inspect.LiteralType():
            return "plain"
        case inspect.ListType(item_type=item) if _kind(item) == "plain":
            return "plain"
    raise TypeError(f"A state can't have a field of this type yet: {node}")


def _normalised(state: S) -> S:
    try:
        _normalise(state)
    except _Refused as refused:
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
    except _Refused as refused:
        refused.steps.append(name)
        raise


def _normalise_float(state: Struct, name: str) -> None:
    value = getattr(state, name)
    if value == 0:
        force_setattr(state, name, 0.0)  # for -0.0
    elif value is not None and not isfinite(value):
        raise _not_finite(value)


def _normalise_free(state: Struct, name: str) -> None:
    value = getattr(state, name)
    if type(value) not in _UNCHANGED:
        cleaned = _clean(value, 0)
        if cleaned is not value:
            force_setattr(state, name, cleaned)


def _normalise_all(states: Iterable[Struct]) -> None:
    for index, state in enumerate(states):
        try:
            _normalise(state)
        except _Refused as refused:
            refused.steps.append(index)
            raise


# --- Saying what is wrong

_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "a string",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
}
_GOT = {**_WORDS, "int": "a number", "float": "a fraction", "bool": "a boolean"}
_WHERE = re.compile(r"(.*?)(?: - at (?:`key` in )?`\$\.?([\w.\[\]]*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_WRONG = re.compile(r"Expected `(.+)`, got `(.+)`")
_BOUND = re.compile(r"Expected `(\w+)` (?:of length )?([<>]=) (.+)")


def _explain(error: Exception, raw: bytes, type_: type[Struct]) -> Problem:
    """Say in people's words why a body couldn't be read."""
    match error:
        case RecursionError():
            hint = f"Keep free-form values within {MAX_DEPTH} levels."
            return Problem("", "is nested too deeply", hint)
        case UnicodeDecodeError():
            return Problem("", "isn't valid UTF-8", "Encode the body as UTF-8.")
        case msgspec.ValidationError() if "out of range" not in str(error):
            return _translate(error, type_)
        case msgspec.ValidationError():
            return _locate(raw) or _translate(error, type_)
    return _locate(raw) or _not_json(error)


def _translate(error: msgspec.ValidationError, type_: type[Struct]) -> Problem:
    """Say in people's words what msgspec found."""
    what, path = _WHERE.fullmatch(str(error)).groups("")  # type: ignore[union-attr]
    path = path.replace("[...]", "")
    if found := _UNKNOWN.fullmatch(what):
        return _unknown_field(_node_at(type_, path), path, found[1])
    if found := _MISSING.fullmatch(what):
        return Problem(join(path, found[1]), "is missing", "Send it: it has no default.")
    if found := _WRONG.fullmatch(what):
        return _wrong_type(path, found[1].split(" | "), found[2])
    if found := _BOUND.fullmatch(what):
        return _out_of_bounds(path, *found.groups())
    if isinstance(node := _node_at(type_, path), inspect.LiteralType):
        choices = ", ".join(map(json.dumps, node.values))
        return Problem(path, f"must be one of {choices}", "Send one of them.")
    return Problem(path, f"isn't valid: {_short(what)}", "Send a value that fits the schema.")


def _unknown_field(node: inspect.Type, path: str, name: str) -> Problem:
    known = [field.name for field in node.fields] if isinstance(node, inspect.StructType) else []
    snake = re.sub("([A-Z])", r"_\1", name[:100]).lower()
    close = get_close_matches(snake, known, 1, 0.75)
    hints = [f"Did you mean `{near}`?" for near in close]
    hints += ["Put what is your own into `metadata`." if "metadata" in known else "Leave it out."]
    return Problem(join(path, name), "isn't a known field", " ".join(hints))


def _wrong_type(path: str, expected: list[str], got: str) -> Problem:
    wanted = " or ".join(_WORDS.get(word, word) for word in expected)
    hint = f"Send {wanted}."
    if not {"float", "int"}.isdisjoint(expected):
        if got == "null":
            hint += " JavaScript writes NaN and Infinity as null."
        if got == "str":
            hint += " Leave out the quotes."
    return Problem(path, f"must be {wanted}, not {_GOT.get(got, got)}", hint)


def _out_of_bounds(path: str, kind: str, sign: str, bound: str) -> Problem:
    if (kind, sign, bound) == ("str", ">=", "1"):
        return Problem(path, "must not be empty", "Send at least one character.")
    limit = f"{'at most' if sign == '<=' else 'at least'} {float(bound):,.17g}"
    if kind in ("int", "float"):
        return Problem(path, f"must be {limit}", f"Send {limit}.")
    limit += " characters" if kind == "str" else " items"
    return Problem(path, f"must have {limit}", f"Send {limit}.")


def _node_at(type_: type[Struct], path: str) -> inspect.Type:
    node = inspect.type_info(type_)
    for step in re.findall(r"\w+", path):
        match node:
            case inspect.ListType():
                node = node.item_type
            case inspect.StructType():
                node = next(field.type for field in node.fields if field.name == step)
        node = node.type if isinstance(node, inspect.Metadata) else node
    return node


def _not_json(error: Exception) -> Problem:
    reason = str(error).removeprefix("JSON is malformed: ").replace("Input data was", "it is")
    return Problem("", f"isn't valid JSON: {reason}", "Send one JSON object (RFC 8259).")


def _locate(raw: bytes) -> Problem | None:
    """Find the first value that Python's more tolerant reader takes and that can't be stored."""
    try:
        value = json.loads(raw, parse_int=_parse_int)
    except (ValueError, RecursionError):
        return None
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack += [(join(path, key), value[key]) for key in reversed(value)]
            stack += [(path, key) for key in value]
        elif isinstance(value, list):
            stack += [(join(path, i), value[i]) for i in reversed(range(len(value)))]
        elif problem := _unstorable(path, value):
            return problem
    return None


def _parse_int(digits: str) -> float:
    return int(digits) if len(digits) < 25 else inf


def _unstorable(path: str, value: Any) -> Problem | None:
    try:
        _clean(value, 0)
        str(value).encode()
    except _Refused as refused:
        return refused.problem(path)
    except UnicodeEncodeError:
        hint = "Text was cut in the middle of an emoji or the like; send whole characters."
        return Problem(path, "holds half of a surrogate pair", hint)
    return None
