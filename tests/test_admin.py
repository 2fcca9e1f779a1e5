"""The admin site: what every page answers, who may do what, and that nothing goes past history."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from projects import services
from projects.models import Project
from snipix import admin_lists, history
from snipix.accounts import Actor, Token
from snipix.audit import AuditEntry
from snipix.history import Revision
from snipix.idempotency import KeptAnswer
from tests.administration import act, actions, film, save, text, url
from tests.conftest import Api, entered
from timelines.models import Timeline

MODELS = list(admin.site._registry)


@pytest.fixture
def project(api: Api) -> Project:
    return film(api)


# --- Every page ------------------------------------------------------------------------------


@pytest.fixture
def everything(project: Project, root: User) -> None:
    """At least one of everything that is registered."""
    Api()("POST", f"/projects/{project.project_id}/transcription/", {})
    Token.issue(root, "laptop")
    Group.objects.create(name="editors")


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_page_of_every_model_answers(site: Client, model: Any) -> None:
    key = model._base_manager.first().pk
    pages = [url(model, "changelist"), url(model, "change", key), url(model, "history", key)]
    assert [site.get(page).status_code for page in pages] == [200, 200, 200]
    assert site.get(url(model, "add")).status_code == (200 if model in (User, Group) else 403)


def test_a_login_that_cant_be_stored_is_a_503(root: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django stores the session after the view, where no error is the view's any more."""
    root.set_password("secret")
    root.save()
    store = SessionStore.save

    def save(self: SessionStore, must_create: bool = False) -> None:
        if not must_create:
            raise OperationalError("private")
        store(self, must_create)

    monkeypatch.setattr(SessionStore, "save", save)
    browser = Client(raise_request_exception=False)
    response = browser.post("/admin/login/", {"username": "root", "password": "secret"})
    assert (response.status_code, response.json()["code"]) == (503, "database-unavailable")
    assert int(response["Retry-After"]) > 0
    assert "private" not in text(response)


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_odd_addresses_do_no_harm(site: Client, model: Any) -> None:
    for key in ("garbage", "6740a9f35fcebe2d0e0cab00", "1", "_00", "a/b"):
        for page in ("change", "history", "delete"):
            assert site.get(url(model, page, key)).status_code in (302, 403, 404)
    for query in ("p=9999", "p=x", "p=-1", "o=1.-2", "q=%00", "q=$where", "e=1", "_to_field=x",
                  "trash=maybe", "nothing=1", "project_id__regex=.", "document_id=x"):  # fmt: skip
        assert site.get(f"{url(model, 'changelist')}?{query}").status_code in (200, 302, 400)
    for data in ({"_selected_action": "garbage", "action": "delete_selected"}, {"action": "no"}):
        assert site.post(url(model, "changelist"), data).status_code in (200, 302, 403)


def test_ids_of_no_user_and_no_page_do_no_harm(site: Client) -> None:
    assert site.get("/admin/auth/user/garbage/password/").status_code == 404
    assert site.get("/admin/r/1/2/").status_code == 404


@pytest.mark.usefixtures("db")
def test_who_is_no_administrator_doesnt_get_in(alice: User) -> None:
    for client in (Client(), entered(alice)):
        assert client.get(url(Project, "changelist"))["Location"].startswith("/admin/login/")


def test_without_a_database_the_answer_is_try_again(
    site: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: Any) -> None:
        raise OperationalError("no server: here stands where it should be")

    monkeypatch.setattr(SessionStore, "load", load)
    response = site.get(url(Project, "changelist"))
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert "where it should be" not in text(response)


# --- Lists -----------------------------------------------------------------------------------


def commands(site: Client, address: str) -> list[str]:
    """What a page asks of the database, but for who is asking."""
    with CaptureQueriesContext(connection) as captured:
        assert site.get(address).status_code == 200
    return [query["sql"] for query in captured.captured_queries][2:]


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(
    "model", [m for m in MODELS if m not in (User, Group)], ids=lambda model: model.__name__
)
def test_a_list_asks_the_same_however_long_it_is(
    site: Client, root: User, alice: User, model: Any
) -> None:
    def commands_after_a_project_of(user: User) -> list[str]:
        Token.issue(user)
        actor = Actor(str(user.pk))
        history.change(lambda: services.create_project(actor=actor, name="Film"))
        return commands(site, url(model, "changelist"))

    few = commands_after_a_project_of(root)
    commands_after_a_project_of(alice)
    many = commands_after_a_project_of(alice)
    assert len(many) == len(few) <= 3
    assert all("$lookup" not in sql and "$addFields" not in sql for sql in many)
    assert any("{'$limit': 2000}, {'$count'" in sql for sql in many), "an endless count"


def test_a_list_stops_counting(site: Client, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_lists, "MOST", 3)
    for number in range(4):
        api.create(f"Film {number}")
    assert "There may be more than 3" in text(site.get(url(Project, "changelist")))


# --- Timelines and records -------------------------------------------------------------------


def test_a_timeline_is_shown_in_short(site: Client, project: Project) -> None:
    page = text(site.get(url(Timeline, "change", project.pk)))
    assert "Main track" in page
    assert "The first 100 of 500 clips" in page
    assert len(page) < 60_000
    assert url(Project, "change", project.pk) in page


def test_a_project_leads_to_its_timeline_history_and_audit(site: Client, project: Project) -> None:
    page = text(site.get(url(Project, "change", project.pk)))
    audit = f"{url(AuditEntry, 'changelist')}?project_id={project.project_id}"
    addresses = [url(Timeline, "change", project.pk), url(Project, "history", project.pk), audit]
    for address in addresses:
        assert f'href="{address}"' in page
        assert site.get(address).status_code == 200


