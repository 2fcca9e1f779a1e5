"""Many older clients that save at once, through a real gunicorn with several workers."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from projects.models import Project
from snipix import history
from snipix.demo.stage import Stage
from tests.stages import serving
from tests.together import at_once
from timelines.models import Timeline

SAVERS = 32


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    # On a busy machine, they take longer than people would wait.
    env = {"REQUEST_DEADLINE": "60"}
    with serving(tmp_path_factory.mktemp("older"), workers=3, **env) as stage:
        yield stage


def send(stage: Stage, method: str, path: str, body: Any = None) -> Any:
    """What a call is answered, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", stage.web.port, timeout=90)
    headers = {"Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    with connection.getresponse() as response:
        answer = json.loads(response.read())
    connection.close()
    assert response.status == 200, answer
    return answer["data"]


def saved_at_once(stage: Stage, film: str) -> list[Any]:
    """What savers are answered that all begin at the same moment."""

    def save(number: int) -> Any:
        marker = {"id": f"m{number}", "time": number, "by": number}
        body = {"project_id": film, "timeline_state": {"markers": [marker]}}
        return send(stage, "POST", "/timeline/", body)

    return at_once(SAVERS, save)


def test_32_saves_at_once_make_32_versions_and_none_is_lost(stage: Stage, inside: None) -> None:
    film = send(stage, "POST", "/projects", {"name": "Film"})["_id"]
    answers = saved_at_once(stage, film)
    assert sorted(each["version"] for each in answers) == list(range(1, SAVERS + 1))
    assert len({each["_id"] for each in answers}) == SAVERS
    by_version = {each["version"]: each["timeline_state"]["markers"] for each in answers}
    assert sorted(markers[0]["by"] for markers in by_version.values()) == list(range(SAVERS))
    for version, markers in by_version.items():
        read = send(stage, "GET", f"/timeline/{film}/version/{version}")
        assert read["timeline_state"]["markers"] == markers
    current = send(stage, "GET", f"/timeline/{film}")
    assert (current["version"], current["markers"]) == (SAVERS, by_version[SAVERS])
    listed = send(stage, "GET", f"/timeline/{film}/history?limit={SAVERS}")
    assert [each["version"] for each in listed] == list(range(SAVERS, 0, -1))
    assert [each["version"] for each in listed if each["is_current"]] == [SAVERS]
    assert history.verify(Timeline.of(Project.objects.get(project_id=film))) == SAVERS
