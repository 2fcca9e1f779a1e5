"""What the API's reads ask of MongoDB: each command, the index that serves it, and what it costs.

The views themselves are run, as the owner of a project, with nothing cached: beside a live server,
whose cache stays as it is, and without changing anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django.test.utils import override_settings
from django.urls import resolve
from pymongo.errors import OperationFailure
from rest_framework.test import APIRequestFactory, force_authenticate

from projects.listing import ORDERS
from projects.models import Project
from projects.warming import Owner
from snipix import queries
from snipix.memory import contents
from snipix.mongo import connection, is_embedded
from snipix.queries import Command, Seen

_VERSIONED = ("versions/", "versions/1/", "versions/compare/?from=1&to=1", "checkpoints/")
_OF_A_PROJECT = (
    *(
        f"{part}{read}"
        for part in ("", "timeline/", "transcription/")
        for read in ("", *_VERSIONED)
    ),
    "audit/",
    "video/",
    "thumbnail/",
    "timeline/?at=2100-01-01T00:00:00Z",
    "timeline/changes/?since=0",
    "timeline/draft/",
    "timeline/drafts/",
    "transcription/?start=0&end=60",
    "transcription/search/?q=a",
    "transcription/captions/?format=vtt",
    "transcription/segments/none/",
)
"""All that the API's description has; the test compares."""
_SENT_BY_THE_DRIVER = {"lsid", "$db", "$clusterTime", "readConcern", "txnNumber"}


class NotRead(Exception):
    """A read failed, so that its queries say nothing."""


class Query(NamedTuple):
    """One command of one read."""

    path: str
    command: str
    """As `find timelines`."""
    served_by: str | None
    """The declared one that serves it, judged by the command's shape."""
    plan: str | None
    """The indexes that MongoDB says it used, where it explains its plans."""
    milliseconds: float
    returned: int
    examined: int | None

    @property
    def is_served(self) -> bool:
        return bool(self.served_by) and self.plan != "COLLSCAN"


def paths(project: Project) -> Iterator[str]:
    """The reads that are looked into."""
    for order in ORDERS:
        yield f"/api/v1/projects/?ordering=-{order}"
    yield "/api/v1/projects/?status=active&q=a"
    yield "/api/v1/trash/"
    yield f"/api/v1/audit/?project={project.project_id}"
    for path in _OF_A_PROJECT:
        yield f"/api/v1/projects/{project.project_id}/{path}"


def profile(path: str, owner: str) -> Iterator[Query]:
    """Read a path as somebody, and yield every command that this took. Raises NotRead."""
    contents.clear()
    with override_settings(REDIS_URL=""), queries.recorded():
        _read(path, owner)
    for seen in queries.recorder.seen:
        yield _judged(path, seen)


def _read(path: str, owner: str) -> None:
    request = APIRequestFactory().get(path, headers={"X-Client-Id": "profiling"})
    asks: Any = Owner(owner, is_staff=path.startswith("/api/v1/audit/"))
    force_authenticate(request, asks)
    view, arguments, names = resolve(request.path_info)
    status = view(request, *arguments, **names).status_code
    if status == 400 or status >= 500:  # what isn't there is looked for all the same
        raise NotRead(f"{path} was answered {status}; the log says why.")


def _judged(path: str, seen: Seen) -> Query:
    name, collection = next(iter(seen.command.items()))
    plan, examined = _explained(seen.command)
    return Query(
        path,
        f"{name} {collection}",
        _index(seen.command),
        plan,
        round(seen.milliseconds, 2),
        seen.returned,
        examined,
    )


def _index(command: Command) -> str | None:
    try:
        served = [shape.served_by for shape in queries.shapes(command)]
    except queries.Unbounded:
        return None
    return ", ".join(map(str, served)) if all(served) else None


def _explained(command: Command) -> tuple[str | None, int | None]:
    """The indexes that MongoDB used, and how many documents it looked at, where it says so."""
    plain = {key: value for key, value in command.items() if key not in _SENT_BY_THE_DRIVER}
    try:
        told = connection.database.command("explain", plain, verbosity="executionStats")
    except OperationFailure:
        return None, None
    stages = list(_stages(told))
    names = {str(stage["indexName"]) for stage in stages if "indexName" in stage}
    if any(stage.get("stage") == "COLLSCAN" for stage in stages):
        names = {"COLLSCAN"}
    examined = [stage["totalDocsExamined"] for stage in stages if "totalDocsExamined" in stage]
    # The server of `make run` plans otherwise than MongoDB.
    plan = None if is_embedded() else ", ".join(sorted(names)) or None
    return plan, max(examined, default=None)


def _stages(told: Any) -> Iterator[Mapping[str, Any]]:
    """All that an explanation consists of, however it is nested."""
    if isinstance(told, Mapping):
        yield told
        for key, value in told.items():
            if key != "rejectedPlans":
                yield from _stages(value)
    elif isinstance(told, list):
        for each in told:
            yield from _stages(each)
