"""Requests made up from the API's description, by the thousand: every answer is one it describes.

That is: its status, its content type and its body's form, and never a 5xx. `make fuzz` takes
longer: `SNIPIX_FUZZ_EXAMPLES` and `SNIPIX_FUZZ_SEED` choose how many requests it makes up of each
operation, besides those that try every limit that the description sets, and which.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode
from zlib import crc32

import pytest
import schemathesis
from django.contrib.auth.models import User
from hypothesis import assume
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig

from snipix.accounts import Token
from snipix.demo.client import Client
from snipix.demo.stage import Stage
from snipix.local.processes import ROOT
from tests import secrecy
from tests.media.films import film as video
from tests.secrecy import CONTENT, TRACEBACKS
from tests.stages import serving

EXAMPLES = 6
"""Requests for each operation, in the suite."""
LONG_EXAMPLES = int(os.environ.get("SNIPIX_FUZZ_EXAMPLES", "50"))
LONGEST_QUERY = 3_500
SEED = int(os.environ.get("SNIPIX_FUZZ_SEED", "1"))
DESCRIPTION = json.loads((ROOT / "docs" / "openapi.json").read_text())
THERE: dict[str, Any] = {"project_id": "film", "version": 1, "segment_id": "s1", "speaker_id": "a"}
"""What addresses name in most requests; otherwise it is made up, too."""
CLIP = {
    "id": "c1",
    "type": "video",
    "start_time": 0,
    "duration": 2.5,
    "properties": {CONTENT: CONTENT},
}
LAYER = {"id": "v1", "name": "Video", "type": "video", "clips": [CLIP]}
SEGMENT = {
    "id": "s1",
    "start_time": 0,
    "end_time": 2,
    "text": f"hello {CONTENT}",
    "speaker_id": "a",
}
TRANSCRIPTION = {"speakers": {"a": "Alice"}, "segments": [SEGMENT]}

load_all_checks()
WANTED = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "unsupported_method",
    ]
)


class Fuzzed:
    """A Snipix, somebody who asks it, and the film that most requests are about."""

    def __init__(self, port: int, film: str, headers: Mapping[str, str] | None = None) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        self.there = {**THERE, "project_id": film}
        self.path = f"/projects/{film}"
        self.operation = ""
        self.headers = dict(headers or {})
        self.client = Client(port)

    def keep(self) -> None:
        """Make the film, or bring back of it what the last requests took away."""
        if self.send("POST", "/restore/") == 404:
            self._make()
        if self.send("POST", "/transcription/restore/") == 404:
            assert self.send("POST", "/transcription/", b"{}") == 201
        body, etag = json.dumps(TRANSCRIPTION).encode(), self._etag("/transcription/")
        assert self.send("PUT", "/transcription/", body, if_match=etag) == 200

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> int:
        """The status that a request about the film is answered with."""
        address = self.path + path
        return self.client.send(method, address, body, **self.headers, **headers).status

    def ask(self, case: schemathesis.Case) -> None:
        """Send a request that was made up, mostly about what is there; judge its answer."""
        if self.operation != case.operation.label:
            self.operation = case.operation.label
            self.keep()
        # gunicorn refuses a longer request line by itself, whatever it asks for.
        assume(len(urlencode(case.query, doseq=True)) < LONGEST_QUERY)
        chance = crc32(repr((case.body, case.query, case.path_parameters)).encode())
        if chance % 4:
            case.path_parameters.update(
                {name: self.there[name] for name in case.path_parameters if name in self.there}
            )
        if chance % 3 and "If-Match" in case.headers:
            case.headers["If-Match"] = self._etag(case.path)
        case.call_and_validate(base_url=self.base_url, headers=self.headers, checks=WANTED)

    def _etag(self, path: str) -> str:
        """The tag that a change has to name: of the project, or of a part of it."""
        part = next((p for p in ("timeline", "transcription") if f"/{p}/" in path), "")
        reply = self.client.send("GET", f"{self.path}/{part}", **self.headers)
        return reply.headers.get("etag", '"1.0"')

    def _make(self) -> None:
        film = {"id": self.there["project_id"], "name": CONTENT, "description": CONTENT}
        body = json.dumps(film).encode()
        assert self.client.send("POST", "/projects/", body, **self.headers).status == 201
        timeline = json.dumps({"layers": [LAYER]}).encode()
        etag = self._etag("/timeline/")
        assert self.send("PUT", "/timeline/", timeline, if_match=etag) == 200
        self._upload()

    def _upload(self) -> None:
        body = b"--film\r\nContent-Disposition: form-data; name=file; filename=film.mp4\r\n\r\n"
        body += video() + b"\r\n--film--\r\n"
        kind = "multipart/form-data; boundary=film"
        assert self.send("POST", "/video/", body, content_type=kind) == 201


class Stranger(Fuzzed):
    """Somebody who isn't known."""

    def keep(self) -> None:
        """Somebody else's film isn't theirs to keep."""


