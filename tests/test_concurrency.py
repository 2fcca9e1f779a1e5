"""Many clients at once, through a real gunicorn with several workers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from projects.models import Project
from snipix import history, states
from snipix.audit import AuditEntry
from snipix.demo.client import Client, Reply
from snipix.demo.stage import Stage
from tests.stages import serving
from tests.together import at_once
from timelines import samples
from timelines.models import Timeline
from transcriptions.models import Transcription

SAVERS = 64


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    # On a busy machine, 64 savers of one document take longer than people would wait.
    env = {"REQUEST_DEADLINE": "60"}
    with serving(tmp_path_factory.mktemp("web"), workers=3, **env) as stage:
        yield stage


@pytest.fixture
def project(stage: Stage) -> str:
    id = f"film-{uuid4()}"
    with Client(stage.web.port) as client:
        assert create(client, id).status == 201
    return id


def create(client: Client, id: str, **headers: str) -> Reply:
    return client.send(
        "POST", "/projects/", f'{{"id": "{id}", "name": "Film"}}'.encode(), **headers
    )


def save(client: Client, project: str, state: Any, etag: str, **headers: str) -> Reply:
    body = msgspec.json.encode(state)
    return client.send("PUT", f"/projects/{project}/timeline/", body, if_match=etag, **headers)


def clients_at_once(stage: Stage, count: int, work: Callable[[Client, int], Any]) -> list[Any]:
    """What clients get that begin at the same moment, each over a connection of its own."""
    with ExitStack() as connected:
        clients = [connected.enter_context(Client(stage.web.port)) for _ in range(count)]
        for client in clients:
            client.send("GET", "/projects/?page_size=1")  # so that all are connected
        return at_once(count, lambda number: work(clients[number], number))


def statuses(replies: list[Reply]) -> list[int]:
    return sorted(reply.status for reply in replies)


def test_64_savers_of_one_timeline_make_64_versions(
    stage: Stage, project: str, inside: None
) -> None:
    def add_a_marker(client: Client, number: int) -> list[Reply]:
        """Apply the same edit to the newest version, until nobody else is faster."""
        replies = []
        while not replies or replies[-1].status == 412:
            head = client.send("GET", f"/projects/{project}/timeline/")
            state = head.json
            state["markers"].append({"id": f"marker-{number}", "time": number})
            replies.append(save(client, project, state, head.etag))
        return replies

    replies = clients_at_once(stage, SAVERS, add_a_marker)
    assert {reply.status for each in replies for reply in each} <= {200, 412}
    versions = sorted(each[-1].json["version"] for each in replies)
    assert versions == list(range(1, SAVERS + 1))
    with Client(stage.web.port) as client:
        head = client.send("GET", f"/projects/{project}/timeline/").json
        summary = client.send("GET", f"/projects/{project}/").json
    assert {marker["time"] for marker in head["markers"]} == set(range(SAVERS))
    assert summary["version"] == 1
    assert (summary["timeline"]["version"], summary["timeline"]["markers"]) == (SAVERS, SAVERS)
    timeline = Timeline.of(Project.objects.get(project_id=project))
    assert history.verify(timeline) == SAVERS
    for version in range(1, SAVERS + 1):
        assert len(history.read(timeline, version).markers) == version
    assert AuditEntry.objects.filter(document_id=timeline.pk, kind="timeline").count() == SAVERS


def test_a_save_sent_five_times_at_once_with_one_key_makes_one_version(
    stage: Stage, project: str, inside: None
) -> None:
    with Client(stage.web.port) as client:
        etag = client.send("GET", f"/projects/{project}/timeline/").etag
    for version in range(1, 6):
        state = states.to_builtins(samples.timeline(version, 20))
        key = f"save-{version}"
        replies = clients_at_once(
            stage,
            5,
            lambda c, n: save(c, project, state, etag, idempotency_key=key),  # noqa: B023
        )
        assert statuses(replies) == [200] * 5
        assert len({reply.body for reply in replies}) == 1
        assert replies[0].json["version"] == version
        etag = replies[0].json["etag"]
    timeline = Timeline.of(Project.objects.get(project_id=project))
    assert history.verify(timeline) == 5


def test_of_several_first_saves_one_becomes_version_1(
    stage: Stage, project: str, inside: None
) -> None:
    with Client(stage.web.port) as client:
        etag = client.send("GET", f"/projects/{project}/timeline/").etag
    states_sent = [states.to_builtins(samples.timeline(seed, 5)) for seed in range(8)]
    replies = clients_at_once(stage, 8, lambda c, n: save(c, project, states_sent[n], etag))
    assert statuses(replies) == [200, *[412] * 7]
    winner = next(n for n, reply in enumerate(replies) if reply.status == 200)
    assert replies[winner].json["version"] == 1
    timeline = Timeline.of(Project.objects.get(project_id=project))
    assert (history.verify(timeline), states.to_builtins(timeline.state)) == (
        1,
        states_sent[winner],
    )


def test_of_several_projects_with_one_id_one_is_made(stage: Stage, inside: None) -> None:
    replies = clients_at_once(stage, 8, lambda client, n: create(client, "the-film"))
    assert statuses(replies) == [201, *[409] * 7]
    assert {reply.json["code"] for reply in replies if reply.status == 409} == {"id-taken"}
    assert history.verify(Project.objects.get(project_id="the-film")) == 1


@pytest.mark.parametrize("id", ["", "another-film"])
def test_a_create_sent_several_times_at_once_with_one_key_makes_one_project(
    stage: Stage, inside: None, id: str
) -> None:
    body = {"name": "Film", "tags": [id or "none"], **({"id": id} if id else {})}
    key = f"create-{id}"

    def send(client: Client, number: int) -> Reply:
        return client.send("POST", "/projects/", msgspec.json.encode(body), idempotency_key=key)

    replies = clients_at_once(stage, 8, send)
    assert statuses(replies) == [201] * 8
    assert len({reply.body for reply in replies}) == 1
    assert history.verify(Project.objects.get(tags=[id or "none"])) == 1


def test_renames_and_saves_at_once_dont_disturb_each_other(
    stage: Stage, project: str, inside: None
) -> None:
    def save_and_save(client: Client) -> list[Reply]:
        etag = client.send("GET", f"/projects/{project}/timeline/").etag
        replies = []
        for seed in range(15):
            state = states.to_builtins(samples.timeline(seed, 10))
            replies.append(save(client, project, state, etag))
            etag = replies[-1].json["etag"]
        return replies

    def rename_and_rename(client: Client) -> list[Reply]:
        """With the ETag of its own last answer; the saves mustn't make that stale."""
        etag = client.send("GET", f"/projects/{project}/").etag
        replies = []
        for number in range(15):
            body = f'{{"name": "Film {number}"}}'.encode()
            replies.append(client.send("PATCH", f"/projects/{project}/", body, if_match=etag))
            etag = replies[-1].etag
        return replies

    both = (save_and_save, rename_and_rename)
    saves, renames = clients_at_once(stage, 2, lambda client, n: both[n](client))
    assert statuses(saves) == statuses(renames) == [200] * 15
    with Client(stage.web.port) as client:
        seen = client.send("GET", f"/projects/{project}/").json
    assert (seen["name"], seen["version"], seen["timeline"]["version"]) == ("Film 14", 16, 15)
    found = Project.objects.get(project_id=project)
    assert (history.verify(found), history.verify(Timeline.of(found))) == (16, 15)


