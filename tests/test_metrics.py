"""What Prometheus reads."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from django.db import connection
from django.test import Client
from prometheus_client import REGISTRY
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure, WaitQueueTimeoutError

from snipix import metrics
from snipix.local.processes import ROOT, wait_until
from tests.conftest import Api
from tests.watched import WatchedWeb, web

TOKEN = "a-token-for-prometheus"


def _answered(**labels: str) -> float:
    return REGISTRY.get_sample_value("snipix_request_seconds_count", labels) or 0


def _operations(command: str, outcome: str) -> float:
    labels = {"command": command, "outcome": outcome}
    return REGISTRY.get_sample_value("snipix_operation_seconds_count", labels) or 0


def _errors() -> Counter[str]:
    """How often each problem was answered."""
    samples = _samples(metrics.collected().decode())
    return Counter(
        {key[1]: int(n) for key, n in samples.items() if key[0] == "snipix_errors_total"}
    )


def _samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _lived(running: WatchedWeb) -> float:
    """How often all workers together have answered that they live."""
    status, _, body = running.get("/metrics")
    assert status == 200
    name = ("snipix_request_seconds_count", "GET", "health-live", "2xx")
    return _samples(body.decode()).get(name, 0)


def _workers(running: WatchedWeb, number: int) -> list[str]:
    """The pids of the workers that have started so far, once there are so many."""
    find = re.compile(r'"database reached".*?"pid": (\d+)').findall
    assert wait_until(lambda: len(find(running.printed())) == number, seconds=60)
    return find(running.printed())


@pytest.fixture
def clips() -> Iterator[Any]:
    uri = connection.settings_dict["HOST"]
    with MongoClient[dict[str, Any]](uri, event_listeners=[metrics.OperationMetrics()]) as mongo:
        collection = mongo[connection.settings_dict["NAME"]][f"clips_{ObjectId()}"]
        yield collection
        collection.drop()


def test_requests_are_counted_by_route_and_not_by_path(client: Client) -> None:
    labels = {"method": "GET", "route": "unmatched", "status": "4xx"}
    before = _answered(**labels)

    client.get("/nowhere/one")
    client.get("/nowhere/two")

    assert _answered(**labels) == before + 2
    assert "/nowhere" not in client.get("/metrics").content.decode()


def test_a_method_that_nobody_knows_makes_no_series_of_its_own(client: Client) -> None:
    labels = {"method": "other", "route": "health-live", "status": "4xx"}
    before = _answered(**labels)

    client.generic("BREW", "/health/live")
    client.generic("WHEN", "/health/live")

    assert _answered(**labels) == before + 2


def test_operations_are_counted_by_how_they_ended(clips: Any) -> None:
    outcomes = [("insert", "ok"), ("insert", "refused"), ("find", "failed"), ("find", "ok")]
    before = [_operations(*outcome) for outcome in outcomes]

    clips.insert_one({"_id": 1})
    with pytest.raises(DuplicateKeyError):
        clips.insert_one({"_id": 1})
    with pytest.raises(OperationFailure):
        clips.find_one({"a": {"$unknown": 1}})
    clips.find_one({"a": 1})

    after = [_operations(*outcome) for outcome in outcomes]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1, 1]


def test_connections_are_counted_and_how_many_of_them_are_used() -> None:
    pool, seen = metrics.PoolMetrics(), []

    class Watch(metrics.OperationMetrics):
        def started(self, event: Any) -> None:
            seen.append((pool.open, pool.used))

    uri = connection.settings_dict["HOST"]
    with MongoClient[dict[str, Any]](uri, event_listeners=[pool, Watch()]) as mongo:
        mongo.admin.command("ping")
        assert (pool.open, pool.used) == (1, 0)

    assert seen[0] == (1, 1)
    assert pool.open == 0


def test_a_pool_that_is_used_up_is_counted() -> None:
    pool = metrics.PoolMetrics()
    failures = {"reason": "timeout"}
    before = REGISTRY.get_sample_value("snipix_pool_failures_total", failures) or 0

    uri = connection.settings_dict["HOST"]
    options: dict[str, Any] = {"maxPoolSize": 1, "waitQueueTimeoutMS": 100}
    with MongoClient[dict[str, Any]](uri, event_listeners=[pool], **options) as mongo:
        mongo.admin.command("ping")
        [server] = mongo._topology._servers.values()
        with server.pool.checkout(), pytest.raises(WaitQueueTimeoutError):
            mongo.admin.command("ping")

    after = REGISTRY.get_sample_value("snipix_pool_failures_total", failures)
    assert after == before + 1


def test_savers_that_meet_count_as_conflicts(clips: Any) -> None:
    clips.insert_one({"_id": 1})
    before = _operations("update", "conflict")

    mongo = clips.database.client
    with mongo.start_session() as alice, mongo.start_session() as bob:
        alice.start_transaction()
        bob.start_transaction()
        clips.update_one({"_id": 1}, {"$set": {"by": "alice"}}, session=alice)
        with pytest.raises(OperationFailure):
            clips.update_one({"_id": 1}, {"$set": {"by": "bob"}}, session=bob)

    assert _operations("update", "conflict") == before + 1


def test_metrics_are_open_without_a_token(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = ""

    response = client.get("/metrics/")

    assert response.status_code == 200
    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"bearer {TOKEN[:-1]}", 401),
        (TOKEN, 401),
        ("Bearer \u00e9", 401),
    ],
)
def test_metrics_ask_for_their_token(
    client: Client, settings: Any, sent: str | None, status: int
) -> None:
    settings.METRICS_TOKEN = TOKEN

    response = client.get("/metrics", headers={} if sent is None else {"Authorization": sent})

    assert response.status_code == status
    assert (b"snipix_" in response.content) == (status == 200)


def test_metrics_are_read_and_nothing_else(client: Client) -> None:
    assert client.post("/metrics").status_code == 405


def test_all_workers_count_together_also_when_one_was_killed(tmp_path: Path) -> None:
    with web(tmp_path, workers=2) as running:
        before = _lived(running)
        for _ in range(40):
            running.get("/health/live")
        assert _lived(running) == before + 40

        workers = _workers(running, 2)
        os.kill(int(workers[0]), signal.SIGKILL)
        assert workers[1] in _workers(running, 3)
        for _ in range(10):
            running.get("/health/live")
        assert _lived(running) == before + 50


def test_errors_are_counted_by_their_code_wherever_they_are_answered(api: Api) -> None:
    path = f"/projects/{api.create()['id']}/"
    before = _errors()

    api("GET", "/projects/nowhere/")
    api("GET", "/nowhere/")
    api("PATCH", path, {"name": "x"})
    api("POST", "/projects/", {"name": 1})
    api("PATCH", path, {"name": "x"}, if_match='"7.x"')
    api("PATCH", path, {"name": "x"}, if_match="*", origin="https://evil.example")
    api.client.get("/projects/nowhere")  # the older paths
    api("BREW", path)

    assert _errors() - before == {
        "not-found": 3,
        "precondition-required": 1,
        "invalid-input": 1,
        "version-mismatch": 1,
        "foreign-origin": 1,
        "method-not-allowed": 1,
    }


def test_errors_of_all_workers_are_counted_together(tmp_path: Path) -> None:
    with web(tmp_path, workers=2) as running:
        for _ in range(20):
            assert running.get("/nowhere")[0] == 404
        samples = _samples(running.get("/metrics")[2].decode())

    assert samples["snipix_errors_total", "not-found"] == 20


def test_counters_are_removed_with_the_server_also_after_it_was_killed(tmp_path: Path) -> None:
    parent = tmp_path / "counters"
    with web(tmp_path, PROMETHEUS_MULTIPROC_DIR=str(parent)) as running:
        [killed] = parent.iterdir()
        running.kill()
        assert list(parent.iterdir()) == [killed]

        running.start()
        [folder] = parent.iterdir()
        assert folder != killed
        assert list(folder.iterdir())

    assert not list(parent.iterdir())


def test_an_empty_folder_variable_leaves_no_files_behind(tmp_path: Path) -> None:
    program = "from snipix import metrics; metrics.TRANSACTIONS.labels('committed').inc()"
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": "", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, check=True)

    assert not list(tmp_path.iterdir())


def test_a_worker_that_has_only_just_begun_its_file_fails_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(metrics, "_MULTIPROCESS", True)
    file = tmp_path / "counter_99.db"
    file.touch()

    def begin() -> None:
        MmapedDict(str(file)).close()

    timer = threading.Timer(0.03, begin)
    timer.start()
    assert metrics.collected() == b""
    timer.join()
