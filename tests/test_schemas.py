"""MongoDB itself refuses what the API wouldn't store, and nothing that it stores."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import WriteError

from projects.models import Project
from snipix import bson_schema, history, indexes, pieces, schemas
from snipix.accounts import SYSTEM, Token
from snipix.documents import Document
from snipix.memory import contents
from snipix.mongo import connection
from snipix.states import Struct
from tests.administration import TIMELINE
from tests.conftest import Api, unguard
from tests.test_schema_versions import MODELS, SAMPLES
from tests.timelines.states.given import parsed
from tests.timelines.states.strategies import wire_states
from tests.together import meanwhile
from tests.transcriptions import test_state as transcriptions
from timelines.models import Timeline
from timelines.samples import timeline
from transcriptions.models import Transcription
from transcriptions.samples import transcription

NAMES = [model._meta.db_table for model, _ in indexes.declared()]
REFUSED = 121
unhurried = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def guarded(db: None) -> Iterator[None]:
    """MongoDB checks what is written."""
    list(schemas.ensure())
    yield
    for name in NAMES:
        unguard(name)


def ensure(*options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("ensure_schema", *options, "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


@pytest.fixture
def stored(api: Api) -> dict[str, dict[str, Any]]:
    """A document of every collection, as the API has stored it."""
    path = f"/projects/{api.create(tags=['a'], metadata={'k': [1, None]})['id']}/"
    keyed = {"if_match": api.etag(f"{path}timeline/"), "idempotency_key": "k"}
    assert api("PUT", f"{path}timeline/", TIMELINE, **keyed).status_code == 200
    assert api("POST", f"{path}transcription/", {"segments": [said(1)]}).status_code == 201
    draft = {"base_etag": "x", "state": TIMELINE}
    assert api("PUT", f"{path}timeline/draft/", draft, x_client_id="tab").status_code == 200
    assert api("PUT", f"{path}timeline/versions/1/name/", {"name": "One"}).status_code == 200
    Token.issue(User.objects.create_user("alice"))
    return {name: connection.get_collection(name).find_one() for name in NAMES}


def said(number: int) -> dict[str, Any]:
    word = {"text": "word", "start": number, "end": number + 0.5}
    return {"id": f"s{number}", "start_time": number, "end_time": number + 1, "words": [word]}


def new(document: dict[str, Any]) -> dict[str, Any]:
    """The same under keys that nobody has."""
    id = b"other" if isinstance(document["_id"], bytes) else ObjectId()
    keys = {"projectId": "other", "scope": "other", "_id": id}
    return {**document, **{name: key for name, key in keys.items() if name in document}}


def damages(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What nobody may write: something missing, something unknown, something of another type."""
    needed = "elements" if "elements" in document else "createdAt"
    needed = needed if needed in document else "updatedAt"
    yield {name: value for name, value in document.items() if name != needed}
    yield {**document, "unknown": 1}
    for name in document.keys() - {"_id"}:
        yield {**document, name: 5 if isinstance(document[name], dict) else {"of": "another type"}}


