"""`manage.py migrate_documents`"""

from collections.abc import Iterator
from typing import Any

from bson import ObjectId
from django.apps import apps
from django.core.management.base import BaseCommand, CommandParser

from snipix import errors, history
from snipix.documents import Document

BATCH = 100


class Command(BaseCommand):
    help = (
        "Store every document as the newest schema has it, as a version of its own. Old versions "
        "stay as they were written: they are upgraded when they are read. Safe to interrupt and "
        "to repeat, also beside a live server. Example: manage.py migrate_documents --dry-run"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count")

    def handle(self, *args: Any, **options: Any) -> None:
        for model in apps.get_models():
            if issubclass(model, Document):
                self._migrate(model, dry_run=options["dry_run"])

    def _migrate(self, model: type[Document], *, dry_run: bool) -> None:
        name = model._meta.verbose_name_plural
        total = model.everything.filter(schema_version__lt=model.current_schema()).count()
        if dry_run or not total:
            self.stdout.write(f"{name}: {total} to upgrade")
            return
        for done, key in enumerate(_outdated(model), 1):
            _upgrade(model, key)
            if done % BATCH == 0 or done == total:
                self.stdout.write(f"{name}: {done} of {total}")


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


def _upgrade(model: type[Document], key: ObjectId) -> None:
    def work() -> None:
        document = model.everything.filter(pk=key).first()
        if document and document.schema_version < model.current_schema():
            document.upgrade()

    try:
        history.change(work)
    except errors.NotFound:
        return  # purged or moved to the trash just now; a repeat finds it, if it is still there
