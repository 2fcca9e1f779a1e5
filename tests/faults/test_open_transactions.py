"""A process that is killed in the middle of a change keeps nobody else from making theirs."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pymongo.errors import PyMongoError

from projects.models import Project
from projects.services import create_project, update_project
from snipix import errors, history, indexes, local, open_transactions
from snipix.accounts import Actor
from snipix.database.base import refuse_if_away
from snipix.demo.stage import pointed_at
from snipix.local.processes import wait_until
from snipix.mongo import connection
from tests.faults.proxy import Proxy

ALICE = Actor("alice")
CHILD = """
import django, sys, time
django.setup()
from projects.models import Project
from projects.services import update_project
from snipix import history
from snipix.accounts import Actor

def work():
    update_project(Project.objects.get(), actor=Actor("bob"), name="Never")
    print("changed", flush=True)
    time.sleep(60)

history.change(work)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the notes of this test's processes are."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(open_transactions.tempfile, "tempdir", None)
    monkeypatch.setattr(open_transactions, "_notes", None)
    return tmp_path


def start_a_change_and_stop_in_the_middle() -> subprocess.Popen:
    place = connection.settings_dict
    env = {**os.environ, "MONGODB_URI": place["HOST"], "MONGODB_DATABASE": place["NAME"]}
    child = subprocess.Popen([sys.executable, "-c", CHILD], env=env, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"changed\n"
    return child


def rename() -> None:
    history.change(lambda: update_project(Project.objects.get(), actor=ALICE, name="Other"))


def test_what_a_killed_process_was_changing_is_free_at_once(db: None, folder: Path) -> None:
    history.change(lambda: create_project(actor=ALICE, name="Film"))
    child = start_a_change_and_stop_in_the_middle()
    assert open_transactions.end_abandoned() == 0, "it still runs"
    child.send_signal(signal.SIGKILL)
    child.wait()
    began = time.monotonic()
    assert open_transactions.end_abandoned() == 1
    rename()
    assert time.monotonic() - began < 5
    assert Project.objects.get().name == "Other"
    assert open_transactions.end_abandoned() == 0


def is_held_by_nobody(notes: Path) -> bool:
    with notes.open("rb") as file, suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def test_a_command_ends_what_a_killed_one_was_changing(db: None, folder: Path) -> None:
    history.change(lambda: create_project(actor=ALICE, name="Film"))
    child = start_a_change_and_stop_in_the_middle()
    child.send_signal(signal.SIGKILL)
    child.wait()
    call_command("purge_deleted", "--dry-run", verbosity=0)
    assert any(map(is_held_by_nobody, folder.rglob("*.sessions"))), "it only looks"
    call_command("purge_deleted", verbosity=0)
    assert open_transactions.end_abandoned() == 0
    rename()


def test_what_a_change_had_to_leave_open_is_free_at_the_next_one(
    tmp_path: Path, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "serverSelectionTimeoutMS", 1000)
    with (
        local.Mongo(tmp_path) as mongo,
        Proxy(mongo.port) as proxy,
        django_db_blocker.unblock(),
        pointed_at(mongo.uri.replace(str(mongo.port), str(proxy.port)), "snipix"),
    ):
        list(indexes.ensure())
        history.change(lambda: create_project(actor=ALICE, name="Film"))

        def work() -> None:
            update_project(Project.objects.get(), actor=ALICE, name="Never")
            proxy.go_down()

        with pytest.raises(errors.DatabaseUnavailable):
            history.change(work)
        proxy.come_back()
        assert wait_until(is_back, seconds=30)
        began = time.monotonic()
        rename()
        assert time.monotonic() - began < 5
        assert Project.objects.get().name == "Other"


def is_back() -> bool:
    with suppress(PyMongoError):
        refuse_if_away()
        connection.database.client.admin.command("ping")
        return True
    return False


def test_only_the_owner_may_see_the_notes(db: None, folder: Path) -> None:
    history.change(lambda: create_project(actor=ALICE, name="Film"))
    (notes,) = folder.iterdir()
    assert (notes.stat().st_mode & 0o777, len(list(notes.iterdir()))) == (0o700, 1)


def test_where_nothing_can_be_noted_changes_are_made_all_the_same(db: None, folder: Path) -> None:
    (folder / f"snipix-transactions-{os.getuid()}").write_text("a file, not a folder")
    history.change(lambda: create_project(actor=ALICE, name="Film"))
    assert Project.objects.get().version == 1
