"""The form that a video comes in, and what comes with it."""

from pathlib import Path
from typing import Any

import pytest
from django.test.client import BOUNDARY, MULTIPART_CONTENT

from media import forms
from media.incoming import Incoming
from projects.models import Project
from snipix import history
from snipix.idempotency import KeptAnswer
from tests.conftest import Api
from tests.media.conftest import files, form, unchanged, upload
from tests.media.films import film

PATH = "/projects/film/video/"


def send(api: Api, body: bytes, content_type: str = MULTIPART_CONTENT, **headers: str) -> Any:
    return api("POST", PATH, raw=body, content_type=content_type, **headers)


def part(name: str, content: bytes, file_name: str = "") -> bytes:
    told = f'; filename="{file_name}"' if file_name else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{told}\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
FILE = part("file", film(), "film.mp4")


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        (END, "file"),
        (b"nothing of a form", "file"),
        (part("file", film()) + END, "file"),
        (part("file", film(), "..") + END, "file"),
        (part("movie", film(), "film.mp4") + END, "movie"),
        (part("title", b"x") + FILE + END, "title"),
        (FILE + part("title", b"x") + END, "title"),
        (FILE + FILE + END, "file"),
        (FILE, "file"),
    ],
    ids=[
        "empty", "no form", "as text", "a folder", "other file", "other field",
        "other field behind", "twice", "no end",
    ],
)  # fmt: skip
def test_another_form_is_refused_by_name(
    api: Api, project: str, media: Path, sent: bytes, path: str
) -> None:
    response = send(api, sent)
    assert response.status_code == 400, response.content
    assert response.json()["errors"][0]["path"] == path
    assert unchanged(media)


def test_a_form_without_a_length_is_refused(api: Api, project: str, media: Path) -> None:
    assert send(api, b"").status_code == 411
    assert unchanged(media)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "video/mp4"])
def test_a_video_that_is_in_no_form_is_refused(
    api: Api, project: str, media: Path, content_type: str
) -> None:
    assert send(api, film(), content_type).status_code == 415
    assert send(api, film(), "multipart/form-data").status_code == 400
    assert unchanged(media)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/cron.d/evil.mp4", "evil.mp4"),
        ("C:\\Users\\bob\\film.mov", "film.mov"),
        ("..\\..\\film.mp4", "film.mp4"),
        ("&#x2e;&#x2e;&#x2f;film.mp4", "film.mp4"),
        ("a\u202egpm.exe", "agpm.exe"),
        ("Lisboa à noite.mp4", "Lisboa à noite.mp4"),
        ("x" * 5000 + ".mp4", "x" * 200),
        ("<script>.mp4", "<script>.mp4"),
    ],
)
def test_a_name_is_for_people_and_names_no_file_of_ours(
    api: Api, project: str, media: Path, sent: str, kept: str
) -> None:
    response = upload(api, project, name=sent)
    assert response.json()["video"]["file_name"] == kept
    folder = f"projects/{Project.objects.get().pk}/"
    assert all(name.startswith(folder) for name in files(media))
    assert not any("passwd" in name or "film" in name.split("/")[-1] for name in files(media))


def test_no_answer_names_a_path_of_the_server(api: Api, project: str, media: Path) -> None:
    upload(api, project)
    name = next(name for name in files(media) if name.endswith(".mp4"))
    for path in ("/", "/versions/2/", "/versions/compare/?from=1&to=2", "/audit/"):
        answer = api("GET", f"/projects/film{path}").content.decode()
        assert str(media) not in answer
        assert name not in answer
        assert "/".join(name.split("/")[:2]) not in answer


def test_a_video_over_the_limit_is_refused(
    api: Api, project: str, media: Path, settings: Any
) -> None:
    settings.MAX_VIDEO_BYTES = len(film())
    assert upload(api, project).status_code == 201
    settings.MAX_VIDEO_BYTES = len(film()) - 1
    response = upload(api, project)
    assert (response.status_code, response.json()["limit"]) == (413, len(film()) - 1)
    settings.MAX_VIDEO_BYTES = len(film()) - forms.FORM_BYTES - 9_000
    assert upload(api, project).status_code == 413
    assert len(files(media)) == 2
    assert Project.objects.get().version == 2


