"""What tests share: an empty database, people, and a client that speaks as one of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.authentication import SessionAuthentication

from snipix import (
    cache,
    indexes,
    queries,  # noqa: F401 - listens to commands from the first connection on
)
from snipix.accounts import Token, TokenAuthentication
from snipix.api import DocumentViewSet
from snipix.cache import stats
from snipix.demo.stage import Stage
from snipix.memory import contents
from snipix.mongo import connection

SHARED_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
KEPT = {"django_migrations", "django_content_type", "auth_permission"}
LONGEST = (
    "faults/test_faults.py", "test_contract.py", "test_interrupted.py", "test_local.py",
    "test_concurrency.py", "faults/test_fresh.py", "doctor/", "backups/", "faults/",
    "media/test_streaming.py", "test_health.py", "older/test_parallel.py",
)  # fmt: skip
"""Files and folders of tests that take long. What begins last should be short, or one of several
processes is still busy with it when the others have nothing to do."""

# How long an example takes is the machine's business.
hypothesis.settings.register_profile(
    "snipix", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("snipix")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; otherwise in the order of the files."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    name = item.path.relative_to(Path(__file__).parent).as_posix()
    return next((n for n, start in enumerate(LONGEST) if name.startswith(start)), len(LONGEST))


def empty_database() -> None:
    """Delete all documents but those that migrations make."""
    for name in set(connection.database.list_collection_names()) - KEPT:
        connection.database[name].delete_many({})


def unguard(collection: str) -> None:
    """Have MongoDB check nothing, as in most tests: they do by hand what it would refuse."""
    connection.database.command("collMod", collection, validator={}, validationLevel="off")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Besides what migrations make: the declared indexes, which are part of what is promised."""
    with django_db_blocker.unblock():
        list(indexes.ensure())


@pytest.fixture
def db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The database, empty again afterwards. (Transactions can't be rolled back around a test.)"""
    with django_db_blocker.unblock():
        yield
        empty_database()
        # Nobody but a test changes documents behind the cache's back.
        if settings.REDIS_URL and cache.server.state == "ok":
            stats.clear()
        contents.clear()


@pytest.fixture
def inside(stage: Stage, django_db_blocker: Any) -> Iterator[None]:
    """This process's models, on what a test's web server stores."""
    with django_db_blocker.unblock(), stage.inside():
        yield


@pytest.fixture
def shared_data() -> Path:
    """Test data written by others; it isn't part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the shared test data aren't here ({SHARED_DATA.name})")
    return SHARED_DATA


class Api:
    """A client of the API that speaks JSON, as somebody or, without a token, anonymously."""

    def __init__(self, token: str = "") -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __call__(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> Any:
        """Send a request; `if_match="…"` and the like become headers."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        return self.client.generic(
            method,
            f"/api/v1{path}",
            data,
            content_type=names.pop("content-type", "application/json"),
            headers={**self.headers, **names},
        )

    def create(self, name: str = "Film", **fields: Any) -> dict[str, Any]:
        response = self("POST", "/projects/", {"name": name, **fields})
        assert response.status_code == 201, response.content
        return response.json()

    def etag(self, path: str) -> str:
        return self("GET", path)["ETag"]


@pytest.fixture
def api(db: None) -> Api:
    """The API in anonymous mode."""
    return Api()


@pytest.fixture
def alice(db: None) -> User:
    """She owns."""
    return User.objects.create_user("alice")


@pytest.fixture
def charlie(db: None) -> User:
    """A stranger."""
    return User.objects.create_user("charlie")


@pytest.fixture
def bob(db: None) -> User:
    """What alice owns may be shared with him."""
    return User.objects.create_user("bob")


@pytest.fixture
def accounts(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts mode. (Views are bound to the setting while they are imported.)"""
    mode = [TokenAuthentication, SessionAuthentication]
    monkeypatch.setattr(DocumentViewSet, "authentication_classes", mode)


def as_(user: User) -> Api:
    """The API as somebody sees it."""
    return Api(Token.issue(user))


@pytest.fixture
def root(db: None) -> User:
    """She may do everything on the admin site."""
    return User.objects.create_superuser("root")


@pytest.fixture
def site(root: User) -> Client:
    """The admin site, as root sees it."""
    return entered(root)


def entered(user: User) -> Client:
    """A browser in which somebody has logged in."""
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client
