"""What Django's own vocabulary lacks for MongoDB."""

from datetime import datetime
from typing import Any, TypeVar

from django.db import DatabaseError, models
from django.db import connection as _connection
from django.db.models.sql.where import WhereNode
from django_mongodb_backend.query import where_node
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure

from snipix import times

T = TypeVar("T")
_MISFIT = 121
MOMENTARY = frozenset({6, 7, 89, 134, 262, 9001})
"""Codes of servers that don't reach each other, or not in time. (What a server says that isn't the
primary any more is an AutoReconnect to the driver.)"""

connection: Any = _connection
"""This thread's connection, as what it is: Django's type knows neither collections nor sessions."""


class BsonField(models.Field):
    """Free-form JSON, stored as the BSON it maps to and handed over as it was read.

    Django's own JSONField goes through text in both directions, which costs more than all else on
    a state of a megabyte.
    """

    def get_internal_type(self) -> str:
        return "BsonField"

    def db_type(self, connection: Any) -> str:
        return "object"

    def from_db_value(self, value: Any, *_: Any) -> Any:
        """A document from before there was this field has its default."""
        return self.get_default() if value is None and not self.null else value


def write_conditions_flat() -> None:
    """Make the backend write `{a: 1, b: 2}` where it would write `{$and: [{a: 1}, {b: 2}]}`.

    They mean the same, but the embedded server finds an index for the first only. It is done as the
    backend does it itself, which gives Django's class the method.
    """

    def as_mql(node: WhereNode, compiler: Any, connection: Any, as_expr: bool = False) -> Any:
        mql = where_node(node, compiler, connection, as_expr)
        return mql if as_expr else flat(mql)

    WhereNode.as_mql = as_mql  # type: ignore[attr-defined]


def flat(mql: dict[str, Any]) -> dict[str, Any]:
    """Conditions on different keys side by side; what else there is stays in an `$and`."""
    if mql.keys() != {"$and"}:
        return mql
    merged: dict[str, Any] = {}
    rest = []
    for condition in mql["$and"]:
        if condition.keys().isdisjoint({*merged, "$and"}):
            merged |= condition
        else:
            rest.append(condition)
    return {**merged, "$and": rest} if rest else merged


def server_time() -> datetime:
    """The time in UTC by MongoDB's clock, whatever the one of this machine says."""
    connection.ensure_connection()
    told: datetime = connection.connection.admin.command("hello")["localTime"]
    return times.aware(told)


def is_embedded() -> bool:
    """Whether the server is the one for development, that `make run` starts."""
    connection.ensure_connection()
    return "secantusVersion" in connection.connection.server_info()


def is_away(error: BaseException | None) -> bool:
    """Whether an error means that MongoDB can't be reached."""
    cause = error.__cause__ if isinstance(error, DatabaseError) and error.__cause__ else error
    return isinstance(cause, ConnectionFailure)


def is_refusal(error: BaseException) -> bool:
    """Whether MongoDB was reached and won't do something, also if it is asked again in a moment."""
    cause = error.__cause__ if isinstance(error, DatabaseError) and error.__cause__ else error
    if not isinstance(cause, OperationFailure):
        return False
    return cause.code not in MOMENTARY and not cause.has_error_label("TransientTransactionError")


def is_misfit(error: BaseException) -> bool:
    """Whether MongoDB refused a document since it isn't of the form that its validator asks for."""
    cause = error.__cause__ if isinstance(error, DatabaseError) and error.__cause__ else error
    if isinstance(cause, BulkWriteError):
        return any(each.get("code") == _MISFIT for each in cause.details["writeErrors"])
    return getattr(cause, "code", None) == _MISFIT


def one(queryset: models.QuerySet[Any, T]) -> T | None:
    """The one document that a query by unique keys finds. (`first()` would sort, in memory.)"""
    return next(iter(queryset[:1]), None)
