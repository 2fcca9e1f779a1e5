"""What is purged goes with all that belongs to it, or not at all; what was restored stays."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections
from pymongo.errors import AutoReconnect

from media import storage
from projects import purging
from projects.models import Project
from snipix import errors, history, schemas, times
from snipix.accounts import SYSTEM, Actor
from snipix.audit import AuditEntry
from snipix.idempotency import KeptAnswer
from snipix.mongo import connection
from tests.administration import TIMELINE
from tests.conftest import Api
from tests.together import at_once
from timelines import drafts, services
from timelines.models import Timeline
from timelines.state import TimelineState

EMPTY = TimelineState()
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OURS = [model._meta.db_table for model in purging._belonging()]


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "media")


def purge(*options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("purge_deleted", *options, "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


def trashed(api: Api, id: str, days: int = 31) -> Project:
    """A project with a history, deleted so many days ago."""
    api.create("Film", id=id)
    path = f"/projects/{id}/"
    for number in range(3):
        body = {**TIMELINE, "zoom": number + 1}
        saved = api("PUT", f"{path}timeline/", body, if_match=api.etag(f"{path}timeline/"),
                    idempotency_key=f"k{number}")  # fmt: skip
        assert saved.status_code == 200
    api("POST", f"{path}transcription/", {})
    draft = {"base_etag": "", "state": {}}
    api("PUT", f"{path}timeline/draft/", draft, x_client_id="tab")
    api("PUT", f"{path}timeline/versions/1/name/", {"name": "One"})
    api("DELETE", path)
    project = Project.everything.get(project_id=id)
    age(project, days)
    (folder := Path(storage.media().path(storage.folder_of(project.pk)))).mkdir(parents=True)
    (folder / "film.mp4").touch()
    return project


def age(project: Project, days: float) -> None:
    deleted_at = times.now() - timedelta(days=days)
    Project.everything.filter(pk=project.pk).update(deleted_at=deleted_at)


def left(project: Project) -> dict[str, int]:
    """What there is of a project, by collection."""
    found = {
        name: connection.get_collection(name).count_documents({"projectId": project.project_id})
        for name in OURS
    }
    files = str(project.pk) in storage.projects()
    return {name: count for name, count in {**found, "media": int(files)}.items() if count}


def actions(project: Project) -> list[str]:
    entries = AuditEntry.objects.filter(project_id=project.project_id).order_by("created_at", "id")
    return [entry.action for entry in entries]


# --- What goes, and what stays


def test_what_is_older_than_the_retention_goes_with_all_that_belongs_to_it(api: Api) -> None:
    old, young = trashed(api, "old"), trashed(api, "young", days=29)
    live = api.create("Film", id="live")
    assert set(left(old)) == {*OURS, "media"}, "the test has something of everything"
    kept = left(young)
    told = purge()
    assert (told["projects"], told["files"]) == (1, 1)
    assert told["documents"] == {name: kept[name] for name in OURS}
    assert left(old) == {}
    assert left(young) == kept
    assert api("GET", f"/projects/{live['id']}/").status_code == 200
    assert actions(old)[-1] == "purge"
    entry = AuditEntry.objects.get(action="purge")
    assert (entry.user_id, entry.via, entry.from_version) == ("system", "command", old.version)


def test_a_dry_run_only_counts(api: Api) -> None:
    old = trashed(api, "old")
    kept = left(old)
    told = purge("--dry-run")
    assert (told["expired"], told["interrupted"]) == (1, 0)
    assert left(old) == kept
    assert actions(old)[-1] == "delete"


def test_the_retention_can_be_chosen(api: Api) -> None:
    trashed(api, "old", days=3)
    assert purge()["projects"] == 0
    assert purge("--older-than=4")["projects"] == 0
    assert purge("--older-than=2")["projects"] == 1


def test_a_clock_that_is_ahead_destroys_nothing_before_its_time(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    trashed(api, "young", days=20)
    in_a_year = times.now() + timedelta(days=365)
    monkeypatch.setattr(times, "now", lambda: in_a_year)
    assert purge("--dry-run")["expired"] == purge()["projects"] == 0


def test_a_second_run_finds_nothing(api: Api) -> None:
    trashed(api, "old")
    assert purge()["projects"] == 1
    assert purge()["projects"] == 0
    assert len(AuditEntry.objects.filter(action="purge")) == 1


@pytest.mark.parametrize("days", ["-1", "many", "20001", "1.5"])
def test_a_retention_is_a_number_of_days(db: None, days: str) -> None:
    with pytest.raises(CommandError, match="whole number from 0 to 20,000"):
        purge(f"--older-than={days}")


# --- Damaged by hand


def by_hand(project_id: str, **values: Any) -> None:
    connection.get_collection("projects").update_one({"projectId": project_id}, {"$set": values})


def purge_and_leave(caught: Any) -> str:
    """Purge where something is left; returns what is said of it."""
    caught.readouterr()
    with pytest.raises(CommandError, match="left; all else is done") as ended:
        call_command("purge_deleted", stdout=StringIO())
    assert ended.value.returncode == 4
    return str(caught.readouterr().err)


def test_a_project_that_only_a_mark_puts_into_the_trash_stays(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    for id in ("first", "second"):
        api.create("Film", id=id)
        by_hand(id, isDeleted=True, deletedAt=LONG_AGO)
    old = trashed(api, "old")
    told = purge_and_leave(capsys)
    assert "left project first: Project 'first' is marked as deleted" in told
    assert "doctor --fix" in told
    assert left(old) == {}
    assert Project.everything.count() == 2
    with suppress(CommandError):  # which tells of the tests' settings
        call_command("doctor", "--fix", stdout=StringIO(), stderr=StringIO())
    assert api("GET", "/projects/first/").status_code == 200
    assert purge()["projects"] == 0


def test_nor_does_an_administrator_destroy_it(staff: Api) -> None:
    staff.create("Film", id="film")
    by_hand("film", isDeleted=True, deletedAt=LONG_AGO)
    refused = staff("POST", "/projects/film/purge/")
    assert (refused.status_code, refused.json()["code"]) == (409, "trashed-by-hand")
    by_hand("film", deletedAt=None)
    assert staff("POST", "/projects/film/purge/").status_code == 409
    assert Project.everything.count() == 1


def test_a_mark_of_a_purge_that_makes_no_sense_is_named_and_passed_over(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    trashed(api, "marked")
    by_hand("marked", purgingAt=LONG_AGO, deletedAt=None)
    old = trashed(api, "old")
    assert "left project marked: " in purge_and_leave(capsys)
    assert left(old) == {}
    assert Project.everything.get().project_id == "marked"


def test_projects_of_one_moment_are_all_looked_at(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "_AT_ONCE", 2)
    for number in range(5):
        api.create("Film", id=f"film-{number}")
        if number % 2:
            api("DELETE", f"/projects/film-{number}/")
        by_hand(f"film-{number}", isDeleted=True, deletedAt=LONG_AGO)
    assert purge_and_leave(capsys).count("left project") == 3
    assert Project.everything.count() == 3


def test_what_its_validator_refuses_is_named_and_in_nobodys_way(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    misfit, old = trashed(api, "misfit", days=40), trashed(api, "old")
    by_hand("misfit", extra=1)
    monkeypatch.setattr(purging, "BATCH", 3)  # so that it is marked, which is a change of it
    validator = {"$jsonSchema": schemas.schema_of(Project)}
    connection.database.command(
        "collMod", "projects", validator=validator, validationLevel="strict"
    )
    try:
        told = purge_and_leave(capsys)
    finally:
        connection.database.command("collMod", "projects", validator={})
    assert "left project misfit: it doesn't fit its validator" in told
    assert left(old) == {}
    assert left(misfit)["projects"] == 1


def test_while_mongodb_is_away_nothing_is_passed_over(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    trashed(api, "old")

    def away(*_: Any, **__: Any) -> Any:
        raise OperationalError("away") from AutoReconnect("away")

    monkeypatch.setattr(purging, "begin", away)
    with pytest.raises(CommandError) as ended:
        purge()
    assert ended.value.returncode == 1


# --- Interrupted


def interrupt(monkeypatch: pytest.MonkeyPatch, after: int, error: BaseException) -> None:
    """Have the purge end after its first batch, of three documents, and so many more."""
    done, remove = [], purging._remove_more

    def remove_more(key: Any) -> Any:
        if len(done) == after:
            raise error
        done.append(key)
        return remove(key)

    monkeypatch.setattr(purging, "BATCH", 3)
    monkeypatch.setattr(purging, "_remove_more", remove_more)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_interrupted_purge_leaves_nothing_to_serve_and_is_finished_by_the_next(
    api: Api, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    project = trashed(api, "old")
    before = sum(left(project).values())
    with monkeypatch.context() as patched:
        interrupt(patched, after, KeyboardInterrupt())
        with pytest.raises(CommandError, match="Interrupted") as ended:
            purge()
    assert ended.value.returncode == 130
    assert sum(left(project).values()) == before - 3 * (after + 1)
    for path in ("", "timeline/", "timeline/versions/1/", "transcription/", "audit/"):
        assert api("GET", f"/projects/old/{path}").status_code == 404
    assert api("POST", "/projects/old/restore/").status_code == 404
    assert api("GET", "/trash/").json()["results"] == []
    assert api("POST", "/projects/", {"name": "Film", "id": "old"}).status_code == 409
    with pytest.raises(errors.NotFound):
        Project.everything.get(pk=project.pk).restore()
    assert purge("--dry-run")["interrupted"] == 1
    assert purge()["projects"] == 1
    assert left(project) == {}
    assert actions(project).count("purge") == 1


def test_a_long_history_goes_in_batches(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    project = trashed(api, "old")
    count = sum(left(project).values()) - 1
    batches: list[int] = []
    remove = purging._remove

    def counted(*arguments: Any) -> int:
        gone = remove(*arguments)
        batches[-1] += gone
        return gone

    def remove_some(project: Any, remove_some: Any = purging._remove_some) -> Any:
        batches.append(0)
        return remove_some(project)

    monkeypatch.setattr(purging, "BATCH", 4)
    monkeypatch.setattr(purging, "_remove", counted)
    monkeypatch.setattr(purging, "_remove_some", remove_some)
    purge()
    assert left(project) == {}
    assert max(batches) == 4
    assert sum(batches) == count - 1, "all but the project itself"


# --- Beside others


def test_what_is_restored_while_others_are_purged_stays(api: Api) -> None:
    first, second = trashed(api, "first", days=40), trashed(api, "second")
    kept = left(second)
    going = purging.purge_deleted(times.now() - timedelta(days=30))
    assert next(going).project_id == "first"
    assert api("POST", "/projects/second/restore/").status_code == 200
    assert list(going) == []
    assert left(first) == {}
    assert left(second)["revisions"] == kept["revisions"] + 1
    assert history.verify(Project.objects.get(project_id="second")) == 3


def test_what_is_deleted_again_meanwhile_waits_again(api: Api) -> None:
    project = trashed(api, "old")
    until = times.now() - timedelta(days=30)
    age(project, 0)
    kept = left(project)
    begun = history.change(
        lambda: purging.begin(project, actor=purging.SYSTEM, deleted_until=until)
    )
    assert begun is None
    assert left(project) == kept


@pytest.mark.parametrize("round", range(6))
def test_a_restore_at_the_same_moment_wins_or_comes_too_late(api: Api, round: int) -> None:
    project = trashed(api, "old")
    works = (lambda: Api()("POST", "/projects/old/restore/"), purge)
    restored, told = at_once(2, lambda number: works[number]())
    if restored.status_code == 200:
        assert told["projects"] == 0
        assert Project.objects.get().readers == ["anonymous"]
        assert history.verify(Project.objects.get()) == 3
        assert api("GET", "/projects/old/timeline/").json()["zoom"] == 3
    else:
        assert restored.status_code == 404
        assert told["projects"] == 1
        assert left(project) == {}


def _save_what_is_there(project: Project) -> None:
    assert not services.save_timeline(project, Timeline.of(project), EMPTY, actor=SYSTEM)
    KeptAnswer(
        scope=project.project_id, project_id=project.project_id, user_id="anonymous", key="late",
        fingerprint=b"", status=200, headers={}, body=b"", created_at=times.now(),
    ).save(force_insert=True)  # fmt: skip


def _autosave(project: Project) -> None:
    drafts.put(project, EMPTY, base_etag="", actor=Actor("anonymous", client_id="late"))


@pytest.mark.parametrize("write", [_save_what_is_there, _autosave])
@pytest.mark.parametrize("is_large", [False, True])
def test_what_began_before_a_purge_leaves_nothing_behind(
    api: Api, monkeypatch: pytest.MonkeyPatch, write: Callable[[Project], None], is_large: bool
) -> None:
    """It makes no version that could conflict with the purge."""
    api.create("Film", id="old")
    path = "/projects/old/timeline/"
    assert api("PUT", path, {}, if_match=api.etag(path)).json()["version"] == 1
    has_read, is_purged = threading.Event(), threading.Event()

    def work() -> None:
        project = Project.objects.in_hands_of("anonymous", "old", "write")
        has_read.set()
        assert is_purged.wait(30)
        write(project)

    def change() -> None:
        try:
            history.change(work)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(change)
        assert has_read.wait(30)
        api("DELETE", "/projects/old/")
        project = Project.everything.get()
        if is_large:
            monkeypatch.setattr(purging, "BATCH", 1)
        history.change(lambda: purging.begin(project, actor=SYSTEM))
        is_purged.set()
        with pytest.raises(errors.NotFound):
            late.result()
    purging.finish(project.pk, Counter())
    assert left(project) == {}


def test_two_purges_at_once_purge_each_project_once(api: Api) -> None:
    projects = [trashed(api, f"old-{number}") for number in range(4)]
    at_once(2, lambda _: purge())
    assert not any(map(left, projects))
    assert len(AuditEntry.objects.filter(action="purge")) == 4


def test_a_later_project_of_the_same_id_keeps_what_belongs_to_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who is slow must not remove what came after."""
    project = trashed(api, "old")
    monkeypatch.setattr(purging, "BATCH", 3)
    history.change(lambda: purging.begin(project, actor=purging.SYSTEM))
    purging.finish(project.pk, Counter())
    later = trashed(api, "old")
    kept = left(later)
    purging.finish(project.pk, Counter())
    assert left(later) == kept


