"""The older client, as far as the server sees it."""

import json
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from projects.models import Project
from snipix import history, states
from snipix.accounts import Token
from timelines.models import Timeline

STATE = {
    "layers": [], "playhead_time": 0, "zoom": 1, "duration": 5, "markers": [],
    "selected_clips": [], "is_playing": False, "is_snapping": True,
}  # fmt: skip


class Older:
    """Calls as the web client makes them: JSON, a bearer token or none, no version named."""

    def __init__(self, user: User | None = None) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Accept": "application/json, text/plain, */*"}
        if user is not None:
            self.headers["Authorization"] = f"Bearer {Token.issue(user)}"

    def __call__(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> Any:
        """Send a request; `if_match="…"` and the like become headers."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        content_type = names.pop("content-type", "application/json")
        sent = {**self.headers, **names}
        return self.client.generic(method, path, data, content_type=content_type, headers=sent)

    def data(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """What a call is answered, out of its envelope."""
        response = self(method, path, body, **headers)
        assert response.status_code == 200, response.content
        answer = response.json()
        assert {**answer, "data": 0} == {
            "success": True, "data": 0, "message": answer["message"], "error": None
        }  # fmt: skip
        return answer["data"]

    def project(self, name: str = "Film", **fields: Any) -> str:
        """Make a project; its `_id`."""
        return self.data("POST", "/projects", {"name": name, "description": "", **fields})["_id"]

    def save(self, project: str, state: Any, description: str = "Quick Save") -> Any:
        """Save a timeline as the client does."""
        body = {
            "project_id": project,
            "timeline_state": state,
            "description": description,
            "change_summary": "Timeline saved via quick save",
        }
        return self.data("POST", "/timeline/", body)

    def history(self, project: str) -> Any:
        return self.data("GET", f"/timeline/{project}/history")


def refused(response: Any, status: int) -> dict[str, Any]:
    """The details of an error, of which every part that the client may read says the same."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    assert int(response["Content-Length"]) == len(response.content)
    body = response.json()
    assert body["success"] is False
    assert body["error"]
    assert body["error"] == body["message"] == body["details"]["message"]
    assert body["details"]["status_code"] == status
    assert datetime.fromisoformat(body["timestamp"])
    assert "data" not in body
    return body["details"]


def state(zoom: float) -> dict[str, Any]:
    return {**STATE, "zoom": zoom}


def versions(project: str) -> list[Any]:
    """The states of all versions, oldest first, from a history that was proven."""
    timeline = Timeline.of(Project.everything.get(project_id=project))
    count = history.verify(timeline)
    return [states.to_builtins(history.read(timeline, n + 1)) for n in range(count)]


def holds(shown: Any, sent: Any) -> bool:
    """Whether all that was sent is there; defaults may be there, too."""
    if isinstance(sent, dict):
        return all(holds(shown[key], value) for key, value in sent.items())
    if isinstance(sent, list):
        return len(shown) == len(sent) and all(map(holds, shown, sent))
    return bool(shown == sent)
