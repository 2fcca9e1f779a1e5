"""`backup --media` beside files that no upload has made, and those that go meanwhile."""

import os
from pathlib import Path

import pytest
from bson import ObjectId
from django.core.management import CommandError

from media import storage
from snipix.backups import verifying
from tests.backups.test_backup import archive, backup

__all__ = ["archive"]


def test_media_that_no_upload_makes_or_that_are_gone_are_in_nobodys_way(
    films: list[str], archive: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = storage.projects()
    folder = media / "projects" / folders[0]
    (folder / os.fsdecode(b"\xff.mp4")).write_bytes(b"not UTF-8")
    (folder / "link.mp4").symlink_to(folder / "gone.mp4")
    monkeypatch.setattr(storage, "projects", lambda: [str(ObjectId()), *folders])  # purged since
    assert "2 media files" in backup(archive, "--media")
    assert verifying.verify(archive).findings == []


def test_of_what_cannot_be_read_the_file_is_named(
    films: list[str], archive: Path, media: Path
) -> None:
    loop = media / "projects" / storage.projects()[0] / "loop.mp4"
    loop.symlink_to(loop)
    with pytest.raises(CommandError, match=r"loop\.mp4: Too many levels"):
        backup(archive, "--media")
    assert not list(archive.parent.glob("*.part"))
