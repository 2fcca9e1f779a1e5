"""Every call that the older client makes of projects and timelines, and every mismatch mended."""

from typing import Any

import pytest

from projects.models import Project
from snipix.audit import AuditEntry
from tests.conftest import Api
from tests.media.given import give_video
from tests.older.client import STATE, Older, holds, refused, state, versions
from timelines.models import Timeline

PROJECT = {
    "_id", "created_at", "updated_at", "is_deleted", "deleted_at", "name", "description", "user_id",
    "thumbnail", "duration", "video_path", "trimmed_video_path", "trimmed_duration", "status",
    "metadata", "tags", "collaborators", "permissions",
}  # fmt: skip
VERSION = {
    "_id", "created_at", "updated_at", "version", "previous_version_id", "project_id", "is_current",
    "description", "created_by", "change_summary",
}  # fmt: skip


# --- Projects


def test_a_project_is_made_of_a_name_and_a_description(older: Older) -> None:
    made = older.data("POST", "/projects", {"name": "Film", "description": "By the sea"})
    assert set(made) > PROJECT
    assert (made["name"], made["description"], made["status"]) == ("Film", "By the sea", "active")
    assert Project.objects.get(project_id=made["_id"]).description == "By the sea"
    assert older.data("GET", f"/projects/{made['_id']}") == made


def test_projects_are_listed_the_last_edited_first(older: Older) -> None:
    first, second = older.project("First"), older.project("Second")
    response = older("GET", "/projects")
    assert response.json()["message"] == "Found 2 projects"
    assert [each["_id"] for each in response.json()["data"]] == [second, first]
    older.save(first, state(2))
    assert [each["_id"] for each in older.data("GET", "/projects")] == [first, second]


def test_fifty_projects_are_listed_at_most(older: Older) -> None:
    for number in range(51):
        older.project(f"Film {number}")
    listed = older.data("GET", "/projects")
    assert [each["name"] for each in listed] == [f"Film {n}" for n in range(50, 0, -1)]


def test_the_list_of_v1_and_the_older_one_dont_take_each_others_place(
    older: Older, api: Api, film: str
) -> None:
    for _ in range(2):
        assert [each["_id"] for each in older.data("GET", "/projects")] == [film]
        assert [each["id"] for each in api("GET", "/projects/").json()["results"]] == [film]


def test_the_fields_that_are_sent_are_changed(older: Older, film: str) -> None:
    before = older.data("PUT", f"/projects/{film}", {"tags": ["sea"], "duration": 12.5})
    after = older.data("PUT", f"/projects/{film}", {"name": "New", "duration": None})
    changed = {"name": "New", "updated_at": after["updated_at"], "updatedAt": after["updatedAt"]}
    assert after == {**before, **changed}
    assert older.data("GET", f"/projects/{film}") == after


def test_what_was_read_can_be_sent_back(older: Older, film: str) -> None:
    shown = older.data("GET", f"/projects/{film}")
    sent = {**shown, "videoPath": "/etc/passwd", "video_path": "/etc/passwd", "user_id": "bob"}
    assert older.data("PUT", f"/projects/{film}", {**sent, "_id": "other"}) == shown
    assert Project.objects.get(project_id=film).version == 1
    assert older.data("PUT", f"/projects/{film}", {**sent, "name": "New"})["video_path"] is None


def test_a_field_that_we_dont_know_is_kept_and_shown(older: Older, api: Api) -> None:
    id = older.project(colour="red", metadata={"mine": 1})
    older.data("PUT", f"/projects/{id}", {"shape": {"round": None}})
    older.data("PUT", f"/projects/{id}", {"name": "New"})
    shown = older.data("GET", f"/projects/{id}")
    assert (shown["colour"], shown["shape"]) == ("red", {"round": None})
    assert shown["metadata"] == {"mine": 1}
    kept = {"mine": 1, "older_client": {"colour": "red", "shape": {"round": None}}}
    assert api("GET", f"/projects/{id}/").json()["metadata"] == kept


