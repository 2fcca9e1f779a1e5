"""Accounts mode: tokens, and that to a stranger a document doesn't exist."""

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.urls import reverse

import projects.urls
import timelines.urls
from snipix.accounts import PlainQueryBackend, Token
from snipix.mongo import connection
from snipix.times import now
from tests.conftest import Api, as_

ROOT = Path(__file__).resolve().parent.parent
SESSIONS = "rest_framework.authentication.SessionAuthentication"

pytestmark = pytest.mark.usefixtures("accounts")


def share(owner: Api, project_id: str, user: User) -> None:
    path = f"/projects/{project_id}/"
    shared = {"collaborators": [{"user_id": str(user.pk), "right": "read"}]}
    response = owner("PUT", f"{path}collaborators/", shared, if_match=owner.etag(path))
    assert response.status_code == 200, response.content


def body_of(method: str, path: str, user: User) -> Any:
    """What would be accepted there, if it weren't a stranger's."""
    bodies: dict[str, Any] = {
        "timeline": {"duration": 9},
        "rollback": {"version": 1},
        "collaborators": {"collaborators": []},
        "hand-over": {"user_id": str(user.pk)},
        "draft": {"base_etag": "x", "state": {}},
    }
    last = path.rstrip("/").rpartition("/")[2]
    if (method, last) == ("PATCH", "timeline"):
        return {"edits": [{"op": "set_view", "zoom": 2}]}
    return None if method == "GET" else bodies.get(last, {"name": "Mine"})


def routes(project_id: str) -> list[tuple[str, str]]:
    """Every method and address under a project, found in the routes themselves."""
    found = []
    for pattern in [*projects.urls.urlpatterns, *timelines.urls.urlpatterns]:
        names = pattern.pattern.regex.groupindex
        if "project_id" in names:
            kwargs = {name: project_id if name == "project_id" else "1" for name in names}
            path = reverse(pattern.name, kwargs=kwargs).removeprefix("/api/v1")
            methods = pattern.callback.actions.keys() - {"head"}  # without bodies to compare
            found += [(method.upper(), path) for method in methods]
    return found


def test_the_setting_chooses_these_authentications() -> None:
    program = (
        "from django.conf import settings; import json;"
        "print(json.dumps(settings.REST_FRAMEWORK['DEFAULT_AUTHENTICATION_CLASSES']))"
    )
    for mode, expected in (
        ("accounts", ["snipix.accounts.TokenAuthentication", SESSIONS]),
        ("anonymous", ["snipix.accounts.AnonymousOwnerAuthentication"]),
    ):
        environment = {
            **os.environ,
            "SNIPIX_AUTH": mode,
            "DJANGO_SETTINGS_MODULE": "snipix.settings",
        }
        ran = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=True,
        )
        assert json.loads(ran.stdout) == expected


# --- Tokens ----------------------------------------------------------------------------------


def refused(api: Api, method: str = "GET", path: str = "/projects/") -> None:
    response = api(method, path, {} if method != "GET" else None)
    problem = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (401, 401, "unauthorized")
    assert response["WWW-Authenticate"] == "Bearer"
    assert response["Content-Type"] == "application/problem+json"
    assert problem["request_id"] == response["X-Request-ID"]


def test_without_a_token_nothing_is_answered(alice: User) -> None:
    project = as_(alice).create()
    for method, path in [("GET", "/projects/"), ("POST", "/projects/"), *routes(project["id"])]:
        refused(Api(), method, path)


def test_with_a_token_one_is_who_one_is(alice: User) -> None:
    project = as_(alice).create()
    assert project["user_id"] == project["created_by"] == str(alice.pk)


def test_the_scheme_may_be_written_in_any_case(alice: User) -> None:
    secret = Token.issue(alice)
    assert Api()("GET", "/projects/", authorization=f"bEARER  {secret}").status_code == 200


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer x", "Bearer snx_", "Basic YWxpY2U6eA==", "Token x", "x" * 5000,
     "Bearer \xff\xfe", "Bearer a b c", "Bearer $ne"],
)  # fmt: skip
def test_a_token_that_is_none_is_refused(header: str) -> None:
    api = Api()
    api.headers = {"Authorization": header}
    refused(api)


