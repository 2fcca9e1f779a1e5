"""`GET …/video/` and `…/thumbnail/`: conditional, in part, and never as a page."""

import re
from datetime import datetime, timedelta
from email.parser import BytesParser
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from media import addresses
from projects.models import Project
from snipix.history import Revision
from snipix.times import now
from tests.conftest import Api, as_, entered
from tests.media.conftest import upload
from tests.media.films import film

PATH = "/projects/film/video/"
WHOLE = film("webm", frames=40)


@pytest.fixture(autouse=True)
def uploaded(api: Api, project: str) -> None:
    assert upload(api, project, WHOLE, name="Trams at “night”.mp4").status_code == 201


@pytest.fixture
def etag(api: Api) -> str:
    return api("GET", PATH)["ETag"]


def test_the_whole_is_sent_under_its_own_type_and_as_no_page(api: Api) -> None:
    response = api("GET", PATH)
    assert (response.status_code, response.getvalue()) == (200, WHOLE)
    assert response["Content-Type"] == "video/webm"
    assert response["Content-Length"] == str(len(WHOLE))
    assert response["Accept-Ranges"] == "bytes"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    disposition = "attachment; filename*=utf-8''Trams%20at%20%E2%80%9Cnight%E2%80%9D.webm"
    assert response["Content-Disposition"] == disposition
    assert re.fullmatch(r'"[0-9a-f]{32}"', response["ETag"])
    assert parsedate_to_datetime(response["Last-Modified"]) <= now()
    assert response["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("accept", ["text/html", "video/mp4", "image/avif,image/*", "x"])
def test_whatever_is_accepted_the_file_is_sent(api: Api, accept: str) -> None:
    response = api("GET", PATH, accept=accept)
    assert (response.status_code, response["Content-Type"]) == (200, "video/webm")


def test_head_tells_the_same_without_the_bytes(api: Api, etag: str) -> None:
    told = api("GET", PATH).headers
    response = api("HEAD", PATH, range="bytes=0-9", if_range=etag)
    assert (response.status_code, response.content) == (200, b"")
    for name in ("Content-Type", "Content-Length", "ETag", "Last-Modified", "Accept-Ranges"):
        assert response[name] == told[name]


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=100-199", (100, 200)),
        ("bytes=-100", (len(WHOLE) - 100, len(WHOLE))),
        (f"bytes={len(WHOLE) - 1}-", (len(WHOLE) - 1, len(WHOLE))),
        ("bytes=0-", (0, len(WHOLE))),
        ("bytes=10-20,15-30", (10, 31)),
        ("bytes=5-9,999999999-", (5, 10)),
    ],
)
def test_one_range_is_sent(api: Api, etag: str, header: str, span: tuple[int, int]) -> None:
    response = api("GET", PATH, range=header)
    begin, end = span
    assert (response.status_code, response.getvalue()) == (206, WHOLE[begin:end])
    assert response["Content-Range"] == f"bytes {begin}-{end - 1}/{len(WHOLE)}"
    assert response["Content-Length"] == str(end - begin)
    assert (response["ETag"], response["Content-Type"]) == (etag, "video/webm")


def test_several_ranges_are_sent_in_parts_in_the_order_asked_for(api: Api) -> None:
    response = api("GET", PATH, range="bytes=-10, 0-4, 100-149")
    body = response.getvalue()
    assert response.status_code == 206
    assert response["Content-Length"] == str(len(body))
    assert "Content-Range" not in response
    message = BytesParser().parsebytes(
        f"Content-Type: {response['Content-Type']}\r\n\r\n".encode() + body
    )
    assert message.get_content_type() == "multipart/byteranges"
    size = len(WHOLE)
    # The parser of mail takes a line end for its own; what was sent is compared as it is.
    for part, begin, end in zip(
        message.get_payload(), (size - 10, 0, 100), (size, 5, 150), strict=True
    ):
        assert part["Content-Type"] == "video/webm"
        assert part["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"
        head = f"Content-Range: bytes {begin}-{end - 1}/{size}\r\n\r\n".encode()
        assert head + WHOLE[begin:end] + b"\r\n--" in body


def test_a_range_beyond_the_end_is_refused_with_the_length(api: Api, etag: str) -> None:
    response = api("GET", PATH, range=f"bytes={len(WHOLE)}-")
    assert (response.status_code, response.json()["code"]) == (416, "range-not-satisfiable")
    assert response["Content-Range"] == f"bytes */{len(WHOLE)}"
    # A condition that says that it is about another file is heard first.
    response = api("GET", PATH, range=f"bytes={len(WHOLE)}-", if_range='"other"')
    assert response.status_code == 200


@pytest.mark.parametrize("header", ["bytes=9-1", "lines=0-1", "bytes=", "bytes=a-"])
def test_a_range_that_isnt_valid_is_ignored(api: Api, header: str) -> None:
    response = api("GET", PATH, range=header)
    assert (response.status_code, response.getvalue()) == (200, WHOLE)


def test_if_range_is_compared_strongly(api: Api, etag: str) -> None:
    for condition, status in ((etag, 206), (f"W/{etag}", 200), ('"other"', 200), ("*", 200)):
        response = api("GET", PATH, range="bytes=0-9", if_range=condition)
        assert (response.status_code, len(response.getvalue())) == (
            status,
            10 if status == 206 else len(WHOLE),
        )


def test_if_range_takes_a_date_that_is_exactly_the_files(api: Api) -> None:
    modified = api("GET", PATH)["Last-Modified"]
    later = format_datetime(parsedate_to_datetime(modified) + timedelta(seconds=1), usegmt=True)
    for condition, status in ((modified, 206), (later, 200), ("yesterday", 200)):
        assert api("GET", PATH, range="bytes=0-9", if_range=condition).status_code == status


def test_a_date_that_two_files_had_is_no_strong_one(api: Api, project: str) -> None:
    upload(api, project)
    modified = api("GET", PATH)["Last-Modified"]
    first = Revision.objects.filter(version=2)
    first.update(created_at=parsedate_to_datetime(modified))
    assert api("GET", PATH, range="bytes=0-9", if_range=modified).status_code == 200
    first.update(created_at=now() - timedelta(hours=1))
    assert api("GET", PATH, range="bytes=0-9", if_range=modified).status_code == 206


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions_are_heard(api: Api, etag: str, method: str) -> None:
    modified = api("GET", PATH)["Last-Modified"]
    earlier = format_datetime(parsedate_to_datetime(modified) - timedelta(days=1), usegmt=True)
    for status, conditions in (
        (304, {"if_none_match": etag}),
        (304, {"if_none_match": f'"x", W/{etag}'}),
        (304, {"if_none_match": "*"}),
        (304, {"if_modified_since": modified}),
        (304, {"if_none_match": etag, "range": "bytes=0-9"}),
        (200, {"if_none_match": '"x"', "if_modified_since": modified}),
        (200, {"if_modified_since": earlier}),
        (200, {"if_match": etag}),
        (200, {"if_match": "*"}),
        (412, {"if_match": '"x"'}),
        (412, {"if_match": f"W/{etag}"}),
        (412, {"if_unmodified_since": earlier}),
        (412, {"if_match": '"x"', "if_none_match": etag}),
    ):
        response = api(method, PATH, **conditions)
        assert response.status_code == status, conditions
        if status == 304:
            assert (response["ETag"], response.getvalue()) == (etag, b"")
        if status == 412 and method == "GET":
            assert response.json()["code"] == "precondition-failed"


def test_the_same_file_has_the_same_tag_and_another_another(
    api: Api, project: str, etag: str
) -> None:
    upload(api, project, WHOLE)
    assert api("GET", PATH)["ETag"] == etag
    upload(api, project, film())
    assert api("GET", PATH)["ETag"] != etag


def test_nginx_is_told_what_to_send(api: Api, settings: Any) -> None:
    settings.MEDIA_ACCEL_PREFIX = "/stored-media/"
    response = api("GET", PATH, range="bytes=0-9")
    stored = Project.objects.get()
    assert (response.status_code, response.content) == (200, b"")
    assert response["X-Accel-Redirect"] == f"/stored-media/projects/{stored.pk}/{stored.video_path}"
    assert response["Content-Type"] == "video/webm"
    assert "attachment" in response["Content-Disposition"]


def test_a_file_that_is_gone_is_a_404(api: Api, media: Path) -> None:
    for path in (media / "projects").rglob("*.*"):
        path.unlink()
    assert api("GET", PATH).status_code == 404


def test_the_thumbnail_is_a_picture_and_has_an_address(api: Api) -> None:
    address = api("GET", "/projects/film/").json()["thumbnail"]
    assert address == "/api/v1/projects/film/thumbnail/"
    response = Client().get(address)
    assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
    assert response["Content-Disposition"].startswith("inline; ")
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    again = Client().get(address, headers={"If-None-Match": response["ETag"]})
    assert again.status_code == 304


@pytest.fixture
def shared(accounts: None, settings: Any, alice: User) -> dict[str, Any]:
    """A project of alice's, as the API shows it to her in accounts mode."""
    settings.SNIPIX_AUTH = "accounts"
    api = as_(alice)
    api.create("Trams", id="trams")
    assert upload(api, "trams").status_code == 201
    return api("GET", "/projects/trams/").json()


def test_with_accounts_the_address_of_a_thumbnail_is_signed(shared: dict[str, Any]) -> None:
    address = shared["thumbnail"]
    assert Client().get(address).status_code == 200
    plain = address.partition("?")[0]
    assert Client().get(plain).status_code == 401
    for other in (
        address.replace("signature=", "signature=x"),
        re.sub(r"expires=\d+", "expires=99999999999", address),
        address.replace("trams", "film"),
        address.replace("trams", "unknown"),
        f"{plain}?signature=",
    ):
        assert Client().get(other).status_code == 403, other


def test_a_signed_address_ends(
    shared: dict[str, Any], monkeypatch: pytest.MonkeyPatch, alice: User
) -> None:
    address, etag = shared["thumbnail"], as_(alice).etag("/projects/trams/")
    began = datetime.now().timestamp()
    monkeypatch.setattr(addresses.time, "time", lambda: began + addresses.LIFE_SECONDS)
    assert Client().get(address).status_code == 200
    # What says that nothing has changed would leave a client with an address that ends.
    read = as_(alice)("GET", "/projects/trams/", if_none_match=etag)
    assert read.status_code == 200
    assert read.json()["thumbnail"] != address
    monkeypatch.setattr(addresses.time, "time", lambda: began + 2 * addresses.LIFE_SECONDS)
    assert Client().get(address).status_code == 403


def test_a_strangers_video_doesnt_exist(shared: dict[str, Any], charlie: User, media: Path) -> None:
    api = as_(charlie)
    for path in ("/projects/trams/video/", "/projects/trams/thumbnail/"):
        assert api("GET", path).status_code == 404
    before = sorted(media.rglob("*"))
    assert upload(api, "trams").status_code == 404
    assert sorted(media.rglob("*")) == before


def test_a_session_doesnt_count_for_an_upload(
    shared: dict[str, Any], alice: User, media: Path
) -> None:
    """Any page could send a form under it; and to see that it is ours, all would be read."""
    before = sorted(media.rglob("*"))
    response = entered(alice).post(
        "/api/v1/projects/trams/video/", {"file": SimpleUploadedFile("film.mp4", film())}
    )
    assert response.status_code == 401
    assert sorted(media.rglob("*")) == before
