"""Reads that fail for a moment are repeated; others aren't."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from pymongo.errors import AutoReconnect, OperationFailure, ServerSelectionTimeoutError
from pymongo.synchronous.collection import Collection

from tests.conftest import Api, as_
from tests.media.conftest import upload

Fail = Callable[..., None]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Let the next so many queries fail, past the driver's own retries."""
    aggregate = Collection.aggregate
    errors: list[Exception] = []

    def failing(*args: Any, **kwargs: Any) -> Any:
        if errors:
            raise errors.pop()
        return aggregate(*args, **kwargs)

    monkeypatch.setattr(Collection, "aggregate", failing)

    def fail(times: int, error: Exception) -> None:
        errors[:] = [error] * times

    fail.left = errors  # type: ignore[attr-defined]
    return fail


MOMENTARY = [
    AutoReconnect("connection closed"),
    OperationFailure("not primary", 10107, {"errorLabels": ["TransientTransactionError"]}),
]


@pytest.mark.parametrize("path", ["", "versions/", "timeline/changes/", "audit/"])
@pytest.mark.parametrize("error", MOMENTARY, ids=["cut", "not primary"])
def test_a_read_that_fails_twice_is_answered(
    api: Api, fail: Fail, path: str, error: Exception
) -> None:
    address = f"/projects/{api.create()['id']}/{path}"
    fail(2, error)
    assert api("GET", address).status_code == 200
    assert fail.left == []  # type: ignore[attr-defined]


def test_so_is_a_question_for_the_head_alone(api: Api, fail: Fail) -> None:
    address = f"/projects/{api.create()['id']}/versions/"
    fail(2, MOMENTARY[0])
    assert api("HEAD", address).status_code == 200


def test_so_is_the_project_that_a_video_is_for(api: Api, fail: Fail) -> None:
    project = api.create()["id"]
    fail(2, MOMENTARY[0])
    assert upload(api, project).status_code == 201
    assert fail.left == []  # type: ignore[attr-defined]


@pytest.mark.usefixtures("accounts")
def test_who_asks_is_looked_for_again_too(alice: User, fail: Fail) -> None:
    client = as_(alice)
    fail(2, MOMENTARY[0])
    assert client("POST", "/projects/", {"name": "Film"}).status_code == 201
    assert fail.left == []  # type: ignore[attr-defined]


def test_a_read_that_keeps_failing_is_a_503(api: Api, fail: Fail) -> None:
    path = f"/projects/{api.create()['id']}/versions/"
    fail(3, AutoReconnect("connection closed"))
    response = api("GET", path)
    assert (response.status_code, response.json()["code"]) == (503, "database-unavailable")
    assert fail.left == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AutoReconnect("private"), "database-unavailable"),
        (OperationFailure("private", 6), "database-unavailable"),
        (OperationFailure("private", 13, {"codeName": "Unauthorized"}), "database-refused"),
        (OperationFailure("private", 8000, {"codeName": "AtlasError"}), "database-refused"),
    ],
)
def test_what_the_database_refuses_is_not_told_as_out_of_reach(
    api: Api, fail: Fail, caplog: pytest.LogCaptureFixture, error: Exception, code: str
) -> None:
    path = f"/projects/{api.create()['id']}/versions/"
    fail(3, error)
    response = api("GET", path)
    told = response.json()
    assert (response.status_code, told["code"]) == (503, code)
    assert ("can't be reached" in told["detail"]) == (code == "database-unavailable")
    assert int(response["Retry-After"]) == (2 if code == "database-unavailable" else 30)
    [line] = [r.getMessage() for r in caplog.records if r.name == "snipix.errors"]
    number, name = getattr(error, "code", None), (getattr(error, "details", None) or {})
    assert f"code {number} {name.get('codeName', '')}" in line
    assert "private" not in caplog.text + response.content.decode()


@pytest.mark.parametrize(
    "error", [ServerSelectionTimeoutError("nobody"), OperationFailure("bad", 2)]
)
def test_what_is_no_matter_of_a_moment_isnt_repeated(
    api: Api, fail: Fail, error: Exception
) -> None:
    path = f"/projects/{api.create()['id']}/versions/"
    fail(3, error)
    assert api("GET", path).status_code == 503
    assert len(fail.left) == 2  # type: ignore[attr-defined]
