"""What tests of backups share: projects of every kind, a folder for media, another database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from projects.models import Project
from snipix import states
from snipix.mongo import connection
from tests.conftest import Api
from tests.media.conftest import upload
from tests.once import Once
from tests.transcriptions.test_api import STATE
from timelines import samples

_films = Once[list[str]]()


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


def save(api: Api, project: str, seed: int, clips: int = 20, **headers: str) -> Any:
    path = f"/projects/{project}/timeline/"
    body = states.encode(samples.timeline(seed, clips))
    answer = api("PUT", path, raw=body, if_match=api.etag(path), **headers)
    assert answer.status_code == 200, answer.content
    return answer


@pytest.fixture
def films(api: Api, media: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Long and short timelines, a transcription, names, drafts, keys, trash, a video."""
    kept = tmp_path_factory.getbasetemp() / "films"
    return list(_films.put(lambda: make_films(api), media, kept))


def make_films(api: Api) -> list[str]:
    ids = [api.create(f"Film {n}", id=f"film-{n}")["id"] for n in range(4)]
    for seed in range(3):
        save(api, "film-0", seed, clips=200, idempotency_key=f"key-{seed}")
        save(api, "film-1", seed)
    api("PUT", "/projects/film-0/timeline/versions/2/name/", {"name": "Rough cut"})
    draft = {"base_etag": api.etag("/projects/film-1/timeline/"), "state": {"zoom": 3}}
    assert (
        api("PUT", "/projects/film-1/timeline/draft/", draft, x_client_id="tab").status_code == 200
    )
    assert api("POST", "/projects/film-2/transcription/", STATE).status_code == 201
    assert upload(api, "film-2").status_code == 201
    assert api("DELETE", "/projects/film-3/").status_code == 200
    assert Project.everything.count() == 4
    return ids


@pytest.fixture
def other(db: None) -> Iterator[str]:
    """The name of a database that isn't there."""
    name = f"{connection.settings_dict['NAME']}_other"
    connection.database.client.drop_database(name)
    yield name
    connection.database.client.drop_database(name)
