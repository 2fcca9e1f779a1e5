"""`/media/…`, as the older client calls it."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from projects.models import Project
from tests.conftest import Api, as_
from tests.media.conftest import files, unchanged, upload
from tests.media.films import film


@pytest.fixture
def client(db: None) -> Client:
    return Client(raise_request_exception=False)


def sent(content: bytes | None = None) -> SimpleUploadedFile:
    return SimpleUploadedFile("film.mov", film("mov") if content is None else content)


def failed(response: Any, status: int) -> None:
    assert response.status_code == status, response.content
    body = response.json()
    assert body["success"] is False
    assert body["error"] == body["message"] == body["details"]["message"]


@pytest.mark.parametrize("order", [("file", "project_id"), ("project_id", "file")])
@pytest.mark.parametrize("path", ["/media/upload", "/media/upload/"])
def test_a_video_is_uploaded_whatever_comes_first(
    client: Client, project: str, order: tuple[str, str], path: str
) -> None:
    fields = {"file": sent(), "project_id": project}
    response = client.post(path, {name: fields[name] for name in order})
    assert response.status_code == 200, response.content
    body = response.json()
    assert (body["success"], body["error"]) == (True, None)
    assert body["data"] == {
        "project_id": "film",
        "file_path": "/media/film/video",
        "duration": 0.4,
        "thumbnail": "/media/film/thumbnail",
    }
    assert Project.objects.get().version == 2


def test_the_original_and_its_picture_are_read(client: Client, api: Api, project: str) -> None:
    upload(api, project, film("mov"))
    for path in ("/media/film/video", "/media/film/video/"):
        response = client.get(path)
        assert (response.status_code, response.getvalue()) == (200, film("mov"))
    response = client.get("/media/film/video", headers={"Range": "bytes=-5"})
    assert (response.status_code, response.getvalue()) == (206, film("mov")[-5:])
    response = client.get("/media/film/thumbnail", headers={"Accept": "image/*"})
    assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")


def test_what_cant_be_taken_is_refused_in_the_envelope(
    client: Client, project: str, media: Path
) -> None:
    failed(client.post("/media/upload", {"file": sent(b"x"), "project_id": project}), 422)
    failed(client.post("/media/upload", {"file": sent()}), 400)
    failed(client.post("/media/upload", {"project_id": project}), 400)
    failed(client.post("/media/upload", {"project_id": "unknown", "file": sent()}), 404)
    failed(client.post("/media/upload", {"file": sent(), "project_id": "a/b"}), 404)
    # Where the form says first whose it is, its file isn't even looked at.
    failed(client.post("/media/upload", {"project_id": "unknown", "file": sent(b"x")}), 404)
    failed(client.post("/media/upload", {"a": 1}, content_type="application/json"), 415)
    assert unchanged(media)


def test_what_isnt_there_is_a_404(client: Client, project: str) -> None:
    for path in ("/media/film/video", "/media/unknown/video", "/media/a%20b/thumbnail"):
        failed(client.get(path), 404)


def test_strangers_meet_nothing(
    accounts: None, settings: Any, alice: User, charlie: User, media: Path
) -> None:
    settings.SNIPIX_AUTH = "accounts"
    api = as_(alice)
    api.create("Trams", id="trams")
    for order in (("file", "project_id"), ("project_id", "file")):
        for headers, status in (({}, 401), (as_(charlie).headers, 404)):
            fields = {"file": sent(), "project_id": "trams"}
            form = {name: fields[name] for name in order}
            failed(Client().post("/media/upload", form, headers=headers), status)
    assert unchanged(media)
    fields = {"file": sent(), "project_id": "trams"}
    response = Client().post("/media/upload", fields, headers=api.headers)
    address = response.json()["data"]["thumbnail"]
    assert address.startswith("/media/trams/thumbnail?expires=")
    assert Client().get(address).status_code == 200
    failed(Client().get("/media/trams/thumbnail"), 401)
    failed(Client().get("/media/trams/video"), 401)
    failed(Client().get("/media/trams/video", headers=as_(charlie).headers), 404)
    assert Client().get("/media/trams/video", headers=api.headers).status_code == 200
    assert len(files(media)) == 2
