"""What an editor autosaves between saves."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from projects.models import Project
from snipix.audit import AuditEntry
from snipix.history import Revision
from tests.conftest import Api, as_
from tests.together import at_once
from timelines.models import Draft


@pytest.fixture
def path(api: Api) -> str:
    return f"/projects/{api.create()['id']}/timeline/"


def autosave(api: Api, path: str, zoom: float, client: str = "tab-1") -> Any:
    body = {"base_etag": api.etag(path), "state": {"zoom": zoom}}
    return api("PUT", f"{path}draft/", body, x_client_id=client)


def drafts(api: Api, path: str) -> list[dict[str, Any]]:
    return api("GET", f"{path}drafts/").json()["results"]


def test_a_draft_is_kept_without_a_version_or_an_audit_entry(api: Api, path: str) -> None:
    before = Revision.objects.count(), AuditEntry.objects.count()
    response = autosave(api, path, 2)
    assert response.status_code == 200, response.content
    assert (Revision.objects.count(), AuditEntry.objects.count()) == before
    read = api("GET", f"{path}draft/", x_client_id="tab-1").json()
    assert (read["state"]["zoom"], read["base_etag"]) == (2.0, api.etag(path))
    assert api("GET", path).json()["version"] == 0


def test_the_last_autosave_of_a_client_wins(api: Api, path: str) -> None:
    for zoom in (2, 3, 4):
        autosave(api, path, zoom)
    assert Draft.objects.count() == 1
    assert api("GET", f"{path}draft/", x_client_id="tab-1").json()["state"]["zoom"] == 4


def test_every_client_has_a_draft_of_its_own(api: Api, path: str) -> None:
    for number in (1, 2):
        autosave(api, path, 1 + number, f"tab-{number}")
    listed = drafts(api, path)
    assert [draft["client_id"] for draft in listed] == ["tab-2", "tab-1"]
    assert all("state" not in draft for draft in listed)


def test_saving_from_a_client_ends_its_draft_and_no_other(api: Api, path: str) -> None:
    for number in (1, 2):
        autosave(api, path, 1 + number, f"tab-{number}")
    saved = api("PUT", path, {"zoom": 2}, if_match=api.etag(path), x_client_id="tab-1")
    assert saved.status_code == 200
    assert [(d["client_id"], d["is_newer"]) for d in drafts(api, path)] == [("tab-2", False)]
    autosave(api, path, 5, "tab-3")
    assert [d["is_newer"] for d in drafts(api, path)] == [True, False]


def test_a_refused_save_leaves_the_draft(api: Api, path: str) -> None:
    autosave(api, path, 2)
    stale = api("PUT", path, {"zoom": 2}, if_match='"9.0000000000000000.1.0"', x_client_id="tab-1")
    assert stale.status_code == 412
    assert len(drafts(api, path)) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_draft_needs_a_client(api: Api, path: str, method: str) -> None:
    body = {"base_etag": "x", "state": {}} if method == "PUT" else None
    response = api(method, f"{path}draft/", body)
    assert (response.status_code, response.json()["errors"][0]["path"]) == (400, "X-Client-Id")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"state": {}}, "base_etag"),
        ({"base_etag": "x"}, "state"),
        ({"base_etag": "x", "state": {"zom": 1}}, "state.zom"),
        ({"base_etag": "x", "state": {"metadata": {"$a": 1}}}, 'state.metadata["$a"]'),
        ({"base_etag": "x", "state": {}, "more": 1}, "more"),
    ],
)
def test_a_draft_that_cant_be_kept_is_refused(api: Api, path: str, body: Any, where: str) -> None:
    response = api("PUT", f"{path}draft/", body, x_client_id="tab-1")
    assert (response.status_code, response.json()["errors"][0]["path"]) == (400, where)


def test_a_draft_can_be_thrown_away(api: Api, path: str) -> None:
    autosave(api, path, 2)
    assert api("DELETE", f"{path}draft/", x_client_id="tab-1").status_code == 204
    assert api("DELETE", f"{path}draft/", x_client_id="tab-1").status_code == 404
    assert api("GET", f"{path}draft/", x_client_id="tab-1").status_code == 404


def test_drafts_are_ones_own(accounts: None, alice: User, bob: User, charlie: User) -> None:
    project = as_(alice).create()
    path = f"/projects/{project['id']}/"
    sharing = {"collaborators": [{"user_id": str(bob.pk), "right": "read"}]}
    as_(alice)("PUT", f"{path}collaborators/", sharing, if_match=project["etag"])
    autosave(as_(alice), f"{path}timeline/", 2)
    assert drafts(as_(bob), f"{path}timeline/") == []
    assert autosave(as_(bob), f"{path}timeline/", 3).status_code == 403
    assert as_(charlie)("GET", f"{path}timeline/drafts/").status_code == 404


def test_drafts_go_with_their_project(api: Api, path: str) -> None:
    autosave(api, path, 2)
    Project.objects.all().delete()
    assert Project.everything.get().purge()["drafts"] == 1
    assert not Draft.objects.exists()


def test_autosaves_at_once_leave_one_draft(api: Api, path: str) -> None:
    answers = at_once(8, lambda number: autosave(Api(), path, 1 + number))
    assert {answer.status_code for answer in answers} == {200}
    assert Draft.objects.count() == 1
