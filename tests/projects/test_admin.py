"""Projects on the admin site: every change is a version, and none is lost."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from projects import services
from projects.admin import ProjectForm
from projects.models import Project
from snipix import history
from snipix.accounts import SYSTEM, Actor
from snipix.history import Revision
from tests.administration import act, actions, film, form, save, text, url
from tests.conftest import Api, entered
from timelines.models import Timeline


@pytest.fixture
def project(api: Api) -> Project:
    return film(api)


# --- Lists -----------------------------------------------------------------------------------


def test_the_last_edited_project_comes_first(site: Client, api: Api) -> None:
    for name in ("One", "Two", "Three"):
        api.create(name)
    found = re.findall(r">(One|Two|Three)</a>", text(site.get(url(Project, "changelist"))))
    assert found == ["Three", "Two", "One"]


def test_projects_are_found_by_id_and_by_owner(site: Client, api: Api, alice: User) -> None:
    mine = history.change(
        lambda: services.create_project(actor=Actor(str(alice.pk)), name="Alice's film")
    )
    api.create("Another's film")
    for term in (mine.project_id, "alice", str(alice.pk)):
        page = text(site.get(url(Project, "changelist"), {"q": term}))
        assert "Alice&#x27;s film" in page
        assert "Another&#x27;s film" not in page
        assert ">alice<" in page
    assert "0 projects" in text(site.get(url(Project, "changelist"), {"q": "film"}))


def test_the_trash_is_a_list_of_its_own(site: Client, project: Project) -> None:
    live, trash = url(Project, "changelist"), url(Project, "changelist") + "?trash=yes"
    assert ("1 project\n" in text(site.get(live)), "0 projects" in text(site.get(trash))) == (1, 1)
    project.delete()
    assert ("0 projects" in text(site.get(live)), "1 project\n" in text(site.get(trash))) == (1, 1)


# --- Changes ---------------------------------------------------------------------------------


def test_a_change_is_a_version_and_in_the_audit(site: Client, root: User, project: Project) -> None:
    before = project.state
    assert save(site, project, name="New name", tags="c\r\n d \r\n").status_code == 302
    project.refresh_from_db()
    assert (project.name, project.tags, project.version) == ("New name", ["c", "d"], 2)
    assert (project.metadata, project.user_id) == (before.metadata, before.user_id)
    assert actions(project)[1:] == [("update", "admin", str(root.pk))]
    assert history.verify(project) == 2
    assert history.read(project, 1) == before


def test_what_wasnt_changed_makes_no_version(site: Client, project: Project) -> None:
    assert save(site, project).status_code == 302
    project.refresh_from_db()
    assert project.version == 1


def test_what_a_form_cant_show_exactly_stays_as_it_is(site: Client, project: Project) -> None:
    odd = {"tags": ["a\nb", " c "], "description": "one\r\ntwo\rthree\n", "name": " Film "}
    history.change(lambda: services.update_project(project, actor=SYSTEM, **odd))
    assert save(site, project, status="archived").status_code == 302
    project.refresh_from_db()
    assert project.status == "archived"
    assert {name: getattr(project, name) for name in odd} == odd


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "required"),
        ({"name": "   "}, "blank"),
        ({"name": "x" * 501}, "500"),
        ({"description": "x" * 20_001}, "20000"),
        ({"tags": "x" * 101}, "100"),
        ({"tags": "\n".join(map(str, range(101)))}, "100"),
        ({"status": "gone"}, "valid choice"),
        ({"duration": "-1"}, "0"),
        ({"duration": "nan"}, "number"),
        ({"metadata": "{"}, "valid JSON"),
        ({"metadata": "[]"}, "dictionary"),
        ({"metadata": '{"a": NaN}'}, "NaN"),
        ({"metadata": '{"$a": 1}'}, "starts with"),
        ({"metadata": '{"a":' * 40 + "1" + "}" * 40}, "nested too deeply"),
        ({"metadata": '{"a":' * 5_000 + "1" + "}" * 5_000}, "nested too deeply"),
        ({"metadata": '{"a": "' + "x" * 300_000 + '"}'}, "bytes"),
        ({"opened_at": "x"}, "whole number"),
        ({"opened_at": ""}, "required"),
    ],
)
def test_what_the_api_refuses_the_form_refuses(
    site: Client, project: Project, changes: dict[str, str], said: str
) -> None:
    response = save(site, project, **changes)
    assert response.status_code == 200
    assert said in " ".join(re.findall(r'(?s)<ul class="errorlist.*?</ul>', text(response)))
    project.refresh_from_db()
    assert project.version == 1


def test_a_stale_form_is_refused(site: Client, project: Project) -> None:
    """Two administrators, one project."""
    opened = form(project, name="The second's")
    save(site, project, name="The first's")
    response = site.post(url(Project, "change", project.pk), opened)
    assert response.status_code == 200
    assert "You opened it at version 1; it is at version 2 by now" in text(response)
    assert "The second&#x27;s" in text(response), "what was typed is lost"
    project.refresh_from_db()
    assert (project.name, project.version) == ("The first's", 2)


def test_a_form_that_is_overtaken_while_it_is_saved_is_refused(
    site: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: Callable[[Any], Any] = ProjectForm.clean
    overtakers = [{"name": "The first's"}]

    def clean(checked_form: Any) -> Any:
        cleaned = checked(checked_form)
        if overtakers:
            other = Project.objects.get()
            changes = overtakers.pop()
            history.change(lambda: services.update_project(other, actor=SYSTEM, **changes))
        return cleaned

    monkeypatch.setattr(ProjectForm, "clean", clean)
    response = save(site, project, name="The second's")
    assert "You opened it at version 1; it is at version 2 by now" in text(response)
    project.refresh_from_db()
    assert (project.name, project.version) == ("The first's", 2)


def test_what_is_in_the_trash_cant_be_edited(site: Client, project: Project) -> None:
    opened = form(project, name="New name")
    project.delete()
    response = site.post(url(Project, "change", project.pk), opened, follow=True)
    assert "Not saved: it is in the trash" in text(response)
    assert 'name="name"' not in text(response)
    project.refresh_from_db()
    assert (project.name, project.version) == ("Film", 2)


# --- The trash -------------------------------------------------------------------------------


def test_trash_and_restore_are_changes_like_any_other(
    site: Client, root: User, project: Project, api: Api
) -> None:
    other = Project.objects.get(project_id=api.create("Other")["id"])
    assert "Moved to the trash: 2" in text(act(site, "delete_selected", project, other))
    assert Project.objects.count() == 0
    response = act(site, "restore_selected", project, other, query="?trash=yes")
    assert "Restored: 2" in text(response)
    for each in (project, other):
        each.refresh_from_db()
        assert history.verify(each) == 3
        key = str(root.pk)
        assert actions(each)[1:] == [("delete", "admin", key), ("restore", "admin", key)]
    assert Timeline.objects.count() == 1


def test_the_delete_button_means_the_trash_and_says_so(
    site: Client, root: User, project: Project
) -> None:
    assert "Move to the trash" in text(site.get(url(Project, "change", project.pk)))
    page = text(site.get(url(Project, "delete", project.pk)))
    assert "can be restored" in page
    assert "Are you sure you want to delete" not in page
    site.post(url(Project, "delete", project.pk), {"post": "yes"})
    project.refresh_from_db()
    assert project.is_deleted
    assert actions(project)[-1] == ("delete", "admin", str(root.pk))
    assert history.verify(project) == 2
    page = text(site.get(url(Project, "change", project.pk)))
    assert "In the trash since" in page
    assert "restore_selected" in page


def test_a_list_offers_only_what_makes_sense_there(site: Client, project: Project) -> None:
    live = text(site.get(url(Project, "changelist")))
    project.delete()
    trash = text(site.get(url(Project, "changelist") + "?trash=yes"))
    assert ("delete_selected" in live, "restore_selected" in live) == (True, False)
    assert ("delete_selected" in trash, "restore_selected" in trash) == (False, True)


def test_purging_asks_first_and_leaves_a_trace(site: Client, root: User, project: Project) -> None:
    act(site, "delete_selected", project)
    page = text(act(site, "purge_selected", project, query="?trash=yes"))
    assert "Nothing brings them back" in page
    assert f'value="{project.pk}"' in page
    assert Project.everything.count() == 1
    data = {"action": "purge_selected", "_selected_action": str(project.pk), "post": "yes"}
    assert "Destroyed for ever: 1" in text(
        site.post(url(Project, "changelist") + "?trash=yes", data, follow=True)
    )
    left = (Project.everything.count(), Timeline.everything.count(), Revision.objects.count())
    assert left == (0, 0, 0)
    assert actions(project)[-1] == ("purge", "admin", str(root.pk))


def test_only_a_superuser_purges(project: Project, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(is_staff=True)
    bob.user_permissions.set(Permission.objects.filter(codename__endswith="_project"))
    project.delete()
    data = {"action": "purge_selected", "_selected_action": str(project.pk), "post": "yes"}
    entered(bob).post(url(Project, "changelist") + "?trash=yes", data)
    assert Project.everything.count() == 1


def test_what_is_live_isnt_purged(site: Client, project: Project) -> None:
    data = {"action": "purge_selected", "_selected_action": str(project.pk), "post": "yes"}
    for query in ("", "?trash=yes"):
        site.post(url(Project, "changelist") + query, data)
    assert Project.objects.count() == 1
