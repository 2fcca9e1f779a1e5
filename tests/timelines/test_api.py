"""`/api/v1/projects/{id}/timeline/`"""

import json
from pathlib import Path
from typing import Any

import pytest

from snipix import history
from snipix.audit import AuditEntry
from snipix.history import Revision
from tests.conftest import Api
from timelines.models import Timeline

VIEW = {"version", "updated_at"}


def contains(answered: Any, sent: Any) -> bool:
    """Whether everything that was sent is answered, equal as JSON is."""
    if isinstance(sent, dict):
        return isinstance(answered, dict) and all(
            key in answered and contains(answered[key], value) for key, value in sent.items()
        )
    if isinstance(sent, list):
        return (
            isinstance(answered, list)
            and len(answered) == len(sent)
            and all(map(contains, answered, sent))
        )
    return (type(answered) is type(sent) and answered == sent) or (
        not isinstance(sent, bool) and isinstance(sent, int | float) and answered == sent
    )


def clip(id: str = "c1", **fields: Any) -> dict[str, Any]:
    return {"id": id, "type": "video", "start_time": 0, "duration": 2, **fields}


def layer(*clips: dict[str, Any], id: str = "l1", **fields: Any) -> dict[str, Any]:
    return {"id": id, "name": "Layer", "type": "video", "clips": list(clips), **fields}


@pytest.fixture
def path(api: Api) -> str:
    return f"/projects/{api.create()['id']}/timeline/"


def save(api: Api, path: str, state: Any, **headers: str) -> Any:
    headers = {"if_match": api.etag(path), **headers}
    return api("PUT", path, state, **headers)


def test_an_unsaved_timeline_reads_as_empty_at_version_0(api: Api, path: str) -> None:
    response = api("GET", path)
    assert response.status_code == 200
    body = response.json()
    assert (body["version"], body["layers"], body["fps_num"], body["fps_den"]) == (0, [], 30, 1)
    assert response["ETag"].startswith('"0.')


def test_the_older_clients_saves_come_out_as_they_went_in(
    api: Api, path: str, shared_data: Path
) -> None:
    saves = json.loads((shared_data / "client_saves.json").read_text())["saves"]
    for number, recorded in enumerate(saves, 1):
        state = recorded["body"]["timeline_state"]
        response = save(api, path, state)
        assert response.status_code == 200, response.content
        assert response.json()["version"] == number
        assert contains(api("GET", path).json(), state)


@pytest.mark.parametrize(
    "name", ["effects", "empty_name_tags", "premiere_example", "screening_example", "speed_effects"]
)
def test_real_edits_come_out_as_they_went_in(
    api: Api, path: str, shared_data: Path, name: str
) -> None:
    edit = json.loads((shared_data / "timelines" / f"{name}.json").read_text())
    state = edit.get("timeline_state", edit)
    response = save(api, path, state)
    assert response.status_code == 200, response.content
    assert contains(api("GET", path).json(), state)


def test_a_save_answers_version_etag_time_and_warnings(api: Api, path: str) -> None:
    response = save(api, path, {"layers": [layer(clip(end_time=9))]})
    body = response.json()
    assert set(body) == {"version", "etag", "updated_at", "warnings", "merged"}
    assert [w["path"] for w in body["warnings"]] == ["layers[0].clips[0].end_time"]
    read = api("GET", path)
    assert (read["ETag"], read.json()["updated_at"]) == (body["etag"], body["updated_at"])
    assert "ETag" not in response  # RFC 9110, 9.3.4: defaults were filled in


def test_version_and_updated_at_may_be_sent_back_and_are_ignored(api: Api, path: str) -> None:
    save(api, path, {"layers": [layer(clip())]})
    state = api("GET", path).json()
    response = save(api, path, {**state, "playhead_time": 1, "version": 99})
    assert (response.status_code, response.json()["version"]) == (200, 2)


def test_what_a_save_says_of_itself_is_in_the_history(api: Api, path: str) -> None:
    save(api, path, {"zoom": 2, "description": "Rough cut", "change_summary": "Zoomed"})
    revision = Revision.objects.get(kind="timeline")
    assert (revision.description, revision.change_summary) == ("Rough cut", "Zoomed")


