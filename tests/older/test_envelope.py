"""What holds for every older path: who may, what is refused, and how that is said."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from snipix import queries
from snipix.demo.stage import pointed_at
from snipix.mongo import connection
from snipix.older.urls import urlpatterns
from tests.older.client import Older, refused
from tests.test_queries import check

OPEN = {"older-root", "older-test", "older-health", "older-health-readiness", "older-health-told",
        "older-performance", "older-performance-switch"}  # fmt: skip
METHODS = {"get", "post", "put", "patch", "delete"}
STANDS = {"version": "1", "segment_id": "s1", "name": "status"}
SAVE = {"timeline_state": {"zoom": 2}, "description": "x"}
BODIES: dict[tuple[str, str], Any] = {
    ("post", "older-projects"): {"name": "Film"},
    ("put", "older-project"): {"name": "New"},
    ("post", "older-timelines"): SAVE,
    ("put", "older-timeline"): SAVE,
    ("post", "older-transcriptions"): {"language": "pt"},
    ("put", "older-transcription"): {"is_edited": True},
    ("put", "older-transcription-metadata"): {"model_used": "x"},
    ("post", "older-segments"): [{"id": "s2", "start_time": 4, "end_time": 5}],
    ("put", "older-segment"): {"text": "hello"},
}
ODD_BODIES = (
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff", b"[" * 9000, b'{"a": NaN}', b"{}",
    b'{"name": "\\ud800"}', b'{"project_id": 1}', b'{"timeline_state": []}', b"[1]", b'[{"id":1}]',
    b'{"name": "x", "metadata": 1, "odd": 1}', b'{"metadata": {"older_client": 1}}',
    b'{"project_id": "x", "timeline_state": {"metadata": 1, "odd": 1}}',
    b'{"project_id": "x", "segments": [[]], "speakers": 1, "metadata": [], "odd": {"$a": 1}}',
)  # fmt: skip


class Route(NamedTuple):
    name: str
    path: str
    methods: tuple[str, ...]

    def address(self, project: str, timeline_state: str = "", method: str = "") -> str:
        is_state = self.name == "older-timeline" and method in ("put", "delete")
        id = (timeline_state or project) if is_state else project
        return self.path.format(project_id=id, **STANDS)

    def body(self, method: str, project: str) -> Any:
        body = BODIES.get((method, self.name))
        takes_id = self.path in ("/timeline/", "/transcriptions/")
        return {**body, "project_id": project} if takes_id and body else body


def _route(pattern: Any) -> Route:
    path = str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix("/?")
    path = re.sub(r"\(\?P<(\w+)>(?:[^()]|\[[^]]*\])*\)", r"{\1}", path)
    if pattern.name == "older-performance-switch":
        path = path.replace("{name}", "monitoring/start")
    return Route(pattern.name, f"/{path}/" if path else "/", tuple(pattern.callback.actions))


ROUTES = [_route(pattern) for pattern in urlpatterns]
CLOSED = [route for route in ROUTES if route.name not in OPEN]
OF_PROJECTS = [route for route in CLOSED if route.name != "older-projects"]


class Shot(NamedTuple):
    """A project of alice's, and a version of its timeline."""

    project: str
    state: str


@pytest.fixture
def shot(accounts: None, alice: User) -> Shot:
    older = Older(alice)
    project = older.project()
    state = older.save(project, {"zoom": 3})["_id"]
    said = {"id": "s1", "start_time": 0, "end_time": 2, "text": "hello there"}
    older.data("POST", "/transcriptions", {"project_id": project, "segments": [said]})
    return Shot(project, state)


def test_the_routes_are_found() -> None:
    assert "/timeline/{project_id}/version/{version}/" in {route.path for route in ROUTES}
    assert len(CLOSED) > 10


def calls(
    routes: list[Route], shot: Shot, methods: set[str] = METHODS
) -> Iterator[tuple[str, str, Any]]:
    """What those routes offer, of some methods: method, address, and a body that they take."""
    for route in routes:
        for method in sorted(methods & set(route.methods)):
            address = route.address(shot.project, shot.state, method)
            yield method.upper(), address, route.body(method, shot.project)


def test_nobody_gets_in_without_a_token(shot: Shot) -> None:
    nobody, former = Older(), Older()
    former.headers["Authorization"] = "Bearer old"
    for call in calls(CLOSED, shot):
        for older in (nobody, former):
            response = older(*call)
            refused(response, 401)
            assert response["WWW-Authenticate"] == "Bearer"


def test_a_session_is_no_token(shot: Shot, alice: User) -> None:
    older = Older()
    older.client.force_login(alice)
    for call in calls(CLOSED, shot):
        refused(older(*call), 401)


def test_a_strangers_document_doesnt_exist(shot: Shot, charlie: User) -> None:
    older, nothing = Older(charlie), Shot("0" * 24, "0" * 24)
    for hers, none in zip(calls(OF_PROJECTS, shot), calls(OF_PROJECTS, nothing), strict=True):
        text = refused(older(*hers), 404)["message"]
        for id in shot:
            text = text.replace(id, "0" * 24)
        assert text == refused(older(*none), 404)["message"], "it tells that there is something"


def test_an_id_that_is_none_is_a_404(alice: User, accounts: None) -> None:
    older = Older(alice)
    for id in ("no-id", "0", "undefined", "null", "%00", "ä", "a" * 65, "..", "a%2Fb"):
        for call in calls(OF_PROJECTS, Shot(id, id)):
            refused(older(*call), 404)


