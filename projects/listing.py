"""`?ordering=`, filters, ranges and `?q=` of a list of projects.

What is offered is what an index serves; anything else is refused by name.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from pymongo import ASCENDING, DESCENDING
from rest_framework.request import Request

from projects import keys
from snipix import errors, times
from snipix.pagination import Keyset
from snipix.parameters import bounds, one_filter, refuse_unknown


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError("must be a number of seconds")
    return value


class Order(NamedTuple):
    column: str
    read: Callable[[str], Any]


ORDERS = {
    "updated": Order("updatedAt", times.read),
    "created": Order("createdAt", times.read),
    "name": Order("sortName", keys.normalised),
    "duration": Order("sortDuration", _seconds),
}
FILTERS = ("status", "tag", "has_video", "shared")
_FLAGS = {"true": "1", "false": "0"}


class Listing(NamedTuple):
    keyset: Keyset
    match: dict[str, Any]


def wanted(request: Request, user_id: str) -> Listing:
    """The list that a request asks for, within what somebody may see. Raises InvalidInput."""
    ordering = request.query_params.get("ordering", "-updated")
    field = ordering.removeprefix("-")
    if field not in ORDERS:
        hint = f"Send one of {', '.join(ORDERS)}, with - before it for the reverse."
        raise errors.InvalidInput.at("ordering", "isn't an order of this list", hint)
    ranges = (f"{field}_min", f"{field}_max")
    refuse_unknown(request, ("cursor", "page_size", "ordering", "include", "q", *FILTERS, *ranges))
    found = [
        *_filtered(request, user_id),
        *keys.searched(user_id, request.query_params.get("q", "")),
    ]
    match: dict[str, Any] = {"isDeleted": False, "keys": {"$all": found or [user_id]}}
    if within := bounds(request, field, ORDERS[field].read):
        match[ORDERS[field].column] = within
    direction = DESCENDING if ordering.startswith("-") else ASCENDING
    return Listing(Keyset(ORDERS[field].column, direction), match)


def _filtered(request: Request, user_id: str) -> list[str]:
    name = one_filter(request, FILTERS)
    return [_facet(user_id, name, request.query_params[name])] if name else []


def _facet(user_id: str, name: str, value: str) -> str:
    if name == "tag":
        return keys.facet(user_id, "t", keys.normalised(value))
    if name == "status":
        return keys.facet(user_id, "s", value)
    if value not in _FLAGS or (name, value) == ("shared", "false"):
        offered = "true" if name == "shared" else "true or false"
        raise errors.InvalidInput.at(name, f"must be {offered}", f"Send {offered}.")
    return keys.facet(user_id, "v" if name == "has_video" else "x", _FLAGS[value])
