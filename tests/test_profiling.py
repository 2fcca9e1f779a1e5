"""`manage.py profile_queries`: what each read asks of MongoDB, and which index serves it."""

import json
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.http import HttpResponse

from projects.models import Project
from snipix import profiling, queries, seeding
from snipix.audit import AuditEntry
from tests.conftest import Api


def profile(*options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("profile_queries", *options, "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


@pytest.fixture
def project(db: None) -> str:
    list(seeding.seed(seeding.Wanted(1, 1, "anonymous", 100, 50, 3)))
    return seeding.id_of(1, 0)


def test_every_query_has_an_index_a_time_and_a_count(project: str) -> None:
    told = profile()
    assert told["project"] == project
    assert all(query["is_served"] for query in told["queries"])
    assert all(query["milliseconds"] > 0 for query in told["queries"])
    commands = {query["command"] for query in told["queries"]}
    wanted = {"aggregate projects", "aggregate timelines", "aggregate revisions", "find pieces"}
    assert commands >= wanted, "nothing was cached"
    pieces = [query for query in told["queries"] if query["command"] == "find pieces"]
    assert pieces[0]["returned"] > 1


def test_every_read_of_the_api_is_among_them(project: str) -> None:
    described = json.loads((settings.BASE_DIR / "docs" / "openapi.json").read_text())["paths"]
    wanted = {
        path for path, ways in described.items() if path.startswith("/api/v1/") and "get" in ways
    }
    found = set()
    for path in profiling.paths(Project.objects.get()):
        plain = path.partition("?")[0].replace(f"/{project}/", "/{project_id}/")
        plain = plain.replace("/versions/1/", "/versions/{version}/")
        found.add(plain.replace("/segments/none/", "/segments/{segment_id}/"))
    assert found == wanted


def test_each_read_asks_the_database_for_something(project: str) -> None:
    told = profile()
    assert told["reads"] == len({query["path"] for query in told["queries"]})


@pytest.mark.parametrize("status", [400, 500])
def test_a_read_that_fails_is_said(
    project: str, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    def fail(*_: Any, **__: Any) -> HttpResponse:
        return HttpResponse(status=status)

    monkeypatch.setattr(profiling, "resolve", lambda _: (fail, (), {}))
    with pytest.raises(CommandError, match=f"was answered {status}") as refused:
        profile()
    assert refused.value.returncode == 1


def test_it_changes_nothing_and_can_be_repeated(project: str) -> None:
    before = Project.objects.get().version, AuditEntry.objects.count()
    first, second = profile(), profile()
    assert (Project.objects.get().version, AuditEntry.objects.count()) == before
    assert [q["command"] for q in first["queries"]] == [q["command"] for q in second["queries"]]


def test_a_query_that_no_index_serves_is_found(
    project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Project, "collection_indexes", ())
    with pytest.raises(CommandError, match="No index") as refused:
        profile()
    assert refused.value.returncode == 3


def test_people_see_it_read_by_read(project: str) -> None:
    out = StringIO()
    call_command("profile_queries", stdout=out)
    lines = out.getvalue().splitlines()
    assert f"/api/v1/projects/{project}/timeline/" in lines
    assert any("aggregate timelines" in line and "_id" in line for line in lines)


def test_a_project_can_be_chosen(api: Api, project: str) -> None:
    api.create("Newer", id="newer")
    assert profile()["project"] == "newer"
    assert profile("--project", project)["project"] == project
    with pytest.raises(CommandError, match="no such project"):
        profile("--project", "nope")


@pytest.mark.parametrize(
    "command",
    [
        {"find": "projects", "filter": {}, "skip": 10},
        {"count": "projects", "query": {}},
        {"aggregate": "projects", "pipeline": [{"$lookup": {}}]},
        {"find": "projects", "filter": {"keys": {"$regex": "film"}}},
    ],
)
def test_what_no_index_can_serve_is_told(command: dict[str, Any]) -> None:
    with pytest.raises(queries.Unbounded):
        list(queries.shapes(command))
    assert profiling._index(command) is None
