"""Whether an answer shows what may be out of date, since the database can't be asked."""

from contextvars import ContextVar

_oldest: ContextVar[float | None] = ContextVar("oldest", default=None)


def begin() -> None:
    """A new request begins: nothing of it is stale yet."""
    _oldest.set(None)


def note(age: float) -> None:
    """Something is used that was current so many seconds ago."""
    _oldest.set(max(age, _oldest.get() or 0.0))


def age() -> float | None:
    """How old what the answer shows may be, in seconds; None if it is current."""
    return _oldest.get()
