"""What probes are told, while real servers come and go."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from pymongo import MongoClient

import snipix
from snipix import condition, health, indexes, local, logs, stopping
from snipix.accounts import Token
from snipix.local import ports
from snipix.local.processes import ROOT, wait_until
from snipix.mongo import connection as mongo
from tests.watched import WatchedWeb, web

OK = {"database": "ok", "transactions": "ok", "migrations": "ok", "restore": "ok"}
WELL = {**OK, "indexes": "ok", "disk": "ok"}


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
    assert response.json() == {"status": "ready", "checks": {**WELL, "redis": redis}}
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
        env = {"MONGODB_URI": mongo.uri, "MONGODB_MIN_POOL_SIZE": "1", "MONGODB_TIMEOUT": "30"}
        with web(tmp_path, **env) as running:
            assert _ready(running)[1]["migrations"] == "pending"
            assert _ready(running)[0] == 503

            assert _manage("migrate", **env).returncode == 0
            status, checks = _ready(running)
            assert (status, checks | OK) == (200, checks)

            mongo.kill()
            began = time.monotonic()
            status, headers, body = running.get("/health/ready")
            assert time.monotonic() - began < health.PING_SECONDS + 10, "requests wait for 30 s"
            assert status == 503
            assert int(headers["Retry-After"]) > 0
            assert json.loads(body)["status"] == "unavailable"
            assert json.loads(body)["checks"]["database"] == "unreachable"
            status, headers, word = running.get("/health/")
            assert (status, json.loads(word)) == (503, {"status": "unhealthy"})
            assert int(headers["Retry-After"]) > 0
            for detail in (str(mongo.port), "127.0.0.1", "Timeout", "Error", "pymongo"):
                assert detail not in body.decode()
            assert running.get("/health/live")[0] == 200

            mongo.start()
            assert wait_until(lambda: _ready(running)[0] == 200, seconds=60)


def test_it_starts_before_the_database_does(tmp_path: Path) -> None:
    mongo = local.Mongo(tmp_path / "mongo")
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(web(tmp_path, MONGODB_URI=mongo.uri))
        assert _ready(running)[0] == 503
        assert "database not reached yet" in running.printed()

        stack.enter_context(mongo)
        assert wait_until(lambda: _ready(running)[1]["database"] == "ok", seconds=60)


@pytest.mark.usefixtures("db")
def test_without_redis_it_is_ready_all_the_same(tmp_path: Path) -> None:
    env = {
        "MONGODB_DATABASE": connection.settings_dict["NAME"],
        "REDIS_URL": f"redis://127.0.0.1:{ports.unused()}/0",
    }
    with web(tmp_path, **env) as running:
        assert _ready(running) == (200, {**WELL, "redis": "unreachable"})
        assert json.loads(running.get("/health/")[2]) == {"status": "degraded"}


@pytest.mark.usefixtures("db")
def test_a_cache_of_the_process_is_said_to_be_no_redis(client: Client, settings: Any) -> None:
    settings.REDIS_URL = ""

    assert client.get("/health/ready").json()["checks"]["redis"] == "not configured"


# --- How it is, for everyone and for administrators ------------------------------------------


@pytest.fixture(autouse=True)
def _looks_at_indexes_anew() -> None:
    condition._missing_indexes.cache_clear()


@pytest.fixture
def everyone(client: Client, settings: Any) -> Client:
    settings.MAX_VIDEO_BYTES = 1  # so that there is room enough, whatever machine this is
    return client


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("path", ["/health", "/health/"])
def test_everyone_is_told_one_word(everyone: Client, path: str) -> None:
    response = everyone.get(path)

    assert (response.status_code, response.json()) == (200, {"status": "healthy"})
    assert "no-store" in response["Cache-Control"]


def test_who_has_entered_the_admin_site_is_told_more(everyone: Client, root: User) -> None:
    everyone.force_login(root)
    told = everyone.get("/health/").json()

    assert (told["status"], told["checks"] | WELL) == ("healthy", told["checks"])
    details = told["details"]
    assert details["snipix"] == {"version": snipix.__version__, "commit": None}
    assert details["database"]["write_concern"] == {"w": "majority", "j": True}
    assert details["database"]["read_concern"] == {"level": "majority"}
    assert 0 < details["database"]["latency_ms"] < 2000
    assert 1 <= details["pool"]["open"] <= details["pool"]["most"]
    assert details["indexes"] == {"missing": []}
    assert 0 < details["disk"]["free_bytes"] <= details["disk"]["total_bytes"]


def test_an_administrators_token_is_one_with_accounts_only(
    everyone: Client, root: User, settings: Any
) -> None:
    headers = {"Authorization": f"Bearer {Token.issue(root)}"}
    assert everyone.get("/health/", headers=headers).json() == {"status": "healthy"}

    settings.SNIPIX_AUTH = "accounts"
    settings.SNIPIX_COMMIT = "4f2c"
    told = everyone.get("/health/", headers=headers).json()
    assert told["details"]["snipix"]["commit"] == "4f2c"


def test_others_are_told_no_more_than_strangers(
    everyone: Client, alice: User, settings: Any
) -> None:
    settings.SNIPIX_AUTH = "accounts"
    for secret in (Token.issue(alice), "wrong", ""):
        response = everyone.get("/health/", headers={"Authorization": f"Bearer {secret}"})
        assert (response.status_code, response.json()) == (200, {"status": "healthy"})

    everyone.force_login(alice)
    assert everyone.get("/health/").json() == {"status": "healthy"}
    everyone.cookies[settings.SESSION_COOKIE_NAME] = "made-up"
    assert everyone.get("/health/").json() == {"status": "healthy"}


def test_an_index_that_is_missing_is_told_by_name(everyone: Client, root: User) -> None:
    everyone.force_login(root)
    audit = mongo.database["audit_entries"]
    try:
        audit.drop_index("createdAt_1")
        audit.create_index("createdAt", name="createdAt_1")  # there, but nothing ends by it
        told = everyone.get("/health/").json()
        ready = everyone.get("/health/ready")
    finally:
        audit.drop_index("createdAt_1")
        list(indexes.ensure())

    assert (told["status"], told["checks"]["indexes"]) == ("degraded", "missing")
    assert told["details"]["indexes"]["missing"] == ["audit_entries.createdAt_1"]
    assert (ready.status_code, ready.json()["checks"]["indexes"]) == (200, "missing")


@pytest.mark.usefixtures("db")
def test_indexes_are_looked_at_once_a_minute(everyone: Client) -> None:
    everyone.get("/health/ready")
    with logs.tallied() as tally:
        assert condition.index_state() == "ok"

    assert tally.operations == 0


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(("reserve", "video", "state"), [(2**62, 1, "full"), (1, 2**62, "low")])
def test_a_full_disk_is_told_and_keeps_nobody_from_reading(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch, reserve: int, video: int,
    state: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(condition, "RESERVE_BYTES", reserve)
    settings.MAX_VIDEO_BYTES = video

    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["checks"]["disk"]) == (200, state)
    assert client.get("/health/").json() == {"status": "degraded"}
    assert client.get("/api/v1/projects/").status_code == 200


@pytest.mark.usefixtures("db")
def test_a_folder_for_videos_that_isnt_there_yet_is_no_trouble(
    everyone: Client, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "not" / "yet")

    assert everyone.get("/health/").json() == {"status": "healthy"}
    assert not (tmp_path / "not").exists()


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == snipix.__version__


def test_a_process_that_ends_says_so_and_asks_nobody(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "_is_told", True)

    ready = client.get("/health/ready")  # without a mark, pytest refuses the database
    assert ready.status_code == 503
    assert ready.json() == {"status": "stopping", "checks": {"server": "stopping"}}
    assert int(ready["Retry-After"]) > 0
    assert client.get("/health/").json() == {"status": "stopping"}
    assert client.get("/health/").status_code == 503
    assert client.get("/health/readiness").status_code == 503
    assert client.get("/health/live").status_code == 200


# --- Servers without transactions ------------------------------------------------------------


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