def test_a_method_that_isnt_offered_is_refused(shot: Shot, alice: User) -> None:
    older = Older(alice)
    for route in ROUTES:
        for method in METHODS - set(route.methods):
            response = older(method.upper(), route.address(shot.project))
            refused(response, 405)
            assert response["Allow"]


def test_another_content_type_is_refused(shot: Shot, alice: User) -> None:
    older = Older(alice)
    for content_type in ("text/plain", "multipart/form-data; boundary=x", "application/xml"):
        for method, path, _ in calls(CLOSED, shot, {"post", "put"}):
            refused(older(method, path, raw=b"x", **{"content-type": content_type}), 415)


def test_an_index_serves_whatever_is_asked_of_the_database(shot: Shot, alice: User) -> None:
    older = Older(alice)
    older.save(shot.project, {"zoom": 4})
    others, deletions = calls(CLOSED, shot, METHODS - {"delete"}), calls(CLOSED, shot, {"delete"})
    with queries.recorded() as commands:
        statuses = [older(*call).status_code for call in (*others, *reversed([*deletions]))]
    # What isn't deleted can't be restored, what is there can't be made, and versions stay.
    assert sorted(status for status in statuses if status != 200) == [404, 409, 409]
    check(commands)


def test_no_body_does_harm(shot: Shot, alice: User) -> None:
    older = Older(alice)
    for raw in ODD_BODIES:
        for method, path, _ in calls(ROUTES, shot, {"post", "put"}):
            response = older(method, path, raw=raw)
            assert response.status_code in (200, 400, 404, 409), (path, raw)
            if response.status_code != 200:
                refused(response, response.status_code)


def test_a_broken_body_is_refused_as_such(shot: Shot, alice: User) -> None:
    older = Older(alice)
    for method, path, body in calls(ROUTES, shot, {"post", "put"}):
        if body is not None:
            details = refused(older(method, path, raw=b'{"a":'), 400)
            assert details["message"] == "The body isn't valid JSON: it is truncated"
            assert details["errors"][0]["hint"]


def test_what_is_wrong_with_a_state_is_told_as_it_was_sent(older: Older, film: str) -> None:
    clip = {"id": "c", "type": "video", "start_time": -1, "duration": 1}
    layer = {"id": "l", "type": "video", "clips": [clip], "odd": {"a": {"$b": 1}}}
    body = {"project_id": film, "timeline_state": {"layers": [layer]}}
    details = refused(older("POST", "/timeline/", body), 400)
    assert [e["path"] for e in details["errors"]] == ['timeline_state.layers[0].odd.a["$b"]']
    del layer["odd"]
    details = refused(older("POST", "/timeline/", body), 400)
    path = "timeline_state.layers[0].clips[0].start_time"
    assert [e["path"] for e in details["errors"]] == [path]
    assert details["message"] == f"{path}: is -1: a time can't be negative"
    details = refused(older("POST", "/timeline/", {**body, "description": "x" * 501}), 400)
    assert details["errors"][0]["path"] == "description"
    details = refused(older("POST", "/timeline/", {"project_id": film}), 400)
    assert details["errors"][0]["path"] == "timeline_state"
    assert older.history(film) == []


def test_a_body_that_is_too_large_is_refused(older: Older) -> None:
    raw = b" " * (settings.MAX_BODY_BYTES + 1)
    assert refused(older("POST", "/timeline/", raw=raw), 413)["limit"] == settings.MAX_BODY_BYTES


def test_a_page_of_another_site_is_refused(older: Older) -> None:
    refused(older("POST", "/projects", {"name": "x"}, origin="https://evil.example"), 403)


def test_the_clients_own_origin_may_read_an_error(older: Older) -> None:
    response = older("POST", "/projects", {"name": ""}, origin="http://localhost:3000")
    refused(response, 400)
    assert response["Access-Control-Allow-Origin"] == "http://localhost:3000"


@pytest.mark.parametrize("path", ["/projects/x/y", "/timeline/a/b/c", "/health/x", "/performance"])
def test_where_nothing_is_the_error_is_in_the_envelope(older: Older, path: str) -> None:
    refused(older("GET", path), 404)


def test_other_addresses_keep_their_problem_documents(older: Older) -> None:
    for path in ("/api/v1/projects/unknown/", "/nothing", "/projectsx"):
        response = older("GET", path)
        assert response.status_code == 404
        assert response["Content-Type"] == "application/problem+json"


def test_a_database_that_is_away_is_a_503(older: Older, monkeypatch: pytest.MonkeyPatch) -> None:
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "serverSelectionTimeoutMS", 200)
    with pointed_at("mongodb://127.0.0.1:1/", "nowhere"):
        reads = [older("GET", "/projects/x1"), older("GET", "/timeline/x1/history")]
        saved = older("POST", "/timeline/", {"project_id": "x1", "timeline_state": {}})
        ready, told = older("GET", "/health/readiness"), older("GET", "/health/status")
    for response in (*reads, saved, ready):
        refused(response, 503)
        assert int(response["Retry-After"]) > 0
    assert "was not saved" in saved.json()["error"]
    assert ready.json()["details"]["checks"]["database"] == "unreachable"
    assert told.json()["status"] == told.json()["data"]["status"] == "unhealthy"


def test_a_mistake_of_ours_is_a_500_in_the_envelope(
    older: Older, film: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snipix.older.projects.shown", lambda project: 1 / 0)
    details = refused(older("GET", f"/projects/{film}"), 500)
    assert "ZeroDivision" not in str(details)
    assert details["request_id"]
