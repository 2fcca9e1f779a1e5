"""`manage.py cache stats`, `warm` and `clear`"""

import json
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from projects import warming
from snipix import environment
from snipix.cache import stats
from snipix.cache.breaker import FAILURES

NOT_CONFIGURED = 3
NOT_REACHED = 4
_EXIT_CODES = f"""
exit codes: 0 done; 1 something else went wrong; 2 the command is misspelt;
            {NOT_CONFIGURED} there is no REDIS_URL; {NOT_REACHED} Redis can't be reached
"""
_BAR = 30
_LINES = 20
"""Of progress, at most, where there is no terminal."""


class Command(BaseCommand):
    """Thin shell around `snipix.cache.stats` and `projects.warming`."""

    help = "Look into the cache, fill it, or empty it: all beside running servers, and repeatable."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)

        def add(name: str, help: str, example: str) -> CommandParser:
            return commands.add_parser(
                name,
                help=help,
                description=help,
                epilog=f"example: manage.py cache {example}\n{_EXIT_CODES}",
                formatter_class=RawDescriptionHelpFormatter,
            )

        seen = add("stats", "Show what is kept, and how often reads find it.", "stats --json")
        seen.add_argument("--json", action="store_true", help="for programs")
        seen.add_argument("--server", default=_own_server(), help="whose reads (%(default)s)")
        warm = add("warm", "Fill in the projects edited last, as their owners.", "warm --limit 500")
        warm.add_argument("--limit", type=_positive, default=100, help="projects (%(default)s)")
        add("clear", "Delete all that is kept in Redis, and say how many keys.", "clear")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.REDIS_URL:
            raise CommandError(
                "REDIS_URL isn't set: each process remembers for itself, which nobody can see or "
                "change from here. Set it as the servers have it.",
                returncode=NOT_CONFIGURED,
            )
        commands = {"stats": self._stats, "warm": self._warm, "clear": self._clear}
        try:
            stats.redis()
        except FAILURES as error:
            raise _not_reached(error) from error
        try:
            commands[options["command"]](options)
        except RedisError as error:
            raise _not_reached(error) from error

    # --- stats -----------------------------------------------------------------------------------

    def _stats(self, options: Mapping[str, Any]) -> None:
        reads = self._reads(options["server"])
        found = {"redis": stats.redis(), "keys": stats.contents(), "reads": reads}
        if options["json"]:
            self.stdout.write(json.dumps(found))
        else:
            self._show(found, options["server"])

    def _reads(self, server: str) -> dict[str, dict[str, float]] | None:
        try:
            return stats.ratios(stats.served(server))
        except (OSError, ValueError) as error:
            self.stderr.write(
                f"No metrics from {server}/metrics ({error}): name a server of Snipix by --server, "
                "and its METRICS_TOKEN in the environment."
            )
            return None

    def _show(self, found: Mapping[str, Any], server: str) -> None:
        redis, show = found["redis"], self.stdout.write
        used, most = redis["used_memory"], redis["maxmemory"] or None
        limit = f"of {most:,} " if most else ""
        show(f"Redis {redis['redis_version']}: {used:,} bytes {limit}used by all that is in it,")
        show(f"{redis['evicted_keys']:,} keys evicted ({redis['maxmemory_policy']})\n")
        show(f"{'kept':30}{'keys':>12}")
        for name, count in found["keys"].items():
            show(f"{name:30}{count:>12,}")
        if found["reads"] is None:
            return
        show(f"\n{'read since ' + server + ' began':30}{'reads':>12}{'hits':>12}{'ratio':>8}")
        for name, at in found["reads"].items():
            show(f"{name:30}{at['reads']:>12,.0f}{at['hits']:>12,.0f}{at['ratio']:>8.2f}")

    # --- warm ------------------------------------------------------------------------------------

    def _warm(self, options: Mapping[str, Any]) -> None:
        before, done = warming.fills(), 0
        show = self._bar if self.stdout.isatty() else self._line
        try:
            for progress in warming.warm(options["limit"]):
                done = progress.done
                show(progress)
        except (warming.NotWarmed, PyMongoError, DatabaseError) as error:
            reason = str(error) if isinstance(error, warming.NotWarmed) else type(error).__name__
            raise CommandError(f"Ended after {done} projects: {reason} Repeat it later.") from error
        self._tell(done, warming.fills() - before)

    def _tell(self, projects: int, fills: Counter[str]) -> None:
        new, refused = fills.pop("filled", 0), fills.total()
        self.stdout.write(
            f"{projects} projects read: {new} records and bodies are kept that weren't."
        )
        if refused:
            self.stdout.write(f"{refused} weren't taken: changed just then, or Redis is full.")

    def _bar(self, at: warming.Progress) -> None:
        full = _BAR * at.done // at.total
        bar = f"[{'#' * full:{_BAR}}] {at.done} of {at.total} projects"
        self.stdout.write(f"\r{bar}", ending="\n" if at.done == at.total else "")
        self.stdout.flush()

    def _line(self, at: warming.Progress) -> None:
        step = max(1, at.total // _LINES)
        if at.done % step == 0 or at.done == at.total:
            self.stdout.write(f"{at.done} of {at.total} projects")

    # --- clear -----------------------------------------------------------------------------------

    def _clear(self, options: Mapping[str, Any]) -> None:
        self.stdout.write(f"{stats.clear():,} keys deleted.")


def _own_server() -> str:
    return f"http://127.0.0.1:{environment.integer('SNIPIX_PORT', 8000)}"


def _not_reached(error: Exception) -> CommandError:
    return CommandError(
        f"Redis can't be used where REDIS_URL says that it is ({type(error).__name__}).",
        returncode=NOT_REACHED,
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError("must be a whole number from 1 on")
    return int(text)
