"""`manage.py restore FILE`"""

from argparse import ArgumentTypeError
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from snipix.backups import one_project, restoring
from snipix.backups.claims import NotRestored
from snipix.backups.format import Damaged
from snipix.checks import is_database_name
from snipix.commands import FOUND, OperatorCommand, file_path
from snipix.mongo import connection


class Command(OperatorCommand):
    help = (
        "Prove an archive, and bring back what is in it: all of it into an empty database, or one "
        "project that isn't there. Nothing is ever overwritten. Interrupted, run it again: it "
        "goes on where it was."
    )
    example = "restore /backups/snipix-2026-01-31.snipix --database snipix_restored"
    exit_codes = {FOUND: "it is restored, and what is in it was damaged when it was backed up"}

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=file_path, help="the archive")
        parser.add_argument(
            "--database",
            type=_database_name,
            default=connection.settings_dict["NAME"],
            help="where to, on the server that MONGODB_URI names (%(default)s)",
        )
        parser.add_argument("--project", metavar="ID", help="only this one, into what is served")
        parser.add_argument("--dry-run", action="store_true", help="prove, check, change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["project"] == "":
            raise CommandError("--project: must be the id of a project, and is empty.")
        if options["project"] and options["database"] != connection.settings_dict["NAME"]:
            raise CommandError(
                "--project goes into the database that is served. Leave --database out, or restore "
                "everything into the other one."
            )
        try:
            restored = self._restore(options).as_json() | {"dry_run": options["dry_run"]}
        except (Damaged, NotRestored) as error:
            raise CommandError(f"{options['file']}: {error}") from error
        except OSError as error:
            where = error.filename or options["file"]
            raise CommandError(f"{where}: {error.strerror or error}.") from error
        self.report(restored, options, _told, is_wrong=bool(restored["findings"]))
        if restored["findings"]:
            raise CommandError("Run doctor: what was backed up was damaged.", returncode=FOUND)

    def _restore(self, options: Mapping[str, Any]) -> restoring.Restored:
        file, is_rehearsal = options["file"], options["dry_run"]
        if options["project"]:
            one = one_project.rehearse if is_rehearsal else one_project.restore
            return one(file, options["project"], say=self.show)
        all_of_it = restoring.rehearse if is_rehearsal else restoring.restore
        return all_of_it(file, options["database"], say=self.show)


def _told(restored: Mapping[str, Any]) -> Iterable[str]:
    would = "would be restored" if restored["dry_run"] else "restored"
    what = "1 project" if restored["projects"] == 1 else f"{restored['projects']:,} projects"
    yield f"{what} {would} into {restored['database']}"
    yield f"as they were at {restored['moment']}"
    if restored["media_files"]:
        yield f"{restored['media_files']:,} media files"
    yield from restored["notes"]
    for finding in restored["findings"]:
        yield f"{finding['code']}: {finding['where']}: {finding['what']}"


def _database_name(text: str) -> str:
    if not is_database_name(text):
        raise ArgumentTypeError("must be up to 63 letters, digits, _ and -, and not MongoDB's own")
    return text
