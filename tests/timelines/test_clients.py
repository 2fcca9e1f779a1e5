"""Several clients of one timeline, who save with merges: nothing that was acknowledged is lost."""

from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from snipix import history
from tests.conftest import Api
from timelines.models import Timeline

EDITS = "application/vnd.snipix.edits+json"
CLIPS = ("a", "b", "c")
CLIENTS = st.integers(0, 4)


def clip(id: str, start: float) -> dict[str, Any]:
    return {"id": id, "type": "video", "start_time": start, "duration": 2}


class Clients(RuleBasedStateMachine):
    """Two to five clients, each with the version that it last saw."""

    api: ClassVar[Api]

    @initialize(count=st.integers(2, 5))
    def begin(self, count: int) -> None:
        self.path = f"/projects/{self.api.create()['id']}/timeline/"
        layer = {"id": "v1", "name": "V", "type": "video"}
        layer["clips"] = [clip(id, 10.0 * at) for at, id in enumerate(CLIPS)]
        first = self.api("PUT", self.path, {"layers": [layer]}, if_match=self.api.etag(self.path))
        self.seen = [first.json()["etag"]] * count
        self.edits = 0
        self.markers: set[str] = set()
        self.properties: dict[str, set[str]] = {id: set() for id in CLIPS}
        self.versions = 1

    def send(self, client: int, edit: dict[str, Any]) -> bool:
        """Whether an edit was acknowledged; the client then knows the newest version."""
        client %= len(self.seen)
        headers = {"content-type": EDITS, "if_match": self.seen[client], "prefer": "merge"}
        response = self.api("PATCH", self.path, {"edits": [edit]}, **headers)
        assert response.status_code in (200, 409), response.content
        self.seen[client] = self.api.etag(self.path)
        if response.status_code == 409:
            assert response.json()["conflicts"]
            return False
        self.versions = response.json()["version"]
        return True

    def unique(self) -> str:
        self.edits += 1
        return f"e{self.edits}"

    @rule(client=CLIENTS, time=st.integers(0, 90))
    def add_a_marker(self, client: int, time: int) -> None:
        id = self.unique()
        marker = {"id": id, "time": time, "label": id}
        assert self.send(client, {"op": "add_marker", "marker": marker}), (
            "nothing conflicts with it"
        )
        self.markers.add(id)

    @rule(client=CLIENTS, clip=st.sampled_from(CLIPS))
    def set_a_property(self, client: int, clip: str) -> None:
        key = self.unique()
        edit = {"op": "change_clip", "clip": clip, "properties": {key: 1}}
        assert self.send(client, edit), "nothing conflicts with it"
        self.properties[clip].add(key)

    @rule(client=CLIENTS, clip=st.sampled_from(CLIPS), frames=st.integers(1, 300))
    def move_a_clip(self, client: int, clip: str, frames: int) -> None:
        """Two who move the same clip may conflict; then one of them is told."""
        before = self.start(clip)
        acknowledged = self.send(client, {"op": "move_clip", "clip": clip, "by": frames / 30})
        assert acknowledged or self.start(clip) == before

    @rule(client=CLIENTS)
    def read_again(self, client: int) -> None:
        self.seen[client % len(self.seen)] = self.api.etag(self.path)

    def start(self, id: str) -> float:
        return next(c["start_time"] for c in self.clips() if c["id"] == id)

    def clips(self) -> list[dict[str, Any]]:
        return self.api("GET", self.path).json()["layers"][0]["clips"]

    @invariant()
    def everything_acknowledged_is_there_once(self) -> None:
        if not hasattr(self, "path"):
            return
        markers = [m["id"] for m in self.api("GET", self.path).json()["markers"]]
        assert sorted(markers) == sorted(self.markers)
        for found in self.clips():
            assert set(found["properties"]) == self.properties[found["id"]]

    def teardown(self) -> None:
        if hasattr(self, "path"):
            timeline = Timeline.objects.get(project_id=self.path.split("/")[2])
            assert history.verify(timeline) == self.versions


class StaleClients(Clients):
    """Clients that don't learn of others by saving: their bases grow old."""

    def send(self, client: int, edit: dict[str, Any]) -> bool:
        kept = self.seen[client % len(self.seen)]
        acknowledged = super().send(client, edit)
        if not acknowledged or self.edits % 3:
            self.seen[client % len(self.seen)] = kept
        return acknowledged


@pytest.mark.parametrize("machine", [Clients, StaleClients])
def test_clients_who_merge_lose_nothing(api: Api, machine: type[Clients]) -> None:
    machine.api = api
    test = machine.TestCase()
    test.settings = settings(
        max_examples=12,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    test.runTest()
