"""`manage.py sweep_media`: what nobody needs any more."""

import json
import os
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from django.core.management import CommandError, call_command

from media import sweeping
from projects import purging
from projects.models import Project
from snipix import history, queries
from snipix.accounts import SYSTEM
from snipix.mongo import connection
from tests.conftest import Api, empty_database
from tests.media.conftest import files, upload
from tests.together import meanwhile


def sweep(*options: str) -> str:
    out = StringIO()
    call_command("sweep_media", *options, stdout=out, stderr=StringIO())
    return out.getvalue()


def told(*options: str) -> tuple[dict[str, Any], int]:
    """What programs are answered, and the exit code."""
    out, code = StringIO(), 0
    try:
        call_command("sweep_media", *options, "--json", stdout=out, stderr=StringIO())
    except CommandError as error:
        code = error.returncode
    return json.loads(out.getvalue()), code


def destroy(project: str) -> None:
    """Purge it as a server does that is killed before the media go."""
    found = Project.everything.get(project_id=project)
    history.change(lambda: purging.begin(found, actor=SYSTEM))


def age(media: Path) -> None:
    long_ago = time.time() - 2 * 3600
    for file in media.rglob("projects/*/*"):
        os.utime(file, (long_ago, long_ago))


@pytest.fixture
def destroyed(api: Api, project: str, media: Path) -> str:
    """A project that was purged, and its media weren't."""
    upload(api, project)
    api("DELETE", f"/projects/{project}/")
    destroy(project)
    age(media)
    return project


@pytest.fixture
def lost(api: Api, media: Path) -> str:
    """A project with media that vanished from the database."""
    api.create("Lost", id="lost")
    upload(api, "lost")
    age(media)
    connection.get_collection("projects").delete_many({"projectId": "lost"})
    return "lost"


def test_media_go_once_their_project_was_destroyed(api: Api, project: str, media: Path) -> None:
    api.create("Other", id="other")
    for id in ("film", "other"):
        upload(api, id)
    api("DELETE", "/projects/film/")
    assert "removed 0 files of 0 projects" in sweep()
    assert len(files(media)) == 4, "what is in the trash may be restored"
    destroy("film")
    assert "removed 0 files of 0 projects" in sweep(), "somebody may just be restoring it"
    age(media)
    assert "still have media: 1 (2 files)" in sweep("--dry-run")
    assert len(files(media)) == 4
    assert "removed 2 files of 1 projects" in sweep()
    other = Project.objects.get()
    assert files(media) == sorted(
        f"projects/{other.pk}/{name}" for name in (other.video_path, other.thumbnail)
    )
    assert api("GET", "/projects/other/video/").status_code == 200


def test_what_is_not_ours_stays(api: Api, media: Path) -> None:
    (media / "projects" / "notes").mkdir(parents=True)
    (media / "projects" / "notes" / "todo.txt").touch()
    (media / "incoming").mkdir()
    (media / "incoming" / "left.part").touch()
    assert "removed 1 files that killed uploads had left" in sweep()
    assert files(media) == ["projects/notes/todo.txt"]


def test_an_empty_database_costs_no_media(api: Api, project: str, media: Path) -> None:
    upload(api, project)
    age(media)
    kept = files(media)
    empty_database()
    with pytest.raises(CommandError, match=r"1 folders .*the wrong database.*--unknown") as refused:
        sweep()
    assert refused.value.returncode == 3
    assert files(media) == kept


def test_media_of_which_the_database_knows_nothing_are_named_and_the_others_go(
    destroyed: str, lost: str, media: Path
) -> None:
    found, code = told()
    assert (found["projects"], found["files"], code) == (1, 2, 3)
    assert (found["unknown"], found["unknown_files"]) == (1, 2)
    assert (media / found["first_unknown"]).is_dir()
    assert len(files(media)) == 2


def test_they_go_when_somebody_says_so(destroyed: str, lost: str, media: Path) -> None:
    assert told("--unknown", "--dry-run")[0]["files"] == 4
    assert len(files(media)) == 4
    found, code = told("--unknown")
    assert (found["projects"], found["files"], found["unknown"], code) == (2, 4, 0, 0)
    assert files(media) == []
    assert told("--unknown")[0]["files"] == 0


def test_a_project_that_came_back_meanwhile_keeps_its_media(destroyed: str, media: Path) -> None:
    (orphan,) = sweeping.orphans()
    assert orphan.is_purged
    projects = connection.get_collection("projects")
    projects.insert_one({"_id": ObjectId(orphan.key), "projectId": destroyed})
    assert sweeping.remove(orphan) == 0
    assert len(files(media)) == 2


def test_what_cannot_be_removed_is_named_and_keeps_nothing_else(
    destroyed: str, api: Api, media: Path
) -> None:
    (first,) = sweeping.orphans()
    (media / "projects" / first.key / "mine").mkdir()
    api.create("Other", id="other")
    upload(api, "other")
    api("DELETE", "/projects/other/")
    destroy("other")
    age(media)
    for _ in range(2):
        with pytest.raises(CommandError, match=f"1 folders couldn't.*{first.key}") as refused:
            sweep()
        assert refused.value.returncode == 1
        assert [path.name for path in (media / "projects").iterdir()] == [first.key]


def test_a_folder_among_uploads_is_not_ours(db: None, media: Path) -> None:
    (media / "incoming" / "mine").mkdir(parents=True)
    (media / "incoming" / "left.part").touch()
    assert "removed 1 files that killed" in sweep()
    assert (media / "incoming" / "mine").is_dir()


def test_a_file_where_the_folder_should_be_is_named(db: None, media: Path) -> None:
    media.write_text("no folder")
    with pytest.raises(CommandError, match=f"{media}.*(directory|exists)") as refused:
        sweep()
    assert refused.value.returncode == 1


def test_beside_uploads_it_takes_nothing_of_theirs(destroyed: str, media: Path) -> None:
    def uploaded() -> str:
        id = Api().create()["id"]
        assert upload(Api(), id).status_code == 201
        return id

    with meanwhile(uploaded) as made:
        while len(made) < 4:
            told("--unknown")
    kept = {f"{p.pk}/{name}" for p in Project.objects.all() for name in (p.video_path, p.thumbnail)}
    assert len(kept) == 2 * len(made)
    assert {path.removeprefix("projects/") for path in files(media)} == kept


def test_an_index_serves_what_it_asks(destroyed: str) -> None:
    with queries.recorded() as commands:
        list(sweeping.orphans())
    shapes = [shape for command in commands for shape in queries.shapes(command)]
    assert {shape.collection for shape in shapes} == {"projects", "audit_entries"}
    assert all(shape.served_by for shape in shapes)
