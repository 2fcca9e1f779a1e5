"""Reads ahead of those who will come: the projects that were edited last, as their owners.

It is done by the views themselves, so that what is kept is what they would keep, under the same
leases: beside a server that runs, and beside changes.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.urls import resolve
from rest_framework.test import APIRequestFactory, force_authenticate

from projects.models import Project
from snipix import cache
from snipix.cache import stats
from snipix.pagination import Keyset

_PATHS = ("", "timeline/", "transcription/")
_CODINGS = ("gzip", "zstd")
"""Those that browsers ask for; what isn't compressed is kept with them."""
_UNUSED = ("metadata", "keys", "description")


class NotWarmed(Exception):
    """A read was refused, for a reason that the next one has as well."""


@dataclass(frozen=True)
class Owner:
    """Whoever owns a project, as views see those who ask."""

    pk: str
    is_authenticated: bool = True
    is_staff: bool = False


class Progress(NamedTuple):
    done: int
    total: int


def warm(limit: int) -> Iterator[Progress]:
    """Read so many projects with what belongs to them. Yields after each.

    Raises NotWarmed when the database or Redis is away, and the driver's errors.
    """
    projects = edited_last(limit)
    for done, project in enumerate(projects, 1):
        for path in _PATHS:
            for coding in _CODINGS:
                _read(f"/api/v1/projects/{project.project_id}/{path}", project.user_id, coding)
        yield Progress(done, len(projects))


def edited_last(limit: int) -> list[Project]:
    """The projects to be read, those that were edited last first."""
    return Keyset("updatedAt").first(limit, Project, {"isDeleted": False}, without=_UNUSED)


def fills() -> Counter[str]:
    """What became of all that this process was to keep: `filled`, `refused` …"""
    found: Counter[str] = Counter()
    for labels, count in stats.counted()["snipix_cache_fills_total"].items():
        found[labels.rpartition(" ")[2]] += int(count)
    return found


def _read(path: str, owner: str, coding: str) -> None:
    request = APIRequestFactory().get(path, headers={"Accept-Encoding": coding})
    asks: Any = Owner(owner)
    force_authenticate(request, asks)
    view, arguments, names = resolve(path)
    status = view(request, *arguments, **names).status_code
    if status >= 500:
        raise NotWarmed(f"{path} was answered {status}.")
    if cache.server.state != "ok":
        raise NotWarmed("Redis can't be reached any more.")