def test_a_change_leaves_revision_head_summary_and_audit_entry(api: Api) -> None:
    project = api.create()
    path = f"/projects/{project['id']}/timeline/"
    save(api, path, {"duration": 7, "layers": [layer(clip("a"), clip("b"))]}, x_request_id="r-1")
    shown = api("GET", f"/projects/{project['id']}/").json()
    numbers = {"version": 1, "duration": 7.0, "layers": 1, "clips": 2, "markers": 0}
    assert contains(shown["timeline"], numbers)
    assert shown["version"] == 1  # the project's own version isn't the timeline's
    assert shown["updated_at"] >= shown["timeline"]["saved_at"] > project["updated_at"]
    entry = AuditEntry.objects.get(kind="timeline")
    assert (entry.action, entry.from_version, entry.to_version) == ("save", 0, 1)
    assert (entry.user_id, entry.request_id, entry.via) == ("anonymous", "r-1", "api")
    assert history.verify(Timeline.objects.get()) == 1


def test_an_equal_state_makes_no_version_but_its_key_is_remembered(api: Api, path: str) -> None:
    state = {"layers": [layer(clip(properties={"a": 1, "b": {"c": [1.0]}}))]}
    save(api, path, state)
    same = {"layers": [layer(clip(properties={"b": {"c": [1]}, "a": 1.0}))]}
    etag = api.etag(path)
    first = save(api, path, same, idempotency_key="k", if_match=etag)
    assert (first.status_code, first.json()["version"]) == (200, 1)
    save(api, path, {"zoom": 3})
    again = save(api, path, same, idempotency_key="k", if_match=etag)
    assert again.content == first.content
    assert Revision.objects.filter(kind="timeline").count() == 2


def test_true_isnt_1(api: Api, path: str) -> None:
    save(api, path, {"metadata": {"loop": 1}})
    assert save(api, path, {"metadata": {"loop": True}}).json()["version"] == 2


def test_a_stale_save_is_refused_with_the_current_version(api: Api, path: str) -> None:
    stale = api.etag(path)
    current = save(api, path, {"zoom": 2}).json()
    response = save(api, path, {"zoom": 3}, if_match=stale)
    assert response.status_code == 412
    assert response.json()["current"] == {"version": 1, "etag": current["etag"]}
    assert api("GET", path).json()["zoom"] == 2


@pytest.mark.parametrize("header", [{}, {"if_match": "*"}, {"if_match": ""}])
def test_a_save_must_say_which_version_it_was_made_on(
    api: Api, path: str, header: dict[str, str]
) -> None:
    response = api("PUT", path, {"zoom": 2}, **header)
    assert response.status_code == 428
    assert response.json()["current"]["version"] == 0


@pytest.mark.parametrize("header", ["x", '"x"', '"0"', '"1.0000000000000000.1.0"', '"²"', "W/"])
def test_an_if_match_that_names_nothing_of_ours_doesnt_match(
    api: Api, path: str, header: str
) -> None:
    assert api("PUT", path, {"zoom": 2}, if_match=header).status_code == 412


def test_the_weak_form_of_our_tag_and_a_list_match(api: Api, path: str) -> None:
    header = f'"other", W/{api.etag(path)}'
    assert api("PUT", path, {"zoom": 2}, if_match=header).status_code == 200


def test_a_client_that_has_the_current_bytes_gets_304(api: Api, path: str) -> None:
    save(api, path, {"zoom": 2})
    etag = api.etag(path)
    response = api("GET", path, if_none_match=etag)
    assert (response.status_code, response.content, response["ETag"]) == (304, b"", etag)
    save(api, path, {"zoom": 3})
    assert api("GET", path, if_none_match=etag).status_code == 200


def test_a_repeated_key_gets_the_same_answer_before_if_match_is_looked_at(
    api: Api, path: str
) -> None:
    first = save(api, path, {"zoom": 2}, idempotency_key="k1")
    save(api, path, {"zoom": 3})
    again = api("PUT", path, {"zoom": 2}, idempotency_key="k1")
    assert (again.status_code, again.content) == (200, first.content)
    assert api("GET", path).json()["version"] == 2


