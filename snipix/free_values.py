"""Free-form JSON within a state: what can be kept of it, and its one normal form."""

import json
from collections.abc import Iterable
from math import inf, isfinite
from typing import Any

from snipix.refusals import InvalidState, Problem, join

MAX_DEPTH = 32
MAX_KEY_LENGTH = 255
MAX_VALUES = 1_000_000
MIN_INT, MAX_INT = -(2**63), 2**63 - 1
UNCHANGED = frozenset({str, bool, type(None)})
"""Types of which every value is its own normal form."""


def check_free(value: Any, path: str) -> Any:
    """Return a free-form JSON value normalised: the same object when nothing had to change.

    Raises InvalidState for what MongoDB or other readers can't hold: more than MAX_DEPTH levels,
    integers over 64 bits, numbers that aren't finite, and keys that start with `$`, hold NUL or
    are longer than MAX_KEY_LENGTH.
    """
    try:
        return clean(value, 0)
    except Refused as refused:
        raise InvalidState([refused.problem(path)]) from None


class Refused(Exception):
    """A Problem on its way up; every level adds its step, so that good values pay for no path."""

    def __init__(self, reason: str, hint: str, *steps: str | int) -> None:
        super().__init__(reason)
        self.reason, self.hint, self.steps = reason, hint, list(steps)

    def problem(self, path: str = "") -> Problem:
        for step in reversed(self.steps):
            path = join(path, step)
        return Problem(path, self.reason, self.hint)


def clean(value: Any, depth: int) -> Any:
    """`check_free` from a given depth, raising Refused."""
    kind = type(value)
    if kind in UNCHANGED:
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
    raise Refused(f"can't be written as JSON ({kind.__name__})", "Send plain JSON.")


def _clean_int(value: int) -> int:
    if not MIN_INT <= value <= MAX_INT:
        raise Refused("is an integer over 64 bits", "Send a smaller number, or a string.")
    return value if type(value) is int else int(value)  # MongoDB's driver has its own, for 64 bits


def _clean_float(value: float) -> float | int:
    if not isfinite(value):
        raise not_finite(value)
    return int(value) if value.is_integer() and MIN_INT <= value <= MAX_INT else value


def not_finite(value: float) -> Refused:
    what = "is infinite, or too large a number" if value in (inf, -inf) else "is NaN, not a number"
    return Refused(what, "Send a finite number.")


def _clean_dict(value: dict[str, Any], depth: int) -> dict[str, Any]:
    for key in value:
        if key[:1] == "$" or "\0" in key or len(key) > MAX_KEY_LENGTH:
            raise _bad_key(key)
    changed = _cleaned_items(value.items(), depth)
    return {**value, **changed} if changed else value


def _bad_key(key: str) -> Refused:
    if len(key) > MAX_KEY_LENGTH:
        return Refused("is too long a key", f"Use at most {MAX_KEY_LENGTH} characters.", key)
    what = "a key that starts with `$`" if key[:1] == "$" else "a key that holds a NUL character"
    return Refused(f"is {what}", "Rename the key.", key)


def _cleaned_items(items: Iterable[tuple[Any, Any]], depth: int) -> dict[Any, Any]:
    """Return what has to change in a list or an object, by index or key."""
    if depth > MAX_DEPTH:
        raise Refused("is nested too deeply", f"Keep it within {MAX_DEPTH} levels.")
    changed = {}
    for key, item in items:
        if type(item) in UNCHANGED:
            continue
        try:
            cleaned = clean(item, depth)
        except Refused as refused:
            refused.steps.append(key)
            raise
        if cleaned is not item:
            changed[key] = cleaned
    return changed


def locate(raw: bytes) -> Problem | None:
    """Find the first value that Python's more tolerant reader takes and that can't be stored."""
    try:
        _search(json.loads(raw, parse_int=_parse_int))
    except Refused as refused:
        return refused.problem()
    except (ValueError, RecursionError):
        return None
    return None


def _search(value: Any) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        _search_items(value.items())
    elif isinstance(value, list):
        _search_items(enumerate(value))
    else:
        clean(value, 0)


def _search_items(items: Iterable[tuple[Any, Any]]) -> None:
    for key, item in items:
        _search(key)
        try:
            _search(item)
        except Refused as refused:
            refused.steps.append(key)
            raise


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        hint = "Text was cut in the middle of an emoji or the like; send whole characters."
        raise Refused("holds half of a surrogate pair", hint) from None


def _parse_int(digits: str) -> float:
    return int(digits) if len(digits) < 25 else inf


def check_count(raw: bytes) -> None:
    """Refuse a body of so many values that reading it would hold up everybody else.

    Counted without reading it, and so a little too high: commas and brackets in texts count too.
    Raises InvalidState.
    """
    count = raw.count(b",") + raw.count(b"[") + raw.count(b"{")
    if count > MAX_VALUES:
        reason = f"has about {count:,} values; at most {MAX_VALUES:,} are taken"
        raise InvalidState([Problem("", reason, "Keep long lists of numbers in a file.")])
