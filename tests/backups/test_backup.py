"""`manage.py backup`: one archive of one moment, beside running servers."""

import fcntl
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.http import HttpResponse
from pymongo.errors import OperationFailure

from projects.models import Project
from snipix import belongings, history
from snipix.backups import taking, verifying
from snipix.backups.archive import collections, opened
from snipix.backups.format import Damaged
from snipix.history import Revision
from snipix.mongo import connection
from tests.backups.conftest import save
from tests.conftest import Api


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "all.snipix"


def backup(path: Path, *options: str) -> str:
    out = StringIO()
    call_command("backup", str(path), *options, stdout=out, stderr=StringIO())
    return out.getvalue()


def contents(path: Path) -> dict[tuple[str, str], bytes]:
    """What counts in an archive, by collection and id."""
    with opened(path) as archive:
        found = [one.belonging for one in archive.stored()]
    by_id = {(one.collection, str(one.document["_id"])): bytes(one.document.raw) for one in found}
    assert len(by_id) == len(found), "nothing is twice"
    return by_id


def stored() -> dict[tuple[str, str], bytes]:
    """What is stored, by collection and id."""
    raw = belongings.raw(connection.database)
    return {
        (name, str(one["_id"])): bytes(one.raw)
        for name in collections()
        for one in raw[name].find()
    }


def during(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], None]) -> None:
    """Let others do something after all was copied, before each moment."""
    rest = iter(steps)
    settle = taking._Taking._settle_at

    def disturbed(*args: Any) -> Any:
        next(rest, lambda: None)()
        return settle(*args)

    monkeypatch.setattr(taking._Taking, "_settle_at", disturbed)


def test_an_archive_holds_all_that_is_stored(films: list[str], archive: Path) -> None:
    told = backup(archive)
    assert "4 projects" in told
    assert contents(archive) == stored()
    kinds = {name for name, _ in contents(archive)}
    assert {"projects", "timelines", "transcriptions", "revisions", "pieces", "checkpoints"} < kinds
    assert {"drafts", "kept_answers", "audit_entries", "django_migrations"} < kinds


def test_an_archive_is_for_its_owner_alone_and_holds_no_sessions(
    films: list[str], archive: Path, site: Any
) -> None:
    backup(archive)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert connection.database["django_session"].find_one()
    assert "django_session" not in {name for name, _ in contents(archive)}
    assert list(archive.parent.glob("*.part")) == []


