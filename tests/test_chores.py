"""What `make run` does now and then by itself: retention."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from projects.models import Project
from snipix import times
from snipix.local.chores import Chores
from snipix.local.processes import wait_until
from snipix.mongo import connection
from tests.conftest import Api


@pytest.fixture
def said() -> list[str]:
    return []


def chores(folder: Path, said: list[str], *commands: str, first: float = 0) -> Chores:
    env = {**os.environ, "MONGODB_DATABASE": connection.settings_dict["NAME"]}
    return Chores(folder, env, said.append, commands=commands, first=first)


def test_what_is_past_its_retention_goes_by_itself(
    api: Api, tmp_path: Path, said: list[str]
) -> None:
    for id in ("old", "young"):
        api.create("Film", id=id)
        api("DELETE", f"/projects/{id}/")
    Project.everything.filter(project_id="old").update(deleted_at=times.now() - timedelta(days=31))
    running = chores(tmp_path, said, "purge_deleted", "sweep_media")

    def is_done() -> bool:
        running.look()
        return running.is_idle and Project.everything.count() == 1

    assert wait_until(is_done, seconds=60)
    assert Project.everything.get().project_id == "young"
    assert said == []


def test_nothing_begins_before_its_time(db: None, tmp_path: Path, said: list[str]) -> None:
    running = chores(tmp_path, said, "purge_deleted", first=60)
    running.look()
    assert running.is_idle


def test_what_fails_is_said_and_ends_nothing(db: None, tmp_path: Path, said: list[str]) -> None:
    running = chores(tmp_path, said, "no_such_command")

    def is_said() -> bool:
        running.look()
        return bool(said)

    assert wait_until(is_said, seconds=60)
    assert "tried again later" in said[0]


def test_what_runs_is_ended_with_the_rest(db: None, tmp_path: Path, said: list[str]) -> None:
    running = chores(tmp_path, said, "purge_deleted")
    running.look()
    assert not running.is_idle
    running.stop()
    assert running.is_idle
