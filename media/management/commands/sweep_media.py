"""`manage.py sweep_media`"""

from collections.abc import Iterator, Mapping
from typing import Any

from bson import ObjectId
from django.core.management.base import CommandParser

from media import incoming, storage
from projects.models import Project
from snipix.commands import OperatorCommand


class Command(OperatorCommand):
    """What nobody needs any more."""

    help = (
        "Remove the media of projects that were destroyed for ever, and what killed uploads have "
        "left. Files of projects that are there, or in the trash, stay, and what is younger than "
        "an hour. Safe to interrupt and to repeat, also beside a live server."
    )
    example = "sweep_media --dry-run"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count")

    def handle(self, *args: Any, **options: Any) -> None:
        purged = [key for key in storage.projects() if _is_left(key)]
        found = {"dry_run": options["dry_run"], "projects": len(purged)}
        if not options["dry_run"]:
            folders = self.progress(purged, total=len(purged), what="projects")
            found["files"] = sum(map(storage.remove_all, folders))
            found["left_by_uploads"] = incoming.sweep()
        self.report(found, options, _lines)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    projects = found["projects"]
    if found["dry_run"]:
        yield f"projects that were destroyed and still have media: {projects}"
    else:
        yield f"removed {found['files']} files of {projects} projects that were destroyed"
        yield f"removed {found['left_by_uploads']} files that killed uploads had left"


def _is_left(key: str) -> bool:
    """Whether a folder is of no project (any more), and not of one that is just being restored.

    What isn't named by a key isn't ours to remove.
    """
    if not ObjectId.is_valid(key) or not storage.is_settled(*storage.files_of(key)):
        return False
    return not Project.everything.filter(pk=ObjectId(key)).exists()
