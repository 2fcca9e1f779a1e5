"""`manage.py backup FILE`, and `backup --verify FILE`"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from snipix import snapshots
from snipix.backups import taking, verifying
from snipix.backups.format import Damaged
from snipix.commands import FOUND, OperatorCommand, file_path


class Command(OperatorCommand):
    help = (
        "Write everything into one archive, as it is at one moment, while the server runs; or "
        "prove an archive. It is compressed and not encrypted: who can read it can read all "
        "projects. Interrupted, it leaves nothing that counts: run it again."
    )
    example = "backup /backups/snipix-$(date +%F).snipix --media"
    exit_codes = {FOUND: "the archive is what was written, and that was damaged already"}

    repeating = "There is no archive of this run: run it again, from the start."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", type=file_path, help="the archive; one that is there stays as it is"
        )
        parser.add_argument("--media", action="store_true", help="with the videos and thumbnails")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument(
            "--verify", action="store_true", help="prove the archive, and restore nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["verify"]:
                self._verify(options)
            elif options["dry_run"]:
                self._rehearse(options)
            else:
                self._take(options)
        except (taking.NotTaken, Damaged) as error:
            about = f"{options['file']}: " if isinstance(error, Damaged) else ""
            raise CommandError(f"{about}{error}") from error
        except OSError as error:
            where = error.filename or options["file"]
            raise CommandError(f"{where}: {error.strerror or error}.") from error

    def _rehearse(self, options: Mapping[str, Any]) -> None:
        needed = taking.needed_bytes(with_media=options["media"])
        found = {
            "file": str(options["file"]),
            "at_most_bytes": needed,
            "projects": snapshots.projects(),
        }
        taking.check(options["file"], needed)
        self.report(
            found, options, lambda f: [f"{f['projects']:,} projects, at most {needed:,} bytes"]
        )

    def _take(self, options: Mapping[str, Any]) -> None:
        taken = taking.take(options["file"], with_media=options["media"], say=self.show)
        self.report(dataclasses.asdict(taken), options, _told)

    def _verify(self, options: Mapping[str, Any]) -> None:
        proof = verifying.verify(options["file"], say=self.show)
        self.report(proof.as_json(), options, _proven, is_wrong=bool(proof.findings))
        if proof.findings:
            raise CommandError("The archive holds what was damaged already.", returncode=FOUND)


def _told(taken: Mapping[str, Any]) -> Iterable[str]:
    yield f"{taken['file']}: {taken['bytes']:,} bytes"
    yield f"{taken['projects']:,} projects as they were at {taken['moment']}"
    if taken["media_files"] is not None:
        yield f"{taken['media_files']:,} media files"
    if taken["left_out"]:
        yield f"left out, since they aren't Snipix's: {', '.join(taken['left_out'])}"


def _proven(proof: Mapping[str, Any]) -> Iterable[str]:
    yield f"{proof['file']} is whole: as it was at {proof['moment']}"
    yield f"{proof['projects']:,} projects, {proof['versions']:,} versions, all proven"
    for finding in proof["findings"]:
        yield f"{finding['code']}: {finding['where']}: {finding['what']}"
