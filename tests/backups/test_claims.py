"""One run restores into a database at a time; one that was killed holds it for a minute."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from pymongo.errors import AutoReconnect

from snipix.backups import claims, restoring
from snipix.backups.claims import MARKER, NotRestored
from snipix.doctor import checkup
from snipix.mongo import connection
from tests.backups.test_backup import backup, stored
from tests.backups.test_restore import inside, restore
from tests.together import at_once


@pytest.fixture
def archive(films: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("snipix.backups.format.BLOCK_BYTES", 4_000)
    backup(tmp_path / "all.snipix")
    return tmp_path / "all.snipix"


def marker(name: str) -> Any:
    return connection.database.client[name][MARKER]


def begin(archive: Path, other: str, monkeypatch: pytest.MonkeyPatch, *, is_killed: bool) -> None:
    """A run that ends within its second block, and can or can't say so."""
    write, count = restoring.write, iter(range(10_000))

    def broken(*arguments: Any, **options: Any) -> None:
        if next(count) == 6:
            raise AutoReconnect("gone")
        write(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "write", broken)
        if is_killed:
            patched.setattr(claims.Claim, "release", lambda claim: claim._is_over.set())
        with pytest.raises(CommandError, match="run it again"):
            restore(archive, "--database", other)


def test_of_two_runs_at_the_same_time_one_restores(
    archive: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have found the database empty."""
    before = stored()
    check, both = restoring.check_database, threading.Barrier(2)

    def checked(*arguments: Any) -> None:
        check(*arguments)
        both.wait()

    monkeypatch.setattr(restoring, "check_database", checked)

    def run(_: int) -> str:
        try:
            return restoring.restore(archive, other).database
        except NotRestored as error:
            return str(error)

    (refused,) = [told for told in at_once(2, run) if told != other]
    assert "restores this archive" in refused or "isn't empty" in refused
    with inside(other):
        assert stored() == before
        assert MARKER not in connection.database.list_collection_names()


def test_a_run_that_is_alive_is_left_alone(
    archive: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(archive, other, monkeypatch, is_killed=True)
    before = marker(other).find_one()
    for options in ((), ("--dry-run",)):
        with pytest.raises(CommandError, match=r"was alive \d+ seconds ago. Wait for it, or"):
            restore(archive, "--database", other, *options)
    assert marker(other).find_one() == before


def test_of_one_that_was_killed_the_place_is_taken(
    archive: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(archive, other, monkeypatch, is_killed=True)
    silent_since = datetime.now(UTC) - claims.EXPIRES - timedelta(seconds=5)
    marker(other).update_one({}, {"$set": {"aliveAt": silent_since}})
    before = stored()
    assert restore(archive, "--database", other)["went_on"]
    with inside(other):
        assert stored() == before


def test_one_that_was_stopped_gives_its_place_back(
    archive: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(archive, other, monkeypatch, is_killed=False)
    with inside(other):
        assert "half-restored" in {finding.code for finding in checkup.server()}
    assert restore(archive, "--database", other)["went_on"]


def test_one_that_lives_says_so(archive: Path, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long one step takes."""
    monkeypatch.setattr(claims, "_BEAT_SECONDS", 0.05)
    seen: list[datetime] = []
    check = restoring._check

    def slow(*arguments: Any) -> None:
        begun = marker(other).find_one()["aliveAt"]
        for _ in range(200):
            if (alive_at := marker(other).find_one()["aliveAt"]) > begun:
                seen.append(alive_at)
                break
            threading.Event().wait(0.05)
        check(*arguments)

    monkeypatch.setattr(restoring, "_check", slow)
    restore(archive, "--database", other)
    assert seen


def test_one_whose_place_was_taken_writes_nothing_more(
    archive: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, count = restoring.write, iter(range(10_000))

    def overtaken(*arguments: Any, **options: Any) -> None:
        if next(count) == 6:
            marker(other).update_one({}, {"$set": {"owner": "another"}})
        write(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "write", overtaken)
        with pytest.raises(CommandError, match="Another run goes on with this one"):
            restore(archive, "--database", other)
    assert next(count) < 10, "it ended with that block"
    assert marker(other).find_one()["owner"] == "another"