def test_what_is_changed_while_it_runs_is_in_it_as_it_is_at_the_moment(
    films: list[str], archive: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected: dict[tuple[str, str], bytes] = {}

    def change() -> None:
        save(api, "film-0", 7, clips=200)
        save(api, "film-1", 8)
        api.create("New", id="film-9")
        api("PATCH", "/projects/film-2/", {"name": "Other"}, if_match=api.etag("/projects/film-2/"))
        draft = {"base_etag": api.etag("/projects/film-2/timeline/"), "state": {"zoom": 4}}
        api("PUT", "/projects/film-2/timeline/draft/", draft, x_client_id="tab")
        api("PUT", "/projects/film-1/timeline/versions/1/name/", {"name": "First"})
        Project.everything.get(project_id="film-3").purge()
        expected.update(stored())

    during(monkeypatch, change)
    told = json.loads(backup(archive, "--json"))
    assert (told["projects"], told["copied_again"]) == (4, 5)
    assert contents(archive) == expected
    assert verifying.verify(archive).findings == []


def amended() -> Any:
    """What the doctor does where readers are wrong: no version, and no state."""
    Project.objects.get(project_id="film-0").amend("readers")
    return HttpResponse()


@pytest.mark.parametrize(
    "change",
    [
        lambda api: api("PUT", "/projects/film-0/timeline/versions/2/name/", {"name": "Cut"}),
        lambda api: api("DELETE", "/projects/film-0/timeline/versions/2/name/"),
        lambda api: save(api, "film-0", 2, clips=200, idempotency_key="again"),
        lambda api: api("POST", "/projects/film-3/restore/"),
        lambda api: api("DELETE", "/projects/film-2/transcription/"),
        lambda api: api("DELETE", "/projects/film-1/timeline/draft/", x_client_id="tab"),
        lambda api: amended(),
    ],
    ids=["renamed", "unnamed", "saved the same", "restored", "trashed", "draft", "mended"],
)  # fmt: skip
def test_no_kind_of_change_goes_unnoticed(
    films: list[str],
    archive: Path,
    api: Api,
    change: Callable[[Api], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = []
    during(monkeypatch, lambda: answers.append(change(api)))
    told = json.loads(backup(archive, "--json"))
    assert answers[0].status_code < 300, answers[0].content
    assert told["copied_again"] == 1
    assert contents(archive) == stored()


def test_what_comes_after_the_moment_is_not_in_it(
    films: list[str], archive: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it is read after that: all reads are of one moment."""
    before = stored()
    changed = taking._Taking._changed

    def late(self: Any, session: Any, stamps: Any) -> Any:
        found = {**changed(self, session, stamps), "film-1": b"as if it had been changed"}
        thread = threading.Thread(target=lambda: _saved_elsewhere(api))
        thread.start()
        thread.join()
        return found

    monkeypatch.setattr(taking._Taking, "_changed", late)
    backup(archive)
    assert contents(archive) == before
    assert stored() != before


def _saved_elsewhere(api: Api) -> None:
    try:
        save(api, "film-1", 9)
        api.create("Late", id="late")
    finally:
        connections.close_all()


def test_when_the_server_forgets_the_moment_another_one_is_taken(
    films: list[str], archive: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was copied at the first needn't be copied again, unless it was changed since."""
    copied: list[Any] = []
    settle, copy = taking._Taking._settle_at, taking._Taking._copy
    attempts: Iterator[bool] = iter([True, True, False])

    def forgetful(self: Any, session: Any, stamps: Any) -> Any:
        result = settle(self, session, stamps)
        if next(attempts):
            save(api, "film-1", 30 + len(copied))
            raise OperationFailure("Snapshot too old", 239)
        return result

    def noted(self: Any, condition: Any, session: Any = None) -> None:
        copied.append(condition)
        copy(self, condition, session)

    save_first = lambda: save(api, "film-0", 12, clips=200)  # noqa: E731
    monkeypatch.setattr(taking._Taking, "_settle_at", forgetful)
    during(monkeypatch, save_first)
    monkeypatch.setattr(taking._Taking, "_copy", noted)
    backup(archive)
    assert copied[1:] == [{"$in": ["film-0"]}, {"$in": ["film-1"]}, {"$in": ["film-1"]}]
    assert contents(archive) == stored()


def test_what_was_half_copied_at_a_moment_does_not_count(
    films: list[str], archive: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even of a project that is by then what it was at first."""
    path = "/projects/film-2/timeline/draft/"
    copy, attempts = taking._Taking._copy, iter([True])

    def forgotten(self: Any, condition: Any, session: Any = None) -> None:
        copy(self, condition, session)
        if session and next(attempts, False):
            api("DELETE", path, x_client_id="tab")
            raise OperationFailure("Snapshot too old", 239)

    draft = {"base_etag": api.etag("/projects/film-2/timeline/"), "state": {"zoom": 4}}
    during(monkeypatch, lambda: api("PUT", path, draft, x_client_id="tab"))
    monkeypatch.setattr(taking._Taking, "_copy", forgotten)
    backup(archive)
    assert contents(archive) == stored()
    proof = verifying.verify(archive)
    assert (proof.documents["projects"], proof.findings) == (4, [])


def test_when_too_much_is_changed_all_the_time_it_is_told(
    films: list[str], archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(*_: Any) -> Any:
        raise OperationFailure("Transaction has been aborted", 251)

    monkeypatch.setattr(taking._Taking, "_settle_at", forgetful)
    with pytest.raises(CommandError, match="transactionLifetimeLimitSeconds"):
        backup(archive)
    assert list(archive.parent.glob("all*")) == []


def test_media_are_in_it_when_they_are_asked_for(
    films: list[str], archive: Path, media: Path
) -> None:
    assert "2 media files" in backup(archive, "--media")
    with opened(archive) as found:
        parts = {f"projects/{p.key}/{p.file}": p.content for p in found.media()}
    files = {str(p.relative_to(media)): p.read_bytes() for p in media.rglob("projects/*/*")}
    assert parts == files


# --- Interrupted, repeated, badly asked


def test_an_interrupted_backup_leaves_nothing_and_runs_again(
    films: list[str], archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(taking._Taking, "_settle_at", interrupt)
        with pytest.raises(CommandError, match="Interrupted"):
            backup(archive)
    assert list(archive.parent.glob("all*")) == []
    part = archive.with_name("all.snipix.part")
    part.write_bytes(b"what a killed run has left " * 100_000)
    backup(archive)
    assert contents(archive) == stored()
    assert not part.exists()


def test_an_archive_that_is_there_is_not_overwritten(films: list[str], archive: Path) -> None:
    backup(archive)
    before = archive.read_bytes()
    with pytest.raises(CommandError, match="is there already"):
        backup(archive)
    assert archive.read_bytes() == before
    backup(archive.with_name("second"))
    assert contents(archive.with_name("second")) == contents(archive)


def test_two_backups_to_one_file_do_not_meet(films: list[str], archive: Path) -> None:
    with archive.with_name("all.snipix.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="Another backup"):
            backup(archive)


@pytest.mark.parametrize("becomes", ["finished", "given up"])
def test_what_another_one_has_just_ended_is_not_written_to(
    films: list[str], archive: Path, monkeypatch: pytest.MonkeyPatch, becomes: str
) -> None:
    """Of two to one file, the second has opened it, and waits for nothing but its lock."""
    part, lock = archive.with_name(f"{archive.name}.part"), fcntl.flock

    def late(*arguments: Any) -> None:
        part.rename(archive) if becomes == "finished" else part.unlink()
        part.write_bytes(b"of a third")
        lock(*arguments)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(CommandError, match="ended just now"):
        backup(archive)
    assert part.read_bytes() == b"of a third"


def test_bad_places_are_refused_before_anything_is_written(
    films: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match="no folder"):
        backup(tmp_path / "nowhere" / "all")
    monkeypatch.setattr(taking, "RESERVE_BYTES", 1 << 60)
    with pytest.raises(CommandError, match="Make room"):
        backup(tmp_path / "all")
    with pytest.raises(CommandError, match="Make room"):
        backup(tmp_path / "all", "--dry-run")
    assert not (tmp_path / "all").exists()


def test_a_dry_run_writes_nothing(films: list[str], archive: Path) -> None:
    told = json.loads(backup(archive, "--dry-run", "--json"))
    assert (told["projects"], told["at_most_bytes"] > 1_000) == (4, True)
    assert os.listdir(archive.parent) in (["media"], [])


# --- Verify


def test_an_archive_is_proven_without_restoring(films: list[str], archive: Path) -> None:
    backup(archive, "--media")
    told = json.loads(backup(archive, "--verify", "--json"))
    assert (told["projects"], told["media_files"], told["findings"]) == (4, 2, [])
    assert told["versions"] == Revision.objects.count() == told["documents"]["revisions"]
    assert "all proven" in backup(archive, "--verify")


def test_a_flipped_byte_anywhere_is_found(films: list[str], archive: Path) -> None:
    backup(archive, "--media")
    whole, random = archive.read_bytes(), Random(1)
    for _ in range(150):
        position = random.randrange(len(whole))
        content = bytearray(whole)
        content[position] ^= 1 << random.randrange(8)
        archive.write_bytes(content)
        with pytest.raises(CommandError, match=r"block \d+|trailer|first 8 bytes") as refused:
            backup(archive, "--verify")
        assert refused.value.returncode == 1


def test_damage_that_was_there_before_is_named_by_its_document(
    films: list[str], archive: Path
) -> None:
    project = Project.objects.get(project_id="film-0")
    whose = {"documentId": project.pk, "kind": "timeline"}
    connection.database["revisions"].delete_one({**whose, "version": 2})
    backup(archive)
    out = StringIO()
    with pytest.raises(CommandError) as told:
        call_command("backup", str(archive), "--verify", stdout=out, stderr=StringIO())
    assert told.value.returncode == 3
    assert "history-broken: timeline of project film-0" in out.getvalue()
    assert "version 2 is missing" in out.getvalue()


def test_a_piece_that_is_missing_is_named(films: list[str], archive: Path) -> None:
    connection.database["pieces"].delete_one({"projectId": "film-0"})
    backup(archive)
    (finding,) = verifying.verify(archive).findings
    assert (finding.code, finding.where) == ("piece-missing", "timeline of project film-0")


def test_no_archive_and_a_cut_one_are_refused(films: list[str], archive: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        backup(archive, "--verify")
    backup(archive)
    archive.write_bytes(archive.read_bytes()[:-10])
    with pytest.raises(CommandError, match="isn't whole"):
        backup(archive, "--verify")
    with pytest.raises(Damaged):
        verifying.verify(archive)


def test_histories_in_an_archive_are_those_of_the_database(films: list[str], archive: Path) -> None:
    backup(archive)
    for project in Project.everything.all():
        assert history.verify(project)
    assert verifying.verify(archive).versions == Revision.objects.count()
