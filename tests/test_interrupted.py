"""Every long command, killed while it works and run again: all is as if nothing had happened.

Each is a real process, which is ended once it has told of its first progress.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from pymongo import MongoClient

from projects.models import Project
from snipix import history, indexes, schemas, seeding
from snipix.backups import claims
from snipix.cache import stats
from snipix.commands import DONE, FOUND
from snipix.doctor.checkup import check_up
from snipix.local import processes
from snipix.mongo import connection
from tests.conftest import empty_database, unguard

PROJECTS = 15
FOLDERS = 600
"""Of media."""
ELSEWHERE = "snipix_restored"
ATTEMPTS = 5
"""At ending a command within its work: on a busy machine, a signal may come after the end of it."""
ENDED = (DONE, FOUND)
"""Exit codes of a command that came to its end; FOUND is what the doctor has to say of the tests'
settings."""
LONG_AGO = time.time() - 2 * 86_400


@dataclass(frozen=True)
class Case:
    """A command, what it finds there to do, and what must be so afterwards."""

    command: str
    stage: Callable[[Path], None]
    outcome: Callable[[Path], Any]
    told: str
    """What the progress ends with during which it is killed."""

    def arguments(self, folder: Path) -> list[str]:
        return [part.format(folder=folder) for part in self.command.split()]


# --- What there is to do


def make_projects(folder: Path) -> None:
    list(seeding.seed(seeding.Wanted(PROJECTS, 1, "anonymous", 3, 0, 1)))


def make_trash(folder: Path) -> None:
    make_projects(folder)
    Project.objects.all().delete()
    deleted_at = {"$set": {"deletedAt": datetime(2020, 1, 1, tzinfo=UTC)}}
    connection.get_collection("projects").update_many({}, deleted_at)


def make_media_of_nobody(folder: Path) -> None:
    keys = [ObjectId() for _ in range(FOLDERS)]
    entries = [{"documentId": key, "action": "purge"} for key in keys]
    connection.get_collection("audit_entries").insert_many(entries)
    for key in keys:
        file = folder / "media" / "projects" / str(key) / "film.mp4"
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, (LONG_AGO, LONG_AGO))


def make_old_states(folder: Path) -> None:
    make_projects(folder)
    connection.get_collection("projects").update_many({}, {"$set": {"schemaVersion": 1}})


def drop_indexes(folder: Path) -> None:
    for model, declared in indexes.declared():
        existing = connection.get_collection(model._meta.db_table)
        for index in declared:
            if index.document["name"] in existing.index_information():
                existing.drop_index(index.document["name"])


def spoil_summaries(folder: Path) -> None:
    make_projects(folder)
    connection.get_collection("projects").update_many({}, {"$set": {"timelineState.clips": 1}})


def take_backup(folder: Path) -> None:
    make_projects(folder)
    with MongoClient(settings.MONGODB_URI) as client:
        client.drop_database(ELSEWHERE)
    archive = folder / "archive.snipix"
    if not archive.exists():
        call_command("backup", str(archive), stdout=StringIO(), stderr=StringIO())


def nothing(folder: Path) -> None:
    pass


# --- What must be so afterwards


def counted(folder: Path) -> dict[str, int]:
    names = sorted(connection.database.list_collection_names())
    return {name: connection.database[name].count_documents({}) for name in names}


def proven(folder: Path) -> Any:
    """How many of everything there are, and the histories of all projects."""
    of = {p.project_id: history.verify(p) for p in Project.everything.order_by("project_id")}
    return counted(folder), of, set(Project.everything.values_list("schema_version", flat=True))


def media_left(folder: Path) -> list[str]:
    return [path.name for path in (folder / "media").rglob("projects/*")]


def drifting(folder: Path) -> list[Any]:
    return list(indexes.drift())


def guarded(folder: Path) -> list[Any]:
    found = list(schemas.drift())
    for name, _ in schemas.validators():
        unguard(name)
    return found


def prepared(folder: Path) -> list[Any]:
    return [*drifting(folder), *guarded(folder)]


def healthy(folder: Path) -> Any:
    of_projects = [finding for finding in check_up().findings if finding.project_id]
    return counted(folder), of_projects


def backed_up(folder: Path) -> Any:
    out = StringIO()
    for archive in folder.glob("new.snipix*"):
        call_command("backup", str(archive), "--verify", stdout=out, stderr=StringIO())
        archive.unlink()
    return out.getvalue().splitlines()[1:]


def restored(folder: Path) -> Any:
    with MongoClient(settings.MONGODB_URI) as client:
        there = client[ELSEWHERE]
        found = {name: there[name].count_documents({}) for name in there.list_collection_names()}
        client.drop_database(ELSEWHERE)
    return dict(sorted(found.items()))


def warm(folder: Path) -> dict[str, int]:
    found = stats.contents()
    stats.clear()
    return found


CASES = [
    Case("seed --projects 100 --clips 0", nothing, proven, "projects"),
    Case("purge_deleted", make_trash, counted, "projects"),
    Case("sweep_media", make_media_of_nobody, media_left, "folders"),
    Case("migrate_documents", make_old_states, proven, "projects"),
    Case("ensure_indexes", drop_indexes, drifting, "indexes"),
    Case("ensure_schema", nothing, guarded, "validators"),
    Case("prepare", drop_indexes, prepared, "steps"),
    Case("doctor --fix", spoil_summaries, healthy, "projects mended"),
    Case("backup {folder}/new.snipix", make_projects, backed_up, "projects copied"),
    Case(
        f"restore {{folder}}/archive.snipix --database {ELSEWHERE}",
        take_backup,
        restored,
        "documents restored",
    ),
    Case("cache warm --limit 60", make_projects, warm, "projects"),
]
EXPECTED: dict[str, Any] = {}
"""What comes of each that isn't interrupted."""


