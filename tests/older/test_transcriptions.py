"""Transcriptions on the older paths."""

from typing import Any

import pytest

from projects.models import Project
from snipix import history
from tests.conftest import Api
from tests.older.client import Older, refused
from transcriptions.models import Transcription

DOCUMENT = {
    "_id", "created_at", "updated_at", "project_id", "segments", "language", "model_used",
    "processing_time", "confidence_score", "is_complete", "is_edited", "speaker_count", "speakers",
}  # fmt: skip
SEGMENT = {
    "id", "start_time", "end_time", "text", "words", "speaker_id", "confidence", "is_edited",
    "edited_text",
}  # fmt: skip
WORD = {"text", "start", "end", "confidence", "is_filler", "speaker_id"}


def word(text: str, start: float, **more: Any) -> dict[str, Any]:
    return {"text": text, "start": start, "end": start + 0.4, **more}


def segment(id: str, start: float, **more: Any) -> dict[str, Any]:
    words = [word("um", start, is_filler=True), word("hello", start + 0.5)]
    return {"id": id, "start_time": start, "end_time": start + 1, "text": "um hello",
            "words": words, **more}  # fmt: skip


@pytest.fixture
def path(older: Older, film: str) -> str:
    """The address of a transcription of two segments."""
    older.data("POST", "/transcriptions/", {"project_id": film, "language": "pt"})
    address = f"/transcriptions/{film}"
    older.data("POST", f"{address}/segments", [segment("s1", 0), segment("s2", 2)])
    return address


def texts(shown: Any) -> list[str]:
    return [each["text"] for each in shown["segments"]]


def versions(film: str) -> int:
    """How many versions there are, of a history that was proven."""
    return history.verify(Transcription.any_of(Project.everything.get(project_id=film)))


def test_a_transcription_is_made_once(older: Older, film: str) -> None:
    body = {"project_id": film, "model_used": "whisper"}
    made = older.data("POST", "/transcriptions", body)
    assert set(made) >= DOCUMENT
    assert (made["language"], made["model_used"], made["segments"]) == ("en", "whisper", [])
    assert made["project_id"] == film
    assert older.data("GET", f"/transcriptions/{film}") == made
    refused(older("POST", "/transcriptions", body), 409)


def test_without_a_project_none_is_made(older: Older) -> None:
    for body in ({}, {"project_id": 1}, {"language": "en"}):
        details = refused(older("POST", "/transcriptions", body), 400)
        assert details["errors"][0]["path"] == "project_id"


def test_where_there_is_none_it_is_a_404(older: Older, film: str) -> None:
    for method, below, body in (
        ("GET", "", None),
        ("PUT", "", {"is_edited": True}),
        ("DELETE", "", None),
        ("POST", "/segments", [segment("s1", 0)]),
        ("PUT", "/metadata", {"model_used": "x"}),
    ):
        refused(older(method, f"/transcriptions/{film}{below}", body), 404)


def test_m7_words_have_both_spellings_and_need_no_ids(older: Older, path: str) -> None:
    shown = older.data("GET", path)
    assert set(shown["segments"][0]) >= SEGMENT
    filler, other = shown["segments"][0]["words"]
    assert set(filler) > WORD
    assert (filler["is_filler"], filler["isFiller"]) == (True, True)
    assert (other["is_filler"], other["isFiller"]) == (False, False)


def test_m7_a_word_may_be_sent_in_either_spelling(older: Older, path: str, api: Api) -> None:
    words = [word("um", 0, isFiller=True), word("ah", 0.5, isFiller=True, is_filler=False)]
    older.data("PUT", f"{path}/segments/s1", {"words": words})
    shown = api("GET", f"/projects{path.removeprefix('/transcriptions')}/transcription/").json()
    kept = shown["segments"][0]["words"]
    assert [each["is_filler"] for each in kept] == [True, False]
    assert all(each["id"] and each["metadata"] == {} for each in kept)


def test_the_fields_that_are_sent_are_replaced(older: Older, path: str, film: str) -> None:
    before = older.data("GET", path)
    sent = {"segments": [segment("s9", 5)], "speakers": {"a": "Ana"}, "is_edited": None}
    after = older.data("PUT", path, sent)
    assert [each["id"] for each in after["segments"]] == ["s9"]
    assert (after["speakers"], after["language"]) == ({"a": "Ana"}, "pt")
    back = older.data("PUT", path, before)
    assert {**back, "updated_at": 0, "speaker_count": 0} == {
        **before, "updated_at": 0, "speaker_count": 0, "speakers": {},
    }  # fmt: skip
    assert versions(film) == 4


