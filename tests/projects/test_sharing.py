"""Who may see and change what: owners, collaborators, strangers, administrators."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from projects.models import Project
from snipix.audit import AuditEntry
from snipix.history import Revision
from tests.conftest import Api, as_
from timelines.models import Timeline

pytestmark = pytest.mark.usefixtures("accounts")


@pytest.fixture
def film(alice: User) -> str:
    """A project of alice's."""
    return f"/projects/{as_(alice).create('Film')['id']}/"


def share(owner: User, path: str, *collaborators: tuple[User, str]) -> Any:
    api = as_(owner)
    body = [{"user_id": str(user.pk), "right": right} for user, right in collaborators]
    return api("PUT", f"{path}collaborators/", {"collaborators": body}, if_match=api.etag(path))


def rename(user: User, path: str) -> int:
    api = as_(user)
    etag = api("GET", path).get("ETag", "-")
    return api("PATCH", path, {"name": "New"}, if_match=etag).status_code


def save(user: User, path: str) -> int:
    api = as_(user)
    etag = api("GET", f"{path}timeline/").get("ETag", "-")
    return api("PUT", f"{path}timeline/", {"zoom": 2}, if_match=etag).status_code


def test_a_project_is_shared_for_reading(film: str, alice: User, bob: User, charlie: User) -> None:
    shared = share(alice, film, (bob, "read"))
    assert shared.status_code == 200, shared.content
    assert shared.json()["collaborators"] == [{"user_id": str(bob.pk), "right": "read"}]
    assert as_(bob)("GET", film).status_code == 200
    assert as_(bob)("GET", f"{film}timeline/").status_code == 200
    assert (rename(bob, film), save(bob, film)) == (403, 403)
    assert as_(bob)("POST", f"{film}rollback/", {"version": 1}).status_code == 403
    assert (rename(charlie, film), save(charlie, film)) == (404, 404)


def test_a_project_is_shared_for_writing(film: str, alice: User, bob: User) -> None:
    share(alice, film, (bob, "write"))
    assert (rename(bob, film), save(bob, film)) == (200, 200)
    assert as_(bob)("DELETE", film).status_code == 403
    assert as_(bob)("POST", f"{film}hand-over/", {"user_id": str(bob.pk)}).status_code == 403
    assert share(bob, film).status_code == 403


def test_whom_it_isnt_shared_with_any_more_is_a_stranger(film: str, alice: User, bob: User) -> None:
    share(alice, film, (bob, "write"))
    assert as_(bob)("GET", film).status_code == 200
    assert len(as_(bob)("GET", "/projects/").json()["results"]) == 1
    share(alice, film)
    assert as_(bob)("GET", film).status_code == 404
    assert as_(bob)("GET", "/projects/").json()["results"] == []


def test_shared_projects_are_listed_and_searched(film: str, alice: User, bob: User) -> None:
    as_(bob).create("Film of mine")
    share(alice, film, (bob, "read"))
    listed = as_(bob)("GET", "/projects/?q=film").json()["results"]
    assert [project["name"] for project in listed] == ["Film", "Film of mine"]
    only = as_(bob)("GET", "/projects/?shared=true").json()["results"]
    assert [project["name"] for project in only] == ["Film"]
    assert as_(alice)("GET", "/projects/?shared=true").json()["results"] == []


def test_a_project_is_handed_over(film: str, alice: User, bob: User) -> None:
    save(alice, film)
    handed = as_(alice)("POST", f"{film}hand-over/", {"user_id": str(bob.pk)}).json()
    assert (handed["user_id"], handed["created_by"]) == (str(bob.pk), str(alice.pk))
    assert handed["collaborators"] == [{"user_id": str(alice.pk), "right": "write"}]
    assert Timeline.objects.get().user_id == str(bob.pk)
    assert rename(alice, film) == 200
    assert as_(alice)("DELETE", film).status_code == 403
    assert as_(bob)("DELETE", film).status_code == 200


def test_a_rollback_changes_nothing_of_who_may_what(film: str, alice: User, bob: User) -> None:
    share(alice, film, (bob, "write"))
    as_(alice)("POST", f"{film}hand-over/", {"user_id": str(bob.pk)})
    rename(bob, film)
    rolled = as_(bob)("POST", f"{film}rollback/", {"version": 1}).json()
    assert (rolled["name"], rolled["user_id"]) == ("Film", str(bob.pk))
    assert rolled["collaborators"] == [{"user_id": str(alice.pk), "right": "write"}]


def test_sharing_is_in_the_history_and_in_the_audit(film: str, alice: User, bob: User) -> None:
    share(alice, film, (bob, "read"))
    as_(alice)("POST", f"{film}hand-over/", {"user_id": str(bob.pk)})
    actions = ["create", "share", "hand over"]
    assert [r.action for r in Revision.objects.order_by("version")] == actions
    trail = as_(bob)("GET", f"{film}audit/").json()["results"]
    assert [entry["action"] for entry in trail] == actions[::-1]
    assert {entry["user_id"] for entry in trail} == {str(alice.pk)}
    assert {entry["address"] for entry in trail} == {None}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"collaborators": [{"user_id": "nobody", "right": "read"}]},
        {"collaborators": [{"user_id": "0" * 24, "right": "read"}]},
        {"collaborators": [{"right": "read"}]},
        {"collaborators": "bob"},
        {"people": []},
    ],
)
def test_nobody_can_be_made_a_collaborator(film: str, alice: User, body: Any) -> None:
    api = as_(alice)
    response = api("PUT", f"{film}collaborators/", body, if_match=api.etag(film))
    assert response.status_code == 400, response.content


