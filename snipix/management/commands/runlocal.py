"""Run all of Snipix on this machine: MongoDB, Redis and the web server."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from snipix import local


class Command(BaseCommand):
    """Thin shell around `snipix.local.Local`."""

    help = "Run Snipix with a MongoDB and a Redis of its own; Ctrl-C stops everything."
    # Nothing is configured yet: the processes that are started are, and check it.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        port = os.environ.get("SNIPIX_PORT") or "8000"
        parser.add_argument("--port", type=int, default=port, help="web port (SNIPIX_PORT or 8000)")
        parser.add_argument(
            "--data", type=Path, default=settings.BASE_DIR / ".data", help="data folder (.data)"
        )
        parser.add_argument("--workers", type=int, default=2, help="gunicorn workers (2)")
        parser.add_argument("--no-demo", action="store_true", help="load no demo project")

    def handle(self, **options: Any) -> None:
        machine = local.Local(
            data_dir=options["data"],
            port=options["port"],
            workers=options["workers"],
            demo=not options["no_demo"],
            say=self._say,
        )
        try:
            machine.run()
        except local.LocalError as error:
            raise CommandError(str(error)) from error

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
