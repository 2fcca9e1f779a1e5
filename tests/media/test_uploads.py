"""`POST /api/v1/projects/{id}/video/`: what is taken in, and what never is."""

import hashlib
import zipfile
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest

from projects.models import Project
from snipix import history
from snipix.audit import AuditEntry
from tests.conftest import Api
from tests.media.conftest import files, unchanged, upload
from tests.media.films import NTSC, box, film, still

MEDIA_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_a_video_is_taken_for_what_is_in_it(api: Api, project: str, media: Path, kind: str) -> None:
    content = film(kind, rate=NTSC, frames=12, size=(640, 360))
    response = upload(api, project, content, name="holiday.txt")
    assert response.status_code == 201, response.content
    assert response["Location"] == "/api/v1/projects/film/video/"
    shown = response.json()
    video = shown["video"]
    assert shown == api("GET", "/projects/film/").json()
    assert (video["container"], video["media_type"]) == (kind, MEDIA_TYPES[kind])
    assert Fraction(video["fps_num"], video["fps_den"]) == NTSC
    assert (video["width"], video["height"]) == (640, 360)
    assert video["size"] == len(content)
    assert video["sha256"] == hashlib.sha256(content).hexdigest()
    assert video["duration"] == pytest.approx(12 / NTSC, abs=0.001)
    assert shown["duration"] == video["duration"]
    assert video["file_name"] == "holiday.txt"
    assert len(files(media)) == 2
    assert api("GET", "/projects/film/video/").getvalue() == content


def test_an_upload_is_a_version_with_its_audit_entry(api: Api, project: str) -> None:
    upload(api, project)
    found = Project.objects.get()
    assert [r.action for r in history.of(found)] == ["create", "upload"]
    assert [e.action for e in AuditEntry.objects.order_by("to_version")] == ["create", "upload"]
    assert history.verify(found) == 2


def test_the_thumbnail_is_small_and_not_of_the_first_frame(api: Api, project: str) -> None:
    upload(api, project, film(frames=50, size=(1280, 720)))
    response = api("GET", "/projects/film/thumbnail/")
    assert response["Content-Type"] == "image/jpeg"
    with av.open(BytesIO(response.getvalue())) as picture:
        frame = next(picture.decode(video=0))
    assert (frame.width, frame.height) == (480, 270)
    assert bytes(frame.planes[0])[0] > 20, "the first frame is black"


def turned(content: bytes) -> bytes:
    """The film as a phone stores it that was held upright: with a matrix that turns it clockwise.

    That of the track (ISO/IEC 14496-12, 8.3.2).
    """
    numbers = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    matrix = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
    at = content.index(b"tkhd") + 44
    return content[:at] + matrix + content[at + len(matrix) :]


def test_what_was_recorded_upright_is_shown_upright(api: Api, project: str) -> None:
    shown = upload(api, project, turned(film(size=(640, 360), is_split=True))).json()
    assert (shown["video"]["width"], shown["video"]["height"]) == (360, 640)
    with av.open(BytesIO(api("GET", "/projects/film/thumbnail/").getvalue())) as picture:
        frame = next(picture.decode(video=0))
    assert (frame.width, frame.height) == (270, 480)
    grey = frame.reformat(format="gray").planes[0]
    above, below = bytes(grey)[10 * grey.line_size], bytes(grey)[470 * grey.line_size]
    assert (above < 60, below > 190) == (True, True), "what was on the left is above"


def test_a_records_cover_is_no_video(api: Api, project: str, media: Path) -> None:
    response = upload(api, project, film("mp4", picture=False, sound=True, cover=True))
    assert (response.status_code, response.json()["code"]) == (422, "unreadable-video")
    assert "no moving pictures" in response.json()["reason"]
    assert unchanged(media)


def test_sound_is_told_and_counts_for_the_duration(api: Api, project: str) -> None:
    content = film("mov", frames=10, sound=True)  # 0.4 s of pictures, 0.2 s of sound
    video = upload(api, project, content).json()["video"]
    assert (video["audio_codec"], video["duration"]) == ("pcm_s16le", 0.4)


@pytest.mark.parametrize("options", [(("movflags", "frag_keyframe+empty_moov"),), ()])
def test_an_mp4_in_fragments_is_taken(api: Api, project: str, options: Any) -> None:
    video = upload(api, project, film("mp4", options=options)).json()["video"]
    assert (video["duration"], video["fps_num"], video["fps_den"]) == (0.4, 25, 1)


