"""Captions that can't be read."""

from collections.abc import Iterator
from contextlib import contextmanager

from snipix.errors import SnipixError
from snipix.refusals import InvalidState

MAX_SHOWN = 60


class UnreadableCaptions(SnipixError):
    """A file that isn't what it says it is: where, why, and what to do about it.

    `where` reads like `line 12`, or for JSON like `segments[3].start`; it is empty for the whole.
    """

    status = 422
    code = "unreadable-captions"
    title = "The captions can't be read"

    def __init__(self, where: str, reason: str, hint: str) -> None:
        error = {"path": where, "reason": reason, "hint": hint}
        subject = f"{where[:1].upper()}{where[1:]}" if where.startswith("line ") else where
        fact = f"{subject}: {reason}" if where else f"The file {reason}"
        super().__init__(f"{fact}. {hint}", errors=[error])


@contextmanager
def unreadable() -> Iterator[None]:
    """Turn the first problem of an InvalidState into UnreadableCaptions."""
    try:
        yield
    except InvalidState as refused:
        first = refused.errors[0]
        raise UnreadableCaptions(first.path, first.reason, first.hint) from None


def quoted(text: str) -> str:
    """Quote what stands in a file, shortened, for a message."""
    text = text.strip()
    return f"“{text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + '…'}”"
