"""What the logs say, and what they never say."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from bson import ObjectId
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, DuplicateKeyError, OperationFailure

from projects.models import Project
from snipix import health, logs, redaction
from snipix.local.processes import ROOT
from tests.watched import web

Lines = Callable[[], list[dict[str, Any]]]

SECRETS = ("s3cr3t-in-header", "s3cr3t-in-cookie", "s3cr3t-in-query", "s3cr3t-in-body")


def _speaks(request: HttpRequest) -> HttpResponse:
    structlog.get_logger("snipix.tests").info("spoken")
    logging.getLogger("django.tests").info("spoken by a library")
    list(Project.objects.values_list("name"))
    return HttpResponse("x" * 10)


def _fails(request: HttpRequest) -> HttpResponse:
    raise RuntimeError(f"nobody foresaw {request.headers.get('Authorization')}")


def _asks_for_the_user(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.user))


urlpatterns = [
    path("speaks", _speaks, name="speaks"),
    path("fails", _fails, name="fails"),
    path("user", _asks_for_the_user, name="user"),
    path("health/live", health.live, name="health-live"),
]
handler500 = "snipix.errors.server_error"
handler404 = "snipix.errors.page_not_found"
here = pytest.mark.urls(__name__)


@pytest.fixture
def lines() -> Iterator[Lines]:
    """All log lines from debug up."""
    yield from _capture("json", lambda text: [json.loads(line) for line in text.splitlines()])


@pytest.fixture
def console() -> Iterator[Callable[[], str]]:
    yield from _capture("console", lambda text: text)


def _capture(line_format: str, read: Callable[[str], Any]) -> Iterator[Callable[[], Any]]:
    before = logging.getLogger().handlers[:]
    logging.config.dictConfig(logs.configuration("DEBUG", line_format))
    stream = io.StringIO()
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield lambda: read(stream.getvalue())
    logging.config.dictConfig(settings.LOGGING)
    logging.getLogger().handlers = before


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def clips() -> Iterator[Any]:
    """A collection whose operations are logged, all of them as slow."""
    listener = logs.OperationLog(slow_ms=0)
    uri = connection.settings_dict["HOST"]
    with MongoClient[dict[str, Any]](uri, event_listeners=[listener]) as mongo:
        collection = mongo[connection.settings_dict["NAME"]][f"clips_{ObjectId()}"]
        yield collection
        collection.drop()


def _requests(lines: Lines) -> list[dict[str, Any]]:
    return [line for line in lines() if line["event"] == "request"]


# --- Requests --------------------------------------------------------------------------------


@here
@pytest.mark.usefixtures("db")
def test_a_request_is_one_line_that_says_what_it_took(client: Client, lines: Lines) -> None:
    client.get("/speaks?name=private")

    [line] = _requests(lines)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert line.pop("duration_ms") >= line.pop("operations_ms") > 0
    assert len(line.pop("request_id")) == 32
    assert line == {
        "level": "info",
        "logger": "snipix.request",
        "event": "request",
        "method": "GET",
        "path": "/speaks",
        "route": "speaks",
        "status": 200,
        "bytes": 10,
        "operations": 1,
        "cache_hits": 0,
        "retries": 0,
        "user": None,
    }


@here
@pytest.mark.usefixtures("db")
def test_every_line_of_a_request_has_the_requests_id(client: Client, lines: Lines) -> None:
    response = client.get("/speaks", headers={"X-Request-ID": "tab-1.save_2"})

    assert response["X-Request-ID"] == "tab-1.save_2"
    spoken = [line for line in lines() if line["logger"].startswith(("snipix.", "django."))]
    assert {line["event"] for line in spoken} == {
        "spoken",
        "spoken by a library",
        "operation",
        "request",
    }
    assert {line["request_id"] for line in spoken} == {"tab-1.save_2"}


@here
def test_a_thread_forgets_the_request_that_it_served(client: Client, lines: Lines) -> None:
    client.get("/health/live")
    structlog.get_logger("snipix.tests").info("later")

    assert "request_id" not in lines()[-1]


@here
@pytest.mark.parametrize(
    "sent", ["", "a" * 65, "a b", "a\u00e9", "x;drop", "<script>", "a\\nlevel=error"]
)
def test_an_id_that_could_harm_is_replaced(client: Client, lines: Lines, sent: str) -> None:
    response = client.get("/health/live", headers={"X-Request-ID": sent})

    assert re.fullmatch("[0-9a-f]{32}", response["X-Request-ID"])
    assert _requests(lines)[0]["request_id"] == response["X-Request-ID"]


@here
def test_an_unforeseen_error_is_logged_once_and_answered_without_details(
    client: Client, lines: Lines
) -> None:
    response = client.get("/fails", headers={"Authorization": "Bearer s3cr3t-in-header"})

    assert response.status_code == 500
    assert response["X-Request-ID"] in response.content.decode()
    for detail in (b"nobody foresaw", b"RuntimeError", b"Traceback", b".py"):
        assert detail not in response.content
    [traced] = [line for line in lines() if "exception" in line]
    assert "in _fails" in traced["exception"]
    assert "RuntimeError: nobody foresaw Bearer [removed]" in traced["exception"]
    [line] = _requests(lines)
    assert (line["level"], line["status"]) == ("error", 500)


@here
def test_what_is_not_there_is_not_logged_twice(client: Client, lines: Lines) -> None:
    client.get("/nowhere")

    assert [line["event"] for line in lines()] == ["request"]
    assert lines()[0]["route"] == "unmatched"


@here
def test_an_odd_host_is_a_line_and_no_traceback(client: Client, lines: Lines) -> None:
    client.get("/nowhere", headers={"Host": "evil.example"})

    assert [line["level"] for line in lines()] == ["warning", "info"]
    assert not any("exception" in line for line in lines())


def test_a_connection_that_the_driver_lost_unused_is_a_line_and_no_traceback(lines: Lines) -> None:
    try:
        raise AutoReconnect("connection closed")
    except AutoReconnect:
        logging.getLogger("pymongo.client").exception("background task encountered an error")

    assert [line["level"] for line in lines()] == ["warning"]
    assert "exception" not in lines()[0]


@here
def test_probes_are_logged_at_debug_only(client: Client, lines: Lines) -> None:
    client.get("/health/live")

    assert [line["level"] for line in _requests(lines)] == ["debug"]


@here
@pytest.mark.usefixtures("db")
def test_the_middleware_leaves_the_user_to_the_view(client: Client, lines: Lines) -> None:
    alice = get_user_model().objects.create_user("alice", password="a-long-passphrase")
    client.force_login(alice)

    client.get("/health/live")
    client.get("/speaks")
    client.get("/user")

    live, speaks, user = _requests(lines)
    assert (live["operations"], live["user"]) == (0, None)
    assert (speaks["operations"], speaks["user"]) == (1, None)
    assert user["operations"] >= 2
    assert user["user"] == str(alice.pk)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "203.0.113.9", "10.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        (2, "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (2, "203.0.113.9", "10.0.0.1"),
        (1, "203.0.113.9:4711", "203.0.113.9"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "2001:DB8::1", "2001:db8::1"),
        (1, "not an address", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, None, "10.0.0.1"),
    ],
)
def test_only_our_own_proxies_are_believed_about_addresses(
    settings: Any, proxies: int, forwarded: str | None, expected: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    extra = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", **extra)

    assert logs.client_address(request) == expected


# --- Database operations ---------------------------------------------------------------------


def test_a_slow_operation_is_a_warning_with_the_commands_shape(clips: Any, lines: Lines) -> None:
    clips.find_one({"projectId": "private", "$or": [{"start": {"$gt": 5}}]}, sort=[("end", 1)])

    [line] = lines()
    assert (line["level"], line["event"]) == ("warning", "slow operation")
    assert (line["command"], line["collection"]) == ("find", clips.name)
    assert line["shape"] == {
        "filter": {"projectId": "?", "$or": [{"start": {"$gt": "?"}}]},
        "sort": {"end": "?"},
    }


def test_no_value_and_no_users_key_of_a_command_is_logged(clips: Any, lines: Lines) -> None:
    private = {"name": "private name", "metadata": {"private key": 1, "privatekey": 1}}
    clips.insert_many([private, {"name": "private too"}])
    clips.update_one({"metadata": {"privatekey": 1}}, {"$set": {"name": "private"}})
    clips.update_one({"name": {"$in": ["private"]}}, [{"$set": {"properties": "private"}}])
    clips.find_one_and_update({"private key": "private"}, {"$set": {"privatekey": "private"}})
    list(clips.aggregate([{"$match": {"name": "private"}}, {"$sort": {"name": 1}}]))
    list(clips.find({"$and": [{"name": {"$regex": "private"}}]}, batch_size=1))
    clips.delete_many({"name": "private"})

    assert len(lines()) >= 8
    assert "private" not in json.dumps(lines())


def test_a_refused_write_is_logged_by_its_code(clips: Any, lines: Lines) -> None:
    clips.insert_one({"_id": "private"})
    with pytest.raises(DuplicateKeyError):
        clips.insert_one({"_id": "private"})

    assert (lines()[-1]["ok"], lines()[-1]["code"]) == (False, 11000)
    assert "private" not in json.dumps(lines())


def test_a_failed_operation_is_a_warning_without_the_servers_message(
    clips: Any, lines: Lines
) -> None:
    with pytest.raises(OperationFailure, match="private"):
        clips.find_one({"name": {"$private": 1}})

    [line] = lines()
    assert (line["level"], line["event"]) == ("warning", "operation failed")
    assert line["code"] == 2
    assert "private" not in json.dumps(lines())


def test_a_drivers_message_is_left_out_of_tracebacks(clips: Any, lines: Lines) -> None:
    document = {"_id": "private"}
    clips.insert_one(document)
    try:
        clips.insert_one(document)
    except DuplicateKeyError:
        structlog.get_logger("snipix.tests").exception("not saved")

    assert "pymongo.errors.DuplicateKeyError: code 11000" in lines()[-1]["exception"]
    assert "private" not in json.dumps(lines())


def test_operations_of_other_threads_are_not_counted(clips: Any) -> None:
    with logs.tallied() as mine:
        clips.find_one()
        other = threading.Thread(target=clips.find_one)
        other.start()
        other.join()

    assert mine.operations == 1
    assert mine.ms > 0


def test_a_finished_operation_does_not_keep_its_documents_alive() -> None:
    listener = logs.OperationLog(slow_ms=0)
    uri = connection.settings_dict["HOST"]
    with MongoClient[dict[str, Any]](uri, event_listeners=[listener]) as mongo:
        mongo.admin.command("ping")

    assert not listener._running.command


# --- Secrets ---------------------------------------------------------------------------------


def _tell_secrets(client: Client) -> None:
    client.cookies["sessionid"] = "s3cr3t-in-cookie"
    headers = {"Authorization": "Bearer s3cr3t-in-header"}
    body = {"name": "x", "password": "s3cr3t-in-body"}
    for address in ("/api/v1/projects/", "/admin/login/", "/nowhere/", "/api/v1/projects/x/"):
        client.get(f"{address}?token=s3cr3t-in-query", headers=headers)
        client.post(f"{address}?token=s3cr3t-in-query", body, headers=headers)
        client.post(address, json.dumps(body), content_type="application/json", headers=headers)


@pytest.mark.usefixtures("db")
def test_no_secret_of_a_request_reaches_the_logs(client: Client, lines: Lines) -> None:
    _tell_secrets(client)

    assert len(_requests(lines)) == 12
    for secret in SECRETS:
        assert secret not in json.dumps(lines())


@pytest.mark.usefixtures("db")
def test_no_secret_of_a_request_reaches_the_console(
    client: Client, console: Callable[[], str]
) -> None:
    _tell_secrets(client)

    assert console().count("[snipix.request]") == 12
    for secret in SECRETS:
        assert secret not in console()


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cr3t-word",
        "Authorization: Basic s3cr3tczNjcjN0LXdvcmQ=",
        "sent bearer s3cr3t-word",
        "/api/v1/projects/snx_s3cr3t-word/",
        "Cookie: csrftoken=s3cr3t; sessionid=s3cr3t",
        "{'password': 's3cr3t word', 'n': 1}",
        '{"password": "s3cr3t word", "n": 1}',
        "token=s3cr3t&x=1",
        "api_key: s3cr3t",
        "mongodb://alice:s3cr3t@host/db",
        "mongodb+srv://alice:p@s3cr3t@cluster0.mongodb.net/?w=majority",
        "rediss://:s3cr3t@host:6379/0",
        "Error handling request /api/v1/projects/?q=s3cr3t",
    ],
)
@pytest.mark.parametrize("place", ["event", "value", "nested", "exception", "library"])
def test_a_secret_is_removed_wherever_it_stands(lines: Lines, text: str, place: str) -> None:
    log = structlog.get_logger("snipix.tests")
    if place == "event":
        log.info(text)
    elif place == "value":
        log.info("said", text=text)
    elif place == "nested":
        log.info("said", facts={"texts": [{"text": text}]})
    elif place == "library":
        logging.getLogger("some.library").warning("said %s", text)
    else:
        try:
            raise ValueError(text)
        except ValueError:
            log.exception("failed")

    assert len(lines()) == 1
    assert "s3cr3t" not in json.dumps(lines())
    assert "[removed]" in json.dumps(lines())


@pytest.mark.parametrize(
    "name", ["password", "Authorization", "HTTP_COOKIE", "access_token", "SECRET_KEY", "api_key"]
)
def test_what_is_named_as_a_secret_is_removed(lines: Lines, name: str) -> None:
    structlog.get_logger("snipix.tests").info("said", **{name: "s3cr3t"}, facts={name: ["s3cr3t"]})

    assert lines()[0][name] == "[removed]"
    assert lines()[0]["facts"] == {name: "[removed]"}


def test_the_password_of_mongodb_never_reaches_the_logs(tmp_path: Path) -> None:
    host = connection.settings_dict["HOST"].partition("://")[2].partition("/")[0]
    uri = f"mongodb://snipix:s3cr3t%40word@{host}/?directConnection=true"
    with web(tmp_path, MONGODB_URI=uri, LOG_LEVEL="DEBUG", MONGODB_TIMEOUT="1") as running:
        status, _, body = running.get("/api/v1/projects/")
        ready, _, _ = running.get("/health/ready")

    assert (status, ready) == (503, 503)  # the server doesn't know this user
    assert "operation" in running.printed()
    for text in ("s3cr3t", "word@"):
        assert text not in running.printed()
        assert text not in body.decode()


@pytest.mark.parametrize("command", [("migrate",), ("check", "--database", "default")])
def test_the_password_of_mongodb_is_not_printed_by_commands(command: tuple[str, ...]) -> None:
    printed = _manage(*command, MONGODB_URI="mongodb://snipix:s3cr3t@word@127.0.0.1:1/?w=1")

    assert "snipix.E004" in printed
    assert "s3cr3t" not in printed


def _manage(*command: str, **env: str) -> str:
    child = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    return child.stdout + child.stderr


# --- Form ------------------------------------------------------------------------------------


def test_a_request_cannot_write_lines_of_its_own(
    client: Client, console: Callable[[], str]
) -> None:
    client.get("/nowhere%0A2026-01-01T00:00:00.000Z [error] forged")
    client.get("/nowhere%1B[2J")
    logging.getLogger("some.library").warning("said %s", "this\nand \x1b[2J that\u0085\r")

    assert len(console().splitlines()) == 3
    assert "\x1b[2J" not in console()


def test_texts_are_cut_and_take_no_time(lines: Lines) -> None:
    began = time.thread_time()  # of the processor: what else a busy machine does doesn't count
    for text in ("/" * 20_000, "://" * 20_000, "token" * 20_000, "?" * 20_000):
        structlog.get_logger("snipix.tests").info("said", text=text)

    assert time.thread_time() - began < 0.5
    assert max(len(line["text"]) for line in lines()) <= 2 * redaction.LONGEST_TEXT


def test_libraries_do_not_print_commands_at_debug(lines: Lines) -> None:
    logging.getLogger().setLevel(logging.DEBUG)  # ours is INFO at least
    with MongoClient[dict[str, Any]](connection.settings_dict["HOST"]) as mongo:
        mongo.admin.command("ping", comment="private")

    assert not lines()
