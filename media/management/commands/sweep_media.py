"""`manage.py sweep_media`"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from media import incoming, storage, sweeping
from snipix.commands import FOUND, OperatorCommand, Progress, told_of


class Command(OperatorCommand):
    """Thin shell around `media.sweeping`, and `media.incoming.sweep`."""

    help = (
        "Remove the media of projects that were destroyed for ever, and what killed uploads have "
        "left. Files of projects that are there, or in the trash, stay, and what is younger than "
        "an hour. Media of projects of which the database knows nothing are only told, since it "
        "may be the wrong one. Safe to interrupt and to repeat, also beside a live server."
    )
    example = "sweep_media --dry-run"
    needs_whole_database = True
    exit_codes = {FOUND: "there are media of which the database knows nothing"}

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count")
        parser.add_argument(
            "--unknown",
            action="store_true",
            help="also remove media of which the database knows nothing: once you are sure that "
            "it is the right one, and whole, and no other database uses the folder",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with self.shown(total=len(storage.projects()), what="folders") as shown:
            found = _swept(options, shown)
        if not options["dry_run"]:
            found["left_by_uploads"] = incoming.sweep()
        self.report(found, options, _lines)
        if failed := found["failed"]:
            raise CommandError(f"{len(failed)} folders couldn't be removed: {' '.join(failed[:5])}")
        if left := found["unknown"]:
            raise CommandError(_what_to_do(left, found["first_unknown"]), returncode=FOUND)


def _swept(options: Mapping[str, Any], shown: Progress) -> dict[str, Any]:
    """Remove what may go, and count what may not."""
    found = dict.fromkeys(("projects", "files", "unknown", "unknown_files"), 0)
    first, failed = "", list[str]()
    for orphan in sweeping.orphans(shown.at):
        if not (orphan.is_purged or options["unknown"]):
            found["unknown"] += 1
            found["unknown_files"] += orphan.files
            first = first or storage.folder_of(orphan.key)
            continue
        try:
            found["files"] += orphan.files if options["dry_run"] else sweeping.remove(orphan)
            found["projects"] += 1
        except OSError as error:  # the others can go all the same
            failed.append(told_of(error))
    return {"dry_run": options["dry_run"], **found, "first_unknown": first, "failed": failed}


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    projects, files = found["projects"], found["files"]
    if found["dry_run"]:
        yield f"projects that were destroyed and still have media: {projects} ({files} files)"
    else:
        yield f"removed {files} files of {projects} projects that were destroyed"
        yield f"removed {found['left_by_uploads']} files that killed uploads had left"
    if found["unknown"]:
        yield f"left {found['unknown_files']} files of {found['unknown']} unknown projects"


def _what_to_do(folders: int, first: str) -> str:
    return (
        f"{folders} folders (the first is {first}) have media of projects of which the database "
        "knows nothing: neither they nor their purge. If it is the wrong database, or not restored "
        "yet, see to that. If nobody needs the media: sweep_media --unknown removes them."
    )
