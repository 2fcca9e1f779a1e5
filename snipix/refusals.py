"""Why a state is refused, in words that people understand."""

import json
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice

import msgspec
from msgspec import inspect

MAX_PROBLEMS = 20


class Problem(msgspec.Struct, frozen=True):
    """Why a state is refused, and what to do about it.

    `path` reads like `layers[2].clips[17].duration`, and is empty for the whole body.
    """

    path: str
    reason: str
    hint: str

    def __str__(self) -> str:
        return f"{self.path or 'the body'} {self.reason}"


class InvalidState(ValueError):
    """A state that can't be kept; `errors` say why, the first ones if there are very many."""

    def __init__(self, errors: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = list(errors)


def refuse(problems: Iterable[Problem]) -> None:
    """Raise InvalidState with the first problems, if there are any."""
    if errors := list(islice(problems, MAX_PROBLEMS)):
        raise InvalidState(errors)


def join(path: str, step: str | int) -> str:
    """Extend a path by a key or an index: `a.b`, `a[3]`, `a["odd key"]`."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    if re.fullmatch(r"[A-Za-z_]\w{0,99}", step):
        return f"{path}.{step}" if path else step
    return f"{path}[{json.dumps(_short(step), ensure_ascii=False)}]"


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"


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


def translate(error: msgspec.ValidationError, type_: type[msgspec.Struct]) -> Problem:
    """Say in people's words what msgspec found."""
    what, path = _WHERE.fullmatch(str(error)).groups("")  # type: ignore[union-attr]
    path = path.replace("[...]", "")
    if found := _UNKNOWN.fullmatch(what):
        node = _node_at(type_, path)
        if not isinstance(node, inspect.StructType):
            # The key itself reads like a place, and nothing is there.
            return _unknown_field(inspect.type_info(type_), "", str(error))
        return _unknown_field(node, path, found[1])
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


def _node_at(type_: type[msgspec.Struct], path: str) -> inspect.Type | None:
    node: inspect.Type | None = inspect.type_info(type_)
    for step in re.findall(r"\w+", path):
        match node:
            case inspect.ListType():
                node = node.item_type
            case inspect.StructType():
                node = next((f.type for f in node.fields if f.name == step), None)
            case _:
                return None
        node = node.type if isinstance(node, inspect.Metadata) else node
    return node


def not_json(error: Exception) -> Problem:
    reason = str(error).removeprefix("JSON is malformed: ").replace("Input data was", "it is")
    return Problem("", f"isn't valid JSON: {reason}", "Send one JSON object (RFC 8259).")
