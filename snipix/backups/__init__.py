"""Backups: one archive of everything, of one moment, made while the server runs.

`format` is the archive's form, `taking` makes one, and `archive` reads and proves one. `restoring`
brings back all that is in it, `one_project` a part. `docs/operations.md` says why what is in it is
of one moment.
"""

from collections.abc import Callable

Say = Callable[[str, int, int], None]
"""Is told of long work, step by step: what it counts, how many are done, and of how many."""


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""
