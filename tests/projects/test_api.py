"""`/api/v1/projects/`"""

from typing import Any

import pytest

from projects.models import Project
from snipix import history
from snipix.audit import AuditEntry
from snipix.history import Revision
from snipix.mongo import connection
from tests.conftest import Api
from timelines.models import Timeline

FIELDS = {
    "id", "name", "description", "status", "metadata", "tags", "duration", "thumbnail",
    "video", "video_path", "trimmed_video_path", "trimmed_duration", "timeline", "transcription",
    "version", "etag",
    "user_id", "created_by", "collaborators", "created_at", "updated_at",
    "is_deleted", "deleted_at",
}  # fmt: skip


def change(api: Api, method: str, project: dict[str, Any], body: Any, **headers: str) -> Any:
    path = f"/projects/{project['id']}/"
    headers = {"if_match": api.etag(path), **headers}
    return api(method, path, body, **headers)


def test_a_project_is_made_with_what_was_sent(api: Api) -> None:
    sent = {"name": "Film", "tags": ["a", "b"], "metadata": {"x": [1, {"y": None}]}, "duration": 5}
    response = api("POST", "/projects/", sent)
    body = response.json()
    assert response.status_code == 201
    assert set(body) == FIELDS
    assert {name: body[name] for name in sent} == sent
    assert (body["version"], body["user_id"], body["created_by"]) == (1, "anonymous", "anonymous")
    assert body["created_at"] == body["updated_at"]
    assert response["Location"] == f"/api/v1/projects/{body['id']}/"
    assert api("GET", f"/projects/{body['id']}").json() == body
    assert response["ETag"] == body["etag"] == api.etag(f"/projects/{body['id']}/")


def test_a_project_without_a_chosen_id_is_known_by_its_objectid(api: Api) -> None:
    project = api.create()
    assert str(Project.objects.get().pk) == project["id"]


def test_an_id_may_be_chosen_once(api: Api) -> None:
    assert api.create(id="my-film_1")["id"] == "my-film_1"
    response = api("POST", "/projects/", {"name": "Other", "id": "my-film_1"})
    assert (response.status_code, response.json()["code"]) == (409, "id-taken")


@pytest.mark.parametrize("id", ["", "a b", "a/b", "ä", "x" * 65, "a\n", 5, None])
def test_an_id_that_isnt_one_is_refused(api: Api, id: Any) -> None:
    response = api("POST", "/projects/", {"name": "Film", "id": id})
    assert response.status_code == 400
    assert response.json()["errors"][0]["path"] == "id"


def test_a_create_with_a_key_takes_effect_once(api: Api) -> None:
    first = api("POST", "/projects/", {"name": "Film"}, idempotency_key="k")
    again = api("POST", "/projects/", {"name": "Film"}, idempotency_key="k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.content, again["ETag"], again["Location"]) == (
        first.content, first["ETag"], first["Location"],
    )  # fmt: skip
    assert Project.objects.count() == 1


def test_a_create_with_a_key_and_a_chosen_id_takes_effect_once(api: Api) -> None:
    sent = {"name": "Film", "id": "film"}
    first = api("POST", "/projects/", sent, idempotency_key="k")
    assert api("POST", "/projects/", sent, idempotency_key="k").content == first.content


def test_patch_replaces_the_fields_that_it_names(api: Api) -> None:
    project = api.create(metadata={"a": 1, "b": 2}, tags=["t"])
    response = change(api, "PATCH", project, {"metadata": {"c": 3}})
    body = response.json()
    assert response.status_code == 200
    assert (body["metadata"], body["tags"], body["version"]) == ({"c": 3}, ["t"], 2)
    assert response["ETag"] == body["etag"]


def test_put_replaces_all_that_can_be_set(api: Api) -> None:
    project = api.create(metadata={"a": 1}, tags=["t"], description="D", duration=4)
    body = change(api, "PUT", project, {"name": "New"}).json()
    assert (body["name"], body["metadata"], body["tags"], body["description"]) == (
        "New",
        {},
        [],
        "",
    )
    assert body["duration"] is None


def test_what_was_read_can_be_put_back(api: Api) -> None:
    project = api.create(metadata={"a": 1}, tags=["t"])
    response = change(api, "PUT", project, project)
    assert (response.status_code, response.json()["version"]) == (200, 1)


def test_an_id_cant_be_changed(api: Api) -> None:
    response = change(api, "PATCH", api.create(), {"id": "other"})
    assert (response.status_code, response.json()["errors"][0]["path"]) == (400, "id")


