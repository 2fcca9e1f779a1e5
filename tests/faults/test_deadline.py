"""A MongoDB that answers, but slowly: nobody waits for it for much longer than the deadline."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from pymongo.uri_parser import parse_uri

from snipix import health
from snipix.database.base import patient
from snipix.demo.stage import pointed_at
from snipix.history import Revision
from snipix.mongo import connection
from tests.conftest import Api
from tests.faults.commands import CommandProxy

DEADLINE, LATE = 1.0, 0.25
"""Seconds: a change is a dozen operations, a read one or two."""


@pytest.fixture
def proxy(api: Api, settings: Any) -> Iterator[CommandProxy]:
    """Between this process and the database."""
    uri, name = settings.DATABASES["default"]["HOST"], connection.settings_dict["NAME"]
    host, port = parse_uri(uri)["nodelist"][0]
    with (
        CommandProxy(port) as proxy,
        pointed_at(uri.replace(f"{host}:{port}", f"{host}:{proxy.port}"), name),
    ):
        yield proxy


def test_a_change_that_takes_too_long_is_refused_and_changes_nothing(
    api: Api, proxy: CommandProxy, settings: Any
) -> None:
    path = f"/projects/{api.create()['id']}/timeline/"
    sent = {"if_match": api.etag(path), "idempotency_key": "one"}
    settings.REQUEST_DEADLINE, proxy.delay = DEADLINE, LATE
    before = proxy.commands
    refused = api("PUT", path, {"zoom": 2}, **sent)
    # Those that begin before the deadline, and one that ends what was begun. A busy machine has
    # time for fewer; without a deadline it would be all of them.
    assert proxy.commands - before <= DEADLINE / LATE + 1
    assert (refused.status_code, refused.json()["code"]) == (503, "database-unavailable")
    assert "not saved" in refused.json()["detail"]
    proxy.delay = 0
    assert Revision.objects.filter(kind="timeline").count() == 0
    assert api("PUT", path, {"zoom": 2}, **sent).json()["version"] == 1


def test_a_read_is_refused_that_would_begin_too_late(
    api: Api, proxy: CommandProxy, settings: Any
) -> None:
    path = f"/projects/{api.create()['id']}/versions/"
    settings.REQUEST_DEADLINE, proxy.delay = LATE / 2, LATE
    assert api("GET", path).status_code == 503
    settings.REQUEST_DEADLINE = 60
    assert api("GET", path).status_code == 200


def test_commands_may_take_as_long_as_they_need(
    api: Api, proxy: CommandProxy, settings: Any
) -> None:
    settings.REQUEST_DEADLINE, proxy.delay = DEADLINE, LATE
    began = time.monotonic()
    with patient():
        assert api.create()["version"] == 1
    assert time.monotonic() - began > DEADLINE + 2 * LATE, "or this shows nothing"


def test_a_slow_database_takes_no_server_out_of_use(
    proxy: CommandProxy, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All have the same one: none would be left, and each still serves."""
    monkeypatch.setattr(health, "PING_SECONDS", 4 * LATE)
    monkeypatch.setattr(health, "_seen", {})
    assert client.get("/health/ready").status_code == 200

    proxy.delay = 1.3 * LATE
    began = time.monotonic()
    assert client.get("/health/ready").status_code == 200
    assert time.monotonic() - began > health.PING_SECONDS, "or this shows nothing"

    health._seen.clear()
    response = client.get("/health/ready")
    assert (response.status_code, response.json()["checks"]["restore"]) == (503, "unknown")
