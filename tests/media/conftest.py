"""What tests of media share: a folder of their own, and a client that sends forms."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from projects.models import Project
from tests.conftest import Api
from tests.media.films import film


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    """Where media are kept."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture
def project(api: Api) -> str:
    return api.create("Film", id="film")["id"]


def form(content: bytes, name: str = "film.mp4", **fields: str) -> bytes:
    sent = {**fields, "file": SimpleUploadedFile(name, content, "video/mp4")}
    return encode_multipart(BOUNDARY, sent)


def upload(
    api: Api, project: str, content: bytes | None = None, *, name: str = "film.mp4", **headers: str
) -> Any:
    body = form(film() if content is None else content, name)
    return api(
        "POST", f"/projects/{project}/video/", raw=body, content_type=MULTIPART_CONTENT, **headers
    )


def files(media: Path) -> list[str]:
    """All that is kept, or on its way in."""
    return sorted(str(path.relative_to(media)) for path in media.rglob("*") if path.is_file())


def unchanged(media: Path, version: int = 1) -> bool:
    """Whether the one project is at that version, and nothing is kept."""
    return Project.objects.get().version == version and files(media) == []
