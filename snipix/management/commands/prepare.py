"""`manage.py prepare`"""

from argparse import ArgumentTypeError
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError
from pymongo.errors import PyMongoError

from snipix import health, indexes, releases, schemas
from snipix.commands import FOUND, LEFT, OperatorCommand

MAX_WAIT = 86_400


class Command(OperatorCommand):
    """What has to be done once before a new version of Snipix serves."""

    help = (
        "Bring the database up to date: migrations, indexes, validators and, with --demo, the demo "
        "project. What is so already stays: safe to interrupt, to repeat, and beside a live server."
    )
    example = "prepare --wait 300"
    exit_codes = {
        FOUND: "with --check: something is to be done",
        LEFT: "some indexes could not be brought about: they are named, and all else is done",
    }

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--without-schema",
            action="store_true",
            help="no validators: the embedded server takes twice as long for saves with them",
        )
        parser.add_argument("--demo", action="store_true", help="load the demo project as well")
        parser.add_argument(
            "--check", action="store_true", help="change nothing, only say what is to be done"
        )
        parser.add_argument(
            "--wait",
            type=_seconds,
            default=60,
            metavar="SECONDS",
            help="how long to wait for the database (%(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._await_database(options["wait"])
        releases.refuse_unservable()  # its indexes aren't this release's to change
        if options["check"]:
            self._check(options)
            return
        # Standard output is for the one answer, if a program reads it.
        to = self.stderr if options["json"] else self.stdout
        done: list[str] = []
        left: list[CommandError] = []
        steps = list(_steps(options))
        for name, chosen in self.progress(steps, total=len(steps), what="steps"):
            try:
                call_command(name, stdout=to, verbosity=options["verbosity"], **chosen)
            except CommandError as error:  # an index that can't be built is in no other step's way
                if error.returncode != LEFT:
                    raise
                left.append(error)
            done.append(name)
        self.report({"done": done}, options, lambda _: ())
        if left:
            raise left[0]

    def _check(self, options: Mapping[str, Any]) -> None:
        found = list(_to_do(options))
        lines = found or ["Nothing is to be done."]
        self.report({"to_do": found}, options, lambda _: lines, is_wrong=bool(found))
        if found:
            raise CommandError("The database isn't prepared: run prepare.", returncode=FOUND)

    def _await_database(self, seconds: float) -> None:
        def tell() -> None:
            self.stderr.write("The database can't be reached yet; trying again …")

        try:
            health.await_database(seconds, tell)
        except health.StandaloneServer as error:
            raise CommandError(str(error)) from error
        except (DatabaseError, PyMongoError) as error:
            # Not the error itself: it may hold the connection string.
            cause = type(error.__cause__ or error).__name__
            raise CommandError(
                f"The database can't be used ({cause}): check MONGODB_URI, the network access list "
                "of Atlas, user and password."
            ) from error


def _steps(options: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The commands that it consists of, with their options."""
    yield "migrate", {"interactive": False}
    yield "ensure_indexes", {}
    if not options["without_schema"]:
        yield "ensure_schema", {}
    if options["demo"]:
        yield "load_demo", {}


def _to_do(options: Mapping[str, Any]) -> Iterator[str]:
    """What the steps would do, but for the demo: a line for each."""
    for name in releases.migrations().pending:
        yield f"{name} isn't applied"
    yield from (str(drift) for drift in indexes.drift() if drift.problem != "undeclared")
    if not options["without_schema"]:
        yield from map(str, schemas.drift())


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT:  # neither is NaN
        raise ArgumentTypeError(f"must be a number of seconds from 0 to {MAX_WAIT:,}")
    return seconds
