"""`manage.py sweep_media`: what nobody needs any more."""

import os
import time
from io import StringIO
from pathlib import Path

from django.core.management import call_command

from projects.models import Project
from snipix import history
from tests.conftest import Api
from tests.media.conftest import files, upload


def sweep(*options: str) -> str:
    out = StringIO()
    call_command("sweep_media", *options, stdout=out)
    return out.getvalue()


def test_media_go_once_their_project_was_destroyed(api: Api, project: str, media: Path) -> None:
    api.create("Other", id="other")
    for id in ("film", "other"):
        upload(api, id)
    api("DELETE", "/projects/film/")
    assert "removed 0 files of 0 projects" in sweep()
    assert len(files(media)) == 4, "what is in the trash may be restored"
    history.change(Project.everything.get(project_id="film").purge)  # killed before the media went
    assert "removed 0 files of 0 projects" in sweep(), "somebody may just be restoring it"
    long_ago = time.time() - 2 * 3600
    for file in media.rglob("projects/*/*"):
        os.utime(file, (long_ago, long_ago))
    assert "still have media: 1" in sweep("--dry-run")
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