@pytest.mark.parametrize("query", ["", "?hard_delete=false", "?hard_delete=true"])
def test_a_deleted_project_comes_back(older: Older, film: str, query: str) -> None:
    older.save(film, state(2))
    answer = older("DELETE", f"/projects/{film}{query}").json()
    assert (answer["success"], answer["data"]) == (True, None)
    assert ("nothing is destroyed" in answer["message"]) == query.endswith("true")
    refused(older("GET", f"/projects/{film}"), 404)
    refused(older("DELETE", f"/projects/{film}"), 404)
    refused(older("GET", f"/timeline/{film}"), 404)
    assert older.data("GET", "/projects") == []
    restored = older.data("POST", f"/projects/{film}/restore")
    assert (restored["is_deleted"], restored["deleted_at"]) == (False, None)
    assert older.data("GET", f"/timeline/{film}")["zoom"] == 2


def test_what_isnt_deleted_cant_be_restored(older: Older, film: str) -> None:
    details = refused(older("POST", f"/projects/{film}/restore"), 404)
    assert "isn't in the trash" in details["message"]


def test_m3_a_project_tells_addresses_of_its_media_and_no_path_of_the_server(
    older: Older, film: str
) -> None:
    assert older.data("GET", f"/projects/{film}")["thumbnail"] is None
    give_video(film)
    stored = Project.objects.get(project_id=film)
    for shown in (older.data("GET", f"/projects/{film}"), *older.data("GET", "/projects")):
        assert shown["thumbnail"] == f"/media/{film}/thumbnail"
        assert shown["videoPath"] == shown["video_path"] == f"/media/{film}/video"
        assert shown["duration"] == 2.5
        assert str(stored.video_path) not in str(shown)
        assert older("GET", shown["thumbnail"]).getvalue() == b"a frame"


# --- Timelines


def test_the_clients_saves_come_out_as_they_were_sent(
    older: Older, film: str, saves: list[Any]
) -> None:
    for save in saves:
        older.data("POST", "/timeline/", {**save, "project_id": film})
        assert holds(older.data("GET", f"/timeline/{film}"), save["timeline_state"])
    told = [(v["version"], v["description"], v["change_summary"]) for v in older.history(film)]
    assert told == [
        (n, saves[n - 1]["description"], saves[n - 1]["change_summary"]) for n in (3, 2, 1)
    ]
    for number, save in enumerate(saves, 1):
        old = older.data("GET", f"/timeline/{film}/version/{number}")
        assert holds(old["timeline_state"], save["timeline_state"])


def test_a_save_is_answered_with_the_version_that_it_made(older: Older, film: str) -> None:
    saved = older.save(film, state(2), "Rough cut")
    assert set(saved) == {*VERSION, "timeline_state"}
    assert (saved["version"], saved["is_current"], saved["project_id"]) == (1, True, film)
    assert (saved["description"], saved["timeline_state"]["zoom"]) == ("Rough cut", 2)
    (entry,) = AuditEntry.objects.filter(project_id=film, kind="timeline")
    assert (entry.action, entry.user_id, entry.to_version) == ("save", "anonymous", 1)


def test_a_save_without_a_version_goes_on_top_of_what_others_saved(
    older: Older, api: Api, film: str
) -> None:
    older.save(film, state(2))
    path = f"/projects/{film}/timeline/"
    assert api("PUT", path, {"zoom": 3}, if_match=api.etag(path)).status_code == 200
    assert older.save(film, state(4))["version"] == 3
    assert [each["zoom"] for each in versions(film)] == [2, 3, 4]


def test_a_save_that_names_an_old_version_is_refused(older: Older, film: str) -> None:
    old = older("GET", f"/timeline/{film}")["ETag"]
    older.save(film, state(2))
    body = {"project_id": film, "timeline_state": state(3)}
    details = refused(older("POST", "/timeline/", body, if_match=old), 412)
    assert details["current"]["version"] == 1
    new = older("GET", f"/timeline/{film}")["ETag"]
    assert older("POST", "/timeline/", body, if_match=new).status_code == 200


def test_a_save_that_is_sent_again_with_its_key_makes_one_version(older: Older, film: str) -> None:
    body = {"project_id": film, "timeline_state": state(2)}
    answers = [older("POST", "/timeline/", body, idempotency_key="k") for _ in range(2)]
    older.save(film, state(3))
    answers.append(older("POST", "/timeline/", body, idempotency_key="k"))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert len(versions(film)) == 2


