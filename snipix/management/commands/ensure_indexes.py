"""`manage.py ensure_indexes`"""

from typing import Any

from django.core.management.base import BaseCommand

from snipix import indexes


class Command(BaseCommand):
    help = "Create the indexes that the models declare, where they are missing. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        for collection, names in indexes.ensure():
            if options["verbosity"] > 0:
                self.stdout.write(f"{collection}: {', '.join(names)}")
