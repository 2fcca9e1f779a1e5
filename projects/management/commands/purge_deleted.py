"""`manage.py purge_deleted`"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from projects import purging
from snipix import mongo, times
from snipix.commands import LEFT, OperatorCommand, whole_number
from snipix.left import Left, LeftOver

MAX_DAYS = 20_000


class Command(OperatorCommand):
    """Thin shell around `projects.purging`."""

    help = (
        "Destroy for ever what has been in the trash for longer than the retention "
        "(TRASH_RETENTION_DAYS), with all that belongs to it, media included; audit entries stay. "
        "Safe to interrupt, to repeat, and beside a live server: what is restored meanwhile stays."
    )
    example = "purge_deleted --dry-run"
    exit_codes = {LEFT: "some could not be purged: they are named, and all others are"}
    needs_whole_database = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count")
        parser.add_argument(
            "--older-than",
            metavar="DAYS",
            type=whole_number(0, MAX_DAYS),
            default=settings.TRASH_RETENTION_DAYS,
            help="the retention, in days in the trash (%(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # The earlier of two clocks: one that is ahead destroys nothing before its time.
        now = min(times.now(), mongo.server_time())
        until = now - timedelta(days=options["older_than"])
        found: dict[str, Any] = {
            "dry_run": options["dry_run"],
            "deleted_until": times.write(until),
            **purging.waiting(until),
        }
        left = LeftOver()
        if not options["dry_run"]:
            total = found["expired"] + found["interrupted"]
            going = purging.purge_deleted(until)
            found |= _summed(self.progress(going, total=total, what="projects"), left)
        self.report(found, options, _lines)
        self.tell_left(left)


def _summed(going: Iterator[purging.Purged | Left], left: LeftOver) -> dict[str, Any]:
    projects, files, documents = 0, 0, Counter[str]()
    for one in going:
        if isinstance(one, Left):
            left.add(one)
            continue
        projects += 1
        files += one.files
        documents.update(one.documents)
    told = {"projects": projects, "documents": dict(documents), "files": files}
    return {**told, "left": left.count, "first_left": left.named}


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    if found["dry_run"]:
        yield f"projects deleted until {found['deleted_until']}: {found['expired']:,}"
        yield f"purges that were interrupted: {found['interrupted']:,}"
        return
    yield f"{found['projects']:,} projects purged that were deleted until {found['deleted_until']}"
    for collection, count in found["documents"].items():
        yield f"  {collection}: {count:,}"
    yield f"  files: {found['files']:,}"
