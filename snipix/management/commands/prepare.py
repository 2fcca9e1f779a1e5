"""Bring the database up to date."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from pymongo.errors import PyMongoError

from snipix import health


class Command(BaseCommand):
    """What has to be done once before a new version of Snipix serves; harmless when repeated."""

    help = (
        "Bring the database up to date: migrations, indexes, validators and, with --demo, the demo "
        "project. Example: manage.py prepare"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--without-schema",
            action="store_true",
            help="no validators: the embedded server takes twice as long for saves with them",
        )
        parser.add_argument("--demo", action="store_true", help="load the demo project as well")
        parser.add_argument(
            "--wait", type=float, default=60, help="seconds to wait for the database (60)"
        )

    def handle(self, **options: Any) -> None:
        self._await_database(options["wait"])
        shown: dict[str, Any] = {"stdout": self.stdout, "verbosity": options["verbosity"]}
        call_command("migrate", interactive=False, **shown)
        call_command("ensure_indexes", **shown)
        if not options["without_schema"]:
            call_command("ensure_schema", **shown)
        if options["demo"]:
            call_command("load_demo", **shown)

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