def test_the_history_shows_every_version_and_what_it_held(
    site: Client, root: User, project: Project
) -> None:
    save(site, project, name="New name")
    page = text(site.get(url(Project, "history", project.pk)))
    assert "versions 1 to 2 of 2" in page
    assert "<td>root</td>" in page
    first = Revision.objects.get(document_id=project.pk, kind="project", version=1)
    assert "&quot;name&quot;: &quot;Film&quot;" in text(site.get(url(Revision, "change", first.pk)))


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("model", [Revision, AuditEntry, KeptAnswer, Timeline])
def test_records_cant_be_touched_by_anybody(site: Client, model: Any) -> None:
    key = model._base_manager.first().pk
    stored = connection.get_collection(model._meta.db_table)
    before = list(stored.find())
    assert site.post(url(model, "add"), {"version": 9}).status_code == 403
    assert site.post(url(model, "change", key), {"version": 9}).status_code == 403
    assert site.post(url(model, "delete", key), {"post": "yes"}).status_code == 403
    act(site, "delete_selected", model._base_manager.first())
    assert "delete_selected" not in text(site.get(url(model, "changelist")))
    assert list(stored.find()) == before


def test_a_damaged_revision_has_a_page_that_says_so(site: Client, project: Project) -> None:
    revision = Revision.objects.get(document_id=project.pk, kind="project")
    Revision.objects.filter(pk=revision.pk).update(frame=b"nonsense")
    assert "It can&#x27;t be read" in text(site.get(url(Revision, "change", revision.pk)))


# --- Accounts and rights ---------------------------------------------------------------------


def test_tokens_are_revoked_and_never_shown(site: Client, alice: User) -> None:
    secrets = [Token.issue(alice, name) for name in ("laptop", "phone")]
    laptop, phone = Token.objects.order_by("pk")
    pages = [url(Token, "changelist"), url(Token, "change", laptop.pk)]
    pages += [url(Token, "delete", laptop.pk), url(Token, "history", laptop.pk)]
    for page in map(text, map(site.get, pages)):
        assert "laptop" in page
        assert laptop.digest not in page
        assert secrets[0] not in page
    assert site.post(url(Token, "change", laptop.pk), {"name": "x"}).status_code == 403
    site.post(url(Token, "delete", laptop.pk), {"post": "yes"})
    act(site, "delete_selected", phone)
    site.post(url(Token, "changelist"), {
        "action": "delete_selected", "_selected_action": str(phone.pk), "post": "yes"
    })  # fmt: skip
    assert [Token.user_of(secret) for secret in secrets] == [None, None]


def permitted(*names: str) -> list[Permission]:
    return list(Permission.objects.filter(codename__in=names))


@pytest.fixture
def editor(bob: User) -> User:
    """Bob, of the staff, with the rights of a group."""
    group = Group.objects.create(name="editors")
    group.permissions.set(permitted("view_project", "change_project"))
    bob.groups.add(group)
    bob.is_staff = True
    bob.save()
    return bob


def test_a_groups_rights_are_its_members_and_no_more(editor: User, project: Project) -> None:
    site = entered(editor)
    assert site.get(url(Project, "changelist")).status_code == 200
    assert save(site, project, name="Bob's name").status_code == 302
    project.refresh_from_db()
    assert (project.name, actions(project)[-1]) == (
        "Bob's name",
        ("update", "admin", str(editor.pk)),
    )
    refused = [url(Project, "delete", project.pk), url(Timeline, "change", project.pk)]
    refused += [url(model, "changelist") for model in MODELS if model is not Project]
    assert {site.get(address).status_code for address in refused} == {403}
    act(site, "delete_selected", project)
    assert Project.objects.count() == 1


def test_without_a_group_there_are_no_rights(editor: User, project: Project) -> None:
    editor.groups.clear()
    assert entered(editor).get(url(Project, "changelist")).status_code == 403
    assert save(entered(editor), project, name="No").status_code == 403


def test_groups_and_users_are_given_rights(site: Client, editor: User) -> None:
    group = Group.objects.get()
    page = text(site.get(url(Group, "change", group.pk)))
    assert "projects | project | Can view project" in page
    assert page.count(" selected>") == 2
    keys = [str(permission.pk) for permission in permitted("view_timeline")]
    data = {"name": "viewers", "permissions": keys}
    assert site.post(url(Group, "change", group.pk), data).status_code == 302
    assert site.get(url(User, "change", editor.pk)).status_code == 200
    rights = [str(permission.pk) for permission in permitted("view_token")]
    data = {
        "username": "bob", "is_active": "on", "is_staff": "on", "groups": [str(group.pk)],
        "user_permissions": rights, "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00",
    }  # fmt: skip
    assert site.post(url(User, "change", editor.pk), data).status_code == 302
    bob = User.objects.get(username="bob")
    assert bob.get_all_permissions() == {"timelines.view_timeline", "snipix.view_token"}
    assert [entered(editor).get(url(model, "changelist")).status_code
            for model in (Timeline, Token, Project)] == [200, 200, 403]  # fmt: skip


def test_the_rights_to_choose_from_are_found_without_joins(site: Client, editor: User) -> None:
    address = url(User, "change", editor.pk)
    site.get(address)  # content types are remembered by the process
    asked = commands(site, address)
    assert len(asked) <= 6
    assert not [sql for sql in asked if "$lookup" in sql and "user_id" not in sql]
