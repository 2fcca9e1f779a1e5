"""`manage.py ensure_schema`"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from pymongo.errors import OperationFailure

from snipix import indexes, releases, schemas
from snipix.commands import FOUND, OperatorCommand

_SHOWN = 20
_UNAUTHORIZED = 13


class Command(OperatorCommand):
    """Thin shell around `snipix.schemas`."""

    help = (
        "Have MongoDB itself refuse what isn't of the form that the API stores, in every "
        "collection of ours. Safe to repeat, also beside a live server."
    )
    example = "ensure_schema --check --documents"
    needs_whole_database = True
    exit_codes = {FOUND: "with --check: validators differ; with --documents: so do documents"}

    def add_arguments(self, parser: CommandParser) -> None:
        ways = parser.add_mutually_exclusive_group()
        ways.add_argument("--check", action="store_true", help="change nothing, only compare")
        parser.add_argument(
            "--documents",
            action="store_true",
            help="also look for stored documents that would be refused: reads all there are",
        )
        ways.add_argument(
            "--print", action="store_true", help="only print the validators, for a mongo shell"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["print"]:
            self.stdout.write(json.dumps(dict(schemas.validators()), indent=2))
            return
        drift = list(schemas.drift()) if options["check"] else self._ensured()
        misfits = dict(self._misfits()) if options["documents"] else {}
        is_mended = not options["check"]
        told = {
            "mended": is_mended,
            "drift": [each._asdict() for each in drift],
            "misfits": {name: list(map(str, keys)) for name, keys in misfits.items()},
        }
        is_wrong = bool(misfits or (drift and options["check"]))
        lines = _lines(drift, misfits, is_mended=is_mended)
        self.report(told, options, lambda _: lines, is_wrong=is_wrong)
        if is_wrong:
            raise CommandError("Not all is as it should be; see above.", returncode=FOUND)

    def _ensured(self) -> list[schemas.Drift]:
        releases.refuse_newer()  # its documents would be refused from now on
        total = len(list(schemas.drift()))
        try:
            return list(self.progress(schemas.ensure(), total=total, what="validators"))
        except OperationFailure as error:
            if error.code != _UNAUTHORIZED:
                raise
            raise CommandError(
                "The user of MONGODB_URI may not set validators. Run this as one who also has the "
                "role dbAdmin on the database; servers need readWrite alone."
            ) from error

    def _misfits(self) -> Iterator[tuple[str, list[Any]]]:
        models = [model for model, _ in indexes.declared()]
        for model in self.progress(models, total=len(models), what="collections"):
            if keys := schemas.misfits(model, _SHOWN):
                yield model._meta.db_table, keys


def _lines(
    drift: list[schemas.Drift], misfits: Mapping[str, list[Any]], *, is_mended: bool
) -> Iterator[str]:
    for each in drift:
        yield f"{each.collection}: validator set" if is_mended else str(each)
    if not drift:
        yield "All collections are guarded as they should be."
    for collection, keys in misfits.items():
        more = " and perhaps more" if len(keys) == _SHOWN else ""
        yield f"{collection}: {len(keys)} documents{more} don't fit: {', '.join(map(str, keys))}"
