"""Pages by key: a list goes on after the last document that was seen, however the list changes.

An offset would skip or repeat documents while others are added, and cost more with every page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from django.conf import settings
from django.core import signing
from pymongo import DESCENDING
from rest_framework.request import Request

from snipix import errors
from snipix.documents import DocumentQuerySet

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Page:
    results: list[Any]
    next: str | None
    """The cursor of the next page; None on the last one."""


@dataclass(frozen=True, slots=True)
class Keyset:
    """An order by one date, and by `_id` where dates are equal."""

    column: str
    direction: int = DESCENDING

    def page(self, queryset: DocumentQuerySet, match: dict[str, Any], request: Request) -> Page:
        """The page that a request asks for, of what `match` (a MongoDB filter) finds."""
        size = page_size(request)
        after = self._after(request.query_params.get("cursor"))
        # Match, sort and limit in this order, at the top level: served by one index, read in order.
        # The ORM's order_by() would compute fields first, and so sort in memory.
        found: list[Any] = list(
            queryset.raw_aggregate(
                [
                    {"$match": {**match, **after}},
                    {"$sort": {self.column: self.direction, "_id": self.direction}},
                    {"$limit": size + 1},
                ]
            )
        )
        return Page(found[:size], self._cursor(found[size - 1]) if len(found) > size else None)

    def _after(self, cursor: str | None) -> dict[str, Any]:
        if not cursor:
            return {}
        time, key = self._position(cursor)
        beyond = "$lt" if self.direction == DESCENDING else "$gt"
        return {
            # The first condition is implied by the second; it gives the index its bound.
            self.column: {f"{beyond}e": time},
            "$or": [{self.column: {beyond: time}}, {self.column: time, "_id": {beyond: key}}],
        }

    def _position(self, cursor: str) -> tuple[datetime, ObjectId]:
        try:
            milliseconds, key = signing.loads(cursor, salt=f"cursor:{self.column}")
        except signing.BadSignature as error:
            reason = "isn't a cursor of this list"
            hint = "Follow `next` of the page before; leave it out for the first page."
            problem = {"path": "cursor", "reason": reason, "hint": hint}
            raise errors.InvalidInput([problem]) from error
        return _EPOCH + milliseconds * _MILLISECOND, ObjectId(key)

    def _cursor(self, last: Any) -> str:
        field = next(f for f in last._meta.concrete_fields if f.column == self.column)
        time = getattr(last, field.attname)
        position = [(time - _EPOCH) // _MILLISECOND, str(last.pk)]
        return signing.dumps(position, salt=f"cursor:{self.column}")


def page_size(request: Request) -> int:
    """`?page_size=`. Raises InvalidInput for what isn't between 1 and the limit."""
    asked = request.query_params.get("page_size", str(settings.PAGE_SIZE))
    size = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 0
    if not 1 <= size <= settings.PAGE_SIZE_MAX:
        reason = f"must be a whole number from 1 to {settings.PAGE_SIZE_MAX}"
        problem = {"path": "page_size", "reason": reason, "hint": "Ask for several pages instead."}
        raise errors.InvalidInput([problem])
    return size


def refuse_unknown(request: Request, offered: Sequence[str]) -> None:
    """Raise InvalidInput for a query parameter that isn't offered, rather than ignore it."""
    unknown = [name for name in request.query_params if name not in {*offered, "format"}]
    if unknown:
        hint = f"Offered are: {', '.join(offered) or 'none'}."
        reason = "isn't a parameter of this request"
        raise errors.InvalidInput([{"path": n, "reason": reason, "hint": hint} for n in unknown])