# --- Through the API


@pytest.fixture
def staff(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    from snipix.api import DocumentViewSet

    monkeypatch.setattr(DocumentViewSet, "require_staff", lambda self: None)
    return api


def test_a_repeated_request_gets_the_same_answer(staff: Api) -> None:
    project = trashed(staff, "old", days=0)
    first, again = (staff("POST", "/projects/old/purge/", idempotency_key="once") for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert first.json()["purged"]["revisions"] == 6
    assert set(left(project)) == {"kept_answers"}, "until the key's own retention ends"


def test_a_dry_run_through_the_api_marks_nothing(staff: Api) -> None:
    project = trashed(staff, "old", days=0)
    kept = left(project)
    told = staff("POST", "/projects/old/purge/?dry_run=true")
    assert told.json()["purged"] == {name: kept[name] for name in OURS}
    assert left(project) == kept
    assert staff("POST", "/projects/old/restore/").status_code == 200


def test_what_fails_after_the_answer_is_finished_by_the_next_run(
    staff: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = trashed(staff, "old", days=0)
    with monkeypatch.context() as patched:
        interrupt(patched, 0, OperationalError("away"))
        assert staff("POST", "/projects/old/purge/").status_code == 200
    assert left(project)
    assert purge()["projects"] == 1
    assert left(project) == {}
