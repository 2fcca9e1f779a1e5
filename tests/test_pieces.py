"""Long lists in pieces: a save stores what was changed, and no reader sees a torn state."""

from collections.abc import Iterator
from itertools import count, islice
from random import Random
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from projects import services as project_services
from projects.models import Project
from snipix import history, pieces, queries, states
from snipix.accounts import Actor
from snipix.memory import Memory, contents
from snipix.mongo import connection
from tests.conftest import Api
from timelines import samples, services
from timelines.models import Timeline
from timelines.state import Clip, Layer, Marker, TimelineState

ALICE = Actor("alice")


@pytest.fixture
def project(db: None) -> Project:
    contents.clear()
    return history.change(lambda: project_services.create_project(actor=ALICE, name="Film"))


def save(project: Project, state: TimelineState) -> Timeline:
    def work() -> Timeline:
        found = Project.objects.get(pk=project.pk)
        timeline = Timeline.of(found)
        services.save_timeline(found, timeline, state, actor=ALICE)
        return timeline

    return history.change(work)


def stored_pieces() -> set[bytes]:
    return {bytes(piece["_id"]) for piece in connection.get_collection("pieces").find()}


def clip(number: int) -> Clip:
    return Clip(id=f"c{number}", type="video", start_time=float(number), duration=1.0)


def timeline_of(*counts: int, markers: int = 0) -> TimelineState:
    """Layers of so many clips."""
    numbers: Iterator[int] = iter(range(sum(counts)))
    layers = [
        Layer(id=f"l{i}", type="video", clips=[clip(next(numbers)) for _ in range(count)])
        for i, count in enumerate(counts)
    ]
    return TimelineState(
        layers=layers, markers=[Marker(id=f"m{i}", time=float(i)) for i in range(markers)]
    )


# --- What is stored


def test_a_short_timeline_is_stored_as_it_reads(project: Project) -> None:
    state = timeline_of(pieces.INLINE)
    save(project, state)
    stored = connection.get_collection("timelines").find_one({"_id": project.pk})
    assert [clip["id"] for clip in stored["layers"][0]["clips"]] == [
        clip.id for clip in state.layers[0].clips
    ]
    assert not stored_pieces()


@pytest.mark.parametrize(
    "state",
    [
        timeline_of(500, 3, 0, 70, markers=200),
        timeline_of(pieces.INLINE + 1),
        timeline_of(1, markers=65),
        timeline_of(*[5] * 30),
        states.decode(states.encode(samples.timeline(1, 700)), TimelineState),
    ],
    ids=["several", "just long", "markers", "many short", "a sample"],
)
def test_a_long_timeline_reads_as_it_was_saved(project: Project, state: TimelineState) -> None:
    timeline = save(project, state)
    for _ in range(2):  # from memory, and from the database
        head = Timeline.everything.get(pk=timeline.pk)
        assert head.state == state
        assert states.encode(head.state) == history.read_bytes(head, 1) == states.encode(state)
        contents.clear()
    assert history.verify(timeline) == 1


def test_saving_one_moved_clip_stores_one_piece(project: Project) -> None:
    state = timeline_of(1_000)
    save(project, state)
    before = stored_pieces()
    clips = list(state.layers[0].clips)
    clips[500] = replace(clips[500], start_time=7.5)
    with queries.recorded() as commands:
        save(project, replace(state, layers=[replace(state.layers[0], clips=clips)]))
    after = stored_pieces()
    assert len(before) == len(after) > 10
    assert len(after - before) == 1
    written = [command for command in commands if command.get("update") == "pieces"]
    assert [len(command["updates"]) for command in written] == [1]


@pytest.mark.parametrize("place", [0, 500, 1_000])
def test_an_inserted_clip_shifts_no_other_piece(project: Project, place: int) -> None:
    state = timeline_of(1_000)
    save(project, state)
    before = stored_pieces()
    clips = list(state.layers[0].clips)
    clips.insert(place, clip(5_000))
    save(project, replace(state, layers=[replace(state.layers[0], clips=clips)]))
    assert len(stored_pieces() - before) <= 2


def test_no_piece_stays_that_nothing_refers_to(project: Project) -> None:
    for state in timeline_of(300), timeline_of(200, 100), timeline_of(3), timeline_of(150):
        timeline = save(project, state)
        assert stored_pieces() == set(pieces.all_ids(timeline))


def test_a_piece_never_holds_more_than_it_may(project: Project) -> None:
    ids = (f"x{n}" for n in count())
    never_first = islice((id for id in ids if crc32(id.encode()) % 32), 1_000)
    clips = [replace(clip(n), id=id) for n, id in enumerate(never_first)]
    state = TimelineState(layers=[Layer(id="l", type="video", clips=clips)])
    save(project, state)
    sizes = [len(piece["elements"]) for piece in connection.get_collection("pieces").find()]
    assert (sum(sizes), max(sizes)) == (1_000, 128)


def test_two_projects_with_equal_timelines_share_nothing(project: Project) -> None:
    other = history.change(lambda: project_services.create_project(actor=ALICE, name="Twin"))
    state = timeline_of(300)
    save(project, state)
    alone = len(stored_pieces())
    save(other, state)
    assert len(stored_pieces()) == 2 * alone
    save(other, timeline_of(1))
    assert Timeline.objects.get(pk=project.pk).state == state