def test_a_right_that_there_isnt_is_refused(film: str, alice: User, bob: User) -> None:
    assert share(alice, film, (bob, "own")).status_code == 400
    assert share(alice, film, (bob, "read"), (bob, "write")).status_code == 400


def test_only_administrators_purge_and_read_the_whole_trail(
    film: str, alice: User, bob: User
) -> None:
    save(alice, film)
    as_(alice)("DELETE", film)
    assert as_(alice)("POST", f"{film}purge/").status_code == 403
    assert as_(alice)("GET", "/audit/").status_code == 403
    bob.is_staff = True
    bob.save(update_fields=["is_staff"])
    purged = as_(bob)("POST", f"{film}purge/")
    gone = {"projects": 1, "timelines": 1, "revisions": 3, "kept_answers": 0, "drafts": 0}
    assert purged.json()["purged"].items() >= gone.items()
    assert as_(bob)("POST", f"{film}purge/").status_code == 404
    trail = as_(bob)("GET", f"/audit/?project={film.split('/')[2]}").json()["results"]
    assert [entry["action"] for entry in trail] == ["purge", "delete", "save", "create"]
    assert trail[0]["address"] == "127.0.0.1"
    assert (trail[0]["from_version"], trail[0]["to_version"]) == (2, None)


@pytest.mark.parametrize("query", ["user=x&action=y", "what=x", "created_min=never"])
def test_a_trail_that_isnt_offered_is_refused(alice: User, query: str) -> None:
    User.objects.update(is_staff=True)
    assert as_(alice)("GET", f"/audit/?{query}").status_code == 400


def test_a_trail_is_narrowed_by_one_filter_and_a_time(film: str, alice: User, bob: User) -> None:
    save(alice, film)
    as_(bob).create()
    User.objects.update(is_staff=True)

    def actions(query: str) -> list[str]:
        return [e["action"] for e in as_(alice)("GET", f"/audit/?{query}").json()["results"]]

    assert actions("") == ["create", "save", "create"]
    assert actions(f"user={alice.pk}") == ["save", "create"]
    assert actions("action=save") == ["save"]
    assert actions("created_max=2020-01-01T00:00:00Z") == []
    assert len(actions("page_size=2")) == 2


def test_the_trash_lists_what_can_be_restored(film: str, alice: User, bob: User) -> None:
    share(alice, film, (bob, "read"))
    as_(alice)("DELETE", film)
    trashed = as_(alice)("GET", "/trash/").json()["results"]
    assert [project["name"] for project in trashed] == ["Film"]
    assert trashed[0]["purge_after"] > trashed[0]["deleted_at"]
    assert len(as_(bob)("GET", "/trash/").json()["results"]) == 1
    assert as_(bob)("POST", f"{film}restore/").status_code == 403
    as_(alice)("POST", f"{film}restore/")
    assert as_(alice)("GET", "/trash/").json()["results"] == []


def everything() -> tuple[Any, ...]:
    documents = [p.stored_state | {"version": p.version} for p in Project.everything.all()]
    return documents, Revision.objects.count(), AuditEntry.objects.count()


def test_a_dry_run_answers_what_would_happen_and_changes_nothing(
    film: str, alice: User, bob: User
) -> None:
    api = as_(alice)
    rename(alice, film)
    before, etag = everything(), api.etag(film)

    def dry(method: str, path: str, body: Any = None, **headers: str) -> Any:
        response = api(method, f"{path}?dry_run=true", body, **headers)
        assert response.status_code == 200, response.content
        assert response["X-Snipix-Dry-Run"] == "true"
        assert "ETag" not in response
        assert everything() == before
        return response.json()

    assert dry("POST", "/projects/", {"name": "Other"})["version"] == 1
    assert dry("PATCH", film, {"name": "X"}, if_match=etag)["version"] == 3
    assert dry("PUT", film, {"name": "X"}, if_match=etag)["name"] == "X"
    assert dry("POST", f"{film}rollback/", {"version": 1})["name"] == "Film"
    assert dry("DELETE", film)["deleted_at"]
    assert dry("POST", f"{film}hand-over/", {"user_id": str(bob.pk)})["user_id"] == str(bob.pk)
    timeline = f"{film}timeline/"
    assert dry("PUT", timeline, {"zoom": 2}, if_match=api.etag(timeline))["version"] == 1
    api("DELETE", film)
    before = everything()
    assert dry("POST", f"{film}restore/")["is_deleted"] is False


def test_a_dry_run_is_refused_where_the_change_would_be(film: str, alice: User) -> None:
    api = as_(alice)
    assert api("PATCH", f"{film}?dry_run=true", {"name": "X"}).status_code == 428
    assert (
        api("PATCH", f"{film}?dry_run=true", {"name": ""}, if_match=api.etag(film)).status_code
        == 400
    )
    assert api("DELETE", f"{film}?dry_run=maybe").status_code == 400
    assert api("DELETE", f"{film}?dryrun=true").status_code == 400


def test_a_key_of_a_dry_run_isnt_used_up(film: str, alice: User) -> None:
    api = as_(alice)
    api("POST", "/projects/?dry_run=true", {"name": "X"}, idempotency_key="k")
    assert api("POST", "/projects/", {"name": "X"}, idempotency_key="k").status_code == 201


def test_somebody_without_a_token_is_nobody(film: str) -> None:
    response = Api()("GET", film)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