def test_a_timeline_that_was_never_saved_is_empty(older: Older, film: str) -> None:
    shown = older.data("GET", f"/timeline/{film}")
    assert set(shown) >= {*VERSION, *STATE, "timeline_state"}
    assert (shown["version"], shown["layers"], shown["timeline_state"]["layers"]) == (0, [], [])
    assert older.history(film) == []
    refused(older("POST", f"/timeline/{film}/restore/1"), 404)
    refused(older("POST", f"/timeline/{film}/restore/0"), 404)


def test_an_equal_state_makes_no_version_but_keeps_its_new_name(older: Older, film: str) -> None:
    older.save(film, state(2), "Quick Save")
    older.save(film, state(2), "Final cut")
    older.save(film, state(2), "Quick Save")
    (only,) = older.history(film)
    assert (only["version"], only["description"]) == (1, "Final cut")


def test_any_version_can_be_read(older: Older, film: str) -> None:
    for zoom in (2, 3):
        older.save(film, state(zoom))
    old = older.data("GET", f"/timeline/{film}/version/1")
    assert (old["version"], old["is_current"]) == (1, False)
    assert (old["zoom"], old["timeline_state"]["zoom"]) == (2, 2)
    for unknown in ("3", "0", "x", "-1"):
        refused(older("GET", f"/timeline/{film}/version/{unknown}"), 404)


def test_a_state_that_is_put_over_an_old_one_becomes_the_newest(older: Older, film: str) -> None:
    first = older.save(film, state(2))["_id"]
    older.save(film, state(3))
    put = older.data("PUT", f"/timeline/{first}", {"timeline_state": state(4)})
    assert (put["version"], put["is_current"], put["_id"] == first) == (3, True, False)
    assert [each["zoom"] for each in versions(film)] == [2, 3, 4]


def test_a_description_that_is_put_names_that_version(older: Older, film: str) -> None:
    first = older.save(film, state(2))["_id"]
    older.save(film, state(3))
    assert older.data("PUT", f"/timeline/{first}", {"description": "Rough"})["version"] == 1
    assert [v["description"] for v in older.history(film)] == ["Quick Save", "Rough"]
    assert len(versions(film)) == 2


@pytest.mark.parametrize("which", [0, 1])
def test_no_version_can_be_deleted(older: Older, film: str, which: int) -> None:
    saved = [older.save(film, state(zoom)) for zoom in (2, 3)]
    details = refused(older("DELETE", f"/timeline/{saved[which]['_id']}"), 409)
    assert f"Version {which + 1} stays" in details["message"]
    assert [each["zoom"] for each in versions(film)] == [2, 3]


# --- Mismatches


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/projects", None),
        ("POST", "/projects", {"name": "Other"}),
        ("GET", "/projects/{film}", None),
        ("PUT", "/projects/{film}", {"name": "New"}),
        ("POST", "/timeline", {"project_id": "{film}", "timeline_state": STATE}),
        ("GET", "/timeline/{film}", None),
        ("GET", "/timeline/{film}/history", None),
        ("GET", "/timeline/{film}/version/1", None),
        ("POST", "/timeline/{film}/restore/1", None),
        ("GET", "/transcriptions/{film}", None),
        ("PUT", "/transcriptions/{film}/metadata", {"model_used": "x"}),
        ("POST", "/transcriptions/{film}/segments", [{"id": "s", "start_time": 0, "end_time": 1}]),
        ("GET", "/", None),
        ("GET", "/test", None),
        ("GET", "/health", None),
        ("GET", "/health/status", None),
        ("GET", "/performance/metrics/detailed", None),
        ("DELETE", "/projects/{film}", None),
    ],
)
def test_m1_all_answers_come_with_and_without_a_slash_and_at_once(
    older: Older, film: str, method: str, path: str, body: Any
) -> None:
    older.save(film, state(2))
    older.data("POST", "/transcriptions", {"project_id": film})
    body = {**body, "project_id": film} if isinstance(body, dict) else body
    answers = []
    for address in {path, f"{path.removesuffix('/')}/"}:
        if method == "DELETE":
            older("POST", f"/projects/{film}/restore")
        answers.append(older(method, address.replace("{film}", film), body).status_code)
    assert set(answers) == {200}


