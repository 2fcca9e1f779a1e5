"""The versions of projects and timelines: listed, read, compared, rolled back to."""

from typing import Any

import pytest

from projects.models import Project
from snipix import history
from tests.conftest import Api
from timelines.models import Timeline


def clip(id: str, start: float, **fields: Any) -> dict[str, Any]:
    return {"id": id, "type": "video", "start_time": start, "duration": 2, **fields}


def cut(*clips: dict[str, Any]) -> dict[str, Any]:
    return {"layers": [{"id": "v1", "name": "Video", "type": "video", "clips": list(clips)}]}


CUTS = [
    cut(clip("a", 0), clip("b", 2)),
    cut(clip("b", 0), clip("a", 2)),
    cut(clip("b", 0, properties={"volume": 1})),
    {**cut(), "zoom": 2},
]


@pytest.fixture
def path(api: Api) -> str:
    """A timeline with four versions, of a project with three."""
    path = f"/projects/{api.create('First')['id']}/"
    for number, state in enumerate(CUTS):
        timeline = f"{path}timeline/"
        body = {**state, "description": f"Cut {number + 1}"}
        assert api("PUT", timeline, body, if_match=api.etag(timeline)).status_code == 200
    for change in ({"name": "Second"}, {"tags": ["x"], "metadata": {"a": 1}}):
        api("PATCH", path, change, if_match=api.etag(path))
    return path


def test_versions_are_listed_without_states_the_newest_first(api: Api, path: str) -> None:
    versions = api("GET", f"{path}timeline/versions/").json()["results"]
    assert [v["version"] for v in versions] == [4, 3, 2, 1]
    assert [v["description"] for v in versions] == ["Cut 4", "Cut 3", "Cut 2", "Cut 1"]
    assert all("state" not in v and "frame" not in v for v in versions)
    assert versions[0]["etag"] == api.etag(f"{path}timeline/")
    projects = api("GET", f"{path}versions/").json()["results"]
    assert [(v["version"], v["action"], v["change_summary"]) for v in projects] == [
        (3, "update", "Changed metadata, tags"),
        (2, "update", "Changed name"),
        (1, "create", ""),
    ]


def test_versions_come_in_pages(api: Api, path: str) -> None:
    first = api("GET", f"{path}timeline/versions/?page_size=3").json()
    second = api("GET", f"{path}timeline/versions/?page_size=3&cursor={first['next']}").json()
    assert [v["version"] for v in second["results"]] == [1]
    assert second["next"] is None
    assert api("GET", f"{path}versions/?cursor={first['next']}").json()["results"] != []


def test_any_version_is_read_with_its_state(api: Api, path: str) -> None:
    for number, state in enumerate(CUTS, 1):
        response = api("GET", f"{path}timeline/versions/{number}/")
        body = response.json()
        assert body["version"] == number
        assert body["etag"].split(".")[:2] == response["ETag"].split(".")[:2]
        ids = [c["id"] for layer in body["state"]["layers"] for c in layer["clips"]]
        assert ids == [c["id"] for layer in state["layers"] for c in layer["clips"]]
    assert api("GET", f"{path}versions/1/").json()["state"]["name"] == "First"


def test_a_version_that_a_client_has_is_a_304(api: Api, path: str) -> None:
    etag = api("GET", f"{path}versions/1/")["ETag"]
    assert api("GET", f"{path}versions/1/", if_none_match=etag).status_code == 304


@pytest.mark.parametrize("number", ["0", "5", "99999999999999999999", "x", "-1"])
def test_a_version_that_isnt_there_is_refused(api: Api, path: str, number: str) -> None:
    response = api("GET", f"{path}timeline/versions/{number}/")
    assert response.status_code in (400, 404)


def test_elements_are_compared_by_their_ids(api: Api, path: str) -> None:
    def compared(query: str) -> list[tuple[str, str, Any, Any]]:
        body = api("GET", f"{path}timeline/versions/compare/{query}").json()
        return [(d["path"], d["kind"], d["before"], d["after"]) for d in body["differences"]]

    a, b = 'layers["v1"].clips["a"]', 'layers["v1"].clips["b"]'
    moved = compared("?from=1&to=2")
    assert (f"{a}.start_time", "changed", 0.0, 2.0) in moved
    assert (f"{b}.start_time", "changed", 2.0, 0.0) in moved
    assert ('layers["v1"].clips', "reordered", ["a", "b"], ["b", "a"]) in moved
    removed = compared("?from=2&to=3")
    assert [(d[0], d[1]) for d in removed] == [(a, "removed"), (f"{b}.properties.volume", "added")]
    assert ("zoom", "changed", 1.0, 2.0) in compared("")
    assert compared("?from=3&to=3") == []


def test_projects_are_compared_field_by_field(api: Api, path: str) -> None:
    body = api("GET", f"{path}versions/compare/?from=1&to=3").json()
    assert (body["before"], body["after"], body["more"]) == (1, 3, 0)
    assert {d["path"] for d in body["differences"]} == {"name", "tags", "metadata.a"}


@pytest.mark.parametrize("query", ["from=-1", "to=x", "from=1&to=9", "form=1"])
def test_a_comparison_with_what_isnt_there_is_refused(api: Api, path: str, query: str) -> None:
    assert api("GET", f"{path}versions/compare/?{query}").status_code in (400, 404)


