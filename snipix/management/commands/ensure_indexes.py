"""`manage.py ensure_indexes`"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from snipix import indexes
from snipix.commands import FOUND, LEFT, OperatorCommand


class Command(OperatorCommand):
    """Thin shell around `snipix.indexes`."""

    help = (
        "Create the indexes that the models declare, where they are missing, and say what differs. "
        "Safe to repeat, also beside a live server."
    )
    example = "ensure_indexes --check"
    needs_whole_database = True
    exit_codes = {
        FOUND: "with --check: not all is as declared",
        LEFT: "some could not be brought about: they are named, and all others are",
    }

    def add_arguments(self, parser: CommandParser) -> None:
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--check", action="store_true", help="change nothing, only compare")
        group.add_argument(
            "--prune",
            action="store_true",
            help="also remove what isn't declared any more, and build anew what differs; until "
            "that is built, nothing serves its queries or keeps its keys unique",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found, left = _compared() if options["check"] else self._mended(options["prune"])
        is_mended = not options["check"]
        told = {"mended": is_mended, "drift": [drift._asdict() for drift in found]}
        is_wrong = bool(found and options["check"])
        lines = _lines(found, is_mended=is_mended, is_all=not left)
        self.report(told, options, lambda _: lines, is_wrong=is_wrong)
        if left:
            raise CommandError(f"{left}.", returncode=LEFT)
        if is_wrong:
            raise CommandError("Not all is as declared: run ensure_indexes.", returncode=FOUND)

    def _mended(self, prune: bool) -> tuple[list[indexes.Drift], str]:
        """What was brought about, and what wasn't."""
        done: list[indexes.Drift] = []
        total = len(list(indexes.drift()))
        try:
            for drift in self.progress(indexes.ensure(prune=prune), total=total, what="indexes"):
                done.append(drift)
        except indexes.IndexesLeft as error:
            return done, str(error)
        return done, ""


def _compared() -> tuple[list[indexes.Drift], str]:
    return list(indexes.drift()), ""


def _lines(found: Sequence[indexes.Drift], *, is_mended: bool, is_all: bool) -> Iterator[str]:
    for drift in found:
        yield f"{drift}: mended" if is_mended else str(drift)
    if is_all and not found:
        yield "All indexes are as declared."
