"""`manage.py restore --project`: one project comes back, whole or not at all."""

from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import bson
import pytest
from django.core.management import CommandError, call_command

from projects.models import Project
from snipix import history
from snipix.api import DocumentViewSet
from snipix.audit import AuditEntry
from snipix.backups import one_project, restoring
from snipix.backups.claims import MARKER, NotRestored
from snipix.doctor import checkup
from snipix.idempotency import KeptAnswer
from snipix.mongo import connection
from tests.backups.conftest import save
from tests.backups.test_backup import backup, stored
from tests.backups.test_restore import archive, restore
from tests.conftest import Api
from tests.together import at_once
from timelines.models import Timeline

__all__ = ["archive"]


def purge(project_id: str) -> None:
    project = Project.everything.get(project_id=project_id)
    project.delete()
    Project.everything.get(project_id=project_id).purge()


def test_one_project_comes_back_beside_the_others(archive: Path, api: Api, media: Path) -> None:
    before = unheld()
    seen = api("GET", "/projects/film-0/timeline/").json()
    listed = api("GET", "/projects/").json()
    purge("film-0")
    assert api("GET", "/projects/film-0/timeline/").status_code == 404
    assert api("GET", "/projects/").json() != listed
    told = restore(archive, "--project", "film-0")
    assert told["projects"] == 1
    assert unheld() == before
    assert api("GET", "/projects/film-0/timeline/").json() == seen, "nothing old is remembered"
    assert api("GET", "/projects/").json() == listed
    assert AuditEntry.objects.filter(action="restore backup", project_id="film-0").count() == 1


def test_a_dry_run_of_one_project_says_what_the_run_does_and_writes_nothing(
    archive: Path, media: Path
) -> None:
    purge("film-2")
    call_command("sweep_media", stdout=StringIO())
    before = stored()
    rehearsed = restore(archive, "--project", "film-2", "--dry-run")
    assert (rehearsed.pop("dry_run"), rehearsed["projects"], rehearsed["media_files"]) == (
        True, 1, 2,
    )  # fmt: skip
    assert stored() == before
    assert not list(media.rglob("projects/*/*"))
    restored = restore(archive, "--project", "film-2")
    assert not restored.pop("dry_run")
    assert restored == rehearsed


def test_nothing_is_restored_into_what_is_only_restored_in_part(archive: Path) -> None:
    purge("film-0")
    connection.database[MARKER].insert_one({"_id": "whole", "file": "night.snipix"})
    try:
        with pytest.raises(CommandError, match=r"only a part of the archive night\.snipix"):
            restore(archive, "--project", "film-0")
    finally:
        connection.database[MARKER].drop()


def test_what_a_purge_was_answered_is_in_nobodys_way(
    archive: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DocumentViewSet, "require_staff", lambda self: None)
    api("DELETE", "/projects/film-0/")
    answer = api("POST", "/projects/film-0/purge/", idempotency_key="once")
    assert answer.status_code == 200
    assert KeptAnswer.objects.filter(project_id="film-0").count() == 1
    orphans = [f for f in checkup.check_up().findings if f.code == "orphan"]
    assert orphans == []
    assert restore(archive, "--project", "film-0")["projects"] == 1


def test_what_comes_back_into_the_trash_says_so(archive: Path) -> None:
    Project.everything.get(project_id="film-3").purge()
    (note,) = restore(archive, "--project", "film-3")["notes"]
    assert note.startswith("It is in the trash")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("purgingAt", datetime(2026, 1, 31), "being purged"),
        ("schemaVersion", 9, "newer release"),
    ],
)
def test_what_could_not_be_served_is_not_restored(
    films: list[str], tmp_path: Path, field: str, value: Any, told: str
) -> None:
    before = connection.database["projects"].find_one({"projectId": "film-3"})
    changed = {**before, field: value}
    connection.database["projects"].replace_one({"_id": before["_id"]}, changed)
    backup(tmp_path / "a")
    connection.database["projects"].replace_one({"_id": before["_id"]}, before)
    purge("film-3")
    for options in (("--dry-run",), ()):
        with pytest.raises(CommandError, match=told):
            restore(tmp_path / "a", "--project", "film-3", *options)
    assert not Project.everything.filter(project_id="film-3").exists()


