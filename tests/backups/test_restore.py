"""`manage.py restore`: what was backed up comes back, whole or not at all."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from pymongo.errors import AutoReconnect

from projects.models import Project
from snipix import history
from snipix.backups import restoring
from snipix.backups.archive import LEFT_OUT, collections
from snipix.backups.claims import MARKER
from snipix.demo.stage import pointed_at
from snipix.documents import MENDED
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


def begin(archive: Path, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin a restore that ends before its first document."""

    def broken(*_: Any, **__: Any) -> None:
        raise AutoReconnect("gone")

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "write", broken)
        with pytest.raises(CommandError):
            restore(archive, "--database", other)


def test_what_is_only_restored_in_part_is_not_backed_up(
    archive: Path, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would look like all there is."""
    begin(archive, other, monkeypatch)
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


NO_IDS: tuple[Any, ...] = (None, 5, "", [], {"by": "hand"})


def test_what_belongs_to_no_project_comes_back_as_well(
    films: list[str], tmp_path: Path, other: str
) -> None:
    """Somebody has set `projectId` to something else, or taken it away."""
    for name, ids in (("projects", (5, ["by hand"])), ("audit_entries", NO_IDS)):
        some = connection.database[name].find_one({"projectId": "film-0"}, {"_id": 0})
        connection.database[name].insert_many([{**some, "projectId": id} for id in ids])
    connection.database["audit_entries"].update_one({"projectId": 5}, {"$unset": {"projectId": 1}})
    path = tmp_path / "odd"
    backup(path)
    for arguments in (("backup", path, "--verify"), ("restore", path, "--database", other)):
        out = StringIO()
        with pytest.raises(CommandError) as told:
            call_command(*map(str, arguments), stdout=out, stderr=StringIO())
        assert told.value.returncode == 3, told.value
        assert "stray: projects: 2 documents" in out.getvalue()
        assert "stray: audit_entries: 5 documents" in out.getvalue()
    restored = connection.database.client[other]
    for name in ("projects", "audit_entries"):
        assert list(restored[name].find().sort("_id")) == list(
            connection.database[name].find().sort("_id")
        )


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
    write, count = restoring.write, iter(range(10_000))

    def torn(collection: Any, documents: list[Any], **options: Any) -> None:
        if next(count) == 5 * after + 3:
            write(collection, documents[: len(documents) // 2], **options)
            raise AutoReconnect("gone")
        write(collection, documents, **options)

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "write", torn)
        with pytest.raises(CommandError, match="run it again"):
            restore(tmp_path / "a", "--database", other)
    assert restore(tmp_path / "a", "--database", other)["went_on"]
    before = stored()
    with inside(other):
        assert stored() == before


def test_another_archive_does_not_go_on_where_one_was_interrupted(
    archive: Path, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(archive, other, monkeypatch)
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


def test_a_dry_run_of_all_says_what_the_run_does(archive: Path, other: str, media: Path) -> None:
    for path in media.rglob("projects/*/*"):
        path.unlink()
    rehearsed = restore(archive, "--database", other, "--dry-run")
    restored = restore(archive, "--database", other)
    assert (rehearsed.pop("dry_run"), restored.pop("dry_run")) == (True, False)
    assert restored == rehearsed
    assert restored["media_files"] == 2


@pytest.mark.parametrize("name", ["admin", "a/b", "", "a b"])
def test_bad_names_of_databases_are_refused(archive: Path, name: str) -> None:
    with pytest.raises(CommandError, match="letters, digits"):
        restore(archive, f"--database={name}")
