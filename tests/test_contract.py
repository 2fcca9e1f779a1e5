"""What holds for every route of the API. Routes are found by themselves: none can be forgotten."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import User
from django.urls import URLPattern, URLResolver, get_resolver

from tests.conftest import Api, as_
from tests.media.given import give_video
from tests.once import Once

pytestmark = pytest.mark.usefixtures("accounts")

METHODS = ("get", "post", "put", "patch", "delete")
BODIES: dict[str, Any] = {
    "project-list": {"name": "Film"},
    "project-detail": {"name": "Film"},
    "project-collaborators": {"collaborators": []},
    "project-hand-over": {"user_id": "0" * 24},
    "project-rollback": {"version": 1},
    "timeline": {"zoom": 2},
    "timeline-draft": {"base_etag": "x", "state": {"zoom": 2}},
    "timeline-rollback": {"version": 1},
    "timeline-version-name": {"name": "Rough cut"},
    "project-version-name": {"name": "First"},
    "transcription": {"language": "pt"},
    "transcription-segments": {"segments": [{"id": "s2", "start_time": 4, "end_time": 5}]},
    "transcription-segment": {"edited_text": "hello"},
    "transcription-split": {"at": 1.0},
    "transcription-merge": {"ids": ["s1", "s2"]},
    "transcription-assign": {"ids": ["s1"], "speaker_id": "a"},
    "transcription-speaker": {"name": "Alice"},
    "transcription-rollback": {"version": 1},
    "transcription-version-name": {"name": "As it was heard"},
}
"""A body that each route that takes one accepts."""
QUERIES = {"transcription-search": "?q=hello"}
"""What a route can't do without in its query string."""
PARAMETERS = {
    "project_id": (r"[A-Za-z0-9_-]{1,64}", None),
    "version": (r"\d{1,18}", "1"),
    "segment_id": (r"[^/]+", "s1"),
    "speaker_id": (r"[^/]+", "a"),
}
"""What parameters of an address look like, and what stands for them here."""
OTHER_TYPES = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
)
ODD_BODIES = (
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff", b"[" * 9000, b'{"a": NaN}', b"{}",
    b'{"version": 9223372036854775808}', b'{"name": "\\ud800"}', b'{"user_id": ["x"]}',
    b'{"collaborators": {"a": 1}}', b'{"collaborators": [1]}', b'{"layers": {}}',
)  # fmt: skip
EDITS = {"edits": [{"op": "set_view", "zoom": 2}]}
EDITS_TYPE = "application/vnd.snipix.edits+json"
FOR_STAFF = {"audit", "project-purge"}


class Route(NamedTuple):
    name: str
    path: str
    methods: tuple[str, ...]

    @property
    def is_of_a_project(self) -> bool:
        return "{project_id}" in self.path

    def address(self, project_id: str) -> str:
        stands = {name: value for name, (_, value) in PARAMETERS.items() if value}
        return self.path.format(project_id=project_id, **stands) + QUERIES.get(self.name, "")


def found(patterns: Any, prefix: str = "") -> Iterator[Route]:
    """Every route under /api/v1, from the resolver that answers requests."""
    for pattern in patterns:
        path = prefix + _readable(pattern)
        if isinstance(pattern, URLResolver):
            yield from found(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and path.startswith("api/v1/"):
            assert "(?P" not in path, f"{path}: say below what stands for this parameter"
            actions = getattr(pattern.callback, "actions", {})
            yield Route(str(pattern.name), path.removeprefix("api/v1"), tuple(actions))


def _readable(pattern: Any) -> str:
    route = str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix("/?")
    for name, (regex, _) in PARAMETERS.items():
        route = route.replace(f"(?P<{name}>{regex})", f"{{{name}}}")
    return route.removesuffix("/") + "/" if route else ""


ROUTES = list(found(get_resolver().url_patterns))
OF_PROJECTS = [route for route in ROUTES if route.is_of_a_project]


def named(route: Route) -> str:
    return route.name


def send(api: Api, method: str, route: Route, project_id: str, **extra: Any) -> Any:
    body = extra.pop("body", BODIES.get(route.name))
    if (method, route.name) == ("patch", "timeline"):
        body = {**EDITS, **({"colour": 1} if body and "colour" in body else {})}
        extra.setdefault("content-type", EDITS_TYPE)
    headers = {"if_match": '"1.0000000000000000.1.0"', "x_client_id": "tab", **extra}
    if route.name == "transcription-import":
        headers = {"content-type": "text/vtt", "raw": b"WEBVTT\n", **headers}
    if method in ("get", "delete"):
        body = None
    return api(method.upper(), route.address(project_id), body, **headers)


_film = Once[str]()


@pytest.fixture
def film(db: None, settings: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project of alice's with a saved timeline, a transcription and a video."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    kept = tmp_path_factory.getbasetemp() / "contract"
    return _film.put(make_film, tmp_path / "media", kept)


@pytest.fixture
def alice(film: str) -> User:
    """She owns it."""
    return User.objects.get(username="alice")


def make_film() -> str:
    api = as_(User.objects.create_user("alice"))
    project_id = api.create("Film")["id"]
    path = f"/projects/{project_id}/timeline/"
    api("PUT", path, {"zoom": 3}, if_match=api.etag(path))
    draft = {"base_etag": api.etag(path), "state": {"zoom": 4}}
    api("PUT", f"{path}draft/", draft, x_client_id="tab")
    said = {"id": "s1", "start_time": 0, "end_time": 2, "text": "hello there", "speaker_id": "a"}
    api("POST", f"/projects/{project_id}/transcription/", {"segments": [said]})
    give_video(project_id)
    return project_id


def test_the_routes_are_found() -> None:
    assert {route.name for route in ROUTES} >= {"project-list", "project-detail", "timeline"}
    assert len(ROUTES) >= 15


@pytest.mark.parametrize("route", OF_PROJECTS, ids=named)
def test_a_strangers_document_doesnt_exist(route: Route, film: str, charlie: User) -> None:
    for method in route.methods:
        response = send(as_(charlie), method, route, film)
        expected = 403 if route.name in FOR_STAFF else 404
        assert response.status_code in (expected, 400 if "hand-over" in route.name else expected)
        unknown = send(as_(charlie), method, route, "0" * 24)
        assert unknown.status_code == response.status_code


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_nobody_gets_in_without_a_token(route: Route, film: str) -> None:
    for method in route.methods:
        response = send(Api(), method, route, film)
        assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
        assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("route", OF_PROJECTS, ids=named)
def test_an_id_that_is_none_is_a_404(route: Route, alice: User) -> None:
    api = as_(alice)
    allowed = {404, 403} if route.name in FOR_STAFF else {404}
    allowed |= {400} if "hand-over" in route.name else set()
    for id in ("no-id", "0", "%00", "ä", "a" * 65, "..", "a%2Fb"):
        for method in route.methods:
            assert send(api, method, route, id).status_code in allowed, (id, method)


@pytest.mark.parametrize("route", [r for r in ROUTES if r.name in BODIES], ids=named)
def test_an_unknown_field_is_refused_by_name(route: Route, film: str, alice: User) -> None:
    api = as_(alice)
    for method in set(route.methods) & {"post", "put", "patch"}:
        document = route.name.partition("-")[0].removeprefix("project")
        etag = api.etag(f"/projects/{film}/{document}")
        body = {**BODIES[route.name], "colour": 1}
        response = send(api, method, route, film, body=body, if_match=etag)
        assert response.status_code == 400, response.content
        paths = [error["path"] for error in response.json()["errors"]]
        assert "colour" in paths


@pytest.mark.parametrize("route", [r for r in ROUTES if r.name in BODIES], ids=named)
def test_another_content_type_is_refused(route: Route, film: str, alice: User) -> None:
    api = as_(alice)
    for content_type in OTHER_TYPES:
        for method in set(route.methods) & {"post", "put", "patch"}:
            response = send(api, method, route, film, **{"content-type": content_type})
            assert response.status_code == 415, response.content


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_method_that_isnt_offered_is_refused(route: Route, film: str, alice: User) -> None:
    for method in set(METHODS) - set(route.methods):
        response = send(as_(alice), method, route, film)
        assert response.status_code == 405
        assert "Allow" in response


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_no_body_does_harm(route: Route, film: str, alice: User) -> None:
    api = as_(alice)
    for raw in ODD_BODIES:
        for method in set(route.methods) & {"post", "put", "patch"}:
            response = api(method.upper(), route.address(film), raw=raw, if_match="x")
            assert response.status_code < 500, raw
            if response.status_code >= 400:
                assert response["Content-Type"] == "application/problem+json"
                assert json.loads(response.content)["detail"]


def _without_slash(address: str) -> str:
    path, mark, query = address.partition("?")
    return path.removesuffix("/") + mark + query


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_route_answers_with_and_without_a_slash(route: Route, film: str, alice: User) -> None:
    if "get" in route.methods:
        address = route.address(film)
        api = as_(alice)
        answers = [
            api("GET", path, x_client_id="tab") for path in (address, _without_slash(address))
        ]
        assert answers[0].status_code == answers[1].status_code
        assert answers[0].status_code == (403 if route.name in FOR_STAFF else 200)
        if answers[0].status_code == 200:
            assert answers[0].getvalue() == answers[1].getvalue()
