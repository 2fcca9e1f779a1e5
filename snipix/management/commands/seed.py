"""`manage.py seed`"""

import importlib.util
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from snipix import seeding
from snipix.accounts import ANONYMOUS
from snipix.commands import OperatorCommand


class Command(OperatorCommand):
    """Thin shell around `snipix.seeding`."""

    help = (
        "Make up projects with timelines, transcriptions and histories, the same for the same "
        "--seed, to try things on. What is there already stays, so that it can be interrupted and "
        "repeated. Needs Faker, which requirements-dev.txt installs."
    )
    example = "seed --projects 1000 --clips 50 --words 300"

    def add_arguments(self, parser: CommandParser) -> None:
        def number(name: str, default: int, help: str, least: int = 0) -> None:
            told = f"{help} (%(default)s)"
            parser.add_argument(name, type=_from(least), default=default, help=told)

        number("--projects", 10, "how many", least=1)
        number("--clips", 20, "of each timeline; 0 for none")
        number("--words", 0, "of each transcription; 0 for none")
        number("--versions", 3, "of each timeline", least=1)
        number("--seed", 1, "what is made up: another number, other projects")
        parser.add_argument("--owner", default=ANONYMOUS, help="a user's id (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        if importlib.util.find_spec("faker") is None:
            raise CommandError("Faker isn't installed: pip install -r requirements-dev.txt")
        names = ("projects", "seed", "owner", "clips", "words", "versions")
        wanted = seeding.Wanted(**{name: options[name] for name in names})
        made = documents = 0
        total = wanted.projects
        for count in self.progress(seeding.seed(wanted), total=total, what="projects"):
            made += bool(count)
            documents += count
        found = {"projects": made, "documents": documents, "there_already": total - made}
        self.report(found, options, _lines)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['projects']:,} projects made up, of {found['documents']:,} documents"
    if there := found["there_already"]:
        yield f"{there:,} were there already"


def _from(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"must be a whole number from {least} on")
        return int(text)

    return read