def test_a_save_and_a_delete_at_once_leave_nothing_half_done(
    stage: Stage, project: str, inside: None
) -> None:
    with Client(stage.web.port) as client:
        etag = client.send("GET", f"/projects/{project}/timeline/").etag
    state = states.to_builtins(samples.timeline(1, 10))

    def work(client: Client, number: int) -> Reply:
        if number == 0:
            return client.send("DELETE", f"/projects/{project}/")
        return save(client, project, state, etag)

    deleted, saved = clients_at_once(stage, 2, work)
    assert deleted.status == 200
    assert saved.status in (200, 404)
    found = Project.everything.get(project_id=project)
    timeline = Timeline.of(found)
    assert timeline.version == found.timeline_state["version"] == (saved.status == 200)
    if timeline.version:
        assert history.verify(timeline) == 1


def edit(client: Client, project: str, edits: Any, etag: str, **headers: str) -> Reply:
    headers = {"content_type": "application/vnd.snipix.edits+json", "prefer": "merge", **headers}
    body = msgspec.json.encode({"edits": edits})
    return client.send("PATCH", f"/projects/{project}/timeline/", body, if_match=etag, **headers)


def test_16_clients_merge_their_edits_and_none_is_lost(
    stage: Stage, project: str, inside: None
) -> None:
    """Each works on a clip of its own, and all of them on the version they began with."""
    layer = {"id": "v1", "name": "Video", "type": "video"}
    clips = [
        {"id": f"c{n}", "type": "video", "start_time": 10 * n, "duration": 2} for n in range(16)
    ]
    with Client(stage.web.port) as client:
        etag = client.send("GET", f"/projects/{project}/timeline/").etag
        first = save(client, project, {"layers": [{**layer, "clips": clips}]}, etag)
        began = first.json["etag"]

    def work(client: Client, number: int) -> list[int]:
        made = []
        for turn in range(4):
            edits = [
                {
                    "op": "add_marker",
                    "marker": {"id": f"{number}-{turn}", "time": turn, "label": "x"},
                },
                {"op": "change_clip", "clip": f"c{number}", "properties": {f"turn{turn}": True}},
            ]
            reply = edit(client, project, edits, began, idempotency_key=str(uuid4()))
            assert reply.status == 200, reply.body[:300]
            made.append(reply.json["version"])
        return made

    versions = [version for made in clients_at_once(stage, 16, work) for version in made]
    timeline = Timeline.objects.get(project_id=project)
    assert sorted(versions) == list(range(2, 66))
    assert {m.id for m in timeline.state.markers} == {
        f"{n}-{t}" for n in range(16) for t in range(4)
    }
    for clip in timeline.state.layers[0].clips:
        assert set(clip.properties) == {f"turn{turn}" for turn in range(4)}
    assert history.verify(timeline) == 65


