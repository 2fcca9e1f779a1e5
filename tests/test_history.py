"""The history: what it costs, that every version comes back, and that damage is noticed."""

import statistics
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from bson import ObjectId
from msgspec.structs import replace

from projects import services as project_services
from projects.models import Project
from snipix import chains, errors, frames, history, resilience, states
from snipix.accounts import Actor
from snipix.audit import AuditEntry
from snipix.demo.story import document_sizes
from snipix.history import Revision
from snipix.mongo import connection
from tests.conftest import Api
from timelines import samples, services
from timelines.models import Timeline
from timelines.state import TimelineState

ALICE = Actor("alice")


@pytest.fixture
def project(db: None) -> Project:
    return history.change(lambda: project_services.create_project(actor=ALICE, name="Film"))


def save(project: Project, state: TimelineState) -> Timeline:
    """Save as a request does: on what there is by then."""

    def work() -> Timeline:
        found = Project.objects.get(pk=project.pk)
        timeline = Timeline.of(found)
        services.save_timeline(found, timeline, state, actor=ALICE)
        return timeline

    return history.change(work)


def moves(count: int, *, clips: int = 20, seed: int = 1) -> list[TimelineState]:
    """A timeline, and what becomes of it when one clip is moved after the other."""
    random, found = Random(seed), [samples.timeline(seed, clips)]
    while len(found) < count:
        found.append(samples.move_clip(found[-1], random))
    return found


def revisions(timeline: Timeline) -> Any:
    return connection.get_collection("revisions"), {
        "documentId": timeline.pk, "kind": "timeline"
    }  # fmt: skip


# --- What it costs


def test_a_moved_clip_among_2000_costs_less_than_a_kilobyte(project: Project) -> None:
    states_saved = moves(12, clips=2_000)
    assert 900_000 < len(states.encode(states_saved[-1])) < 1_100_000
    for state in states_saved:
        timeline = save(project, state)
    assert statistics.median(document_sizes("revisions")) < 1_000
    assert history.verify(timeline) == 12


@pytest.mark.long
def test_a_thousand_saves_of_2000_clips_take_less_than_two_megabytes(api: Api) -> None:
    path = f"/projects/{api.create()['id']}/timeline/"
    etag = api.etag(path)
    for number, state in enumerate(moves(1_000, clips=2_000), 1):
        body, key = states.encode(state), f"save-{number}"
        response = api("PUT", path, raw=body, if_match=etag, idempotency_key=key)
        assert response.json()["version"] == number
        etag = response.json()["etag"]
    kept = [document_sizes(name) for name in ("revisions", "kept_answers", "audit_entries")]
    assert [len(sizes) for sizes in kept] == [1_001, 1_000, 1_001]
    assert sum(map(sum, kept)) < 2_000_000
    assert history.verify(Timeline.of(Project.objects.get())) == 1_000


def test_a_save_costs_little_also_where_much_is_odd(api: Api) -> None:
    """What is odd is listed in every answer, and answers are kept for their keys."""
    path = f"/projects/{api.create()['id']}/timeline/"
    state = samples.timeline(1, 300)
    layers = [
        replace(layer, clips=[replace(clip, start_time=1.0) for clip in layer.clips])
        for layer in state.layers
    ]
    body = states.encode(replace(state, layers=layers))
    response = api("PUT", path, raw=body, if_match=api.etag(path), idempotency_key="odd")
    assert len(response.json()["warnings"]) > 100
    assert max(document_sizes("kept_answers")) < 3_000
    again = api("PUT", path, raw=body, if_match=api.etag(path), idempotency_key="odd")
    assert again.content == response.content


# --- What comes back


def test_every_version_comes_back_byte_for_byte_across_whole_frames(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "FULL_FRAME_EVERY", 5)
    saved = moves(18)
    for state in saved:
        timeline = save(project, state)
    found = list(history.of(timeline))
    assert [r.version for r in found if r.full_version == r.version] == [1, 6, 11, 16]
    for version, state in enumerate(saved, 1):
        assert history.read_bytes(timeline, version) == states.encode(state)
        assert history.read(timeline, version) == state
    assert history.verify(timeline) == 18