def test_what_a_browser_records_is_taken(api: Api, project: str) -> None:
    """It states no lengths: neither of segment and clusters, nor of the whole."""
    content = film("webm", options=(("live", "1"),))
    assert b"\x18\x53\x80\x67\x01" + b"\xff" * 7 in content
    assert upload(api, project, content).json()["video"]["duration"] == pytest.approx(0.4)


def zipped() -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("evil.html", "<script>alert(1)</script>")
    return made.getvalue()


FAST = (("movflags", "faststart"),)
PAGE = b"<!DOCTYPE html><script>alert(1)</script>"
OTHERS = {
    "nothing": b"",
    "one byte": b"\0",
    "a page": PAGE + bytes(1000),
    "an archive": zipped(),
    "a JPEG": still(),
    "a PNG": b"\x89PNG\r\n\x1a\n" + bytes(200),
    "a GIF": b"GIF89a" + bytes(200),
    "an AVIF": box(b"ftyp", b"avif\0\0\0\0mif1avif") + bytes(100),
    "a program": b"#!/bin/sh\nexit 0\n" + bytes(100),
    "a playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n" + bytes(64),
    "a list of files": b"ffconcat version 1.0\nfile /etc/passwd\n" + bytes(64),
    "sound in MP4": film("mov", picture=False, sound=True),
    "sound in WebM": film("webm", picture=False, sound=True),
    "sound in MKV": film("mkv", picture=False, sound=True),
    "sound in AVI": film("avi", picture=False, sound=True),
    "a head alone": box(b"ftyp", b"isom\0\0\2\0isomiso2mp41"),
    "boxes of nothing": box(b"ftyp", b"isom\0\0\2\0isom") + box(b"moov") + box(b"mdat", bytes(99)),
    "a RIFF of nothing": b"RIFF" + (60).to_bytes(4, "little") + b"AVI " + bytes(56),
    "an EBML head alone": film("mkv")[:40],
}
POLYGLOTS = {
    "with a page behind": film(options=FAST) + PAGE,
    "with an archive behind": film(options=FAST) + zipped(),
    "with an archive in a box behind": film(options=FAST) + box(b"free", zipped()),
    "with a PDF in front": box(b"ftyp", b"isom\0\0\2\0isom%PDF-1.7") + film()[28:],
    "behind a page": PAGE + film(),
    "whose first length is a text": b"<!--" + b"mdat-->" + PAGE + film(),
    "whose first box is endless": b"<!--" + b"ftypisom" + PAGE + film(),
    "an AVI with an archive behind": film("avi") + zipped(),
    "a WebM with a page behind": film("webm") + PAGE,
    "an endless WebM with a page behind": film("webm", options=(("live", "1"),)) + PAGE,
}


def cut(content: bytes, percent: int) -> bytes:
    return content[: len(content) * percent // 100]


CUT = {
    f"{kind} cut to {percent} %": cut(film(kind, frames=40), percent)
    for kind in MEDIA_TYPES
    for percent in (1, 70, 99)
} | {
    "a fast MP4 cut in half": cut(film(frames=40, options=FAST), 50),
    "an endless WebM cut": film("webm", frames=40, options=(("live", "1"),))[:-3],
}


@pytest.mark.parametrize("what", [*OTHERS, *POLYGLOTS, *CUT])
def test_what_isnt_a_whole_video_is_refused_and_not_kept(
    api: Api, project: str, media: Path, what: str
) -> None:
    content = (OTHERS | POLYGLOTS | CUT)[what]
    response = upload(api, project, content, name="innocent.mp4")
    assert response.status_code == 422, response.content
    problem = response.json()
    assert problem["code"] == "unreadable-video"
    assert problem["reason"] in problem["detail"]
    assert unchanged(media)
    assert api("GET", "/projects/film/video/").status_code == 404


def test_a_film_whose_pictures_are_noise_is_refused(api: Api, project: str, media: Path) -> None:
    content = bytearray(film("avi", frames=20))
    begin = content.index(b"movi")
    end = content.index(b"idx1")
    for at in range(begin + 12, end):
        content[at] = 0xA5
    assert upload(api, project, bytes(content)).status_code == 422
    assert unchanged(media)


def test_a_film_whose_index_points_beyond_it_is_refused(
    api: Api, project: str, media: Path
) -> None:
    """Its boxes fill the file, and the last pictures aren't there."""
    whole = film(frames=40, options=FAST)
    at = whole.index(b"mdat") - 4
    kept = whole[at + 8 : -200]
    content = whole[:at] + box(b"mdat", kept)
    response = upload(api, project, content)
    assert (response.status_code, response.json()["code"]) == (422, "unreadable-video")
    assert unchanged(media)