def test_read_only_fields_stay(api: Api) -> None:
    project = api.create()
    sent = {"video_path": "/etc/passwd", "user_id": "bob", "version": 9, "is_deleted": True}
    body = change(api, "PATCH", project, sent).json()
    assert {name: body[name] for name in sent} == {name: project[name] for name in sent}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 1_000_000}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"nmae": "x"}, "nmae"),
        ({"status": "lost"}, "status"),
        ({"tags": "a"}, "tags"),
        ({"tags": [["a"]]}, "tags[0]"),
        ({"tags": ["a", "x" * 101]}, "tags[1]"),
        ({"tags": ["a"] * 101}, "tags"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"$where": 1}}, 'metadata["$where"]'),
        ({"metadata": {"a": 2**64}}, "metadata.a"),
        ({"metadata": {"a": "x" * 300_000}}, "metadata"),
        ({"duration": -1}, "duration"),
        ({"duration": "long"}, "duration"),
        ({"duration": "5"}, "duration"),
        ({"duration": True}, "duration"),
        ({"name": 5}, "name"),
        ({"tags": [1]}, "tags[0]"),
        ([], ""),
        ("x", ""),
    ],
)
def test_bad_fields_are_named_and_change_nothing(api: Api, body: Any, path: str) -> None:
    project = api.create()
    response = change(api, "PATCH", project, body)
    assert response.status_code == 400, response.content
    errors = response.json()["errors"]
    assert path in [error["path"] for error in errors]
    assert all(error["reason"] and error["hint"] for error in errors)
    assert api("GET", f"/projects/{project['id']}/").json() == project


def test_put_and_patch_must_say_which_version_they_were_made_on(api: Api) -> None:
    path = f"/projects/{api.create()['id']}/"
    for method in ("PUT", "PATCH"):
        assert api(method, path, {"name": "x"}).status_code == 428
        assert api(method, path, {"name": "x"}, if_match="*").status_code == 428


def test_a_stale_change_is_refused_with_the_current_version(api: Api) -> None:
    project = api.create()
    change(api, "PATCH", project, {"name": "Second"})
    response = change(api, "PATCH", project, {"name": "Third"}, if_match=project["etag"])
    assert response.status_code == 412
    assert response.json()["current"]["version"] == 2


def test_an_autosave_of_the_timeline_refuses_no_rename(api: Api) -> None:
    project = api.create()
    timeline = f"/projects/{project['id']}/timeline/"
    api("PUT", timeline, {"zoom": 2}, if_match=api.etag(timeline))
    path = f"/projects/{project['id']}/"
    assert api("GET", path, if_none_match=project["etag"]).status_code == 200
    renamed = api("PATCH", path, {"name": "New"}, if_match=project["etag"])
    assert (renamed.status_code, renamed.json()["timeline"]["version"]) == (200, 1)


def test_304_for_a_client_that_has_it(api: Api) -> None:
    project = api.create()
    response = api("GET", f"/projects/{project['id']}/", if_none_match=f"W/{project['etag']}")
    assert (response.status_code, response.content) == (304, b"")


def test_the_trash_hides_and_gives_back(api: Api) -> None:
    project = api.create()
    path = f"/projects/{project['id']}/"
    deleted = api("DELETE", path)
    assert deleted.status_code == 200
    assert deleted.json()["purge_after"] > deleted.json()["deleted_at"]
    assert api("GET", path).status_code == 404
    assert api("DELETE", path).status_code == 404
    assert api("GET", "/projects/").json()["results"] == []
    restored = api("POST", f"{path}restore/").json()
    assert (restored["version"], restored["is_deleted"], restored["deleted_at"]) == (3, False, None)
    assert api("POST", f"{path}restore/").json() == restored  # already here: nothing happens


def test_if_match_is_honoured_by_delete_and_restore(api: Api) -> None:
    project = api.create()
    change(api, "PATCH", project, {"name": "New"})
    path = f"/projects/{project['id']}/"
    assert api("DELETE", path, if_match=project["etag"]).status_code == 412
    api("DELETE", path)
    assert api("POST", f"{path}restore/", if_match=project["etag"]).status_code == 412


def test_every_change_has_a_revision_and_an_audit_entry(api: Api) -> None:
    project = api.create()
    change(api, "PATCH", project, {"name": "New"})
    api("DELETE", f"/projects/{project['id']}/")
    api("POST", f"/projects/{project['id']}/restore/")
    actions = ["create", "update", "delete", "restore"]
    revisions = list(Revision.objects.filter(kind="project").order_by("version"))
    assert [(r.version, r.action) for r in revisions] == list(enumerate(actions, 1))
    entries = list(AuditEntry.objects.order_by("to_version"))
    assert [(e.action, e.from_version) for e in entries] == list(
        zip(actions, range(4), strict=True)
    )
    assert [e.pk for e in entries] == [r.pk for r in revisions]
    document = Project.objects.get()
    assert history.verify(document) == 4
    assert history.read(document, 1).name == "Film"


