"""Partial saves, merges, and what a client missed."""

import json
from typing import Any

import pytest

from snipix import history
from tests.conftest import Api
from timelines.models import Timeline

EDITS = "application/vnd.snipix.edits+json"
PATCH = "application/json-patch+json"


def clip(id: str, start: float, **fields: Any) -> dict[str, Any]:
    return {"id": id, "type": "video", "start_time": start, "duration": 2, "content": id, **fields}


def cut(*clips: dict[str, Any], **fields: Any) -> dict[str, Any]:
    layer = {"id": "v1", "name": "Video", "type": "video", "clips": list(clips)}
    return {"layers": [layer], **fields}


@pytest.fixture
def path(api: Api) -> str:
    path = f"/projects/{api.create()['id']}/timeline/"
    state = cut(clip("a", 0), clip("b", 2), clip("c", 4))
    assert api("PUT", path, state, if_match=api.etag(path)).status_code == 200
    return path


def edit(api: Api, path: str, *edits: dict[str, Any], etag: str = "", **headers: str) -> Any:
    headers = {"content-type": EDITS, "if_match": etag or api.etag(path), **headers}
    return api("PATCH", path, {"edits": list(edits)}, **headers)


def patch(api: Api, path: str, operations: Any, etag: str = "", **headers: str) -> Any:
    headers = {"content-type": PATCH, "if_match": etag or api.etag(path), **headers}
    return api("PATCH", path, operations, **headers)


def starts(api: Api, path: str) -> dict[str, float]:
    clips = api("GET", path).json()["layers"][0]["clips"]
    return {c["id"]: c["start_time"] for c in clips}


def last(api: Api, path: str) -> dict[str, Any]:
    return api("GET", f"{path}versions/?page_size=1").json()["results"][0]


def test_an_edit_by_id_is_a_version_with_a_summary(api: Api, path: str) -> None:
    response = edit(api, path, {"op": "move_clip", "clip": "c", "by": 2})
    assert response.status_code == 200, response.content
    assert (response.json()["version"], response.json()["merged"]) == (2, False)
    assert starts(api, path) == {"a": 0, "b": 2, "c": 6}
    assert "c" in last(api, path)["change_summary"]


def test_a_json_patch_is_a_version_with_a_summary(api: Api, path: str) -> None:
    operation = {"op": "replace", "path": "/layers/0/clips/2/start_time", "value": 7}
    response = patch(api, path, [operation, {"op": "replace", "path": "/zoom", "value": 3}])
    assert response.status_code == 200, response.content
    assert starts(api, path)["c"] == 7
    assert "4" in last(api, path)["change_summary"]
    assert "7" in last(api, path)["change_summary"]


@pytest.mark.parametrize(
    ("edits", "where"),
    [
        ([{"op": "move_clip", "clip": "nope", "by": 1}], "edits[0].clip"),
        ([{"op": "move_clip", "clip": "a", "by": 1}, {"op": "fly"}], "edits[1].op"),
        ([], "edits"),
    ],
)
def test_edits_that_cant_be_made_change_nothing(
    api: Api, path: str, edits: list[Any], where: str
) -> None:
    response = edit(api, path, *edits)
    assert response.status_code == 400
    assert response.json()["errors"][0]["path"].startswith(where)
    assert api("GET", path).json()["version"] == 1


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "test", "path": "/zoom", "value": 9}],
        [{"op": "remove", "path": "/nothing"}],
        [{"op": "replace", "path": "/layers/0/clips/0/duration", "value": 0}],
        [{"op": "add", "path": "/colour", "value": 1}],
        [{"op": "replace", "path": "", "value": []}],
        {"op": "remove", "path": "/zoom"},
        [{"op": "fly"}],
        "x",
    ],
)
def test_patches_that_cant_be_made_change_nothing(api: Api, path: str, operations: Any) -> None:
    response = patch(api, path, operations)
    assert response.status_code == 400, response.content
    assert response.json()["errors"][0]["reason"]
    assert api("GET", path).json()["version"] == 1


@pytest.mark.parametrize(
    ("method", "kind"), [("PATCH", "application/json"), ("PUT", EDITS), ("PUT", PATCH)]
)
def test_every_method_has_its_own_types(api: Api, path: str, method: str, kind: str) -> None:
    response = api(method, path, {}, if_match=api.etag(path), **{"content-type": kind})
    assert response.status_code == 415


def test_a_stale_change_gets_a_report(api: Api, path: str) -> None:
    etag = api.etag(path)
    edit(api, path, {"op": "move_clip", "clip": "a", "by": 10})
    edit(api, path, {"op": "move_clip", "clip": "b", "by": 10})
    response = edit(api, path, {"op": "move_clip", "clip": "a", "by": 20}, etag=etag)
    assert response.status_code == 412
    report = {entry["element"]: entry for entry in response.json()["report"]}
    a, b = ('layers["v1"].clips["a"]', 'layers["v1"].clips["b"]')
    assert (report[a]["overlaps"], report[b]["overlaps"]) == (True, False)
    assert report[a]["theirs"] == report[a]["mine"] != []
    assert response.json()["current"]["version"] == 3


