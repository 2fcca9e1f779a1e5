"""Media of projects that aren't there: which may go, by one rule for `sweep_media` and the doctor.

Only the audit entry of a purge says that a project was destroyed. That a project isn't there says
nothing: the database may be the wrong one, or lost, or not restored yet.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from bson import ObjectId

from media import storage
from projects.models import Project
from snipix import audit

_AT_ONCE = 500
"""Folders whose projects are looked for together."""


class Orphan(NamedTuple):
    """A folder of a project that isn't there."""

    key: str
    """The project's ObjectId."""
    files: int
    is_purged: bool
    """Whether the project is known to have been destroyed. Otherwise it was never in this
    database, or its purge was left unfinished for longer than audit entries are kept."""


def orphans(say: Callable[[int], None] = lambda _: None) -> Iterator[Orphan]:
    """Folders of projects that aren't there, but for those with files of the last hour.

    `say` is told how many folders were looked at. What isn't named by a key isn't ours to judge.
    """
    looked_at, keys = 0, filter(ObjectId.is_valid, storage.projects())
    while some := list(islice(keys, _AT_ONCE)):
        for key, is_purged in _gone(list(map(ObjectId, some))):
            if is_purged is not None:
                yield from _settled(key, is_purged=is_purged)
            say(looked_at := looked_at + 1)


def _settled(key: ObjectId, *, is_purged: bool) -> Iterator[Orphan]:
    files = storage.files_of(key)
    if storage.is_settled(*files):
        yield Orphan(str(key), len(files), is_purged)


def _gone(keys: list[ObjectId]) -> Iterator[tuple[ObjectId, bool | None]]:
    """Each key, and whether that project was purged; None if it is there."""
    there = set(Project.everything.filter(pk__in=keys).values_list("pk", flat=True))
    gone = set(keys) - there
    purged = audit.purged(gone) if gone else set()
    for key in keys:
        yield key, None if key in there else key in purged


def remove(orphan: Orphan) -> int:
    """Remove the media, unless the project was restored just now. Returns how many files."""
    is_there = Project.everything.filter(pk=ObjectId(orphan.key)).exists()
    return 0 if is_there else storage.remove_all(orphan.key)