def test_a_new_video_takes_the_place_of_the_old_one_which_its_version_keeps(
    api: Api, project: str, media: Path
) -> None:
    upload(api, project)
    second = film("webm", frames=30)
    upload(api, project, second)
    assert api("GET", PATH).getvalue() == second
    assert api("GET", f"{PATH}?version=3").getvalue() == second
    assert api("GET", f"{PATH}?version=2").getvalue() == film()
    assert api("GET", f"{PATH}?version=1").status_code == 404
    assert api("GET", f"{PATH}?version=x").status_code == 400
    assert len(files(media)) == 4
    assert history.verify(Project.objects.get()) == 3


def test_a_rollback_keeps_the_video_and_its_duration(api: Api, project: str) -> None:
    upload(api, project)
    response = api("POST", "/projects/film/rollback/", {"version": 1})
    assert (response.json()["version"], response.json()["duration"]) == (2, 0.4)
    assert api("GET", PATH).getvalue() == film()


def test_a_video_is_removed_and_stays_in_the_history(api: Api, project: str, media: Path) -> None:
    upload(api, project)
    assert api("DELETE", f"{PATH}?dry_run=true").json()["video"] is None
    assert api("GET", PATH).status_code == 200
    response = api("DELETE", PATH)
    shown = response.json()
    names = ("video", "video_path", "thumbnail", "duration")
    assert (response.status_code, [shown[name] for name in names]) == (200, [None] * 4)
    assert (
        api("GET", PATH).status_code == api("GET", "/projects/film/thumbnail/").status_code == 404
    )
    assert api("GET", f"{PATH}?version=2").getvalue() == film()
    assert api("DELETE", PATH).status_code == 404


def test_an_upload_for_another_version_is_refused(api: Api, project: str, media: Path) -> None:
    old = api.etag("/projects/film/")
    api("PATCH", "/projects/film/", {"name": "Trams"}, if_match=old)
    assert upload(api, project, if_match=old).status_code == 412
    assert unchanged(media, version=2)
    assert upload(api, project, if_match=api.etag("/projects/film/")).status_code == 201


def test_a_file_that_was_kept_goes_when_its_project_isnt_changed(
    api: Api, project: str, media: Path
) -> None:
    """With a key, the version is only compared within the change, when the file is there."""
    old = api.etag("/projects/film/")
    api("PATCH", "/projects/film/", {"name": "Trams"}, if_match=old)
    assert upload(api, project, if_match=old, idempotency_key="k").status_code == 412
    assert unchanged(media, version=2)


def test_a_removal_takes_no_form(api: Api, project: str, media: Path) -> None:
    upload(api, project)
    api("DELETE", PATH, raw=form(film()), content_type=MULTIPART_CONTENT)
    assert len(files(media)) == 2


def test_an_upload_takes_effect_once_for_a_key(api: Api, project: str, media: Path) -> None:
    etag = api.etag("/projects/film/")
    first = upload(api, project, idempotency_key="k", if_match=etag)
    again = upload(api, project, idempotency_key="k", if_match=etag)
    assert (again.status_code, again.content) == (201, first.content)
    assert again["Location"] == first["Location"]
    assert len(files(media)) == 2
    assert Project.objects.get().version == 2
    for other in (
        upload(api, project, film("webm"), idempotency_key="k"),
        upload(api, project, name="other.mp4", idempotency_key="k"),
    ):
        assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert len(files(media)) == 2
    assert KeptAnswer.objects.count() == 1


def test_a_key_that_is_none_is_refused_before_the_file_comes(
    api: Api, project: str, media: Path
) -> None:
    assert upload(api, project, idempotency_key="ä").status_code == 400
    assert upload(api, project + "x", idempotency_key="k").status_code == 404
    assert send(api, form(film()), dry_run="").status_code == 201
    response = api("POST", f"{PATH}?dry_run=true", raw=form(film()), content_type=MULTIPART_CONTENT)
    assert response.status_code == 400


def test_what_killed_uploads_left_goes_with_the_next_one(
    api: Api, project: str, media: Path
) -> None:
    incoming = media / "incoming"
    incoming.mkdir(parents=True)
    (incoming / "left.part").write_bytes(b"half a film")
    with Incoming("part") as running:
        running.write(b"half of another")
        upload(api, project)
        assert [path.name for path in incoming.iterdir()] == [running.path.name]
    assert list(incoming.iterdir()) == []