def test_a_token_serves_until_it_expires(alice: User) -> None:
    hour = timedelta(hours=1)
    refused(Api(Token.issue(alice, expires_at=now() - timedelta(milliseconds=1))))
    assert Api(Token.issue(alice, expires_at=now() + hour))("GET", "/projects/").status_code == 200


def test_a_token_serves_as_long_as_its_user_is_active(alice: User) -> None:
    api = as_(alice)
    assert api("GET", "/projects/").status_code == 200
    alice.is_active = False
    alice.save()
    refused(api)


def test_a_token_ends_with_its_user_and_when_it_is_revoked(alice: User, charlie: User) -> None:
    of_alice, of_charlie = as_(alice), as_(charlie)
    Token.objects.filter(user_id=alice.pk).delete()
    charlie.delete()
    assert Token.objects.count() == 0
    refused(of_alice)
    refused(of_charlie)


def test_a_token_is_stored_as_its_hash_only(alice: User) -> None:
    secret = Token.issue(alice, "laptop")
    stored = str(list(connection.get_collection("tokens").find()))
    assert re.search(r"'digest': '[0-9a-f]{64}'", stored)
    assert secret not in stored
    assert secret.removeprefix("snx_")[:12] not in stored
    assert len(secret) >= 4 + 43, "256 random bits"
    assert Token.issue(alice) != secret


# --- The command -----------------------------------------------------------------------------


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("create_token", *arguments, stdout=out)
    return out.getvalue()


def test_create_token_prints_a_token_that_works(alice: User) -> None:
    secret = command("alice", "--name", "laptop").strip()
    assert Api(secret).create()["user_id"] == str(alice.pk)
    token = Token.objects.get()
    assert (token.name, token.user_id, token.expires_at) == ("laptop", alice.pk, None)


def test_create_token_may_set_an_end(alice: User) -> None:
    command("alice", "--days", "30")
    expires_at = Token.objects.get().expires_at
    assert expires_at
    assert timedelta(days=29, hours=23) < expires_at - now() <= timedelta(days=30)


def test_create_token_needs_a_user() -> None:
    with pytest.raises(CommandError, match="There is no user 'nobody'"):
        command("nobody")


@pytest.mark.parametrize("days", ["0", "-1", "9999999999"])
def test_create_token_refuses_an_end_that_makes_no_sense(alice: User, days: str) -> None:
    with pytest.raises(CommandError):
        command("alice", "--days", days)
    assert Token.objects.count() == 0


def test_create_token_answers_programs_too(alice: User) -> None:
    told = json.loads(command("alice", "--name=laptop", "--json", "--verbosity=0"))
    assert Api(told.pop("token")).create()["user_id"] == str(alice.pk)
    assert told == {"user": "alice", "name": "laptop", "expires_at": None}


def test_a_token_is_printed_however_quiet_it_is_to_be(alice: User) -> None:
    assert Api(command("alice", "--verbosity=0").strip()).create()


def test_a_name_that_is_too_long_is_refused_with_a_sentence(alice: User) -> None:
    with pytest.raises(CommandError, match=r"--name: .*at most 100 characters"):
        command("alice", "--name", "x" * 1_000)
    assert Token.objects.count() == 0


# --- Strangers -------------------------------------------------------------------------------


@pytest.fixture
def film(alice: User) -> str:
    """The id of a project of Alice's, with a timeline."""
    api = as_(alice)
    project_id = api.create("Film")["id"]
    path = f"/projects/{project_id}/timeline/"
    assert api("PUT", path, {"duration": 5}, if_match=api.etag(path)).status_code == 200
    return project_id


