"""Backups: one archive of everything, of one moment, made while the server runs.

`format` is the archive's form, `taking` makes one, `archive` reads and proves one, and `restoring`
brings back what is in it. `docs/operations.md` says why what is in it is of one moment.
"""

from collections.abc import Callable

Say = Callable[[str, int, int], None]
"""Is told of long work, step by step: what it counts, how many are done, and of how many."""


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""