def test_a_purge_takes_the_pieces_along(project: Project) -> None:
    save(project, timeline_of(300))
    project.delete()
    Project.everything.get(pk=project.pk).purge()
    assert not stored_pieces()


def test_what_is_taken_back_leaves_no_piece(api: Api) -> None:
    path = f"/projects/{api.create()['id']}/timeline/"
    body = states.encode(timeline_of(300))
    assert api("PUT", f"{path}?dry_run=true", raw=body, if_match=api.etag(path)).status_code == 200
    assert not stored_pieces()
    assert api("PUT", path, raw=body, if_match=api.etag(path)).status_code == 200
    assert states.encode(Timeline.objects.get().state) == body


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_saved_is_read(project: Project, data: Any) -> None:
    """Random edits of long lists, read by a process that remembers nothing, or everything."""
    random = Random(data.draw(st.integers(0, 2**32)))
    clips = [clip(n) for n in range(data.draw(st.integers(0, 300)))]
    for turn in range(4):
        for _ in range(data.draw(st.integers(0, 5))):
            place = random.randint(0, len(clips))
            match data.draw(st.sampled_from(["insert", "remove", "change", "reverse"])):
                case "insert":
                    clips.insert(place, clip(10_000 * (turn + 1) + random.randrange(9_999)))
                case "remove":
                    del clips[place : place + random.randint(1, 80)]
                case "change" if place < len(clips):
                    clips[place] = replace(clips[place], content=str(random.random()))
                case "reverse":
                    clips.reverse()
        clips = list({c.id: c for c in clips}.values())
        state = TimelineState(layers=[Layer(id="l", type="video", clips=list(clips))])
        timeline = save(project, state)
        if data.draw(st.booleans()):
            contents.clear()
        assert Timeline.objects.get(pk=project.pk).state == state
        assert stored_pieces() == set(pieces.all_ids(Timeline.objects.get(pk=project.pk)))
    history.verify(timeline)


# --- What is remembered


def test_what_was_just_saved_isnt_fetched_again(project: Project) -> None:
    save(project, timeline_of(300))
    connection.get_collection("pieces").delete_many({})
    assert Timeline.objects.get(pk=project.pk).state == timeline_of(300), "from memory"


def test_memory_keeps_to_its_size() -> None:
    memory = Memory(100)
    for number in range(10):
        memory.put(number, f"value {number}", 40)
    memory.put("large", "too large", 101)
    assert [memory.get(n) for n in (7, 8, 9, "large")] == [None, "value 8", "value 9", None]


def test_memory_drops_what_was_used_longest_ago() -> None:
    memory = Memory(100)
    memory.put("a", 1, 40)
    memory.put("b", 2, 40)
    assert memory.get("a") == 1
    memory.put("c", 3, 40)
    assert [memory.get(key) for key in "abc"] == [1, None, 3]


# --- What others do meanwhile


def test_a_version_that_was_being_read_is_read_whole_though_it_is_replaced(
    project: Project,
) -> None:
    first, second = timeline_of(300), timeline_of(200, 50)
    save(project, first)
    reader = Timeline.objects.get(pk=project.pk)
    save(project, second)
    contents.clear()
    assert reader.state == first
    assert reader.content == states.encode(first)


def test_a_missing_piece_is_named(project: Project) -> None:
    timeline = save(project, timeline_of(300))
    some = next(iter(stored_pieces()))
    connection.get_collection("pieces").delete_one({"_id": some})
    with pytest.raises(history.HistoryDamaged, match="1 pieces of timeline of"):
        history.verify(timeline)


def test_an_altered_piece_is_noticed(project: Project) -> None:
    timeline = save(project, timeline_of(300))
    some = next(iter(stored_pieces()))
    connection.get_collection("pieces").update_one(
        {"_id": some}, {"$set": {"elements.0.content": "forged"}}
    )
    with pytest.raises(history.HistoryDamaged, match="the head's state isn't"):
        history.verify(timeline)


def test_a_piece_that_shouldnt_be_there_refuses_no_save(project: Project) -> None:
    state = timeline_of(300)
    save(project, state)
    left = list(connection.get_collection("pieces").find())
    save(project, timeline_of(1))
    connection.get_collection("pieces").insert_many(left)
    assert save(project, state).version == 3
    contents.clear()
    assert Timeline.objects.get(pk=project.pk).state == state


def test_an_older_schema_is_upgraded_whole(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upgrade sees the lists, though they are in pieces."""
    save(project, timeline_of(300))

    def upgrade(stored: Any) -> Any:
        layers = [
            {**layer, "clips": [{**clip, "content": "new"} for clip in layer["clips"]]}
            for layer in stored["layers"]
        ]
        return {**stored, "layers": layers}

    monkeypatch.setattr(Timeline, "upgrades", (upgrade,))
    head = Timeline.objects.get(pk=project.pk)
    assert {clip.content for clip in head.state.layers[0].clips} == {"new"}
    assert states.encode(timeline_of(300)) == head.content, "as it is stored"
    history.change(lambda: Timeline.objects.get(pk=project.pk).upgrade())
    contents.clear()
    head = Timeline.objects.get(pk=project.pk)
    assert (head.version, head.schema_version) == (2, 2)
    assert {clip.content for clip in head.state.layers[0].clips} == {"new"}
    assert stored_pieces() == set(pieces.all_ids(head))
    assert history.verify(head) == 2