@pytest.fixture(autouse=True)
def folder(
    db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    monkeypatch.setattr(claims, "EXPIRES", timedelta())  # a restore that was killed is silent
    yield tmp_path
    list(indexes.ensure())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.command.split()[0])
def test_what_is_killed_and_run_again_ends_as_if_it_had_not_been(
    case: Case, number: signal.Signals, folder: Path
) -> None:
    if case.command.startswith("cache") and not settings.REDIS_URL:
        pytest.skip("there is no Redis")
    if case.command not in EXPECTED:
        case.stage(folder)
        run(case, folder)
        EXPECTED[case.command] = case.outcome(folder)
        empty(folder)
    for _ in range(ATTEMPTS):
        case.stage(folder)
        if kill(case, folder, number):
            break
        empty(folder)
    else:
        pytest.fail(f"it was faster than the signal, {ATTEMPTS} times")
    run(case, folder)
    assert case.outcome(folder) == EXPECTED[case.command]


def test_a_demo_that_was_killed_between_its_parts_is_finished(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNIPIX_DEMO_ADMIN_PASSWORD", "a-password-for-tests")
    with MongoClient(settings.MONGODB_URI) as client, client.start_session() as session:
        projects = client[connection.settings_dict["NAME"]]["projects"]
        with session.start_transaction():
            # Not committed: whoever inserts the same has to wait for what comes of it.
            projects.insert_one({"projectId": "demo"}, session=session)
            with child("load_demo") as loading:
                assert processes.wait_until(User.objects.exists, seconds=60)
                loading.kill()
            session.abort_transaction()
    assert (User.objects.count(), Project.everything.count()) == (1, 0)
    call_command("load_demo", stdout=StringIO())
    assert history.verify(Project.objects.get(project_id="demo")) == 1
    assert User.objects.count() == 1


def run(case: Case, folder: Path) -> None:
    try:
        call_command(*case.arguments(folder), stdout=StringIO(), stderr=StringIO())
    except CommandError as error:
        if error.returncode not in ENDED:
            raise


def kill(case: Case, folder: Path, number: signal.Signals) -> bool:
    """Run it as a process, and end that after its first progress; False if it ended before."""
    with child(*case.arguments(folder)) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.endswith(f" {case.told}\n"):
                break
        process.send_signal(number)
        process.wait(60)
    assert process.returncode in (-number, *ENDED), said
    return process.returncode == -number


def child(*arguments: str) -> subprocess.Popen[str]:
    """A command, as a process of its own."""
    env = {**os.environ, "MONGODB_DATABASE": connection.settings_dict["NAME"]}
    env["MEDIA_ROOT"] = settings.MEDIA_ROOT
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=processes.ROOT,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def empty(folder: Path) -> None:
    empty_database()
    for name, _ in schemas.validators():
        unguard(name)
    for archive in folder.glob("new.snipix*"):
        archive.unlink()
    shutil.rmtree(folder / "media", ignore_errors=True)
    if settings.REDIS_URL:
        stats.clear()
