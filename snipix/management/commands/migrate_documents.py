"""`manage.py migrate_documents`"""

from collections.abc import Iterator, Mapping
from typing import Any

from bson import ObjectId
from django.core.management.base import CommandError, CommandParser

from snipix import documents, errors, history, releases
from snipix.commands import FOUND, LEFT, OperatorCommand
from snipix.documents import Document
from snipix.left import FAILURES, Left, LeftOver, why

BATCH = 100


class Command(OperatorCommand):
    """Stored states as the newest schema has them; and an overview of all that migrates."""

    help = (
        "Store every document as the newest schema has it, as a version of its own. Old versions "
        "stay as they were written: they are upgraded when they are read. Safe to interrupt and "
        "to repeat, also beside a live server."
    )
    example = "migrate_documents --list"
    needs_whole_database = True
    exit_codes = {
        FOUND: "with --list: something is to be migrated, or newer than this release",
        LEFT: "some could not be upgraded: they are named, and all others are",
    }

    def add_arguments(self, parser: CommandParser) -> None:
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--dry-run", action="store_true", help="only count")
        group.add_argument(
            "--list",
            action="store_true",
            help="only show how Django's migrations and the stored schemas stand",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self._list(options)
            return
        upgrade, left = not options["dry_run"], LeftOver()
        found = {
            str(model._meta.verbose_name_plural): self._migrate(model, left, upgrade=upgrade)
            for model in documents.kinds().values()
        }
        done = "upgraded" if upgrade else "to upgrade"
        self.report(
            {
                "dry_run": not upgrade,
                "documents": found,
                "left": left.count,
                "first_left": left.named,
            },
            options,
            lambda _: (f"{name}: {count} {done}" for name, count in found.items()),
        )
        self.tell_left(left)

    def _migrate(self, model: type[Document], left: LeftOver, *, upgrade: bool) -> int:
        """How many documents were upgraded, or would be; what can't be is left."""
        total = model.everything.filter(schema_version__lt=model.current_schema()).count()
        if not upgrade:
            return int(total)
        what = str(model._meta.verbose_name_plural)
        keys = self.progress(_outdated(model), total=total, what=what)
        return sum(_upgrade(model, key, left) for key in keys)

    def _list(self, options: Mapping[str, Any]) -> None:
        migrations, stored = releases.migrations(), list(releases.stored())
        told = {
            "migrations": migrations._asdict(),
            "documents": [each._asdict() for each in stored],
        }
        is_off = bool(migrations.pending or migrations.unknown)
        is_wrong = is_off or any(each.older or each.newer for each in stored)
        self.report(told, options, lambda _: _overview(migrations, stored), is_wrong=is_wrong)
        if is_wrong:
            raise CommandError("The database isn't as this release has it.", returncode=FOUND)


def _overview(migrations: releases.Migrations, stored: list[releases.Stored]) -> Iterator[str]:
    yield f"{migrations.applied} migrations are applied."
    for name in migrations.pending:
        yield f"{name} isn't applied yet: run prepare."
    for name in migrations.unknown:
        yield f"{name} is of a newer release than this."
    for each in stored:
        yield f"{each.collection}: {each.documents:,} documents; the newest schema is {each.schema}"
        if each.older:
            yield f"  {each.older:,} are of an older one: run migrate_documents when it suits."
        if each.newer:
            yield f"  {each.newer:,} are of a newer one: this release must not serve them."


def _outdated(model: type[Document]) -> Iterator[ObjectId]:
    """The keys of what is stored as an older schema, a batch at a time."""
    last: ObjectId | None = None
    while True:
        left = model.everything.filter(schema_version__lt=model.current_schema())
        later = left.filter(pk__gt=last) if last else left
        keys = list(later.order_by("pk").values_list("pk", flat=True)[:BATCH])
        yield from keys
        if not keys:
            return
        last = keys[-1]


def _upgrade(model: type[Document], key: ObjectId, left: LeftOver) -> bool:
    def work() -> bool:
        document = model.everything.filter(pk=key).first()
        if document is None or document.schema_version >= model.current_schema():
            return False  # purged, or saved by somebody else
        document.upgrade()
        return True

    try:
        return history.change(work)
    except errors.NotFound:
        return False  # moved to the trash just now; a repeat finds it, if it is still there
    except FAILURES as error:
        left.add(Left(f"{model.kind} {key}", why(error)))
        return False