def test_segments_are_added_edited_and_removed(older: Older, path: str) -> None:
    added = older.data("POST", f"{path}/segments", [segment("s0", 4), segment("s1", 0)])
    assert [each["id"] for each in added["segments"]] == ["s1", "s2", "s0"]
    whole = {**added["segments"][0], "text": "oh hello"}
    edited = older.data("PUT", f"{path}/segments/s1", whole)
    assert texts(edited) == ["oh hello", "um hello", "um hello"]
    removed = older.data("DELETE", f"{path}/segments/s2")
    assert [each["id"] for each in removed["segments"]] == ["s1", "s0"]
    refused(older("PUT", f"{path}/segments/s2", {"text": "x"}), 404)
    refused(older("DELETE", f"{path}/segments/s2"), 404)


def test_a_segment_that_somebody_has_edited_isnt_replaced(older: Older, path: str) -> None:
    older.data("PUT", f"{path}/segments/s1", {"edited_text": "hello"})
    answer = older("POST", f"{path}/segments", [segment("s1", 0)]).json()
    assert "1 stay as somebody has edited them" in answer["message"]
    assert answer["data"]["segments"][0]["edited_text"] == "hello"


def test_what_is_known_of_the_whole_is_changed(older: Older, path: str) -> None:
    sent = {
        "processing_time": 2.5, "confidence_score": 0.9, "model_used": "whisper",
        "speaker_count": 2, "speakers": {"a": "Ana"},
    }  # fmt: skip
    shown = older.data("PUT", f"{path}/metadata", sent)
    assert {name: shown[name] for name in sent} == sent
    kept = older.data("PUT", f"{path}/metadata", {"model_used": None, "processing_time": 3})
    assert (kept["model_used"], kept["processing_time"]) == ("whisper", 3)


def test_keys_that_we_dont_know_are_kept(older: Older, path: str, api: Api) -> None:
    odd = segment("s1", 0, mood="calm")
    odd["words"][0]["pitch"] = 440
    older.data("PUT", path, {"segments": [odd], "source": "mic", "metadata": {"own": 1}})
    older.data("PUT", f"{path}/metadata", {"gain": 2})
    older.data("PUT", f"{path}/segments/s1", {"tone": "low"})
    shown = older.data("GET", path)
    (kept,) = shown["segments"]
    assert (shown["source"], shown["gain"], shown["metadata"]) == ("mic", 2, {"own": 1})
    assert (kept["mood"], kept["tone"], kept["words"][0]["pitch"]) == ("calm", "low", 440)
    v1 = api("GET", f"/projects{path.removeprefix('/transcriptions')}/transcription/").json()
    assert v1["metadata"] == {"own": 1, "older_client": {"source": "mic", "gain": 2}}


def test_a_deleted_transcription_can_be_made_anew(older: Older, path: str, film: str) -> None:
    assert older.data("DELETE", path) is None
    refused(older("GET", path), 404)
    older.data("POST", "/transcriptions", {"project_id": film, "segments": [segment("s5", 0)]})
    assert [each["id"] for each in older.data("GET", path)["segments"]] == ["s5"]
    assert versions(film) == 4


def test_what_is_wrong_is_told_as_it_was_sent(older: Older, path: str, film: str) -> None:
    bad = segment("s3", 5, end_time=-1)
    for method, below, body, where in (
        ("PUT", "", {"segments": [bad]}, "segments[0].end_time"),
        ("PUT", "", {"odd": {"$a": 1}}, 'odd["$a"]'),
        ("POST", "/segments", [bad], "segments[0].end_time"),
        ("POST", "/segments", {"segments": []}, ""),
        ("PUT", "/segments/s1", {"id": "s9"}, "id"),
        ("PUT", "/segments/s1", {"start_time": "x"}, "start_time"),
        ("PUT", "/metadata", {"confidence_score": 90}, "confidence_score"),
        ("PUT", "/metadata", {"segments": []}, "segments"),
    ):
        details = refused(older(method, f"{path}{below}", body), 400)
        assert details["errors"][0]["path"] == where, (method, below)
    assert versions(film) == 2