def test_to_a_stranger_a_document_doesnt_exist(film: str, alice: User, charlie: User) -> None:
    owner, stranger = as_(alice), as_(charlie)
    paths = (f"/projects/{film}/", f"/projects/{film}/timeline/")
    before = [owner("GET", path).content for path in paths]
    assert len(routes(film)) >= 7
    for method, path in routes(film):
        body = body_of(method, path, charlie)
        headers = {"if_match": owner.etag(paths["timeline" in path]), "x_client_id": "tab"}
        if method == "PATCH" and path.rstrip("/").endswith("/timeline"):
            headers["content-type"] = "application/vnd.snipix.edits+json"
        response = stranger(method, path, body, **headers)
        nothing = stranger(method, path.replace(film, "nothing"), body, **headers)
        # Purging is for administrators, whatever there is.
        expected = 403 if "purge" in path else 404
        assert {response.status_code, nothing.status_code} == {expected}, (method, path)
        same = [answer.content.replace(film.encode(), b"nothing") for answer in (response, nothing)]
        ids = rb'"request_id": ?"\w+"'
        assert re.sub(ids, b"", same[0]) == re.sub(ids, b"", same[1]), (
            "an answer tells the two apart"
        )
    assert [owner("GET", path).content for path in paths] == before


def test_to_a_stranger_the_trash_doesnt_exist(film: str, alice: User, charlie: User) -> None:
    as_(alice)("DELETE", f"/projects/{film}/")
    assert as_(charlie)("POST", f"/projects/{film}/restore/").status_code == 404
    assert as_(alice)("POST", f"/projects/{film}/restore/").status_code == 200


def test_everyone_lists_their_own(film: str, alice: User, bob: User, charlie: User) -> None:
    as_(charlie).create("Charlie's")
    share(as_(alice), film, bob)
    lists = [as_(user)("GET", "/projects/").json()["results"] for user in (alice, bob, charlie)]
    assert [[each["name"] for each in one] for one in lists] == [["Film"], ["Film"], ["Charlie's"]]


def test_whom_it_is_shared_with_sees_it(film: str, alice: User, bob: User) -> None:
    share(as_(alice), film, bob)
    for path in (f"/projects/{film}/", f"/projects/{film}/timeline/"):
        assert as_(bob)("GET", path).status_code == 200


def test_an_id_is_taken_even_by_a_strangers_project(film: str, charlie: User) -> None:
    response = as_(charlie)("POST", "/projects/", {"name": "Mine", "id": film})
    assert (response.status_code, response.json()["code"]) == (409, "id-taken")
    assert "Film" not in response.content.decode()


def test_two_people_may_use_the_same_key(alice: User, charlie: User) -> None:
    made = [
        as_(user)("POST", "/projects/", {"name": "Film"}, idempotency_key="k")
        for user in (alice, charlie)
    ]
    assert [response.status_code for response in made] == [201, 201]
    assert made[0].json()["id"] != made[1].json()["id"]


def test_a_session_of_the_admin_site_counts_in_the_browsable_api(film: str, alice: User) -> None:
    api = Api()
    api.client.force_login(alice)
    assert api("GET", f"/projects/{film}/").status_code == 200
    api.client.handler.enforce_csrf_checks = True
    assert api("DELETE", f"/projects/{film}/").status_code == 403


# --- Rights on the admin site ----------------------------------------------------------------


def test_rights_come_from_the_user_and_the_groups_together(bob: User) -> None:
    view, change, add = Permission.objects.filter(
        codename__in=["view_project", "change_project", "add_project"]
    ).order_by("-codename")
    for name, permission in (("one", view), ("two", change)):
        group = Group.objects.create(name=name)
        group.permissions.add(permission)
        bob.groups.add(group)
    bob.user_permissions.add(add)
    backend = PlainQueryBackend()
    fresh = User.objects.get(pk=bob.pk)
    assert backend.get_group_permissions(fresh) == {
        "projects.view_project", "projects.change_project"
    }  # fmt: skip
    assert backend.get_user_permissions(fresh) == {"projects.add_project"}
    assert fresh.has_perms([f"projects.{name}_project" for name in ("view", "change", "add")])
    assert fresh.has_module_perms("projects")
    assert not fresh.has_module_perms("timelines")
    assert not fresh.has_perm("projects.delete_project")


def test_who_isnt_active_has_no_rights(bob: User) -> None:
    bob.user_permissions.add(Permission.objects.get(codename="view_project"))
    bob.is_active = False
    bob.save()
    assert User.objects.get(pk=bob.pk).get_all_permissions() == set()


def test_a_superuser_has_every_right(db: None) -> None:
    root: Any = User.objects.create_superuser("root")
    assert len(PlainQueryBackend().get_all_permissions(root)) == Permission.objects.count()
    assert isinstance(PlainQueryBackend(), ModelBackend)
