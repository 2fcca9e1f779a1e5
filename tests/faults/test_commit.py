"""A commit whose answer never comes: the change takes effect once, whatever became of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo.client_session import ClientSession
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from projects.models import Project
from projects.services import create_project, update_project
from snipix import errors, history, indexes, local
from snipix.accounts import Actor
from snipix.audit import AuditEntry
from snipix.database.base import refuse_if_away
from snipix.demo.stage import pointed_at
from snipix.history import Revision
from snipix.local.processes import wait_until
from snipix.mongo import connection
from tests.conftest import Api
from timelines import samples
from timelines.models import Timeline
from timelines.services import save_timeline

ALICE = Actor("alice")
LOOKED_FOR_MS = 1000
STATE = samples.timeline(1, 10)

Send = Callable[[], dict[str, Any]]
Fate = Callable[[Send], dict[str, Any]]


class Commits:
    """What becomes of the commits that the driver sends: each of its own kind, then as usual.

    (The driver sends a commit twice before it tells anybody; each of these counts.)
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fates: list[Fate] = []
        self.sent = 0
        send = ClientSession._finish_transaction

        def finish(session: ClientSession, conn: Any, command: str) -> dict[str, Any]:
            if command != "commitTransaction":
                return send(session, conn, command)
            self.sent += 1
            fate = self.fates.pop(0) if self.fates else (lambda as_usual: as_usual())
            return fate(lambda: send(session, conn, command))

        monkeypatch.setattr(ClientSession, "_finish_transaction", finish)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Commits:
    return Commits(monkeypatch)


def answer_is_lost(send: Send) -> dict[str, Any]:
    send()
    raise AutoReconnect("connection closed")


def command_is_lost(send: Send) -> dict[str, Any]:
    raise AutoReconnect("connection closed")


def is_forgotten(send: Send) -> dict[str, Any]:
    """What a server says of any transaction that it ran before it was restarted."""
    labels = {"errorLabels": ["TransientTransactionError"]}
    raise OperationFailure("does not match any in-progress transactions", 251, labels)


# --- With a server that is killed


@pytest.fixture
def mongo(
    tmp_path: Path, django_db_blocker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[local.Mongo]:
    """A database server of its own, which this process's models use; not looked for for long."""
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "serverSelectionTimeoutMS", LOOKED_FOR_MS)
    with (
        local.Mongo(tmp_path) as mongo,
        django_db_blocker.unblock(),
        pointed_at(mongo.uri, "snipix"),
    ):
        list(indexes.ensure())
        yield mongo


def test_a_change_that_landed_when_the_server_was_killed_takes_effect_once(
    mongo: local.Mongo, commits: Commits
) -> None:
    def lands_and_dies(send: Send) -> dict[str, Any]:
        send()
        mongo.kill()
        mongo.start()
        raise AutoReconnect("connection closed")

    project = history.change(lambda: create_project(actor=ALICE, name="Film"))
    commits.fates = [lands_and_dies]
    assert history.change(lambda: save_on(project, base=0)) == 1
    assert_saved_once(project)


def test_a_change_that_didnt_land_when_the_server_was_killed_takes_effect_once(
    mongo: local.Mongo, commits: Commits
) -> None:
    def dies_and_gets_the_commit(send: Send) -> dict[str, Any]:
        mongo.kill()
        mongo.start()
        return send()

    project = history.change(lambda: create_project(actor=ALICE, name="Film"))
    commits.fates = [dies_and_gets_the_commit]
    assert history.change(lambda: save_on(project, base=0)) == 1
    assert_saved_once(project)


def test_a_change_whose_server_dies_in_the_middle_takes_effect_once(mongo: local.Mongo) -> None:
    project = history.change(lambda: create_project(actor=ALICE, name="Film"))
    attempts = []

    def work() -> int:
        version = save_on(project, base=0)
        if not attempts:
            mongo.kill()
            mongo.start()
        attempts.append(version)
        return version

    assert history.change(work) == 1
    assert attempts == [1, 1]
    assert_saved_once(project)


# --- With the answers that were seen then, for every kind of change


def rename(project: Project) -> None:
    update_project(Project.objects.get(pk=project.pk), actor=ALICE, name="Other film")


def rename_and_save(project: Project) -> None:
    rename(project)
    save_on(project, base=0)


def delete_and_restore(project: Project) -> None:
    project.delete(actor=ALICE)
    project.restore(actor=ALICE)


def delete_and_purge(project: Project) -> None:
    project.delete(actor=ALICE)
    project.purge(actor=ALICE)


