"""Bring the database up to date."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser


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

    def handle(self, **options: Any) -> None:
        shown: dict[str, Any] = {"stdout": self.stdout, "verbosity": options["verbosity"]}
        call_command("migrate", interactive=False, **shown)
        call_command("ensure_indexes", **shown)
        if not options["without_schema"]:
            call_command("ensure_schema", **shown)
        if options["demo"]:
            call_command("load_demo", **shown)