def test_a_recognisers_batches_are_added_once_each(
    stage: Stage, project: str, inside: None
) -> None:
    """A hundred batches of ten, in any order, by eight senders; every third is sent twice."""
    batches = [
        [
            {"id": f"s{n}", "start_time": n, "end_time": n + 1, "text": f"said {n}"}
            for n in range(10 * batch, 10 * batch + 10)
        ]
        for batch in range(100)
    ]
    path = f"/projects/{project}/transcription/"
    with Client(stage.web.port) as client:
        assert client.send("POST", path, b"{}").status == 201

    def work(client: Client, number: int) -> list[Reply]:
        replies = []
        for batch in batches[number::8][::-1]:
            body = msgspec.json.encode({"segments": batch})
            key = str(uuid4())
            for _ in range(2 if batch is batches[-1] or len(replies) % 3 == 0 else 1):
                replies.append(client.send("POST", f"{path}segments/", body, idempotency_key=key))
        repeated = msgspec.json.encode({"segments": batches[number]})
        return [*replies, client.send("POST", f"{path}segments/", repeated)]

    replies = [reply for made in clients_at_once(stage, 8, work) for reply in made]
    assert statuses(replies) == [200] * len(replies)
    assert len(replies) > 130
    transcription = Transcription.objects.get(project_id=project)
    assert [segment.id for segment in transcription.state.segments] == [
        f"s{n}" for n in range(1_000)
    ]
    assert transcription.version == 101, "what is sent again makes no version"
    assert history.verify(transcription) == 101
