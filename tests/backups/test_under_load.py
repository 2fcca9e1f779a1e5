"""A backup of a server that people save to: what was acknowledged before it began is in it."""

import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from random import Random

import pytest
from django.core.management import call_command

from snipix import history, states
from snipix.demo.client import Client
from snipix.demo.stage import Stage, pointed_at
from snipix.local import processes
from snipix.mongo import connection
from tests.faults.savers import Renamer, Save, Saver
from timelines import samples
from timelines.models import Timeline

PROJECTS = ["load-a", "load-b"]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        yield stage


def test_every_version_acknowledged_before_it_began_is_in_it_and_equal(
    stage: Stage, tmp_path: Path, django_db_blocker
) -> None:
    archive = tmp_path / "load.snipix"
    savers = [saver for project in PROJECTS for saver in _savers(stage, project)]
    with django_db_blocker.unblock(), stage.inside():
        for project in PROJECTS:
            _create(stage, project)
        for saver in savers:
            saver.start()
        _await(savers, 30)
        acknowledged = [save for saver in savers for save in saver.saves if save.is_acknowledged]
        for number in range(3):
            call_command("backup", f"{archive}{number}", stdout=StringIO(), stderr=StringIO())
        during = sum(saver.acknowledged for saver in savers) - len(acknowledged)
        for saver in savers:
            saver.is_over.set()
        for saver in savers:
            saver.join(60)
            assert not saver.wrong
        for number in range(3):
            name = f"restored_{number}"
            call_command(
                "restore", f"{archive}{number}", "--database", name,
                stdout=StringIO(), stderr=StringIO(),
            )  # fmt: skip
            connection.close_pool()
            with pointed_at(stage.uri, name):
                _compare(acknowledged)
    assert len(acknowledged) >= 30
    assert during > 0, "people saved while it ran"


def _compare(acknowledged: list[Save]) -> None:
    for project in PROJECTS:
        timeline = Timeline.everything.get(project_id=project)
        assert history.verify(timeline) == timeline.version
    for save in acknowledged:
        if save.kind != "timeline":
            continue
        timeline = Timeline.everything.get(project_id=save.project)
        assert history.read(timeline, save.version).metadata["token"] == save.token


def _savers(stage: Stage, project: str) -> Iterator[Saver]:
    for kind, name in ((Saver, "one"), (Saver, "two"), (Renamer, "renamer")):
        yield kind(
            f"{project}-{name}",
            port=stage.web.port,
            project=project,
            seed=len(name),
            is_keyed=name != "one",
        )


def _create(stage: Stage, project: str) -> None:
    with Client(stage.web.port) as client:
        body = f'{{"id": "{project}", "name": "Film"}}'.encode()
        assert client.send("POST", "/projects/", body).status == 201
        path = f"/projects/{project}/timeline/"
        state = states.encode(samples.timeline(Random(project).getrandbits(32), 100))
        etag = client.send("GET", path).etag
        assert client.send("PUT", path, state, if_match=etag).status == 200


def _await(savers: list[Saver], count: int) -> None:
    deadline = time.monotonic() + 60
    while sum(saver.acknowledged for saver in savers) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes.wait_until(lambda: sum(s.acknowledged for s in savers) >= count, seconds=1)
