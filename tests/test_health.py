"""What probes are told, while real servers come and go."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from pymongo import MongoClient

from snipix import health, local
from snipix.local.processes import ROOT, wait_until
from snipix.local.servers import free_port
from tests.watched import WatchedWeb, web

OK = {"database": "ok", "transactions": "ok", "migrations": "ok"}


class Standalone(local.Mongo):
    """A MongoDB server outside of any replica set."""

    def command(self) -> list[str]:
        command = super().command()
        if self.is_secantus:
            return [*command, "--standalone"]
        at = command.index("--replSet")
        return command[:at] + command[at + 2 :]

    def answers(self) -> bool:
        with MongoClient[dict[str, Any]](self.uri, serverSelectionTimeoutMS=2000) as mongo:
            return bool(mongo.admin.command("hello")["isWritablePrimary"])


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local.Mongo]:
    with Standalone(tmp_path_factory.mktemp("standalone")) as server:
        yield server


def _manage(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def _ready(running: WatchedWeb) -> tuple[int, dict[str, str]]:
    status, _, body = running.get("/health/ready")
    return status, json.loads(body)["checks"]


def test_life_touches_nothing(client: Client, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    response = client.get("/health/live/")  # without a mark, pytest refuses the database

    assert (response.status_code, response.json()) == (200, {"status": "alive"})
    assert "no-store" in response["Cache-Control"]


@pytest.mark.usefixtures("db")
def test_it_is_ready_when_all_is_there(client: Client) -> None:
    response = client.get("/health/ready")

    redis = "ok" if django_settings.REDIS_URL else "not configured"
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "checks": {**OK, "redis": redis}}
    assert "no-store" in response["Cache-Control"]


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("host", ["10.1.2.3:8000", "snipix", "localhost"])
def test_probes_come_under_any_name_and_without_https(
    client: Client, settings: Any, host: str
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = []
    for path in ("/health/live", "/health/ready", "/health/ready/", "/metrics"):
        assert client.get(path, headers={"Host": host}).status_code == 200

    assert client.get("/api/v1/projects/", headers={"Host": host}).status_code in (301, 400)


@pytest.mark.parametrize("path", ["/healthy", "/health/other", "/metricsx"])
def test_other_addresses_are_no_probes(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_probes_only_read(client: Client) -> None:
    assert client.post("/health/live").status_code == 405
    assert client.post("/health/ready").status_code == 405


def test_it_is_ready_again_by_itself_after_the_database_was_killed(tmp_path: Path) -> None:
    with local.Mongo(tmp_path / "mongo") as mongo:
        env = {"MONGODB_URI": mongo.uri, "MONGODB_MIN_POOL_SIZE": "1"}
        with web(tmp_path, **env) as running:
            assert _ready(running)[1]["migrations"] == "pending"
            assert _ready(running)[0] == 503

            assert _manage("migrate", **env).returncode == 0
            status, checks = _ready(running)
            assert (status, checks | OK) == (200, checks)

            mongo.kill()
            began = time.monotonic()
            status, headers, body = running.get("/health/ready")
            assert time.monotonic() - began < health.PING_SECONDS + 1
            assert status == 503
            assert int(headers["Retry-After"]) > 0
            assert json.loads(body)["status"] == "unavailable"
            assert json.loads(body)["checks"]["database"] == "unreachable"
            for detail in (str(mongo.port), "127.0.0.1", "Timeout", "Error", "pymongo"):
                assert detail not in body.decode()
            assert running.get("/health/live")[0] == 200

            mongo.start()
            assert wait_until(lambda: _ready(running)[0] == 200, seconds=10)


def test_it_starts_before_the_database_does(tmp_path: Path) -> None:
    mongo = local.Mongo(tmp_path / "mongo")
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(web(tmp_path, MONGODB_URI=mongo.uri))
        assert _ready(running)[0] == 503
        assert "database not reached yet" in running.printed()

        stack.enter_context(mongo)
        assert wait_until(lambda: _ready(running)[1]["database"] == "ok", seconds=10)


@pytest.mark.usefixtures("db")
def test_without_redis_it_is_ready_all_the_same(tmp_path: Path) -> None:
    env = {
        "MONGODB_DATABASE": connection.settings_dict["NAME"],
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
    }
    with web(tmp_path, **env) as running:
        assert _ready(running) == (200, {**OK, "redis": "unreachable"})


@pytest.mark.usefixtures("db")
def test_a_cache_of_the_process_is_said_to_be_no_redis(client: Client, settings: Any) -> None:
    settings.REDIS_URL = ""

    assert client.get("/health/ready").json()["checks"]["redis"] == "not configured"


def test_a_server_without_transactions_is_refused_with_an_explanation(
    standalone: local.Mongo,
) -> None:
    with (
        MongoClient[dict[str, Any]](standalone.uri) as mongo,
        pytest.raises(health.StandaloneServer, match="replica set"),
    ):
        health.check_server(mongo)


def test_a_replica_set_is_accepted() -> None:
    with MongoClient[dict[str, Any]](connection.settings_dict["HOST"]) as mongo:
        health.check_server(mongo)


def test_a_server_without_transactions_keeps_migrations_from_running(
    standalone: local.Mongo,
) -> None:
    done = _manage("migrate", MONGODB_URI=standalone.uri)

    assert done.returncode == 1
    assert "snipix.E016" in done.stderr
    assert "Make it a replica set" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_without_transactions_keeps_gunicorn_from_starting(
    standalone: local.Mongo, tmp_path: Path
) -> None:
    running = WatchedWeb(tmp_path, env={**os.environ, "MONGODB_URI": standalone.uri})
    with pytest.raises(local.LocalError, match="didn't start"):
        running.start()

    assert "Make it a replica set" in running.printed()


def test_the_steps_of_a_start_tell_their_times(tmp_path: Path) -> None:
    with web(tmp_path) as running:
        steps = {
            line["event"]: line["duration_ms"]
            for line in running.lines()
            if line["logger"] == "snipix.start" and "duration_ms" in line
        }

    assert set(steps) == {"settings loaded", "application loaded", "database reached"}
    assert all(duration > 0 for duration in steps.values())
