"""`manage.py sweep_media`"""

from typing import Any

from bson import ObjectId
from django.core.management.base import BaseCommand, CommandParser

from media import incoming, storage
from projects.models import Project


class Command(BaseCommand):
    help = (
        "Remove the media of projects that were destroyed for ever, and what killed uploads have "
        "left. Files of projects that are there, or in the trash, stay. Safe to interrupt and to "
        "repeat, also beside a live server. Example: manage.py sweep_media --dry-run"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count")

    def handle(self, *args: Any, **options: Any) -> None:
        purged = [key for key in storage.projects() if not _is_known(key)]
        if options["dry_run"]:
            self.stdout.write(f"projects that were destroyed and still have media: {len(purged)}")
            return
        files = sum(map(storage.remove_all, purged))
        self.stdout.write(f"removed {files} files of {len(purged)} projects that were destroyed")
        self.stdout.write(f"removed {incoming.sweep()} files that killed uploads had left")


def _is_known(key: str) -> bool:
    """Whether a folder is that of a project; what isn't named by a key isn't ours to remove."""
    return not ObjectId.is_valid(key) or Project.everything.filter(pk=ObjectId(key)).exists()