@pytest.mark.parametrize("name", NAMES)
def test_what_bypasses_the_api_is_refused(name: str, stored: dict[str, dict[str, Any]]) -> None:
    document, collection = stored[name], connection.get_collection(name)
    collection.delete_one({"_id": document["_id"]})
    collection.insert_one(document)  # as it is, it's welcome
    for damaged in damages(new(document)):
        with pytest.raises(WriteError) as refused:
            collection.insert_one(damaged)
        assert refused.value.code == REFUSED, damaged
    for damaged in damages(document):
        with pytest.raises(WriteError) as refused:
            collection.replace_one({"_id": document["_id"]}, damaged)
        assert refused.value.code == REFUSED, damaged
    with pytest.raises(WriteError) as refused:
        collection.update_one({"_id": document["_id"]}, {"$set": {"unknown": 1}})
    assert refused.value.code == REFUSED
    assert collection.find_one({"_id": document["_id"]}) == document


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("projects", {"name": ""}),
        ("projects", {"status": "lost"}),
        ("projects", {"collaborators": [{"user_id": "bob", "right": "own"}]}),
        ("timelines", {"zoom": -1.0}),
        ("timelines", {"layers.0.type": "smell"}),
        ("timelines", {"layers.0.clips": {"pieces": ["a"]}}),
        ("timelines", {"layers.0.clips": [{"id": "half"}]}),
        ("transcriptions", {"segments.0.words.0.text": 5}),
        ("transcriptions", {"segments.0.confidence": 1.5}),
        ("pieces", {"elements": []}),
        ("pieces", {"elements.0.duration": "long"}),
        ("pieces", {"elements.0.keyframes": [{"time": 1.0}]}),
        ("revisions", {"version": -1}),
        ("revisions", {"kind": "k" * 21}),
        ("audit_entries", {"toVersion": "two"}),
    ],
)
def test_deep_within_a_document_as_well(
    name: str, damage: dict[str, Any], stored: dict[str, dict[str, Any]]
) -> None:
    key = {"_id": stored[name]["_id"]}
    with pytest.raises(WriteError) as refused:
        connection.get_collection(name).update_one(key, {"$set": damage})
    assert refused.value.code == REFUSED


def test_a_refusal_of_mongodbs_is_no_outage_that_a_client_should_wait_for(api: Api) -> None:
    """There is none that we know of: it would be a mistake of ours, and changes nothing."""
    path = f"/projects/{api.create()['id']}/"
    connection.database.command("collMod", "projects", validator={"name": {"$ne": "Odd"}})
    refused = api("PATCH", path, {"name": "Odd"}, if_match=api.etag(path))
    assert (refused.status_code, refused.json()["code"]) == (500, "internal-server-error")
    assert "Retry-After" not in refused
    assert Project.objects.get().version == 1
    connection.database.command("collMod", "pieces", validator={"projectId": "another"})
    path += "timeline/"
    refused = api("PUT", path, TIMELINE, if_match=api.etag(path))
    assert refused.status_code == 500, "also where several documents are written at once"


# --- What is accepted


def keep(model: type[Document], state: Struct) -> None:
    """Store a state as the first version of a document of its own, past the API, and verify it."""
    key = ObjectId()
    document = model(id=key, project_id=str(key), user_id="alice", created_by="alice")
    history.change(lambda: history.write(document, state, action="save", actor=SYSTEM))
    assert history.verify(document) == 1


@unhurried
@given(wire_states)
def test_every_timeline_that_the_api_accepts_is_accepted(wire: Any) -> None:
    keep(Timeline, parsed(wire))


@unhurried
@given(transcriptions.made_up)
def test_every_transcription_that_the_api_accepts_is_accepted(state: Any) -> None:
    keep(Transcription, state)


@pytest.mark.parametrize("seed", range(3))
def test_long_states_are_accepted(seed: int) -> None:
    keep(Timeline, timeline(seed, 500))
    keep(Transcription, transcription(seed, 2_000))
    assert connection.get_collection("pieces").count_documents({}) > 2


def test_a_clip_that_ends_as_late_as_may_be_is_accepted(api: Api) -> None:
    path = f"/projects/{api.create()['id']}/timeline/"
    clip = {"id": "c", "type": "video", "start_time": 1e10, "duration": 1e10}
    state = {"layers": [{"id": "l", "type": "video", "clips": [clip]}]}
    assert api("PUT", path, state, if_match=api.etag(path)).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_a_sample_of_every_schema_version_is_accepted(
    model: type[Document], stored: dict[str, dict[str, Any]]
) -> None:
    name = model._meta.db_table
    fields = {
        each: model._meta.get_field(each).column for each in model.state_type.__struct_fields__
    }
    for version in range(1, model.current_schema() + 1):
        sample = json.loads((SAMPLES / f"{model.kind}-v{version}.json").read_text())
        own = {k: v for k, v in stored[name].items() if k not in fields.values()}
        state = {fields[each]: value for each, value in sample.items()}
        document = new({**own, **state, "schemaVersion": version})
        connection.get_collection(name).insert_one({**document, "projectId": str(version)})


