"""`manage.py restore`: what was backed up comes back, whole or not at all."""

import json
import threading
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import bson
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from pymongo.errors import AutoReconnect

from projects.models import Project
from snipix import history
from snipix.api import DocumentViewSet
from snipix.audit import AuditEntry
from snipix.backups import restoring
from snipix.backups.archive import LEFT_OUT, collections
from snipix.backups.claims import MARKER, NotRestored
from snipix.demo.stage import pointed_at
from snipix.doctor import checkup
from snipix.documents import MENDED
from snipix.idempotency import KeptAnswer
from snipix.mongo import connection
from tests.backups.conftest import save
from tests.backups.test_backup import backup, stored
from tests.conftest import Api
from tests.doctor.conftest import doctor
from timelines.models import Timeline


@pytest.fixture
def archive(films: list[str], tmp_path: Path) -> Path:
    backup(tmp_path / "all.snipix", "--media")
    return tmp_path / "all.snipix"


def restore(path: Path, *options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("restore", str(path), *options, "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


def inside(name: str) -> Any:
    return pointed_at(connection.settings_dict["HOST"], name)


def shapes(name: str) -> dict[str, Any]:
    """Options and indexes of the collections of a database."""
    database = connection.database.client[name]
    return {
        one["name"]: (
            one.get("options", {}),
            sorted(map(repr, database[one["name"]].list_indexes())),
        )
        for one in database.list_collections()
        if one["name"] in {*collections(), *LEFT_OUT}
    }


def test_all_of_it_comes_back_into_another_database(archive: Path, other: str, media: Path) -> None:
    before, shaped = stored(), shapes(connection.settings_dict["NAME"])
    files = {path: path.read_bytes() for path in media.rglob("projects/*/*")}
    for path in files:
        path.unlink()
    told = restore(archive, "--database", other)
    assert (told["projects"], told["media_files"], told["findings"]) == (4, 2, [])
    assert "expire_date" in str(shaped["django_session"]), "what logins expire by"
    assert shapes(other) == shaped
    assert {path: path.read_bytes() for path in media.rglob("projects/*/*")} == files
    with inside(other):
        assert stored() == before
        for project in Project.everything.all():
            history.verify(project)
        assert history.verify(Timeline.objects.get(project_id="film-0")) == 3
        assert MARKER not in connection.database.list_collection_names()


def test_what_the_doctor_has_set_aside_comes_back(
    films: list[str], tmp_path: Path, other: str
) -> None:
    """It may be all that is left of what somebody did by hand."""
    connection.database["timelines"].update_one({"projectId": "film-1"}, {"$set": {"zoom": 9.0}})
    doctor("--fix")
    assert connection.database[MENDED].count_documents({"projectId": "film-1"}) == 1
    assert json.loads(backup(tmp_path / "a", "--json"))["left_out"] == []
    restore(tmp_path / "a", "--database", other)
    kept = connection.database.client[other][MENDED].find_one({"projectId": "film-1"})
    assert kept["document"]["zoom"] == 9.0


def test_what_is_only_restored_in_part_is_not_backed_up(
    archive: Path, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would look like all there is."""

    def broken(*_: Any, **__: Any) -> None:
        raise AutoReconnect("gone")

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "_write", broken)
        with pytest.raises(CommandError):
            restore(archive, "--database", other)
    with inside(other), pytest.raises(CommandError, match="only a part"):
        backup(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_what_is_restored_can_be_worked_on(archive: Path, other: str) -> None:
    restore(archive, "--database", other)
    with inside(other):
        save(Api(), "film-0", 40, clips=200)
        assert history.verify(Timeline.objects.get(project_id="film-0")) == 4
        again = Api()("PUT", "/projects/film-0/timeline/", {}, if_match='"1.x"')
        assert again.status_code == 412


def test_what_is_restored_and_prepared_is_as_what_was_served(archive: Path, other: str) -> None:
    """To the last index, also of the sessions, whose documents aren't in archives."""
    shaped = shapes(connection.settings_dict["NAME"])
    restore(archive, "--database", other)
    with inside(other):
        call_command("prepare", "--without-schema", verbosity=0)
        assert "django_session" in connection.database.list_collection_names()
    assert shapes(other) == shaped


def test_validators_come_back(films: list[str], tmp_path: Path, other: str) -> None:
    rule = {"$jsonSchema": {"required": ["projectId"]}}
    database = connection.database
    database.command("collMod", "drafts", validator=rule)
    try:
        backup(tmp_path / "a")
    finally:
        database.command("collMod", "drafts", validator={})
    restore(tmp_path / "a", "--database", other)
    found = connection.database.client[other].list_collections(filter={"name": "drafts"})
    assert next(iter(found))["options"]["validator"] == rule


def test_a_database_that_is_not_empty_stays_as_it_is(archive: Path, other: str) -> None:
    before = stored()
    with pytest.raises(CommandError, match="isn't empty"):
        restore(archive)
    assert stored() == before
    restore(archive, "--database", other)
    with pytest.raises(CommandError, match="isn't empty"):
        restore(archive, "--database", other)


def test_what_migrations_have_made_is_replaced(archive: Path, other: str) -> None:
    """So that one can prepare a database, or let `make run` do it, and restore into it."""
    with inside(other):
        call_command("migrate", verbosity=0)
        call_command("ensure_indexes", verbosity=0)
    restore(archive, "--database", other)
    with inside(other):
        call_command("migrate", verbosity=0, check_unapplied=True)
        assert User.objects.count() == 0


def test_nothing_expires_before_it_was_counted(
    archive: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an older archive, MongoDB would remove what is past its retention within a minute."""

    def retentions() -> list[str]:
        database = connection.database.client[other]
        return sorted(
            f"{name}.{index}"
            for name in database.list_collection_names()
            for index, told in database[name].index_information().items()
            if "expireAfterSeconds" in told
        )

    with inside(other):
        call_command("migrate", verbosity=0)
        call_command("ensure_indexes", verbosity=0)
        connection.database["drafts"].drop_index("updatedAt_1")
        connection.database["drafts"].create_index("updatedAt", expireAfterSeconds=60)
    declared, check, seen = retentions(), restoring._check, []

    def counted(*arguments: Any) -> None:
        seen.append(retentions())
        check(*arguments)

    monkeypatch.setattr(restoring, "_check", counted)
    restore(archive, "--database", other)
    assert seen == [[]]
    assert retentions() == declared


def test_what_expires_after_it_was_counted_is_in_nobodys_way(
    archive: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is killed as soon as MongoDB may remove what is past its retention."""
    make = restoring._make_indexes

    def killed(*arguments: Any, retentions: bool) -> None:
        make(*arguments, retentions=retentions)
        if retentions:
            raise AutoReconnect("gone")

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "_make_indexes", killed)
        with pytest.raises(CommandError, match="run it again"):
            restore(archive, "--database", other)
    database = connection.database.client[other]
    assert database["kept_answers"].delete_many({}).deleted_count > 0
    told = restore(archive, "--database", other)
    assert (told["went_on"], told["projects"], told["findings"]) == (True, 4, [])
    assert database["kept_answers"].find_one() is None, "what has expired stays away"
    assert MARKER not in database.list_collection_names()


@pytest.mark.parametrize("after", [0, 1, 2])
def test_an_interrupted_restore_goes_on(
    films: list[str], tmp_path: Path, other: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted within a block, of which a part is there already."""
    monkeypatch.setattr("snipix.backups.format.BLOCK_BYTES", 4_000)
    backup(tmp_path / "a")
    write, count = restoring._write, iter(range(10_000))

    def torn(collection: Any, documents: list[Any], **options: Any) -> None:
        if next(count) == 5 * after + 3:
            write(collection, documents[: len(documents) // 2], **options)
            raise AutoReconnect("gone")
        write(collection, documents, **options)

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "_write", torn)
        with pytest.raises(CommandError, match="run it again"):
            restore(tmp_path / "a", "--database", other)
    assert restore(tmp_path / "a", "--database", other)["went_on"]
    before = stored()
    with inside(other):
        assert stored() == before


def test_another_archive_does_not_go_on_where_one_was_interrupted(
    archive: Path, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise AutoReconnect("gone")

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "_write", broken)
        with pytest.raises(CommandError):
            restore(archive, "--database", other)
    Api().create("New")
    backup(tmp_path / "second")
    with pytest.raises(CommandError, match="beginning of another archive"):
        restore(tmp_path / "second", "--database", other)


def test_a_damaged_archive_restores_nothing(archive: Path, other: str) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(CommandError, match=r"block \d+"):
        restore(archive, "--database", other)
    assert connection.database.client[other].list_collection_names() == []


def test_a_dry_run_restores_nothing(archive: Path, other: str) -> None:
    assert restore(archive, "--database", other, "--dry-run")["projects"] == 4
    assert connection.database.client[other].list_collection_names() == []
    with pytest.raises(CommandError, match="isn't empty"):
        restore(archive, "--dry-run")


@pytest.mark.parametrize("name", ["admin", "a/b", "", "a b"])
def test_bad_names_of_databases_are_refused(archive: Path, name: str) -> None:
    with pytest.raises(CommandError, match="letters, digits"):
        restore(archive, f"--database={name}")


# --- One project


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


def test_a_dry_run_of_all_says_what_the_run_does(archive: Path, other: str, media: Path) -> None:
    for path in media.rglob("projects/*/*"):
        path.unlink()
    rehearsed = restore(archive, "--database", other, "--dry-run")
    restored = restore(archive, "--database", other)
    assert (rehearsed.pop("dry_run"), restored.pop("dry_run")) == (True, False)
    assert restored == rehearsed
    assert restored["media_files"] == 2


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
    write, count = restoring._write, iter(range(100))

    def torn(*arguments: Any, **options: Any) -> None:
        write(*arguments, **options)
        if next(count) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "_write", torn)
        with pytest.raises(CommandError, match="Interrupted"):
            restore(archive, "--project", "film-0")
    assert stored() == before
    restore(archive, "--project", "film-0")


def test_two_who_restore_one_project_make_it_once(archive: Path, api: Api) -> None:
    purge("film-0")
    answers: list[str] = []

    def run() -> None:
        try:
            restoring.restore_project(archive, "film-0")
            answers.append("restored")
        except NotRestored:
            answers.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["refused", "restored"]
    assert history.verify(Timeline.objects.get(project_id="film-0")) == 3
