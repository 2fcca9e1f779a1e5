"""A database that is only restored in part is neither served nor worked on."""

import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from snipix import checks, local
from snipix.backups.claims import MARKER
from snipix.mongo import connection
from tests.watched import WatchedWeb


@pytest.fixture
def half_restored(db: None) -> Iterator[None]:
    marker = connection.database[MARKER]
    marker.insert_one({"_id": "whole", "archive": "", "file": "night.snipix", "block": 7})
    yield
    marker.drop()


def ready(client: Client) -> tuple[int, str]:
    response = client.get("/health/ready")
    return response.status_code, response.json()["checks"]["restore"]


def test_it_is_not_ready_until_it_is_whole(client: Client, half_restored: None) -> None:
    assert ready(client) == (503, "unfinished")
    connection.database[MARKER].drop()
    assert ready(client) == (200, "ok")


def test_it_stops_being_ready_when_a_restore_begins(client: Client, db: None) -> None:
    """As a server that was started on the empty database that is restored into."""
    assert ready(client) == (200, "ok")
    connection.database[MARKER].insert_one({"_id": "whole", "file": "night.snipix"})
    try:
        assert ready(client) == (503, "unfinished")
    finally:
        connection.database[MARKER].drop()


def test_no_worker_starts_on_it(half_restored: None, tmp_path: Path) -> None:
    name = connection.settings_dict["NAME"]
    running = WatchedWeb(tmp_path, env={**os.environ, "MONGODB_DATABASE": name})
    with pytest.raises(local.LocalError), running:
        pass
    assert "holds only a part of the archive night.snipix" in running.printed()


def test_the_system_check_says_so(half_restored: None) -> None:
    found = checks.transactions(databases=["default"])
    assert [message.id for message in found] == ["snipix.E019"]


@pytest.mark.parametrize(
    "command",
    [
        "prepare",
        "ensure_indexes",
        "ensure_schema",
        "migrate_documents",
        "purge_deleted",
        "sweep_media",
        "seed",
        "load_demo",
        "create_token",
    ],
)
def test_no_command_changes_it(half_restored: None, command: str) -> None:
    arguments = ["alice"] if command == "create_token" else []
    before = connection.database.list_collection_names()
    with pytest.raises(CommandError, match="run restore again with the same archive"):
        call_command(command, *arguments, stdout=StringIO(), stderr=StringIO())
    assert connection.database.list_collection_names() == before
    assert connection.database["projects"].find_one() is None