def test_purge_leaves_audit_entries_alone(api: Api) -> None:
    project = api.create()
    timeline = f"/projects/{project['id']}/timeline/"
    api("PUT", timeline, {"zoom": 2}, if_match=api.etag(timeline), idempotency_key="k")
    assert Project.objects.get().purge() == {}  # it isn't in the trash
    Project.objects.get().delete()
    Project.everything.get().purge()
    assert not Project.everything.exists()
    assert not Timeline.everything.exists()
    assert not Revision.objects.exists()
    assert [e.action for e in AuditEntry.objects.order_by("created_at")] == [
        "create", "save", "delete", "purge",
    ]  # fmt: skip


def test_delete_of_instance_and_queryset_mean_the_trash(api: Api) -> None:
    api.create("One"), api.create("Two")
    Project.objects.filter(name="One").delete()
    Project.objects.get(name="Two").delete()
    assert (Project.objects.count(), Project.everything.count()) == (0, 2)
    assert Project.everything.all().restore() == 2
    assert Project.objects.count() == 2


def test_the_list_shows_the_last_edit_first(api: Api) -> None:
    first, second = api.create("First"), api.create("Second")
    timeline = f"/projects/{first['id']}/timeline/"
    assert [p["name"] for p in api("GET", "/projects/").json()["results"]] == ["Second", "First"]
    api("PUT", timeline, {"zoom": 2}, if_match=api.etag(timeline))
    listed = api("GET", "/projects").json()["results"]
    assert [p["name"] for p in listed] == ["First", "Second"]
    assert listed[1] == second


def test_pages_hold_everything_once_also_where_times_are_equal(api: Api) -> None:
    made = [api.create(f"P{number}")["id"] for number in range(12)]
    Project.objects.update(updated_at=Project.objects.first().updated_at)
    seen: list[str] = []
    cursor = ""
    while True:
        page = api("GET", f"/projects/?page_size=5&cursor={cursor}").json()
        seen += [project["id"] for project in page["results"]]
        if not (cursor := page["next"]):
            break
    assert sorted(seen) == sorted(made)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        ("page_size=0", "page_size"),
        ("page_size=1e3", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=99999999999", "page_size"),
        ("page_size=²", "page_size"),
        ("offset=5", "offset"),
    ],
)
def test_bad_parameters_of_a_list_are_named(api: Api, query: str, path: str) -> None:
    response = api("GET", f"/projects/?{query}")
    assert (response.status_code, response.json()["errors"][0]["path"]) == (400, path)


@pytest.mark.parametrize("slash", ["", "/"])
def test_addresses_work_with_and_without_a_trailing_slash(api: Api, slash: str) -> None:
    project = api("POST", f"/projects{slash}", {"name": "Film"}).json()
    for path in ("/projects", f"/projects/{project['id']}", f"/projects/{project['id']}/timeline"):
        assert api("GET", f"{path}{slash}").status_code == 200


@pytest.mark.parametrize("id", ["nope", "000000000000000000000000", "x" * 64])
def test_what_isnt_there_is_a_404(api: Api, id: str) -> None:
    for path in (f"/projects/{id}/", f"/projects/{id}/timeline/"):
        response = api("GET", path)
        assert response.status_code == 404
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["request_id"] == response["X-Request-ID"]


def test_a_method_that_isnt_offered_is_a_405(api: Api) -> None:
    response = api("POST", f"/projects/{api.create()['id']}/", {})
    assert (response.status_code, response.json()["code"]) == (405, "method-not-allowed")


def test_a_project_from_before_there_were_transcriptions_has_none(api: Api) -> None:
    path = f"/projects/{api.create()['id']}/"
    everything = {"$unset": {"transcriptionState": ""}}
    connection.get_collection("projects").update_many({}, everything)
    response = api("GET", path)
    assert response.json()["transcription"]["exists"] is False
    assert api("GET", "/projects/").json()["results"] == [response.json()]
    assert api("POST", f"{path}transcription/", {}).status_code == 201
    assert api("GET", path).json()["transcription"]["version"] == 1
    assert api("GET", path, if_none_match=response["ETag"]).status_code == 200
