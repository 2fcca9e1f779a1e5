"""`manage.py demo`"""

import signal
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from snipix import local
from snipix.chains import HistoryDamaged
from snipix.demo.client import NoAnswer
from snipix.demo.stage import Stage
from snipix.demo.story import Lost, Story


class Command(BaseCommand):
    """Thin shell around `snipix.demo.story.Story`."""

    help = (
        "Save a timeline a hundred times on servers of its own, kill them all in the middle, "
        "start them again, and show that nothing is lost. Touches no other data."
    )
    # Nothing is configured: the servers are our own.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seed", type=int, default=1, help="what is made up, and when (1)")
        parser.add_argument("--clips", type=int, default=200, help="clips of the timeline (200)")
        parser.add_argument("--moves", type=int, default=100, help="saves with a moved clip (100)")
        parser.add_argument("--kills", type=int, default=3, help="how often all is killed (3)")

    def handle(self, **options: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has it ignored
            signal.signal(number, signal.default_int_handler)
        chosen = {name: options[name] for name in ("seed", "clips", "moves", "kills")}
        try:
            with tempfile.TemporaryDirectory(prefix="snipix-demo-") as folder:
                self._say("Starting a database, a cache and a web server of its own …")
                with Stage(Path(folder)) as stage:
                    self._say(f"Saving a timeline of {options['clips']} clips …")
                    Story(stage, self._say, **chosen).tell()
                    self._say("\nStopping the servers …")
        except (Lost, HistoryDamaged) as error:
            raise CommandError(f"LOST: {error}") from error
        except (local.LocalError, NoAnswer) as error:
            raise CommandError(f"The demonstration couldn't be finished: {error}") from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted; the servers are stopped.", returncode=130) from None

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