def test_a_rollback_makes_a_new_version_and_loses_nothing(api: Api, path: str) -> None:
    before = {n: api("GET", f"{path}timeline/versions/{n}/").json() for n in range(1, 5)}
    answer = api("POST", f"{path}timeline/rollback/", {"version": 1})
    assert (answer.status_code, answer.json()["version"]) == (200, 5)
    state = api("GET", f"{path}timeline/").json()
    assert [c["id"] for c in state["layers"][0]["clips"]] == ["a", "b"]
    assert {n: api("GET", f"{path}timeline/versions/{n}/").json() for n in before} == before
    newest = api("GET", f"{path}timeline/versions/").json()["results"][0]
    assert (newest["action"], newest["description"]) == ("rollback", "Rolled back to version 1")
    assert history.verify(Timeline.objects.get()) == 5
    assert api("GET", path).json()["timeline"]["version"] == 5


def test_a_rollback_to_the_current_state_makes_no_version(api: Api, path: str) -> None:
    assert api("POST", f"{path}timeline/rollback/", {"version": 4}).json()["version"] == 4


def test_a_rollback_of_a_project_brings_back_content_only(api: Api, path: str) -> None:
    Project.objects.update(trimmed_video_path=None)
    project = Project.objects.get()
    changed = project.state
    api("DELETE", path)
    api("POST", f"{path}restore/")
    body = api("POST", f"{path}rollback/", {"version": 1}).json()
    assert (body["name"], body["tags"], body["metadata"]) == ("First", [], {})
    assert (body["is_deleted"], body["user_id"]) == (False, changed.user_id)
    assert history.verify(Project.objects.get()) == 6


def test_a_rollback_honours_if_match_and_keys(api: Api, path: str) -> None:
    old = api("GET", f"{path}versions/1/").json()["etag"]
    assert api("POST", f"{path}rollback/", {"version": 1}, if_match=old).status_code == 412
    first = api("POST", f"{path}rollback/", {"version": 1}, idempotency_key="k")
    assert (
        api("POST", f"{path}rollback/", {"version": 1}, idempotency_key="k").json() == first.json()
    )


@pytest.mark.parametrize(
    "body", [None, {}, {"version": "1"}, {"version": 1, "x": 2}, [1], {"version": 1.5}]
)
def test_a_rollback_to_what_is_no_version_is_refused(api: Api, path: str, body: Any) -> None:
    response = api("POST", f"{path}rollback/", body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["path"] in ("version", "x", "")
    assert api("POST", f"{path}rollback/", {"version": 99}).status_code == 404


def test_a_timeline_is_read_as_it_was_at_a_time(api: Api, path: str) -> None:
    versions = api("GET", f"{path}timeline/versions/").json()["results"]
    for version in versions:
        then = api("GET", f"{path}timeline/?at={version['created_at']}")
        assert then.json()["created_at"] == version["created_at"]
        assert then.json()["state"] is not None
    assert api("GET", f"{path}timeline/?at=2100-01-01T00:00:00Z").json()["version"] == 4
    assert api("GET", f"{path}timeline/?at=2020-01-01T00:00:00Z").status_code == 404


@pytest.mark.parametrize("query", ["at=", "at=noon", "at=2026-13-01", "when=now"])
def test_a_time_that_is_none_is_refused(api: Api, path: str, query: str) -> None:
    assert api("GET", f"{path}timeline/?{query}").status_code == 400


def test_versions_get_names_and_lose_them(api: Api, path: str) -> None:
    def name(version: int, name: str) -> Any:
        return api("PUT", f"{path}timeline/versions/{version}/name/", {"name": name})

    before = api("GET", f"{path}timeline/versions/2/")
    assert name(2, "Rough cut").json()["name"] == "Rough cut"
    assert name(2, "Fine cut").json()["name"] == "Fine cut"
    assert name(4, "Final").status_code == 200
    listed = api("GET", f"{path}timeline/versions/").json()["results"]
    assert [v["name"] for v in listed] == ["Final", None, "Fine cut", None]
    named = api("GET", f"{path}timeline/checkpoints/").json()["results"]
    assert [(c["version"], c["name"]) for c in named] == [(4, "Final"), (2, "Fine cut")]
    after = api("GET", f"{path}timeline/versions/2/", if_none_match=before["ETag"])
    assert (after.status_code, after.json()["name"]) == (200, "Fine cut")
    assert after.json()["etag"] == before.json()["etag"]
    forgotten = api("DELETE", f"{path}timeline/versions/2/name/")
    assert (forgotten.status_code, forgotten.json()["name"]) == (200, None)
    assert api("DELETE", f"{path}timeline/versions/2/name/").status_code == 404
    assert api("GET", f"{path}checkpoints/").json()["results"] == []
    assert history.verify(Timeline.objects.get()) == 4


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 1}, {"name": "x" * 201}, [], None])
def test_a_name_that_is_none_is_refused(api: Api, path: str, body: Any) -> None:
    response = api("PUT", f"{path}versions/1/name/", body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["path"] in ("name", "")
    assert api("PUT", f"{path}versions/9/name/", {"name": "x"}).status_code == 404