def test_m2_times_of_a_project_have_both_spellings(older: Older, film: str) -> None:
    for shown in (older.data("GET", f"/projects/{film}"), *older.data("GET", "/projects")):
        assert shown["createdAt"] == shown["created_at"]
        assert shown["updatedAt"] == shown["updated_at"]
        assert shown["createdAt"].endswith("Z")


def test_m4_an_error_says_the_same_wherever_it_is_read(older: Older) -> None:
    details = refused(older("POST", "/projects", {"name": ""}), 400)
    assert [error["path"] for error in details["errors"]] == ["name"]


def test_m6_the_state_is_at_the_top_and_nested(older: Older, film: str) -> None:
    older.save(film, state(2))
    shown = older.data("GET", f"/timeline/{film}")
    nested = shown["timeline_state"]
    assert nested["zoom"] == 2
    assert {name: shown[name] for name in STATE} == {name: nested[name] for name in STATE}


def test_m11_all_properties_and_undeclared_keys_are_kept(older: Older, film: str) -> None:
    keyframe = {"id": "k", "time": 1, "property": "volume", "value": {"l": 1}, "tension": 0.5}
    clip = {
        "id": "c", "type": "video", "start_time": 0, "duration": 5, "keyframes": [keyframe],
        "properties": {"volume": 0.5, "speed": 2, "easing": "linear", "own": [1, None]},
        "linked": ["d"], "metadata": {"older_client": 1},
    }  # fmt: skip
    layer = {"id": "l", "type": "video", "clips": [clip], "segments": [{"a": 1}], "height": 40}
    marker = {"id": "m", "time": 1, "label": "x", "color": "#fff", "done": False}
    sent = {**STATE, "layers": [layer], "markers": [marker], "theme": "dark"}
    older.save(film, sent)
    shown = older.data("GET", f"/timeline/{film}")
    assert holds(shown["timeline_state"], sent)
    assert holds(shown, sent)
    restored = older.data("POST", f"/timeline/{film}/restore/1")
    assert holds(restored["timeline_state"], sent)
    (kept,) = versions(film)
    assert kept["layers"][0]["metadata"] == {"older_client": {"segments": [{"a": 1}], "height": 40}}


def test_m12_what_was_restored_stays_after_a_reload(older: Older, film: str) -> None:
    for zoom in (2, 3):
        older.save(film, state(zoom))
    restored = older.data("POST", f"/timeline/{film}/restore/1")
    assert (restored["version"], restored["timeline_state"]["zoom"]) == (3, 2)
    newest = max(version["version"] for version in older.history(film))
    assert older.data("POST", f"/timeline/{film}/restore/{newest}")["timeline_state"]["zoom"] == 2
    assert [each["zoom"] for each in versions(film)] == [2, 3, 2]


def test_m15_a_page_load_writes_nothing(older: Older, film: str) -> None:
    older.save(film, state(2))
    before = AuditEntry.objects.count()
    stored = Timeline.objects.values().get(project_id=film)
    for _ in range(2):
        assert older.data("POST", f"/timeline/{film}/restore/1")["zoom"] == 2
    assert len(versions(film)) == 1
    assert Timeline.objects.values().get(project_id=film) == stored
    assert AuditEntry.objects.count() == before


def test_m16_the_history_is_light_and_has_pages(older: Older, film: str) -> None:
    for zoom in range(2, 27):
        older.save(film, state(zoom))
    listed = older.history(film)
    assert [each["version"] for each in listed] == list(range(25, 5, -1))
    assert all(set(each) == VERSION for each in listed)
    assert [each["is_current"] for each in listed] == [True, *[False] * 19]
    page = older.data("GET", f"/timeline/{film}/history?limit=3&skip=20")
    assert [each["version"] for each in page] == [5, 4, 3]
    assert older.data("GET", f"/timeline/{film}/history?skip=25") == []
    assert len(older.data("GET", f"/timeline/{film}/history?limit=1000&skip=1")) == 24
    for query in ("limit=0", "limit=x", "limit=1001", "skip=-1", "skip=x"):
        details = refused(older("GET", f"/timeline/{film}/history?{query}"), 400)
        assert details["errors"][0]["path"] == query.partition("=")[0]


def test_m1_whatever_comes_behind_their_beginning_is_answered_in_the_envelope(
    older: Older,
) -> None:
    answer = older("GET", "/health/a%0Ab/")
    assert answer.status_code == 404
    assert answer.json()["success"] is False
