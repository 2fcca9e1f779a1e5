"""What can't be done with one of many: it is named, and is in nobody's way.

For commands that go through everything stored, of which somebody may have changed one by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bson.errors import BSONError
from django.db import DatabaseError
from pymongo.errors import DuplicateKeyError, PyMongoError

from snipix import errors
from snipix.chains import HistoryDamaged
from snipix.mongo import is_away, is_misfit

NOT_READ = (ValueError, AttributeError, LookupError, TypeError, RecursionError)
"""What is raised by a state that isn't one, as somebody may have made it by hand."""
FAILURES = (
    errors.SnipixError,
    HistoryDamaged,
    DatabaseError,
    PyMongoError,
    BSONError,
    OSError,
    *NOT_READ,
)
"""What one document may raise; also what is raised while MongoDB is away: see `why`."""
_NAMED = 100
"""Of those that were left, at most."""
_OF_ONE = (errors.NewerSchema, errors.Overloaded)


class Left(NamedTuple):
    """What was left as it is, and why."""

    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


def why(error: Exception) -> str:
    """Why one couldn't be dealt with. Raises the error itself if MongoDB is away: then none can.

    Never the driver's own text: it holds documents.
    """
    if isinstance(error, errors.DatabaseUnavailable) and not isinstance(error, _OF_ONE):
        raise error
    if is_away(error):
        raise error
    if is_misfit(error):
        return "it doesn't fit its validator (see ensure_schema --check --documents)"
    if isinstance(error, errors.SnipixError):
        return error.detail
    if isinstance(error, HistoryDamaged):
        return str(error)
    cause = error.__cause__ or error
    if isinstance(cause, DuplicateKeyError):
        keys = ", ".join((cause.details or {}).get("keyPattern", ())) or "key"
        return f"there are documents with the same {keys}, which is to be unique"
    kind = type(cause).__name__
    return f"it can't be dealt with ({kind}): run doctor, and do as it says"


@dataclass
class LeftOver:
    """How many were left, and the first of them."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, left: Left) -> None:
        self.count += 1
        if self.count <= _NAMED:
            self.named.append(str(left))

    def lines(self) -> Iterator[str]:
        yield from self.named
        if self.count > len(self.named):
            yield f"and {self.count - len(self.named):,} more"
