"""Started before its database, Snipix says what it waits for, and serves once that is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pymongo import MongoClient

from snipix import local
from snipix.local import ports
from snipix.local.processes import ROOT, wait_until
from tests.test_health import Standalone
from tests.watched import WatchedWeb, web

PASSWORD = "s3cr3t-word"


def prepare(uri: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "manage.py", "prepare", "-v0", *options]
    env = {**os.environ, "MONGODB_URI": uri, "MONGODB_TIMEOUT": "0.5"}
    return subprocess.Popen(
        command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def checks(running: WatchedWeb) -> tuple[int, dict[str, str]]:
    status, _, body = running.get("/health/ready")
    return status, json.loads(body)["checks"]


def reached(running: WatchedWeb) -> set[int]:
    """The workers that have reached the database."""
    return {line["pid"] for line in running.lines() if line["event"] == "database reached"}


def test_it_serves_as_soon_as_the_database_is_there(tmp_path: Path) -> None:
    mongo = local.Mongo(tmp_path / "mongo")
    with web(tmp_path, workers=2, MONGODB_URI=mongo.uri) as running:
        status, found = checks(running)
        assert (status, found["database"]) == (503, "unreachable")
        status, headers, body = running.get("/api/v1/projects/")
        assert (status, json.loads(body)["code"]) == (503, "database-unavailable")
        assert int(headers["Retry-After"]) > 0
        time.sleep(1)  # so that more than one attempt is in vain
        assert not reached(running)

        with mongo:
            preparing = prepare(mongo.uri)
            assert preparing.wait(60) == 0
            assert wait_until(lambda: checks(running)[0] == 200, seconds=60)
            assert running.get("/api/v1/projects/")[0] == 200
            # The same workers, and what belongs to a start was made up for in both.
            assert wait_until(lambda: len(reached(running)) == 2, seconds=60)
            booted = [line for line in running.lines() if "Booting worker" in line["event"]]
            assert len(booted) == 2


def test_preparing_waits_for_the_database(tmp_path: Path) -> None:
    mongo = local.Mongo(tmp_path / "mongo")
    preparing = prepare(mongo.uri)
    assert preparing.stderr is not None
    try:
        assert "can't be reached yet" in preparing.stderr.readline()
        with mongo:
            _, told = preparing.communicate(timeout=60)
    finally:
        preparing.kill()

    assert preparing.returncode == 0, told
    assert "Traceback" not in told


def test_preparing_gives_up_in_the_end_and_says_what_to_do() -> None:
    port = ports.unused()
    uri = f"mongodb://snipix:{PASSWORD}@127.0.0.1:{port}/"
    _, told = prepare(uri, "--wait", "1").communicate(timeout=30)

    assert "check MONGODB_URI" in told
    assert "Traceback" not in told
    assert PASSWORD not in told


def test_a_server_without_transactions_that_comes_later_is_refused_as_well(
    tmp_path: Path,
) -> None:
    standalone = Standalone(tmp_path / "mongo")
    with web(tmp_path, MONGODB_URI=standalone.uri) as running, standalone:
        assert wait_until(lambda: not running.is_running(), seconds=60)
        assert "Make it a replica set" in running.printed()


def test_a_database_of_a_newer_release_that_comes_later_is_refused_as_well(tmp_path: Path) -> None:
    mongo = local.Mongo(tmp_path / "mongo")
    with mongo, MongoClient(mongo.uri, directConnection=True) as client:
        assert prepare(mongo.uri, "--without-schema").wait(120) == 0
        database = client[os.environ.get("MONGODB_DATABASE", "snipix")]
        assert database["django_migrations"].find_one()
        future = {"app": "projects", "name": "0099_future", "applied": datetime.now(UTC)}
        database["django_migrations"].insert_one(future)
    with web(tmp_path, MONGODB_URI=mongo.uri) as running, mongo:
        assert wait_until(lambda: not running.is_running(), seconds=60)
        assert "0099_future" in running.printed()


@pytest.mark.parametrize("wait", ["0", "0.2"])
def test_preparing_needs_not_wait(tmp_path: Path, wait: str) -> None:
    with local.Mongo(tmp_path / "mongo") as mongo:
        assert prepare(mongo.uri, "--wait", wait).wait(60) == 0
