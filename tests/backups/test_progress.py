"""Long work shows how far it has come: each step of it."""

from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from snipix.mongo import connection
from tests.backups.test_one_project import purge
from tests.backups.test_restore import archive

__all__ = ["archive"]


def shown(command: str, *arguments: str) -> list[str]:
    err = StringIO()
    with suppress(CommandError):  # the doctor finds settings that aren't those of production
        call_command(command, *arguments, "--json", stdout=StringIO(), stderr=err)
    return err.getvalue().splitlines()


def test_a_backup_shows_each_step(films: list[str], tmp_path: Path) -> None:
    lines = shown("backup", str(tmp_path / "a"), "--media")
    for step in ("4 of 4 projects copied", "4 of 4 projects compared", "2 of 2 media files copied"):
        assert lines.count(step) == 1


def test_a_backup_shows_what_it_copies_again(
    films: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snipix.backups.taking._Taking._before", lambda *_: iter(()))
    assert "4 of 4 projects copied again" in shown("backup", str(tmp_path / "a"))


def test_a_restore_shows_each_step(archive: Path, other: str) -> None:
    proof = ["4 of 4 projects proven", "2 of 2 media files proven"]
    assert {*proof} < {*shown("backup", str(archive), "--verify")}
    lines = shown("restore", str(archive), "--database", other)
    for step in (*proof, "2 of 2 media files restored", "4 of 4 projects checked"):
        assert lines.count(step) == 1
    assert any(line.endswith("documents restored") for line in lines)
    purge("film-0")
    assert {*proof} < {*shown("restore", str(archive), "--project", "film-0")}


def test_the_doctor_shows_what_it_mends(films: list[str]) -> None:
    timelines = connection.database["timelines"]
    timelines.update_many({"projectId": {"$in": films[:2]}}, {"$set": {"zoom": 9.0}})
    assert "2 of 2 projects mended" in shown("doctor", "--fix")
