"""How many requests a client may send, and what it is told."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import http_sf
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory
from prometheus_client import REGISTRY

from snipix import limits, local, logs
from snipix.accounts import Token
from snipix.limits import Policy
from snipix.local.processes import ROOT
from tests.cache.test_counts import together
from tests.conftest import Api, as_
from tests.watched import web

_numbers = count(1)


@pytest.fixture
def address() -> str:
    """A client that no other test has been."""
    return f"203.0.113.{next(_numbers)}"


@pytest.fixture
def limit(settings: Any) -> Callable[..., None]:
    """Set limits; what isn't named is as by default."""

    def limit(**quotas: int) -> None:
        settings.LIMITS = {**settings.LIMITS, **quotas}

    return limit


@pytest.fixture
def film(api: Api, address: str) -> Api:
    """A project, and a client that isn't on this machine."""
    api.create(id="film")
    api.client.defaults["REMOTE_ADDR"] = address
    return api


def fields(response: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """Both fields as what they are: lists of strings with parameters (RFC 9651)."""
    found = {}
    for name in ("RateLimit-Policy", "RateLimit"):
        [(value, parameters)] = http_sf.parse(response[name].encode(), tltype="list")
        found[name] = (value, parameters)
    return found


def rename(api: Api, name: str = "New") -> Any:
    return api("PATCH", "/projects/film/", {"name": name}, if_match=api.etag("/projects/film/"))


# --- What a client is told -------------------------------------------------------------------


def test_answers_say_what_is_left(film: Api, limit: Any) -> None:
    limit(reads=6)
    first = film("GET", "/projects/film/")
    unmodified = film("GET", "/projects/film/", if_none_match=first["ETag"])
    missing = film("GET", "/projects/none/")

    assert [r.status_code for r in (first, unmodified, missing)] == [200, 304, 404]
    for left, response in zip((5, 4, 3), (first, unmodified, missing), strict=True):
        assert fields(response) == {
            "RateLimit-Policy": ("reads", {"q": 6, "w": 60}),
            "RateLimit": ("reads", {"r": left, "t": 10}),
        }


def test_one_too_many_is_a_429_that_says_when_to_try_again(film: Api, limit: Any) -> None:
    limit(changes=2)
    refused_before = REGISTRY.get_sample_value("snipix_refused_total", {"limit": "changes"}) or 0
    assert [rename(film, name).status_code for name in ("A", "B")] == [200, 200]

    response = rename(film, "C")

    problem = response.json()
    assert (response.status_code, problem["code"]) == (429, "rate-limited")
    assert response["Content-Type"] == "application/problem+json"
    assert problem["violated-policies"] == ["changes"]
    assert "2 changes in a minute" in problem["detail"]
    assert fields(response)["RateLimit"] == ("changes", {"r": 0, "t": 30})
    assert response["Retry-After"] == "30"
    assert film("GET", "/projects/film/").json()["name"] == "B"
    refused = REGISTRY.get_sample_value("snipix_refused_total", {"limit": "changes"})
    assert refused == refused_before + 1


def test_the_older_paths_say_it_in_their_envelope(film: Api, limit: Any) -> None:
    limit(reads=1)
    assert film.client.get("/projects/film").status_code == 200
    response = film.client.get("/projects/film")

    body = response.json()
    assert (response.status_code, body["success"]) == (429, False)
    assert body["details"]["error_type"] == "rate-limited"
    assert body["error"] == body["details"]["message"]
    assert int(response["Retry-After"]) == 60


def test_pages_of_other_origins_can_read_it(film: Api, limit: Any) -> None:
    limit(reads=1)
    origin = {"origin": "http://localhost:3000"}
    answers = [film("GET", "/projects/film/", **origin) for _ in range(2)]

    assert [response.status_code for response in answers] == [200, 429]
    for response in answers:
        exposed = response["Access-Control-Expose-Headers"]
        assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(exposed.split(", "))


def test_every_operation_documents_it() -> None:
    described = json.loads((ROOT / "docs" / "openapi.json").read_text())
    undocumented = {
        path
        for path, operations in described["paths"].items()
        for operation in operations.values()
        if isinstance(operation, dict) and "429" not in operation["responses"]
    }

    assert all(path.startswith(("/health", "/performance", "/test")) or path == "/" for path in
               undocumented)  # fmt: skip


# --- Who is counted, and for what ------------------------------------------------------------


def test_reads_changes_and_uploads_have_quotas_of_their_own(film: Api, limit: Any) -> None:
    limit(reads=3, changes=1, uploads=1)
    etag = film.etag("/projects/film/")

    def upload() -> int:
        return film("POST", "/projects/film/video/", {}).status_code

    def change() -> int:
        return film("PATCH", "/projects/film/", {"name": "x"}, if_match=etag).status_code

    assert [change(), change()] == [200, 429]
    assert [upload(), upload()] == [415, 429]  # a form is wanted there
    assert [film("GET", "/projects/film/").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("quota", [0, 1])
def test_zero_is_no_limit(film: Api, limit: Any, quota: int) -> None:
    limit(reads=quota)
    answers = [film("GET", "/projects/film/") for _ in range(3)]

    assert [r.status_code for r in answers] == ([200, 429, 429] if quota else [200] * 3)
    assert ("RateLimit" in answers[0]) == bool(quota)


@pytest.mark.parametrize(
    "path",
    ["/health", "/health/", "/health/live", "/health/ready", "/health/status", "/metrics", "/",
     "/static/admin/css/base.css"],
)  # fmt: skip
def test_what_machines_and_pages_need_is_not_counted(film: Api, limit: Any, path: str) -> None:
    limit(reads=1)
    answers = [film.client.get(path) for _ in range(3)]

    assert [response.status_code for response in answers] == [200] * 3
    assert "RateLimit" not in answers[0]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", ""])
def test_this_machine_itself_is_not_counted(film: Api, limit: Any, address: str) -> None:
    limit(reads=1)
    film.client.defaults["REMOTE_ADDR"] = address

    assert [film("GET", "/projects/film/").status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize(
    ("proxies", "forwarded", "statuses"),
    [
        (0, "{n}.2.3.4", [200, 429]),  # nothing in front of us writes that field
        (1, "{n}.2.3.4, 198.51.100.1", [200, 429]),  # only the last entry is our proxy's
        (2, "{n}.2.3.4, 198.51.100.2, 10.0.0.1", [200, 429]),
        (1, "198.51.{n}.7", [200, 200]),  # that is another client
        (1, "{n}.2.3.4, 127.0.0.1", [200, 200]),  # our proxy was asked by this machine
        (1, "127.0.0.1, 198.51.100.3", [200, 429]),
        (2, "127.0.0.1", [200, 429]),  # hasn't come through our proxies at all
    ],
)
def test_a_forged_address_helps_nobody(
    film: Api, limit: Any, settings: Any, proxies: int, forwarded: str, statuses: list[int]
) -> None:
    limit(reads=1)
    settings.TRUSTED_PROXIES = proxies

    found = [
        film("GET", "/projects/film/", x_forwarded_for=forwarded.format(n=n)).status_code
        for n in (1, 2)
    ]
    assert found == statuses


def test_one_customers_ipv6_addresses_are_one_client(film: Api, limit: Any) -> None:
    limit(reads=1)
    addresses = ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")

    def read(address: str) -> int:
        film.client.defaults["REMOTE_ADDR"] = address
        return film("GET", "/projects/film/").status_code

    assert [read(address) for address in addresses] == [200, 429, 200]


@pytest.mark.usefixtures("accounts")
def test_an_account_is_one_client_wherever_it_is(alice: User, bob: User, limit: Any) -> None:
    limit(changes=2)
    clients = {name: as_(user) for name, user in (("alice", alice), ("bob", bob))}

    def create(name: str, address: str) -> int:
        clients[name].client.defaults["REMOTE_ADDR"] = address
        return clients[name]("POST", "/projects/", {"name": "Film"}).status_code

    assert [create("alice", f"198.51.100.{n}") for n in range(3)] == [201, 201, 429]
    assert create("bob", "198.51.100.0") == 201


def test_a_minute_of_ten_tabs_at_once_is_allowed(address: str) -> None:
    """Each saves every other second, autosaves as often, and seeks through a video all the time."""
    sent = {"changes": 10 * (30 + 30), "reads": 10 * 60 * 5}
    for kind, number in sent.items():
        policy = Policy.of(kind)  # type: ignore[arg-type]
        allowed = sum(limits.limiter.take(policy, address).is_allowed for _ in range(number))
        assert allowed == number


# --- Guessing --------------------------------------------------------------------------------


@pytest.mark.usefixtures("accounts")
def test_who_guesses_tokens_is_stopped_before_the_database_is_asked(
    alice: User, address: str, limit: Any
) -> None:
    limit(guesses=3)
    known, new, guesser = as_(alice), as_(alice), Api("wrong")
    for api in (known, new, guesser):
        api.client.defaults["REMOTE_ADDR"] = address
    assert known("GET", "/projects/").status_code == 200

    assert [guesser("GET", "/projects/").status_code for _ in range(4)] == [401] * 3 + [429]
    with logs.tallied() as tally:
        response = guesser("GET", "/projects/")
    assert (response.status_code, response.json()["code"]) == (429, "rate-limited")
    assert int(response["Retry-After"]) == 20
    assert tally.operations == 0

    # Who is known goes on, from the same address too; a token that is yet to be looked for waits.
    assert known("GET", "/projects/").status_code == 200
    assert new("GET", "/projects/").status_code == 429
    new.client.defaults["REMOTE_ADDR"] = "198.51.100.200"
    assert new("GET", "/projects/").status_code == 200


@pytest.mark.usefixtures("accounts")
def test_right_tokens_are_no_guesses(alice: User, address: str, limit: Any) -> None:
    limit(guesses=2)
    for _ in range(5):
        api = as_(alice)
        api.client.defaults["REMOTE_ADDR"] = address
        assert api("GET", "/projects/").status_code == 200


@pytest.mark.usefixtures("accounts")
def test_a_token_that_has_expired_is_no_guess(alice: User, address: str, limit: Any) -> None:
    limit(guesses=2)
    expired = Api(Token.issue(alice, expires_at=alice.date_joined))
    expired.client.defaults["REMOTE_ADDR"] = address

    assert [expired("GET", "/projects/").status_code for _ in range(5)] == [401] * 5


@pytest.mark.usefixtures("db")
def test_who_guesses_passwords_is_stopped_as_well(address: str, limit: Any) -> None:
    User.objects.create_superuser("root", password="a-long-passphrase")
    limit(guesses=3)

    def login(password: str, address: str = address) -> int:
        api = Api()
        form = {"username": "root", "password": password}
        return api.client.post("/admin/login/", form, REMOTE_ADDR=address).status_code

    assert [login(f"wrong-{n}") for n in range(4)] == [200] * 3 + [429]
    assert login("a-long-passphrase") == 429
    assert login("a-long-passphrase", "198.51.100.201") == 302


def test_commands_that_check_passwords_are_nobodys_guesses(limit: Any) -> None:
    limit(guesses=1)

    assert [limits.guess(None, lambda: None) for _ in range(3)] == [None] * 3
    own = RequestFactory().get("/")
    assert [limits.guess(own, lambda: None) for _ in range(3)] == [None] * 3


# --- For real --------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Any]:
    if not local.Redis.is_installed():
        pytest.skip("there is no redis-server")
    with web(
        tmp_path,
        workers=2,
        TRUSTED_PROXIES="1",
        READS_PER_MINUTE="600",
        CHANGES_PER_MINUTE="20",
        MONGODB_DATABASE=connection.settings_dict["NAME"],
        REDIS_URL=os.environ["REDIS_URL"],
    ) as running:
        yield running


@pytest.mark.usefixtures("db")
def test_workers_share_one_count(served: Any, address: str) -> None:
    def read(_: int) -> bool:
        headers = {"X-Forwarded-For": f"1.2.3.4, {address}"}
        return served.get("/api/v1/projects/none/", headers)[0] == 404

    began = time.monotonic()
    allowed = together(read, threads=6, times=150)
    seconds = time.monotonic() - began

    came_back = 10 * seconds
    assert 600 - 2 * limits.AT_ONCE <= allowed <= 600 + came_back + 1, (allowed, seconds)
