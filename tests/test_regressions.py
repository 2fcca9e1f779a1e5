"""What was broken once, and how it was found."""

import string
import time
from random import Random
from typing import Any

import pytest
from django.db import IntegrityError
from django.db.models import F

from projects.models import Project
from snipix import free_values, history, indexes
from snipix.accounts import Token
from snipix.history import HistoryDamaged, Revision
from snipix.idempotency import KeptAnswer
from snipix.mongo import connection
from snipix.refusals import InvalidState
from tests.conftest import Api
from timelines.models import Timeline


def save(api: Api, project_id: str, state: Any, **headers: str) -> Any:
    path = f"/projects/{project_id}/timeline/"
    headers.setdefault("if_match", api.etag(path))
    return api("PUT", path, state, **headers)


def test_a_key_of_another_create_is_refused_at_once(api: Api) -> None:
    api("POST", "/projects/", {"name": "A", "id": "a"}, idempotency_key="k")
    for other in ({"name": "B", "id": "b"}, {"name": "B"}):
        response = api("POST", "/projects/", other, idempotency_key="k")
        assert (response.status_code, response.json()["code"]) == (422, "idempotency-key-reused")
    assert Project.objects.count() == 1


def test_a_mistake_of_ours_isnt_tried_again(db: None) -> None:
    attempts = []

    def work() -> None:
        attempts.append("")
        Token.objects.create(user=None)

    with pytest.raises(IntegrityError):
        history.change(work)
    assert len(attempts) == 1


@pytest.mark.parametrize(
    "key", ["x` - at `$.nope", "x` - at `$.layers[0].clips", "` - at `$", "`", " - at `$.zoom`"]
)
def test_a_key_that_reads_like_a_message_of_the_parser_is_refused(api: Api, key: str) -> None:
    response = save(api, api.create()["id"], {key: 1})
    assert (response.status_code, response.json()["code"]) == (400, "invalid-input")


def test_options_says_what_an_address_is(api: Api) -> None:
    for path in ("/projects/", "/projects/nope/timeline/", "/trash/", "/audit/"):
        response = api("OPTIONS", path)
        assert (response.status_code, "GET" in response["Allow"]) == (200, True)


def test_what_was_restored_meanwhile_isnt_purged(api: Api) -> None:
    project = api.create()
    api("DELETE", f"/projects/{project['id']}/")
    trashed = Project.everything.trashed()
    documents = list(trashed)
    api("POST", f"/projects/{project['id']}/restore/")
    assert [document.purge() for document in documents] == [{}]
    assert Project.objects.count() == 1


def test_a_purge_takes_effect_once(api: Api) -> None:
    api.create()
    Project.objects.all().delete()
    document = Project.everything.get()
    assert document.purge()["projects"] == 1
    assert document.purge() == {}


def test_a_kept_answer_doesnt_outlive_its_project(api: Api) -> None:
    """An equal save conflicts with a purge, though it makes no version."""
    project_id = api.create()["id"]
    save(api, project_id, {"zoom": 2})
    held = Project.objects.get().held_at
    save(api, project_id, {"zoom": 2}, idempotency_key="k")
    assert Project.objects.get().held_at != held
    Project.objects.all().delete()
    Project.everything.all().purge()
    assert not KeptAnswer.objects.exists()


def test_a_body_of_too_many_values_is_refused_at_once(db: None) -> None:
    raw = b'{"metadata": {"n": [' + b"1," * 2_000_000 + b"NaN]}}"
    began = time.process_time()
    with pytest.raises(InvalidState, match="values"):
        free_values.check_count(raw)
    assert time.process_time() - began < 1


def test_reading_an_old_version_costs_no_more_than_the_state_did(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing stays from save to save, frames are whole before their sum is a burden."""
    monkeypatch.setattr(history, "_SMALL", 0)
    project_id = api.create()["id"]
    for number in range(6):
        text = "".join(Random(number).choices(string.printable, k=3000))
        save(api, project_id, {"metadata": {"text": text}})
    timeline = Timeline.objects.get()
    whole = Revision.objects.filter(kind="timeline", version=F("full_version")).count()
    assert whole > 1
    assert history.verify(timeline) == 6


def test_a_page_and_its_json_have_different_tags(api: Api) -> None:
    path = f"/projects/{api.create()['id']}/"
    etag = api.etag(path)
    page = api("GET", path, accept="text/html", if_none_match=etag)
    assert page.status_code == 200
    assert page["ETag"] != etag
    assert api("PATCH", path, {"name": "New"}, if_match=page["ETag"]).status_code == 200


def test_a_304_says_no_length(api: Api) -> None:
    path = f"/projects/{api.create()['id']}/"
    assert "Content-Length" not in api("GET", path, if_none_match=api.etag(path))


def test_a_tag_isnt_used_again_after_a_purge(api: Api) -> None:
    def create() -> dict[str, Any]:
        return api("POST", "/projects/", {"name": "Film"}, idempotency_key="k").json()

    first = create()
    Project.objects.all().delete()
    Project.everything.all().purge()
    second = create()
    assert first["id"] == second["id"]
    assert first["etag"] != second["etag"]


def test_a_timeline_goes_nowhere_without_its_project(api: Api) -> None:
    save(api, api.create()["id"], {"zoom": 2})
    for going in (Timeline.delete, Timeline.restore, Timeline.purge):
        with pytest.raises(TypeError):
            going(Timeline.objects.get())


def test_a_changed_retention_changes_its_index(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    index = next(i for i in KeptAnswer.collection_indexes if "expireAfterSeconds" in i.document)
    monkeypatch.setitem(index.document, "expireAfterSeconds", 86_400)
    list(indexes.ensure())
    found = connection.get_collection("kept_answers").index_information()
    assert found[index.document["name"]]["expireAfterSeconds"] == 86_400
    monkeypatch.undo()
    list(indexes.ensure())


def test_a_history_is_verified_as_far_as_the_head_goes(api: Api) -> None:
    project = api.create()
    old = Project.objects.get()
    path = f"/projects/{project['id']}/"
    api("PATCH", path, {"name": "New"}, if_match=project["etag"])
    assert history.verify(old) == 2
    position = ("version", "digest", "content_digest", "full_version", "chain_size")
    Project.objects.update(name="Film", **{name: getattr(old, name) for name in position})
    with pytest.raises(HistoryDamaged, match="goes on"):
        history.verify(old)


def test_text_is_kept_as_it_was_sent(api: Api) -> None:
    sent = {"name": " Film ", "description": "  indented\n  b\n", "tags": [" t "]}
    body = api("POST", "/projects/", sent).json()
    assert {name: body[name] for name in sent} == sent
    assert api("POST", "/projects/", {"name": " \n "}).status_code == 400


def test_minus_nothing_is_nothing(api: Api) -> None:
    project = api("POST", "/projects/", raw=b'{"name": "Film", "duration": -0.0}').json()
    assert str(project["duration"]) == "0.0"


def test_an_address_with_a_slash_is_the_same_request(api: Api) -> None:
    first = api("POST", "/projects/", {"name": "Film"}, idempotency_key="k")
    assert api("POST", "/projects", {"name": "Film"}, idempotency_key="k").content == first.content