def test_an_older_document_is_welcome_until_it_is_migrated(stored: dict[str, Any]) -> None:
    """Without what schema 2 has, it passes as one of schema 1 and not as one of today's."""
    older = {
        k: v for k, v in stored["projects"].items() if k not in ("video", "transcriptionState")
    }
    projects = connection.get_collection("projects")
    projects.replace_one({"_id": older["_id"]}, {**older, "schemaVersion": 1})
    with pytest.raises(WriteError):
        projects.update_one({"_id": older["_id"]}, {"$set": {"schemaVersion": 2}})
    with pytest.raises(WriteError):
        projects.update_one({"_id": older["_id"]}, {"$set": {"isDeleted": "no"}})
    contents.clear()  # another process did this
    call_command("migrate_documents", stdout=StringIO(), stderr=StringIO())
    assert Project.objects.get().schema_version == 2


def test_what_clients_have_saved_is_accepted(api: Api, shared_data: Path) -> None:
    path = f"/projects/{api.create()['id']}/timeline/"
    for save in json.loads((shared_data / "client_saves.json").read_text())["saves"]:
        state = save["body"]["timeline_state"]
        response = api("PUT", path, state, if_match=api.etag(path))
        assert response.status_code in (200, 400), response.content
    assert Timeline.objects.get().version > 0


# --- Structs that can't be described


class Nested(Struct, frozen=True, kw_only=True):
    inner: "Nested | None" = None


def test_what_holds_itself_is_refused() -> None:
    with pytest.raises(TypeError, match="holds itself"):
        bson_schema.of(Nested)


@given(st.sampled_from([m.state_type for m in MODELS]))
def test_mongodbs_dialect_has_no_words_that_it_lacks(type_: Any) -> None:
    told = json.dumps(bson_schema.of(type_))
    for word in ("$ref", "default", "integer", "format", "examples", '"type": "'):
        assert word not in told


# --- The command


def test_drift_is_found_and_mended() -> None:
    assert list(schemas.drift()) == []
    unguard("projects")
    connection.database.command("collMod", "drafts", validationAction="warn")
    found = {drift.collection: drift.problem for drift in schemas.drift()}
    assert found == {"drafts": "differs", "projects": "missing"}
    with pytest.raises(CommandError) as refused:
        ensure("--check")
    assert refused.value.returncode == 3
    assert {drift["collection"] for drift in ensure()["drift"]} == {"drafts", "projects"}
    assert ensure()["drift"] == []
    ensure("--check")


def test_documents_that_dont_fit_are_named(stored: dict[str, Any]) -> None:
    unguard("drafts")
    key = connection.get_collection("drafts").insert_one({"odd": 1}).inserted_id
    with pytest.raises(CommandError) as refused:
        ensure("--documents")
    assert refused.value.returncode == 3
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("ensure_schema", "--check", "--documents", stdout=out, stderr=StringIO())
    assert f"drafts: 1 documents don't fit: {key}" in out.getvalue()


def test_validators_are_set_beside_writers(api: Api) -> None:
    with meanwhile(lambda: Api().create()["id"]) as made:
        while len(made) < 10:
            unguard("projects")
            unguard("revisions")
            ensure()
    assert connection.get_collection("revisions").count_documents({}) == len(made)
    assert list(schemas.drift()) == []


def test_the_validators_can_be_printed_for_a_shell() -> None:
    out = StringIO()
    call_command("ensure_schema", "--print", stdout=out)
    assert json.loads(out.getvalue()).keys() == set(NAMES)


def test_pieces_are_described_by_what_they_are_pieces_of() -> None:
    described = schemas.schema_of(pieces.Piece)["properties"]["elements"]["anyOf"]
    assert [sorted(d["items"]["required"])[:2] for d in described] == [
        ["content", "duration"], ["color", "id"], ["confidence", "edited_text"],
    ]  # fmt: skip
