"""What is repeated is counted, in the request's line and at /metrics."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pymongo.client_session import ClientSession
from pymongo.errors import AutoReconnect, OperationFailure

from snipix import errors, logs, resilience
from tests.conftest import Api

TEXT = "E11000 a driver's text"
UNDONE = OperationFailure(TEXT, 251, {"errorLabels": ["TransientTransactionError"]})
REPEATABLE = [
    ("conflict", resilience.WriteConflict(TEXT)),
    ("undone", UNDONE),
    ("failure", AutoReconnect(TEXT)),
]


@pytest.fixture
def request_line(caplog: pytest.LogCaptureFixture) -> Callable[[], dict[str, Any]]:
    """The last request's."""
    caplog.set_level(logging.INFO, "snipix.request")
    return lambda: [r.msg for r in caplog.records if r.name == "snipix.request"][-1]


def failing(*failures: Exception) -> Callable[[], str]:
    """Work that fails so often, and then doesn't."""
    left = list(failures)

    def work() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


def changed(*failures: Exception) -> str:
    return resilience.transaction(failing(*failures), is_committed=lambda _: False)


def repeated(reason: str) -> float:
    name = "snipix_transaction_retries_total"
    return REGISTRY.get_sample_value(name, {"reason": reason}) or 0


def test_a_requests_line_counts_what_came_from_the_cache(
    api: Api, request_line: Callable[[], dict[str, Any]]
) -> None:
    path = f"/projects/{api.create()['id']}/"
    api("GET", path)
    line = request_line()
    assert (line["operations"] > 0, line["cache_hits"]) == (True, 0)
    api("GET", path)
    line = request_line()
    assert (line["operations"], line["cache_hits"]) == (0, 2)  # what is current, and its body


def test_a_requests_line_counts_repeated_reads(
    api: Api, request_line: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/projects/{api.create()['id']}/versions/"
    read, once = resilience.read, failing(AutoReconnect(TEXT), AutoReconnect(TEXT))
    monkeypatch.setattr(resilience, "read", lambda work: read(lambda: once() and work()))
    assert api("GET", path).status_code == 200
    assert request_line()["retries"] == 2


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(("reason", "failure"), REPEATABLE)
def test_repeated_attempts_of_a_change_are_counted(reason: str, failure: Exception) -> None:
    before = repeated(reason)
    with logs.tallied() as tally:
        assert changed(failure, failure) == "done"
    assert (tally.retries, repeated(reason) - before) == (2, 2)


@pytest.mark.usefixtures("db")
def test_an_attempt_that_is_given_up_is_not_counted_as_repeated() -> None:
    before = repeated("failure")
    with logs.tallied() as tally, pytest.raises(errors.DatabaseUnavailable):
        changed(*[AutoReconnect(TEXT)] * 3)
    assert (tally.retries, repeated("failure") - before) == (2, 2)


@pytest.mark.usefixtures("db")
def test_a_repeated_commit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    commit, fail = ClientSession.commit_transaction, failing(AutoReconnect(TEXT))
    monkeypatch.setattr(ClientSession, "commit_transaction", lambda self: fail() and commit(self))
    before = repeated("commit")
    with logs.tallied() as tally:
        assert changed() == "done"
    assert (tally.retries, repeated("commit") - before) == (1, 1)


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(("reason", "failure"), REPEATABLE)
def test_a_repeat_is_a_line_without_the_drivers_text(
    caplog: pytest.LogCaptureFixture, reason: str, failure: Exception
) -> None:
    caplog.set_level(logging.DEBUG, "snipix.resilience")
    changed(failure, failure)
    first, second = caplog.records
    level = "DEBUG" if reason == "conflict" else "INFO"  # savers meet all the time
    assert {first.levelname, second.levelname} == {level}
    assert first.msg == {
        "event": "repeated",
        "what": "change",
        "reason": reason,
        "attempt": 1,
        "error": type(failure).__name__,
        "code": getattr(failure, "code", None),
    }
    assert second.msg["attempt"] == 2


def test_a_repeated_read_is_a_line_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "snipix.resilience")
    assert resilience.read(failing(OperationFailure(TEXT, 6))) == "done"
    [line] = (record.msg for record in caplog.records)
    assert (line["what"], line["reason"], line["attempt"], line["code"]) == (
        "read",
        "failure",
        1,
        6,
    )
    assert TEXT not in caplog.text
