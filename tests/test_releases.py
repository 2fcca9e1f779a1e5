"""A database that a newer release has written to isn't served; an older one is, and is told of."""

import json
import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from projects.models import Project
from snipix import checks, errors, health, history, indexes, local, releases
from snipix.history import Revision
from snipix.mongo import connection
from tests.conftest import Api
from tests.watched import WatchedWeb
from timelines.models import Timeline
from transcriptions.models import Transcription


@pytest.fixture
def path(api: Api) -> str:
    path = f"/projects/{api.create()['id']}/timeline/"
    assert api("PUT", path, {"zoom": 2}, if_match=api.etag(path)).status_code == 200
    return path


@pytest.fixture(autouse=True)
def unproven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_proven", set())


@pytest.fixture
def future(db: None) -> Iterator[None]:
    """A migration that only a later release has."""
    recorder = MigrationRecorder(connection)
    recorder.record_applied("projects", "0099_future")
    yield
    recorder.record_unapplied("projects", "0099_future")


def saved_by_a_newer_release(model: Any) -> None:
    model.everything.all().update(schema_version=model.current_schema() + 1)


def overview() -> tuple[dict[str, Any], int]:
    out, code = StringIO(), 0
    try:
        call_command("migrate_documents", "--list", "--json", stdout=out)
    except CommandError as error:
        code = error.returncode
    return json.loads(out.getvalue()), code


def ready(client: Client) -> tuple[int, str]:
    response = client.get("/health/ready")
    return response.status_code, response.json()["checks"]["migrations"]


def test_a_database_of_this_release_fits(client: Client, path: str) -> None:
    releases.refuse_newer()
    told, code = overview()
    assert code == 0
    assert (told["migrations"]["pending"], told["migrations"]["unknown"]) == ([], [])
    assert {d["collection"]: d["documents"] for d in told["documents"]} == {
        "projects": 1, "timelines": 1, "transcriptions": 0,
    }  # fmt: skip
    assert ready(client) == (200, "ok")


def test_documents_of_an_older_schema_are_counted_and_served(client: Client, path: str) -> None:
    Project.everything.all().update(schema_version=1)
    told, code = overview()
    assert code == 3
    assert {d["collection"]: d["older"] for d in told["documents"]}["projects"] == 1
    assert ready(client) == (200, "ok")


@pytest.mark.parametrize("model", [Project, Timeline])
def test_documents_of_a_newer_schema_arent_served(client: Client, path: str, model: Any) -> None:
    assert ready(client) == (200, "ok")
    saved_by_a_newer_release(model)
    assert ready(client) == (503, "newer"), "also if it was ready before"
    with pytest.raises(releases.NewerDatabase, match="newer release"):
        releases.refuse_newer()
    told, code = overview()
    assert code == 3
    assert sum(d["newer"] for d in told["documents"]) == 1


def test_a_newer_document_is_neither_misread_nor_overwritten(api: Api, path: str) -> None:
    """As while the servers of a new release replace those of the old one by one."""
    etag = api.etag(path)
    saved_by_a_newer_release(Timeline)
    answer = api("PUT", path, {"zoom": 3}, if_match=etag)
    assert (answer.status_code, answer.json()["code"]) == (503, "newer-schema")
    assert answer["Retry-After"] == "5"
    with pytest.raises(errors.NewerSchema):
        assert Timeline.objects.get().state
    assert Revision.objects.filter(kind="timeline").count() == 1
    assert Timeline.objects.get().zoom == 2


def test_a_newer_version_of_a_history_isnt_misread(path: str) -> None:
    Revision.objects.filter(kind="timeline").update(schema_version=99)
    with pytest.raises(errors.NewerSchema):
        history.read(Timeline.objects.get(), 1)


def test_migrations_of_a_newer_release_arent_served(client: Client, future: None) -> None:
    assert ready(client) == (503, "newer")
    with pytest.raises(releases.NewerDatabase, match=r"projects\.0099_future"):
        releases.refuse_newer()
    told, code = overview()
    assert (told["migrations"]["unknown"], code) == (["projects.0099_future"], 3)


def test_the_system_check_says_so(future: None) -> None:
    found = checks.transactions(databases=["default"])
    assert [message.id for message in found] == ["snipix.E018"]


def test_no_worker_starts_on_a_newer_database(future: None, tmp_path: Path) -> None:
    name = connection.settings_dict["NAME"]
    running = WatchedWeb(tmp_path, env={**os.environ, "MONGODB_DATABASE": name})
    with pytest.raises(local.LocalError), running:
        pass
    assert "has migrations of one: projects.0099_future" in running.printed()


def test_an_older_release_sets_no_validators(future: None) -> None:
    with pytest.raises(CommandError, match="newer release"):
        call_command("ensure_schema", stdout=StringIO())


def test_an_older_release_prepares_nothing(future: None) -> None:
    connection.get_collection("projects").drop_index("projectId_1")
    for way in ((), ("--check",)):
        with pytest.raises(CommandError, match="newer release"):
            call_command("prepare", "--without-schema", *way, stdout=StringIO())
    assert [drift.name for drift in indexes.drift()] == ["projectId_1"], "as the newer one has it"
    list(indexes.ensure())


def test_migrations_that_arent_applied_yet_are_told(client: Client, db: None) -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied("projects", "0004_project_purging_at")
    try:
        assert ready(client) == (503, "pending")
        assert overview()[0]["migrations"]["pending"] == ["projects.0004_project_purging_at"]
    finally:
        recorder.record_applied("projects", "0004_project_purging_at")


def test_an_index_serves_the_question(db: None) -> None:
    for model in (Project, Timeline, Transcription):
        keys = [dict(index.document["key"]) for index in model.collection_indexes]
        assert {"schemaVersion": 1} in keys