@pytest.fixture(scope="module")
def anonymous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    with serving(tmp_path_factory.mktemp("fuzz"), **secrecy.LOUD) as stage:
        yield Fuzzed(stage.web.port, "film")
        assert_nothing_leaked(stage)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """With accounts."""
    with serving(tmp_path_factory.mktemp("fuzz"), SNIPIX_AUTH="accounts", **secrecy.LOUD) as stage:
        yield stage


@pytest.fixture(scope="module")
def alice(stage: Stage, django_db_blocker) -> Iterator[Fuzzed]:
    """Anybody who has an account."""
    with django_db_blocker.unblock(), stage.inside():
        token = Token.issue(User.objects.create_user("alice"))
    yield Fuzzed(stage.web.port, "film", {"authorization": f"Bearer {token}"})
    assert_nothing_leaked(stage, token)


@pytest.fixture(scope="module")
def root(stage: Stage, django_db_blocker) -> Iterator[Fuzzed]:
    """An administrator."""
    with django_db_blocker.unblock(), stage.inside():
        token = Token.issue(User.objects.create_user("root", is_staff=True))
    yield Fuzzed(stage.web.port, "film-of-root", {"authorization": f"Bearer {token}"})
    assert_nothing_leaked(stage, token)


@pytest.fixture(scope="module")
def stranger(stage: Stage, alice: Fuzzed) -> Stranger:
    """Somebody without a token, where one is needed."""
    return Stranger(stage.web.port, "film")


def assert_nothing_leaked(stage: Stage, *tokens: str) -> None:
    """In all that the server has printed."""
    lines = stage.web.log.read_text(errors="replace").splitlines()
    assert any('"event": "request"' in line for line in lines), "nothing would be shown"
    kept = (stage.env["SECRET_KEY"], *tokens, CONTENT, *TRACEBACKS)
    assert not secrecy.leaks(lines, kept)


def described(examples: int, *, every_limit: bool = False) -> Any:
    """The API's description, as that of so many requests for each operation."""
    phases = {"coverage": {"enabled": every_limit}, "stateful": {"enabled": False}}
    config = {"phases": phases, "generation": {"max-examples": examples, "deterministic": True}}
    return schemathesis.openapi.from_dict(
        DESCRIPTION, config=SchemathesisConfig.from_dict({**config, "seed": SEED})
    )


short, few, long = described(EXAMPLES), described(2), described(LONG_EXAMPLES, every_limit=True)


@short.parametrize()
def test_anonymous(case: schemathesis.Case, anonymous: Fuzzed) -> None:
    anonymous.ask(case)


@short.parametrize()
def test_with_a_token(case: schemathesis.Case, alice: Fuzzed) -> None:
    alice.ask(case)


@few.parametrize()
def test_as_an_administrator(case: schemathesis.Case, root: Fuzzed) -> None:
    root.ask(case)


@few.parametrize()
def test_without_a_token(case: schemathesis.Case, stranger: Stranger) -> None:
    stranger.ask(case)


@pytest.mark.long
@long.parametrize()
def test_anonymous_for_long(case: schemathesis.Case, anonymous: Fuzzed) -> None:
    anonymous.ask(case)


@pytest.mark.long
@long.parametrize()
def test_with_a_token_for_long(case: schemathesis.Case, alice: Fuzzed) -> None:
    alice.ask(case)


@pytest.mark.long
@long.parametrize()
def test_as_an_administrator_for_long(case: schemathesis.Case, root: Fuzzed) -> None:
    root.ask(case)
