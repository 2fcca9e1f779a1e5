"""`manage.py seed`"""

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

from bson import ObjectId
from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from snipix import seeding
from snipix.accounts import ANONYMOUS
from snipix.commands import OperatorCommand, whole_number
from timelines.state import MAX_CLIPS
from transcriptions.state import MAX_WORDS

MAX_PROJECTS = 1_000_000
MAX_VERSIONS = 10_000
MAX_SEED = 10**12
"""So that an id, as `seed-7-000000`, stays one that the API's routes take."""


class Command(OperatorCommand):
    """Thin shell around `snipix.seeding`."""

    help = (
        "Make up projects with timelines, transcriptions and histories, the same for the same "
        "--seed, to try things on. What is there already stays, so that it can be interrupted and "
        "repeated. Needs Faker, which requirements-dev.txt installs."
    )
    example = "seed --projects 1000 --clips 50 --words 300"
    needs_whole_database = True

    def add_arguments(self, parser: CommandParser) -> None:
        def number(name: str, default: int, help: str, *, least: int = 0, most: int) -> None:
            told = f"{help} (%(default)s)"
            parser.add_argument(name, type=whole_number(least, most), default=default, help=told)

        number("--projects", 10, "how many", least=1, most=MAX_PROJECTS)
        number("--clips", 20, "of each timeline; 0 for none", most=MAX_CLIPS)
        number("--words", 0, "of each transcription; 0 for none", most=MAX_WORDS)
        number("--versions", 3, "of each timeline", least=1, most=MAX_VERSIONS)
        number("--seed", 1, "what is made up: another number, other projects", most=MAX_SEED)
        parser.add_argument(
            "--dry-run", action="store_true", help="only count what isn't there yet"
        )
        parser.add_argument("--owner", default=ANONYMOUS, help="a user's id (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        if importlib.util.find_spec("faker") is None:
            raise CommandError("Faker isn't installed: pip install -r requirements-dev.txt")
        _check_owner(options["owner"])
        names = ("projects", "seed", "owner", "clips", "words", "versions")
        wanted = seeding.Wanted(**{name: options[name] for name in names})
        if options["dry_run"]:
            there = seeding.there_already(wanted)
            found = {"dry_run": True, "projects": wanted.projects - there, "there_already": there}
        else:
            found = {"dry_run": False, **self._made(wanted)}
        self.report(found, options, _lines)

    def _made(self, wanted: seeding.Wanted) -> dict[str, int]:
        made = documents = 0
        total = wanted.projects
        for count in self.progress(seeding.seed(wanted), total=total, what="projects"):
            made += bool(count)
            documents += count
        return {"projects": made, "documents": documents, "there_already": total - made}


def _check_owner(id: str) -> None:
    if id == ANONYMOUS or (ObjectId.is_valid(id) and User.objects.filter(pk=id).exists()):
        return
    raise CommandError(
        f"--owner: there is no user with this id. {ANONYMOUS!r} is who owns without accounts; the "
        "admin site shows the ids of users."
    )


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    if found["dry_run"]:
        yield f"{found['projects']:,} projects would be made up"
    else:
        yield f"{found['projects']:,} projects made up, of {found['documents']:,} documents"
    if there := found["there_already"]:
        yield f"{there:,} were there already"
