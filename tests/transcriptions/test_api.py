"""Transcriptions over HTTP: made, read, edited, lost by nobody."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from projects.models import Project
from snipix import history
from snipix.audit import AuditEntry
from tests.conftest import Api, as_
from transcriptions.models import Transcription


def word(text: str, start: float, end: float, **more: Any) -> dict[str, Any]:
    return {"text": text, "start": start, "end": end, **more}


def segment(id: str, start: float, text: str, speaker: str | None = "a") -> dict[str, Any]:
    """A word each half second."""
    texts = text.split()
    words = [word(t, start + i / 2, start + i / 2 + 0.4) for i, t in enumerate(texts)]
    return {
        "id": id,
        "start_time": start,
        "end_time": start + len(texts) / 2,
        "text": text,
        "words": words,
        "speaker_id": speaker,
    }


STATE = {
    "segments": [
        segment("s1", 0, "good morning everybody"),
        segment("s2", 2, "welcome to Lisbon"),
        segment("s3", 4, "how are you", "b"),
    ],
    "speakers": {"a": "Alice"},
}


@pytest.fixture
def path(api: Api) -> str:
    return f"/projects/{api.create()['id']}/transcription/"


@pytest.fixture
def made(api: Api, path: str) -> str:
    """The address of a transcription that is there."""
    response = api("POST", path, STATE)
    assert response.status_code == 201, response.content
    return path


def texts(answer: Any) -> list[str]:
    return [each["edited_text"] or each["text"] for each in answer["segments"]]


# --- Made, read, replaced, deleted


def test_a_project_has_no_transcription_until_one_is_made(api: Api, path: str) -> None:
    response = api("GET", path)
    assert (response.status_code, response.json()["code"]) == (404, "not-found")
    assert "create it" in response.json()["detail"]
    assert api("POST", path, {}).status_code == 201
    assert api("GET", path).json()["segments"] == []


def test_what_was_made_is_read(api: Api, made: str) -> None:
    response = api("GET", made)
    found = response.json()
    assert response["ETag"].startswith('"1.')
    assert texts(found) == ["good morning everybody", "welcome to Lisbon", "how are you"]
    assert [w["id"] for w in found["segments"][0]["words"]] == ["s1~0", "s1~1", "s1~2"]
    assert (found["speakers"], found["speaker_count"], found["version"]) == ({"a": "Alice"}, 2, 1)
    assert api("GET", made, if_none_match=response["ETag"]).status_code == 304


def test_there_is_one_at_most(api: Api, made: str) -> None:
    response = api("POST", made, {})
    assert response.status_code == 409
    assert texts(api("GET", made).json())


def test_a_project_shows_its_transcription_in_numbers(api: Api, made: str) -> None:
    project = made.removesuffix("transcription/")
    first = api("GET", project)
    shown = first.json()["transcription"]
    assert {k: shown[k] for k in ("version", "exists", "segments", "words", "speakers")} == {
        "version": 1, "exists": True, "segments": 3, "words": 9, "speakers": 2,
    }  # fmt: skip
    api("PATCH", made, {"is_complete": True}, if_match=api.etag(made))
    second = api("GET", project, if_none_match=first["ETag"])
    assert second.json()["transcription"]["is_complete"] is True
    api("PATCH", project, {"name": "Renamed"}, if_match=first["ETag"])
    assert api("GET", project).json()["name"] == "Renamed", "its own version stayed the same"


def test_replacing_it_takes_the_version_it_was_made_on(api: Api, made: str) -> None:
    new = {"segments": [segment("s9", 1, "all new")]}
    assert api("PUT", made, new).status_code == 428
    etag = api.etag(made)
    assert api("PUT", made, new, if_match=etag).json()["version"] == 2
    assert api("PUT", made, STATE, if_match=etag).status_code == 412
    assert texts(api("GET", made).json()) == ["all new"]
    assert api("PUT", made, new, if_match=api.etag(made)).json()["version"] == 2, "nothing changed"


def test_a_deleted_one_comes_back(api: Api, made: str) -> None:
    assert api("DELETE", made, if_match='"9.0000000000000000.1.0"').status_code == 412
    assert api("DELETE", made).json()["version"] == 2
    gone = api("GET", made)
    assert gone.status_code == 404
    assert "restore it" in gone.json()["detail"]
    project = api("GET", made.removesuffix("transcription/")).json()
    assert (project["transcription"]["exists"], project["is_deleted"]) == (False, False)
    assert api("POST", f"{made}restore/").json()["version"] == 3
    assert len(api("GET", made).json()["segments"]) == 3
    assert api("POST", f"{made}restore/").json()["version"] == 3


def test_making_a_new_one_over_a_deleted_one_loses_nothing(api: Api, made: str) -> None:
    api("DELETE", made)
    assert api("POST", made, {"language": "pt"}).json()["version"] == 3
    assert api("GET", made).json()["language"] == "pt"
    assert len(api("GET", f"{made}versions/1/").json()["state"]["segments"]) == 3
    assert history.verify(Transcription.objects.get()) == 3


def test_it_goes_and_comes_back_with_its_project(api: Api, made: str) -> None:
    project = made.removesuffix("transcription/")
    api("DELETE", project)
    assert api("GET", made).status_code == 404
    assert api("PATCH", made, {"language": "pt"}, if_match="*").status_code == 404
    api("POST", f"{project}restore/")
    assert api("GET", made).json()["version"] == 1
    Project.objects.all().delete()
    Project.everything.get().purge()
    assert not Transcription.everything.exists()


def test_every_change_is_audited_and_repeated_once(api: Api, made: str) -> None:
    body = {"segments": [segment("s4", 6, "fine thanks")]}
    answers = [api("POST", f"{made}segments/", body, idempotency_key="k") for _ in range(3)]
    assert {a.content for a in answers} == {answers[0].content}
    entries = AuditEntry.objects.filter(kind="transcription").order_by("to_version")
    assert [(e.action, e.to_version) for e in entries] == [("create", 1), ("save", 2)]


# --- Windows


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("start=2&end=4", ["s2"]),
        ("start=1.5", ["s2", "s3"]),
        ("end=2.001", ["s1", "s2"]),
        ("start=100", []),
        ("start=0&end=0", []),
    ],
)
def test_a_window_holds_what_is_said_in_it(api: Api, made: str, query: str, ids: list[str]) -> None:
    found = api("GET", f"{made}?{query}").json()
    assert [s["id"] for s in found["segments"]] == ids
    assert found["speakers"] == {"a": "Alice"}


def test_windows_have_tags_of_their_own(api: Api, made: str) -> None:
    paths = [made, f"{made}?start=2", f"{made}?start=2&words=false", f"{made}?words=false"]
    tags = [api.etag(path) for path in paths]
    assert len(set(tags)) == 4
    assert api("GET", paths[1], if_none_match=tags[1]).status_code == 304
    assert api("GET", paths[1], if_none_match=tags[0]).status_code == 200
    assert api("GET", paths[3]).json()["segments"][0]["words"] == []
    assert api("PATCH", made, {"language": "pt"}, if_match=tags[2]).status_code == 200


@pytest.mark.parametrize("query", ["start=x", "start=-1", "start=nan", "words=2", "from=1"])
def test_a_window_that_is_none_is_refused_by_name(api: Api, made: str, query: str) -> None:
    response = api("GET", f"{made}?{query}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["path"] == query.partition("=")[0]


# --- Edits


def test_segments_are_added_in_any_order_once(api: Api, made: str) -> None:
    late, early = segment("s5", 8, "last words"), segment("s4", 6, "fine thanks")
    for body in ([late], [early], [late, early]):
        response = api("POST", f"{made}segments/", {"segments": body})
    assert response.json()["version"] == 3, "the last one changed nothing"
    assert [s["id"] for s in api("GET", made).json()["segments"]] == ["s1", "s2", "s3", "s4", "s5"]


def test_what_somebody_edited_isnt_replaced_by_a_recogniser(api: Api, made: str) -> None:
    one = f"{made}segments/s1/"
    api("PATCH", one, {"edited_text": "good evening everybody"}, if_match=api.etag(one))
    again = {"segments": [segment("s1", 0, "goods morning every body")]}
    answer = api("POST", f"{made}segments/", again).json()
    assert (answer["kept"], answer["version"]) == (["s1"], 2)
    assert texts(api("GET", made).json())[0] == "good evening everybody"


def test_editing_text_keeps_the_timing(api: Api, made: str) -> None:
    one = f"{made}segments/s2/"
    before = api("GET", one).json()["words"]
    body = {"edited_text": "welcome again to Lisbon"}
    answer = api("PATCH", one, body, if_match=api.etag(one)).json()
    (changed,) = answer["segments"]
    after = {w["text"]: w for w in changed["words"]}
    assert [w for w in before if w != after[w["text"]]] == []
    assert before[0]["end"] <= after["again"]["start"] <= after["again"]["end"]
    assert after["again"]["end"] <= before[1]["start"] or before[1] == after["to"]
    assert (changed["text"], changed["edited_text"]) == (
        "welcome to Lisbon", "welcome again to Lisbon"
    )  # fmt: skip
    summary = api("GET", f"{made}versions/2/").json()["change_summary"]
    assert "s2" in summary
    assert "again" in summary


def test_a_segment_has_a_tag_of_its_own(api: Api, made: str) -> None:
    first, second = f"{made}segments/s1/", f"{made}segments/s2/"
    tag = api.etag(first)
    assert api("GET", first, if_none_match=tag).status_code == 304
    api("PATCH", second, {"edited_text": "welcome"}, if_match=api.etag(second))
    assert api("PATCH", first, {"edited_text": "hello"}, if_match=tag).status_code == 200
    stale = api("PATCH", first, {"edited_text": "good day"}, if_match=tag)
    assert stale.status_code == 412
    assert stale.json()["current"]["etag"] == api.etag(first)
    assert api("PATCH", first, {"edited_text": "good day"}).status_code == 428
    whole = api.etag(made)
    assert api("PATCH", first, {"edited_text": "good day"}, if_match=whole).status_code == 200


def test_segments_are_split_merged_and_removed(api: Api, made: str) -> None:
    assert api("POST", f"{made}segments/s1/split/", {"at": 0.9, "new_id": "s1b"}).status_code == 200
    assert texts(api("GET", made).json())[:2] == ["good morning", "everybody"]
    assert api("POST", f"{made}merge-segments/", {"ids": ["s1", "s1b"]}).status_code == 200
    assert texts(api("GET", made).json())[0] == "good morning everybody"
    assert api("DELETE", f"{made}segments/s3/").status_code == 200
    assert [s["id"] for s in api("GET", made).json()["segments"]] == ["s1", "s2"]
    assert api("DELETE", f"{made}segments/s3/").status_code == 404


def test_a_speaker_is_renamed_once_for_all(api: Api, made: str) -> None:
    body = {"name": "Alice Liddell"}
    assert api("PUT", f"{made}speakers/a/", body, if_match=api.etag(made)).status_code == 200
    assert api("GET", made).json()["speakers"] == {"a": "Alice Liddell"}
    assert api("PUT", f"{made}speakers/zoe/", body, if_match=api.etag(made)).status_code == 404
    body = {"ids": ["s1", "s2"], "speaker_id": "b"}
    assert api("POST", f"{made}assign-speaker/", body).status_code == 200
    assert {s["speaker_id"] for s in api("GET", made).json()["segments"]} == {"b"}


@pytest.mark.parametrize(
    ("method", "where", "body", "named"),
    [
        ("POST", "segments/", {"segments": [segment("s9", 0.2, "over it")]}, "segments[0].start"),
        ("POST", "segments/", {"segments": []}, "segments"),
        ("POST", "segments/", {"segments": [{"id": "s9"}]}, "segments[0].start_time"),
        ("PATCH", "segments/s1/", {"end_time": "x"}, "end_time"),
        ("PATCH", "segments/s1/", {"id": "s7"}, "id"),
        ("PATCH", "segments/s1/", {"end_time": 0.1}, "end_time"),
        ("POST", "segments/s1/split/", {"at": 99}, "at"),
        ("POST", "segments/s1/split/", {"at": "nowhere"}, "at"),
        ("POST", "merge-segments/", {"ids": ["s1"]}, "ids"),
        ("POST", "merge-segments/", {"ids": ["s2", "s3"]}, "ids"),
        ("PATCH", "", {"language": 5}, "language"),
        ("PATCH", "", {"segments": []}, "segments"),
        ("PATCH", "", {"colour": "red"}, "colour"),
    ],
)
def test_what_cant_be_done_is_refused_by_name_and_changes_nothing(
    api: Api, made: str, method: str, where: str, body: Any, named: str
) -> None:
    response = api(method, f"{made}{where}", body, if_match=api.etag(made))
    assert response.status_code == 400, response.content
    (problem, *_) = response.json()["errors"]
    assert problem["path"].startswith(named)
    assert problem["reason"]
    assert problem["hint"]
    assert api("GET", made).json()["version"] == 1


# --- History, search


def test_its_history_is_like_any_other(api: Api, made: str) -> None:
    one = f"{made}segments/s1/"
    api("PATCH", one, {"edited_text": "good evening everybody"}, if_match=api.etag(one))
    found = api("GET", f"{made}versions/compare/").json()
    assert any("good evening" in line for line in found["words"])
    assert api("POST", f"{made}rollback/", {"version": 1}).json()["version"] == 3
    assert texts(api("GET", made).json())[0] == "good morning everybody"
    listed = api("GET", f"{made}versions/").json()["results"]
    assert [v["action"] for v in listed] == ["rollback", "save", "create"]
    then = listed[1]["created_at"]
    assert api("GET", f"{made}?at={then}").json()["version"] == 2
    assert api("PUT", f"{made}versions/2/name/", {"name": "Evening"}).status_code == 200


def test_words_are_found_with_their_times(api: Api, made: str) -> None:
    found = api("GET", f"{made}search/?q=LISBÔN").json()
    (hit,) = found["hits"]
    assert (hit["start"], hit["end"], hit["text"], hit["before"]) == (
        3.0, 3.4, "Lisbon", "good morning everybody welcome to"
    )  # fmt: skip
    assert (hit["segment_ids"], hit["word_ids"], found["more"]) == (["s2"], ["s2~2"], 0)
    assert api("GET", f"{made}search/?q=lis").json()["hits"] == []
    assert len(api("GET", f"{made}search/?q=lis&prefix=true").json()["hits"]) == 1
    assert api("GET", f"{made}search/").status_code == 400


# --- Files


@pytest.mark.parametrize(
    ("accept", "query", "media_type", "begins"),
    [
        ("text/vtt", "", "text/vtt", b"WEBVTT"),
        ("application/x-subrip", "", "application/x-subrip", b"1\n00:00:00,000 --> 00:00:01,500"),
        ("text/plain", "", "text/plain", b"Alice"),
        ("application/json", "", "application/json", b"{"),
        ("text/html", "format=vtt", "", b""),
        ("*/*", "format=vtt", "text/vtt", b"WEBVTT"),
        ("application/json", "format=srt", "application/x-subrip", b"1\n"),
    ],
)
def test_captions_come_as_the_client_likes(
    api: Api, made: str, accept: str, query: str, media_type: str, begins: bytes
) -> None:
    response = api("GET", f"{made}captions/?{query}", accept=accept)
    if not media_type:
        assert response.status_code == 406
        return
    assert response["Content-Type"].partition(";")[0] == media_type
    assert response.content.startswith(begins)
    again = api("GET", f"{made}captions/?{query}", accept=accept, if_none_match=response["ETag"])
    assert again.status_code == 304


def test_formats_and_options_have_tags_of_their_own(api: Api, made: str) -> None:
    queries = ["format=srt", "format=vtt", "format=srt&cues=subtitles", "format=srt&speakers=true"]
    tags = {api.etag(f"{made}captions/?{query}") for query in queries}
    assert len(tags) == 4


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("format=doc", "format"),
        ("max_lines=0", "max_lines"),
        ("max_lines=x", "max_lines"),
        ("cues=some", "cues"),
        ("lines=2", "lines"),
    ],
)
def test_options_are_refused_by_name(api: Api, made: str, query: str, named: str) -> None:
    response = api("GET", f"{made}captions/?{query}", accept="text/vtt")
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["errors"][0]["path"] == named


def test_captions_are_taken_from_a_file(api: Api, path: str) -> None:
    vtt = b"WEBVTT\n\n00:01.000 --> 00:02.500\n<v Bob>Hello there\n"
    response = api("POST", f"{path}import/", raw=vtt, content_type="text/vtt")
    assert response.status_code == 201, response.content
    (found,) = api("GET", path).json()["segments"]
    assert (found["start_time"], found["end_time"], found["text"]) == (1.0, 2.5, "Hello there")
    srt = b"1\n00:00:05,000 --> 00:00:06,000\nAnother\n"
    etag = api.etag(path)
    response = api("POST", f"{path}import/?format=srt", raw=srt, if_match=etag)
    assert (response.status_code, response.json()["version"]) == (200, 2)
    assert api("POST", f"{path}import/?format=srt", raw=vtt, if_match=etag).status_code == 422
    assert texts(api("GET", path).json()) == ["Another"]
    stale = api("POST", f"{path}import/", raw=vtt, content_type="text/vtt", if_match=etag)
    assert stale.status_code == 412


def test_a_broken_file_is_refused_with_its_line(api: Api, path: str) -> None:
    srt = b"1\n00:00:05,000 -> 00:00:06,000\nAnother\n"
    response = api("POST", f"{path}import/", raw=srt, content_type="application/x-subrip")
    assert (response.status_code, response.json()["code"]) == (422, "unreadable-captions")
    assert "line 2" in response.json()["detail"].lower()
    assert api("GET", path).status_code == 404
    other = api("POST", f"{path}import/", raw=srt, content_type="application/octet-stream")
    assert other.status_code == 415


# --- Who may


@pytest.mark.usefixtures("accounts")
def test_a_strangers_transcription_does_not_exist(alice: User, bob: User, charlie: User) -> None:
    mine = as_(alice)
    project = f"/projects/{mine.create()['id']}/"
    path = f"{project}transcription/"
    mine("POST", path, STATE)
    shared = {"collaborators": [{"user_id": str(bob.pk), "right": "read"}]}
    mine("PUT", f"{project}collaborators/", shared, if_match=mine.etag(project))
    assert as_(charlie)("GET", path).status_code == 404
    assert as_(charlie)("DELETE", f"{path}segments/s1/").status_code == 404
    reader = as_(bob)
    assert reader("GET", path).status_code == 200
    body = {"edited_text": "mine now"}
    one = f"{path}segments/s1/"
    assert reader("PATCH", one, body, if_match=reader.etag(one)).status_code == 403
    handed = {"user_id": str(bob.pk)}
    assert mine("POST", f"{project}hand-over/", handed).status_code == 200
    assert Transcription.objects.get().user_id == str(bob.pk)
