"""Stored states of every schema version that there ever was are read as the newest one."""

import json
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pymongo.errors import AutoReconnect

from projects.models import Project
from snipix import history, states
from snipix.documents import Document
from snipix.history import Revision
from snipix.mongo import connection
from tests.conftest import Api
from timelines.models import Timeline
from transcriptions.models import Transcription

SAMPLES = Path(__file__).parent / "samples"
MODELS: list[type[Document]] = [Project, Timeline, Transcription]


@pytest.mark.parametrize("model", MODELS)
def test_a_sample_of_every_schema_version_is_kept_and_read(model: type[Document]) -> None:
    """A sample is never changed: when the schema is, another one is added."""
    for version in range(1, model.current_schema() + 1):
        sample = json.loads((SAMPLES / f"{model.kind}-v{version}.json").read_text())
        state = states.from_builtins(model.upgraded(sample, version), model.state_type)
        assert states.from_builtins(json.loads(states.encode(state)), model.state_type) == state


@pytest.mark.parametrize("model", MODELS)
def test_the_newest_sample_is_what_would_be_stored(model: type[Document]) -> None:
    """Fails when a state's definition changes without a new schema version and its sample."""
    sample = json.loads((SAMPLES / f"{model.kind}-v{model.current_schema()}.json").read_text())
    state = states.from_builtins(sample, model.state_type)
    assert json.loads(states.encode(state)) == sample


def brighten(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """An upgrade as there may be one: every layer's metadata says that it is bright."""
    layers = [
        {**layer, "metadata": {**layer["metadata"], "bright": True}} for layer in state["layers"]
    ]
    return {**state, "layers": layers}


@pytest.fixture
def path(api: Api) -> str:
    path = f"/projects/{api.create()['id']}/timeline/"
    for zoom in (2, 3):
        state = {"zoom": zoom, "layers": [{"id": "v1", "name": "Video", "type": "video"}]}
        api("PUT", path, state, if_match=api.etag(path))
    return path


def test_old_states_are_upgraded_when_they_are_read(
    api: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Timeline, "upgrades", (brighten,))
    assert api("GET", path).json()["layers"][0]["metadata"] == {"bright": True}
    old = api("GET", f"{path}versions/1/").json()["state"]
    assert old["layers"][0]["metadata"] == {"bright": True}
    assert Timeline.objects.get().schema_version == 1
    assert history.verify(Timeline.objects.get()) == 2


def test_saving_stores_the_newest_schema_on_top(
    api: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Timeline, "upgrades", (brighten,))
    api("PUT", path, {"zoom": 4}, if_match=api.etag(path))
    assert [r.schema_version for r in history.of(Timeline.objects.get())] == [1, 1, 2]
    assert history.verify(Timeline.objects.get()) == 3
    api("POST", f"{path}rollback/", {"version": 1})
    assert api("GET", path).json()["layers"][0]["metadata"] == {"bright": True}


def test_going_to_the_trash_upgrades_nothing(
    api: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = Project.current_schema()
    archive = (lambda state: {**state, "status": "archived"},)
    monkeypatch.setattr(Project, "upgrades", (*Project.upgrades, *archive))
    Project.objects.get().delete()
    assert [r.schema_version for r in Revision.objects.filter(kind="project")] == [now, now]
    assert history.verify(Project.everything.get()) == 2


def migrate(*options: str) -> str:
    out = StringIO()
    call_command("migrate_documents", *options, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_all_heads_are_migrated_and_revisions_stay(
    api: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.create("No timeline")
    before = list(Revision.objects.filter(kind="timeline").values_list("frame", flat=True))
    monkeypatch.setattr(Timeline, "upgrades", (brighten,))
    assert "timelines: 1 to upgrade" in migrate("--dry-run")
    assert Timeline.objects.get().version == 2
    assert "timelines: 1 upgraded" in migrate()
    timeline = Timeline.objects.get()
    assert (timeline.version, timeline.schema_version) == (3, 2)
    kept = Revision.objects.filter(kind="timeline", version__lte=2)
    assert list(kept.values_list("frame", flat=True)) == before
    assert history.verify(timeline) == 3
    shown = api("GET", path.removesuffix("timeline/")).json()["timeline"]
    assert shown["version"] == 3
    assert "timelines: 0 upgraded" in migrate()


def test_what_is_damaged_is_named_and_keeps_nothing_else_from_being_migrated(
    api: Api, path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        other = f"/projects/{api.create()['id']}/timeline/"
        api("PUT", other, {"zoom": 2}, if_match=api.etag(other))
    first, second, *_, last = Timeline.objects.order_by("pk").values_list("pk", flat=True)
    timelines, revisions = (connection.get_collection(name) for name in ("timelines", "revisions"))
    timelines.update_one({"_id": first}, {"$set": {"layers": "none"}})
    timelines.update_one(
        {"_id": second}, {"$set": {"updatedAt": None, "layers": {"pieces": [b"x"]}}}
    )
    revisions.delete_many({"documentId": second, "kind": "timeline"})
    monkeypatch.setattr(Timeline, "upgrades", (brighten,))
    capsys.readouterr()
    for upgraded in (2, 0):
        out = StringIO()
        with pytest.raises(CommandError, match="2 were left; all else is done") as ended:
            call_command("migrate_documents", stdout=out)
        assert ended.value.returncode == 4
        assert f"timelines: {upgraded} upgraded" in out.getvalue()
        told = capsys.readouterr().err
        assert f"left timeline {first}: " in told
        assert f"left timeline {second}: " in told
        assert Timeline.objects.get(pk=last).schema_version == 2


def test_what_fails_for_all_ends_the_migration(
    api: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Timeline, "upgrades", (brighten,))
    monkeypatch.setattr(Timeline, "upgrade", lambda _: (_ for _ in ()).throw(AutoReconnect))
    with pytest.raises(CommandError) as ended:
        migrate()
    assert ended.value.returncode == 1


def test_what_is_in_the_trash_is_migrated_too(
    api: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Project.objects.all().delete()
    monkeypatch.setattr(Timeline, "upgrades", (brighten,))
    assert "timelines: 1 upgraded" in migrate()
    assert Timeline.objects.get().schema_version == 2