CHANGES: dict[str, tuple[Callable[[Project], Any], list[str]]] = {
    "create": (lambda _: create_project(actor=ALICE, name="Second"), ["create"]),
    "save": (lambda project: save_on(project, base=0), ["save"]),
    "rename": (rename, ["update"]),
    "rename and save": (rename_and_save, ["update", "save"]),
    "delete": (lambda project: project.delete(actor=ALICE), ["delete"]),
    "delete and restore": (delete_and_restore, ["delete", "restore"]),
    "delete and purge": (delete_and_purge, ["delete", "purge"]),
}
LANDED: dict[str, list[Fate]] = {
    "the answer is lost": [answer_is_lost],
    "the server is restarted": [answer_is_lost, is_forgotten],
    "answers are lost": [answer_is_lost] * 3,
}
NOT_LANDED: dict[str, list[Fate]] = {
    "the server is restarted": [command_is_lost, is_forgotten],
    "commands are lost": [command_is_lost] * 3,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("fate", ["the answer is lost", "the server is restarted"])
def test_a_change_that_landed_isnt_made_again(
    db: None, commits: Commits, change: str, fate: str
) -> None:
    assert_made_once(commits, change, LANDED[fate])


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_didnt_land_is_made(db: None, commits: Commits, change: str) -> None:
    assert_made_once(commits, change, NOT_LANDED["the server is restarted"])


@pytest.mark.parametrize("fates", [LANDED["answers are lost"], NOT_LANDED["commands are lost"]])
def test_a_commit_is_sent_until_it_is_answered(
    db: None, commits: Commits, fates: list[Fate]
) -> None:
    assert_made_once(commits, "save", fates)


def assert_made_once(commits: Commits, change: str, fates: list[Fate]) -> None:
    work, actions = CHANGES[change]
    project = history.change(lambda: create_project(actor=ALICE, name="Film"))
    attempts = []
    commits.fates = list(fates)
    history.change(lambda: attempts.append(work(project)))
    assert not commits.fates, "not all came to pass"
    assert len(attempts) <= 2
    recorded = list(
        AuditEntry.objects.order_by("created_at", "pk").values_list("action", flat=True)
    )
    assert sorted(recorded) == sorted(["create", *actions])
    for found in Project.everything.all():
        assert history.verify(found) == found.version
        if (timeline := Timeline.of(found)).version:
            assert history.verify(timeline) == timeline.version


@pytest.mark.parametrize("lands", [True, False])
def test_an_outcome_that_stays_unknown_is_told_and_settled_by_sending_again(
    mongo: local.Mongo, commits: Commits, settings: Any, lands: bool
) -> None:
    def server_dies(send: Send) -> dict[str, Any]:
        if lands:
            send()
        mongo.kill()
        raise AutoReconnect("connection closed")

    api = Api()
    path = f"/projects/{api.create()['id']}/timeline/"
    sent = {"if_match": api.etag(path), "idempotency_key": "one"}
    commits.fates = [server_dies]
    began = time.monotonic()
    response = api("PUT", path, {"zoom": 2}, **sent)
    assert (response.status_code, response.json()["code"]) == (503, "outcome-unknown")
    assert response["Retry-After"].isdigit()
    assert time.monotonic() - began < settings.REQUEST_DEADLINE / 2, "or threads pile up"
    mongo.start()
    assert wait_until(is_back, seconds=30), "the driver asks once a second"
    assert Revision.objects.filter(kind="timeline").count() == lands
    again = api("PUT", path, {"zoom": 2}, **sent)
    assert (again.status_code, again.json()["version"]) == (200, 1)
    assert_saved_once(Project.objects.get())


def is_back() -> bool:
    with suppress(PyMongoError):
        refuse_if_away()
        return True
    return False


def test_what_was_certainly_not_saved_is_told_so(
    api: Api, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.REQUEST_DEADLINE = 2  # the first attempt comes to its commit in a hundredth of that
    path = f"/projects/{api.create()['id']}/timeline/"
    etag = api.etag(path)

    finish = ClientSession._finish_transaction

    def conflicts(session: ClientSession, conn: Any, command: str) -> None:
        finish(session, conn, "abortTransaction")
        raise OperationFailure("conflict", 112, {"errorLabels": ["TransientTransactionError"]})

    monkeypatch.setattr(ClientSession, "_finish_transaction", conflicts)
    response = api("PUT", path, {"zoom": 2}, if_match=etag)
    assert (response.status_code, response.json()["code"]) == (503, "too-many-changes-at-once")
    assert Revision.objects.filter(kind="timeline").count() == 0


def test_commits_wait_for_the_journal_of_a_majority(db: None) -> None:
    """What makes an answer true: without it, acknowledged changes were lost at every kill."""
    sent: list[dict[str, Any]] = []
    send = ClientSession._finish_transaction

    def note(session: ClientSession, conn: Any, command: str) -> dict[str, Any]:
        sent.append(session._transaction.opts.write_concern.document)
        return send(session, conn, command)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientSession, "_finish_transaction", note)
        history.change(lambda: create_project(actor=ALICE, name="Film"))
    assert sent == [{"w": "majority", "j": True}]


def save_on(project: Project, *, base: int) -> int:
    """Save as a request does that was made on a version; refuse it on another one."""
    found = Project.objects.get(pk=project.pk)
    timeline = Timeline.of(found)
    if timeline.version != base:
        raise errors.VersionMismatch("stale")
    save_timeline(found, timeline, STATE, actor=ALICE)
    return int(timeline.version)


def assert_saved_once(project: Project) -> None:
    timeline = Timeline.of(Project.objects.get(pk=project.pk))
    assert history.verify(timeline) == 1
    assert AuditEntry.objects.filter(kind="timeline").count() == 1
    assert connection.session is None