def test_changes_of_different_clips_are_merged(api: Api, path: str) -> None:
    etag = api.etag(path)
    edit(api, path, {"op": "move_clip", "clip": "c", "by": 10})
    response = edit(
        api, path, {"op": "move_clip", "clip": "a", "by": 30}, etag=etag, prefer="merge"
    )
    assert response.status_code == 200, response.content
    assert (response.json()["version"], response.json()["merged"]) == (3, True)
    assert response["Preference-Applied"] == "merge"
    assert starts(api, path) == {"a": 30, "b": 2, "c": 14}
    assert history.verify(Timeline.objects.get()) == 3


def test_a_whole_save_is_merged_too(api: Api, path: str) -> None:
    etag = api.etag(path)
    edit(api, path, {"op": "move_clip", "clip": "c", "by": 10})
    mine = cut(clip("a", 1), clip("b", 2), clip("c", 4), zoom=5)
    response = api("PUT", path, mine, if_match=etag, prefer="merge")
    assert response.status_code == 200, response.content
    assert starts(api, path) == {"a": 1, "b": 2, "c": 14}
    assert api("GET", path).json()["zoom"] == 5


def test_a_true_conflict_is_told_with_its_three_values(api: Api, path: str) -> None:
    etag = api.etag(path)
    edit(api, path, {"op": "move_clip", "clip": "a", "by": 10})
    response = edit(
        api, path, {"op": "move_clip", "clip": "a", "by": 20}, etag=etag, prefer="merge"
    )
    assert (response.status_code, response.json()["code"]) == (409, "merge-conflict")
    conflict = response.json()["conflicts"][0]
    assert '"a"' in conflict["path"]
    assert {"base", "theirs", "mine"} <= set(conflict)
    assert starts(api, path)["a"] == 10
    assert response.json()["current"]["version"] == 2


def test_a_merge_on_the_beginning_and_on_nothing(api: Api) -> None:
    path = f"/projects/{api.create()['id']}/timeline/"
    etag = api.etag(path)
    api("PUT", path, cut(clip("a", 0)), if_match=etag)
    other = {"markers": [{"id": "m", "time": 1, "label": "M"}]}
    response = api("PUT", path, other, if_match=etag, prefer="merge")
    assert response.status_code == 200, response.content
    read = api("GET", path).json()
    assert (len(read["layers"]), len(read["markers"])) == (1, 1)
    garbage = '"1.0000000000000000.1.0"'
    assert api("PUT", path, other, if_match=garbage, prefer="merge").status_code == 412
    assert api("PUT", path, other, prefer="merge").status_code == 428


def test_a_client_that_was_away_catches_up(api: Api, path: str) -> None:
    before = api("GET", path).json()
    edit(api, path, {"op": "move_clip", "clip": "a", "by": 10})
    edit(api, path, {"op": "remove_clip", "clip": "b"})
    missed = api("GET", f"{path}changes/?since=1").json()
    assert [v["version"] for v in missed["versions"]] == [2, 3]
    assert missed["words"]
    mirror = f"/projects/{api.create('Mirror')['id']}/timeline/"
    api("PUT", mirror, before, if_match=api.etag(mirror))
    assert patch(api, mirror, missed["patch"]).status_code == 200
    now = {k: v for k, v in api("GET", path).json().items() if k not in ("version", "updated_at")}
    assert api("GET", mirror).json().items() >= now.items()
    assert api("GET", f"{path}changes/?since=3").json()["versions"] == []


@pytest.mark.parametrize("query", ["since=4", "since=-1", "since=x", "from=1&since=1"])
def test_changes_since_what_isnt_there_are_refused(api: Api, path: str, query: str) -> None:
    assert api("GET", f"{path}changes/?{query}").status_code == 400


def test_a_comparison_speaks_of_the_edit(api: Api, path: str) -> None:
    edit(api, path, {"op": "move_clip", "clip": "a", "by": 10})
    compared = api("GET", f"{path}versions/compare/?from=1&to=2").json()
    assert any("a" in line for line in compared["words"])
    assert compared["patch"]
    assert json.dumps(compared["differences"])


def test_a_dry_run_of_a_merge_says_what_would_come(api: Api, path: str) -> None:
    etag = api.etag(path)
    edit(api, path, {"op": "move_clip", "clip": "c", "by": 10})
    body = {"edits": [{"op": "move_clip", "clip": "a", "by": 30}]}
    headers = {"content-type": EDITS, "if_match": etag, "prefer": "merge"}
    response = api("PATCH", f"{path}?dry_run=true", body, **headers)
    assert (response.status_code, response.json()["version"]) == (200, 3)
    assert api("GET", path).json()["version"] == 2


def test_a_repeated_edit_takes_effect_once(api: Api, path: str) -> None:
    move = {"op": "move_clip", "clip": "c", "by": 1}
    first = edit(api, path, move, idempotency_key="k")
    again = edit(api, path, move, idempotency_key="k")
    assert again.content == first.content
    assert starts(api, path)["c"] == 5