def unheld() -> dict[Any, Any]:
    """What is stored, but for audit entries, and when something was held."""
    return {
        key: {name: value for name, value in bson.decode(document).items() if name != "heldAt"}
        for key, document in stored().items()
        if key[0] != "audit_entries"
    }


def test_its_media_come_back_with_it(archive: Path, api: Api, media: Path) -> None:
    files = {path: path.read_bytes() for path in media.rglob("projects/*/*")}
    purge("film-2")
    call_command("sweep_media", stdout=StringIO())
    assert not list(media.rglob("projects/*/*"))
    assert restore(archive, "--project", "film-2")["media_files"] == 2
    assert {path: path.read_bytes() for path in media.rglob("projects/*/*")} == files


def test_a_project_that_is_there_is_not_touched(archive: Path, api: Api) -> None:
    save(api, "film-0", 50, clips=200)
    before = stored()
    for options in (("--dry-run",), ()):
        with pytest.raises(CommandError, match="already"):
            restore(archive, "--project", "film-0", *options)
        with pytest.raises(CommandError, match="no project 'film-77'"):
            restore(archive, "--project", "film-77", *options)
    with pytest.raises(CommandError, match="Leave --database out"):
        restore(archive, "--project", "film-0", "--database", "elsewhere")
    assert stored() == before


def test_one_project_comes_back_whole_or_not_at_all(
    archive: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    purge("film-0")
    before = stored()
    write, count = restoring.write, iter(range(100))

    def torn(*arguments: Any, **options: Any) -> None:
        write(*arguments, **options)
        if next(count) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "write", torn)
        with pytest.raises(CommandError, match="Interrupted"):
            restore(archive, "--project", "film-0")
    assert stored() == before
    restore(archive, "--project", "film-0")


def test_what_took_its_key_meanwhile_stays_and_is_named(archive: Path) -> None:
    projects = connection.database["projects"]
    key = projects.find_one({"projectId": "film-0"})["_id"]
    purge("film-0")
    other = projects.find_one({"projectId": "film-1"})
    projects.insert_one({**other, "_id": key, "projectId": "stranger"})
    before = stored()
    for way in ((), ("--dry-run",)):
        with pytest.raises(CommandError, match=r"keys of project 'film-0' .*in projects"):
            restore(archive, "--project", "film-0", *way)
    assert stored() == before


def test_a_key_that_was_used_again_is_in_nobodys_way(api: Api, tmp_path: Path) -> None:
    api("POST", "/projects/", {"name": "One", "id": "first"}, idempotency_key="key")
    backup(tmp_path / "archive")
    purge("first")
    api("POST", "/projects/", {"name": "Two", "id": "second"}, idempotency_key="key")
    assert restore(tmp_path / "archive", "--project", "first")["projects"] == 1
    (kept,) = KeptAnswer.objects.filter(key="key")
    assert kept.project_id == "second"
    assert history.verify(Project.objects.get(project_id="first")) == 1


def test_no_id_is_not_taken_for_all_of_them(archive: Path) -> None:
    """As where a script's variable is empty."""
    for way in ((), ("--dry-run",)):
        with pytest.raises(CommandError, match="--project: must be the id of a project"):
            call_command("restore", str(archive), "--project", "", *way, stdout=StringIO())


def test_two_who_restore_one_project_make_it_once(archive: Path, api: Api) -> None:
    purge("film-0")

    def run(_: int) -> str:
        try:
            one_project.restore(archive, "film-0")
        except NotRestored:
            return "refused"
        return "restored"

    assert sorted(at_once(2, run)) == ["refused", "restored"]
    assert history.verify(Timeline.objects.get(project_id="film-0")) == 3
