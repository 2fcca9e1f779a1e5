"""What the query string of a request asks for. Each raises InvalidInput for what isn't offered."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from math import inf
from typing import Any

from rest_framework.request import Request

from snipix import errors, times


def whole_number(path: str, text: str, least: int, most: int) -> int:
    """A number in a query string. Raises InvalidInput for what isn't one within the bounds."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else least - 1
    if not least <= number <= most:
        reason = f"must be a whole number from {least} to {most}"
        raise errors.InvalidInput.at(path, reason, "Send one of these.")
    return number


def one_number(request: Request, name: str, default: float) -> float:
    """A parameter that is a number from 0 up. Raises InvalidInput."""
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < inf:
        raise errors.InvalidInput.at(name, "must be a number, not below 0", "Send one as 12.5.")
    return number


def one_flag(request: Request, name: str, default: bool) -> bool:
    """A parameter that is true or false. Raises InvalidInput."""
    value = request.query_params.get(name, "true" if default else "false")
    if value not in ("true", "false"):
        raise errors.InvalidInput.at(name, "must be true or false", "Leave it out otherwise.")
    return value == "true"


def refuse_unknown(request: Request, offered: Sequence[str]) -> None:
    """Raise InvalidInput for a query parameter that isn't offered, rather than ignore it."""
    unknown = [name for name in request.query_params if name not in offered]
    if unknown:
        hint = f"Offered are: {', '.join(offered) or 'none'}."
        reason = "isn't a parameter of this request"
        raise errors.InvalidInput([{"path": n, "reason": reason, "hint": hint} for n in unknown])


def one_filter(request: Request, offered: Collection[str]) -> str | None:
    """The one filter that a request names, if any. Raises InvalidInput for several."""
    chosen = [name for name in offered if name in request.query_params]
    if len(chosen) > 1:
        hint = f"Send at most one of {', '.join(offered)}."
        raise errors.InvalidInput.at(chosen[1], "can't be combined with another filter", hint)
    return chosen[0] if chosen else None


def one_time(request: Request, name: str) -> datetime:
    """A parameter that is a time. Raises InvalidInput."""
    try:
        return times.read(request.query_params[name])
    except ValueError as error:
        raise errors.InvalidInput.at(name, str(error), "Send a time with its zone.") from error


def bounds(request: Request, name: str, read: Callable[[str], Any]) -> dict[str, Any]:
    """`?name_min=` and `?name_max=`, for MongoDB. Raises InvalidInput for what `read` refuses."""
    found = {}
    for path, operator in ((f"{name}_min", "$gte"), (f"{name}_max", "$lte")):
        if path in request.query_params:
            try:
                found[operator] = read(request.query_params[path])
            except ValueError as error:
                hint = f"Send a value like those of {name}."
                raise errors.InvalidInput.at(path, f"isn't valid: {error}", hint) from error
    return found
