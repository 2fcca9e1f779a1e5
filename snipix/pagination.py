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
from django.db import models
from django_mongodb_backend.queryset import RawQuerySet
from pymongo import ASCENDING, DESCENDING
from rest_framework.request import Request

from snipix import errors
from snipix.mongo import connection, flat
from snipix.parameters import whole_number

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Page:
    results: list[Any]
    next: str | None
    """The cursor of the next page; None on the last one."""


@dataclass(frozen=True, slots=True)
class Keyset:
    """An order by one key that is never null, and by `_id` where keys are equal."""

    column: str
    direction: int = DESCENDING
    is_unique: bool = False
    """Whether no two documents of the list have the same key, so that `_id` decides nothing."""

    def page(
        self,
        model: type[models.Model],
        match: dict[str, Any],
        request: Request,
        *,
        without: Sequence[str] = (),
    ) -> Page:
        """The page that a request asks for, of what `match` (a MongoDB filter) finds.

        Keys named in `without` aren't fetched. Raises InvalidInput for a cursor of another list.
        """
        size = page_size(request)
        salt = f"{self.column}{self.direction}{sorted(match)}"
        after = self._after(request.query_params.get("cursor"), salt)
        wanted = flat({"$and": [match, after]}) if after else match
        found = self.first(size + 1, model, wanted, without=without)
        cursor = self._cursor(found[size - 1], salt) if len(found) > size else None
        return Page(found[:size], cursor)

    def first(
        self,
        count: int,
        model: type[models.Model],
        match: dict[str, Any],
        *,
        without: Sequence[str] = (),
    ) -> list[Any]:
        """The first documents of what `match` finds, in this order."""
        # Match, sort and limit in this order, at the top level: served by one index, read in order.
        # The ORM's order_by() would compute fields first, and so sort in memory.
        pipeline: list[dict[str, Any]] = [
            {"$match": match},
            {"$sort": self._sort()},
            {"$limit": count},
        ]
        if without:
            pipeline.append({"$project": dict.fromkeys(without, 0)})
        return list(RawQuerySet(pipeline, model=model))

    def _sort(self) -> dict[str, int]:
        last = {} if self.is_unique else {"_id": self.direction}
        return {self.column: self.direction, **last}

    def _after(self, cursor: str | None, salt: str) -> dict[str, Any]:
        if not cursor:
            return {}
        value, key = self._position(cursor, salt)
        beyond = "$lt" if self.direction == DESCENDING else "$gt"
        return {
            # The first condition is implied by the second; it gives the index its bound.
            self.column: {f"{beyond}e": value},
            "$or": [{self.column: {beyond: value}}, {self.column: value, "_id": {beyond: key}}],
        }

    def _position(self, cursor: str, salt: str) -> tuple[Any, ObjectId]:
        try:
            value, key = signing.loads(cursor, salt=salt)
        except signing.BadSignature as error:
            reason = "isn't a cursor of this list"
            hint = "Follow `next` of the page before; leave it out for the first page."
            raise errors.InvalidInput.at("cursor", reason, hint) from error
        is_time = isinstance(value, dict)
        return _EPOCH + value["ms"] * _MILLISECOND if is_time else value, ObjectId(key)

    def _cursor(self, last: Any, salt: str) -> str:
        field = next(f for f in last._meta.concrete_fields if f.column == self.column)
        value = getattr(last, field.attname)
        if isinstance(value, datetime):
            value = {"ms": (value - _EPOCH) // _MILLISECOND}
        return signing.dumps([value, str(last.pk)], salt=salt)


def count(model: type[models.Model], match: dict[str, Any], request: Request) -> int | None:
    """How many documents a list has on all its pages, if `?include=total` asks for it."""
    include = request.query_params.get("include")
    if include not in (None, "total"):
        raise errors.InvalidInput.at("include", "must be total", "Leave it out otherwise.")
    if include is None:
        return None
    return connection.get_collection(model._meta.db_table).count_documents(match)


def page_size(request: Request) -> int:
    """`?page_size=`. Raises InvalidInput for what isn't between 1 and the limit."""
    asked = request.query_params.get("page_size", str(settings.PAGE_SIZE))
    return whole_number("page_size", asked, 1, settings.PAGE_SIZE_MAX)


BY_VERSION = Keyset("version", is_unique=True)
OLDEST_VERSION_FIRST = Keyset("version", ASCENDING, is_unique=True)