@pytest.mark.parametrize(
    ("state", "headers"),
    [({"zoom": 9}, {}), ({"zoom": 2}, {"content-type": "application/json; charset=utf-16"})],
)
def test_a_key_with_another_request_is_refused(
    api: Api, path: str, state: Any, headers: dict[str, str]
) -> None:
    save(api, path, {"zoom": 2}, idempotency_key="k1")
    response = save(api, path, state, idempotency_key="k1", **headers)
    assert response.status_code == (422 if state["zoom"] == 9 else 200)


def test_an_error_isnt_remembered_under_its_key(api: Api, path: str) -> None:
    assert api("PUT", path, {"zoom": 2}, idempotency_key="k").status_code == 428
    assert save(api, path, {"zoom": 2}, idempotency_key="k").status_code == 200


@pytest.mark.parametrize("key", ["", "ä", "a b", "x" * 256])
def test_a_key_that_isnt_one_is_refused(api: Api, path: str, key: str) -> None:
    response = save(api, path, {"zoom": 2}, idempotency_key=key)
    assert response.status_code == 400
    assert response.json()["errors"][0]["path"] == "Idempotency-Key"


NESTED = b'{"metadata": {"a": ' + b"[" * 5000 + b"]" * 5000 + b"}}"
REFUSED = [
    (b'{"layers": [{"id": "l", "type": "video", "clips": [{"id": "c", "type": "video", '
     b'"start_time": 0, "duration": 0}]}]}', "layers[0].clips[0].duration"),
    (b'{"zoom": NaN}', "zoom"),
    (b'{"duration": Infinity}', "duration"),
    (b'{"duration": 1e999}', "duration"),
    (b'{"metadata": {"n": 18446744073709551616}}', "metadata.n"),
    (b'{"metadata": {"$set": 1}}', 'metadata["$set"]'),
    (b'{"metadata": {"a\\u0000b": 1}}', None),
    (b'{"markers": [{"id": "m", "time": 1, "label": "' + b"x" * 1_000_000 + b'"}]}',
     "markers[0].label"),
    (NESTED, None),
    (b'{"zoom": "\xff"}', None),
    (b'{"metadata": {"a": "\\ud800"}}', None),
    (b'{"zom": 1}', "zom"),
    (b'[]', ""),
    (b'', ""),
    (b'{"zoom": 1', ""),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "where"), REFUSED)
def test_what_cant_be_kept_is_refused_where_it_stands(
    api: Api, path: str, raw: bytes, where: str | None
) -> None:
    response = api("PUT", path, raw=raw, if_match=api.etag(path))
    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/problem+json"
    errors = response.json()["errors"]
    assert all(error["reason"] and error["hint"] for error in errors)
    if where is not None:
        assert where in [error["path"] for error in errors]
    assert api("GET", path).json()["version"] == 0


def test_a_body_over_the_limit_is_refused_with_both_numbers(
    api: Api, path: str, settings: Any
) -> None:
    settings.MAX_BODY_BYTES = 1000
    response = api("PUT", path, raw=b" " * 1001, if_match=api.etag(path))
    assert response.status_code == 413
    assert contains(response.json(), {"bytes": 1001, "limit": 1000})


def test_a_state_that_mongodb_couldnt_hold_is_refused(api: Api, path: str) -> None:
    numbers = b"[" + b",".join([b"1.5"] * 995_000) + b"]"
    response = api("PUT", path, raw=b'{"metadata": {"n": ' + numbers + b"}}",
                   if_match=api.etag(path))  # fmt: skip
    assert response.status_code == 413, response.content[:300]
    assert contains(response.json(), {"limit": 15 * 1024 * 1024})


def test_another_content_type_is_refused(api: Api, path: str) -> None:
    response = api("PUT", path, {"zoom": 2}, **{"content-type": "text/plain"})
    assert response.status_code == 415


def test_a_timeline_goes_and_comes_with_its_project(api: Api) -> None:
    project = api.create()
    path = f"/projects/{project['id']}/timeline/"
    etag = api.etag(path)
    assert api("DELETE", f"/projects/{project['id']}/").status_code == 200
    assert api("GET", path).status_code == 404
    assert api("PUT", path, {"zoom": 2}, if_match=etag).status_code == 404
    api("POST", f"/projects/{project['id']}/restore/")
    assert api("PUT", path, {"zoom": 2}, if_match=etag).status_code == 200