def test_an_equal_state_makes_no_version(project: Project) -> None:
    state = samples.timeline(1, 20)
    first = save(project, state)
    again = save(project, states.decode(states.encode(state), TimelineState))
    assert (again.version, again.updated_at) == (1, first.updated_at)
    assert Revision.objects.filter(kind="timeline").count() == 1
    assert AuditEntry.objects.filter(kind="timeline").count() == 1


def test_a_version_that_never_was_isnt_found(project: Project) -> None:
    timeline = save(project, samples.timeline(1, 2))
    for version in (0, 2):
        with pytest.raises(errors.NotFound):
            history.read_bytes(timeline, version)


def test_history_outlives_a_change_of_the_states_definition(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written down now isn't what was then: nothing may build on it; all still reads."""

    class LaterState(TimelineState, frozen=True, kw_only=True):
        colour_space: str = "rec709"

    before = moves(3)
    for state in before:
        timeline = save(project, state)
    written = [history.read_bytes(timeline, version) for version in (1, 2, 3)]
    monkeypatch.setattr(Timeline, "state_type", LaterState)
    monkeypatch.setattr(Timeline, "colour_space", "rec709", raising=False)
    assert history.verify(timeline) == 3
    later = [
        LaterState(**{n: getattr(s, n) for n in TimelineState.__struct_fields__})
        for s in moves(5)[3:]
    ]
    for state in later:
        timeline = save(project, state)
    assert [r.full_version for r in history.of(timeline)] == [1, 1, 1, 4, 4]
    assert [history.read_bytes(timeline, version) for version in (1, 2, 3)] == written
    assert [history.read(timeline, version) for version in (4, 5)] == later
    assert history.read(timeline, 3).colour_space == "rec709"
    assert history.verify(timeline) == 5


def test_one_change_may_write_several_documents(project: Project) -> None:
    """Each with its own revision and audit entry, all or none."""

    def work(ending: Callable[[], None]) -> None:
        found = Project.objects.get(pk=project.pk)
        project_services.update_project(found, actor=ALICE, name="Longer film")
        services.save_timeline(found, Timeline.of(found), samples.timeline(1, 5), actor=ALICE)
        ending()

    def fail() -> None:
        raise errors.NotFound("on second thoughts")

    with pytest.raises(errors.NotFound):
        history.change(lambda: work(fail))
    assert (Revision.objects.count(), AuditEntry.objects.count()) == (1, 1)
    history.change(lambda: work(lambda: None))
    found = Project.objects.get(pk=project.pk)
    assert (found.name, history.verify(found), history.verify(Timeline.of(found))) == (
        "Longer film", 2, 1
    )  # fmt: skip
    ids = set(Revision.objects.values_list("pk", flat=True))
    assert ids == set(AuditEntry.objects.values_list("pk", flat=True))
    assert len(ids) == 3


def test_documents_are_written_within_a_change_only(project: Project) -> None:
    with pytest.raises(RuntimeError):
        project_services.update_project(project, actor=ALICE, name="Other")
    with pytest.raises(RuntimeError):
        resilience.record_id()


# --- What is noticed


@pytest.fixture
def timeline(project: Project, monkeypatch: pytest.MonkeyPatch) -> Timeline:
    """Eight versions, whole at 1 and 5."""
    monkeypatch.setattr(history, "FULL_FRAME_EVERY", 4)
    for state in moves(8):
        timeline = save(project, state)
    assert history.verify(timeline) == 8
    return timeline


def fresh(timeline: Timeline) -> Timeline:
    return Timeline.everything.get(pk=timeline.pk)


def alter(timeline: Timeline, version: int, **values: Any) -> None:
    collection, condition = revisions(timeline)
    collection.update_one({**condition, "version": version}, {"$set": values})


@pytest.mark.parametrize("version", [1, 3, 5, 8])
def test_an_altered_frame_is_named(timeline: Timeline, version: int) -> None:
    frame = bytearray(history.of(timeline).get(version=version).frame)
    frame[len(frame) // 2] ^= 1
    alter(timeline, version, frame=bytes(frame))
    with pytest.raises(history.HistoryDamaged, match=f"v{version}: its state"):
        history.verify(fresh(timeline))
    with pytest.raises(history.HistoryDamaged):
        history.read_bytes(timeline, version)


def test_a_frame_put_in_its_place_is_named(timeline: Timeline) -> None:
    """Whoever forges a version, and its digest, still breaks the chain."""
    forged = states.encode(replace(samples.timeline(9, 20), zoom=3.0))
    content_digest = chains.sha256(forged)
    alter(timeline, 5, frame=frames.compress(forged, None), contentDigest=content_digest)
    with pytest.raises(history.HistoryDamaged, match="v5: the hash chain is broken"):
        history.verify(fresh(timeline))


@pytest.mark.parametrize("version", [1, 4, 5, 7])
def test_a_removed_revision_is_named(timeline: Timeline, version: int) -> None:
    collection, condition = revisions(timeline)
    collection.delete_one({**condition, "version": version})
    with pytest.raises(history.HistoryDamaged, match=f"version {version} is missing"):
        history.verify(fresh(timeline))


@pytest.mark.parametrize(("version", "told"), [(2, 2), (3, 2), (3, 3), (5, 4), (6, 4), (7, 6)])
def test_what_is_wrong_about_where_it_is_whole_is_named_and_still_read(
    timeline: Timeline, version: int, told: int
) -> None:
    before = history.read_bytes(timeline, version)
    alter(timeline, version, fullVersion=told)
    with pytest.raises(history.HistoryDamaged, match=f"v{version}: it says that version {told}"):
        history.verify(fresh(timeline))
    assert history.read_bytes(timeline, version) == before


def test_a_whole_version_that_says_it_is_none_is_named_by_what_builds_on_it(
    timeline: Timeline,
) -> None:
    before = [history.read_bytes(timeline, version) for version in range(1, 9)]
    alter(timeline, 5, fullVersion=1)
    with pytest.raises(history.HistoryDamaged, match="v6: it says that version 5"):
        history.verify(fresh(timeline))
    assert [history.read_bytes(timeline, version) for version in range(1, 9)] == before


def test_a_head_that_builds_on_another_version_is_named(timeline: Timeline) -> None:
    Timeline.everything.filter(pk=timeline.pk).update(full_version=7)
    with pytest.raises(history.HistoryDamaged, match="head builds on version 7"):
        history.verify(fresh(timeline))


def test_a_damaged_version_is_answered_as_a_problem(timeline: Timeline, api: Api) -> None:
    alter(timeline, 3, frame=b"(")
    Project.objects.filter(pk=timeline.pk).update(readers=["anonymous"])
    answer = api("GET", f"/projects/{timeline.project_id}/timeline/versions/3/")
    assert (answer.status_code, answer.json()["code"]) == (500, "history-damaged")
    assert answer["Content-Type"] == "application/problem+json"


def test_a_removed_last_revision_is_named(timeline: Timeline) -> None:
    collection, condition = revisions(timeline)
    collection.delete_one({**condition, "version": 8})
    with pytest.raises(history.HistoryDamaged, match="head is at version 8, history at 7"):
        history.verify(fresh(timeline))


@pytest.mark.parametrize(
    ("name", "what"),
    [("digest", "v6: the hash chain is broken"), ("contentDigest", "v6: its state")],
)
def test_an_altered_digest_is_named(timeline: Timeline, name: str, what: str) -> None:
    alter(timeline, 6, **{name: bytes(32)})
    with pytest.raises(history.HistoryDamaged, match=what):
        history.verify(fresh(timeline))


def test_a_head_that_was_set_back_is_named(timeline: Timeline) -> None:
    heads = connection.get_collection("timelines")
    heads.update_one({"_id": timeline.pk}, {"$set": {"version": 7}})
    with pytest.raises(history.HistoryDamaged, match="the head is at version 7"):
        history.verify(fresh(timeline))


def test_an_altered_head_is_named(timeline: Timeline) -> None:
    heads = connection.get_collection("timelines")
    heads.update_one({"_id": timeline.pk}, {"$set": {"zoom": 9.5}})
    with pytest.raises(history.HistoryDamaged, match="the head's state"):
        history.verify(fresh(timeline))


def test_a_history_of_another_document_is_noticed(timeline: Timeline, project: Project) -> None:
    """The chain starts from the document's own id."""
    other = ObjectId()
    collection, condition = revisions(timeline)
    collection.update_many(condition, {"$set": {"documentId": other}})
    heads = connection.get_collection("timelines")
    head = heads.find_one_and_delete({"_id": timeline.pk})
    heads.insert_one({**head, "_id": other})
    with pytest.raises(history.HistoryDamaged, match="v1: the hash chain is broken"):
        history.verify(Timeline.everything.get(pk=other))
