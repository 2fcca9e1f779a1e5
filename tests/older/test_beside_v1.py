"""The older client and clients of v1, on the same projects."""

from django.contrib.auth.models import User

from snipix.memory import contents
from tests.conftest import Api
from tests.older.client import STATE, Older, refused, state, versions


def test_what_the_older_client_doesnt_know_outlives_its_save(
    older: Older, api: Api, film: str
) -> None:
    path = f"/projects/{film}/timeline/"
    keyframe = {"id": "k", "time": 0, "property": "x", "metadata": {"n": 4}}
    clip = {"id": "c", "type": "video", "start_time": 0, "duration": 1, "keyframes": [keyframe]}
    layers = [
        {"id": "a", "type": "video", "clips": [{**clip, "metadata": {"n": 1}}]},
        {"id": "b", "type": "video", "clips": [], "metadata": {"n": 2}},
    ]
    whole = {"layers": layers, "fps_num": 24000, "fps_den": 1001, "metadata": {"n": 3}}
    assert api("PUT", path, whole, if_match=api.etag(path)).status_code == 200
    moved = [
        {"id": "a", "type": "video", "clips": [], "undeclared": 1},
        {"id": "b", "type": "video", "clips": [{**clip, "keyframes": [{**keyframe}]}]},
    ]
    del moved[1]["clips"][0]["keyframes"][0]["metadata"]  # type: ignore[index]
    older.save(film, {**STATE, "layers": moved})
    older.save(film, {**STATE, "layers": [{"id": "a", "type": "video"}, moved[1]]})
    shown = api("GET", path).json()
    a, b = shown["layers"]
    assert (shown["fps_num"], shown["fps_den"], shown["metadata"]) == (24000, 1001, {"n": 3})
    assert (a["metadata"], b["metadata"]) == ({}, {"n": 2})
    assert b["clips"][0]["metadata"] == {"n": 1}
    assert b["clips"][0]["keyframes"][0]["metadata"] == {"n": 4}


def test_what_is_kept_of_v1s_answers_isnt_given_to_the_older_client(
    older: Older, api: Api, film: str
) -> None:
    older.save(film, state(2))
    older.data("POST", "/transcriptions", {"project_id": film})
    for path, below in (
        ("/projects", ""),
        ("/timeline", "timeline/"),
        ("/transcriptions", "transcription/"),
    ):
        for _ in range(2):
            assert older.data("GET", f"{path}/{film}")["_id"]
            assert "success" not in api("GET", f"/projects/{film}/{below}").json()


def test_numbers_of_64_bits_come_back(older: Older, api: Api, film: str) -> None:
    id = older.project(metadata={"n": 2**60}, big=2**61)
    older.save(film, {**STATE, "big": 2**60, "markers": [{"id": "m", "time": 0, "big": 2**62}]})
    contents.clear()  # so that it is read from the database
    assert older.data("GET", f"/projects/{id}")["big"] == 2**61
    assert older.data("PUT", f"/projects/{id}", {"small": 1})["big"] == 2**61
    shown = older.data("GET", f"/timeline/{film}")
    assert (shown["big"], shown["markers"][0]["big"]) == (2**60, 2**62)


def test_a_read_that_is_repeated_is_answered_304(older: Older, film: str) -> None:
    older.save(film, state(2))
    for path in (f"/projects/{film}", f"/timeline/{film}"):
        first = older("GET", path)
        assert older("GET", path, if_none_match=first["ETag"]).status_code == 304
    older.save(film, state(3))
    assert older("GET", path, if_none_match=first["ETag"]).json()["data"]["zoom"] == 3


def test_a_collaborator_may_load_the_page_and_not_save(
    accounts: None, alice: User, bob: User
) -> None:
    hers, his = Older(alice), Older(bob)
    film = hers.project()
    hers.save(film, state(2))
    shared = [{"user_id": str(bob.pk), "right": "read"}]
    api = Api()
    api.headers = hers.headers
    path = f"/projects/{film}/"
    answer = api("PUT", f"{path}collaborators/", {"collaborators": shared}, if_match=api.etag(path))
    assert answer.status_code == 200
    assert his.data("POST", f"/timeline/{film}/restore/1")["zoom"] == 2
    shown = his.data("GET", f"/projects/{film}")
    assert shown["collaborators"] == [str(bob.pk)]
    assert shown["permissions"] == {str(bob.pk): "read"}
    for response in (
        his("PUT", f"/projects/{film}", {"name": "Mine"}),
        his("DELETE", f"/projects/{film}"),
        his("POST", "/timeline/", {"project_id": film, "timeline_state": state(3)}),
    ):
        assert "You may read this project" in refused(response, 404)["message"]
    assert len(versions(film)) == 1
