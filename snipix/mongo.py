"""What Django's own vocabulary lacks for MongoDB."""

from typing import Any, TypeVar

from django.db import connection as _connection
from django.db.models import QuerySet

T = TypeVar("T")

connection: Any = _connection
"""This thread's connection, as what it is: Django's type knows neither collections nor sessions."""


def one(queryset: QuerySet[Any, T]) -> T | None:
    """The one document that a query by unique keys finds. (`first()` would sort, in memory.)"""
    return next(iter(queryset[:1]), None)
