"""`manage.py cache stats`, `warm` and `clear`"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from projects import warming
from snipix import environment
from snipix.cache import stats
from snipix.cache.breaker import FAILURES
from snipix.commands import OperatorCommand, whole_number

NOT_CONFIGURED = 3
NOT_REACHED = 4
MAX_PROJECTS = 100_000


class Command(OperatorCommand):
    """Thin shell around `snipix.cache.stats` and `projects.warming`."""

    help = "Look into the cache, fill it, or empty it: all beside running servers, and repeatable."
    example = "cache stats"
    exit_codes = {
        NOT_CONFIGURED: "there is no REDIS_URL",
        NOT_REACHED: "Redis can't be reached",
    }
    has_parts = True

    def add_arguments(self, parser: CommandParser) -> None:
        parts = parser.add_subparsers(dest="command", required=True)
        told = "Show what is kept, and how often reads find it."
        seen = self.add_part(parts, "stats", help=told, example="cache stats --json")
        seen.add_argument("--server", default=_own_server(), help="whose reads (%(default)s)")
        told = "Fill in the projects edited last, as their owners."
        warm = self.add_part(parts, "warm", help=told, example="cache warm --limit 500")
        warm.add_argument(
            "--limit",
            type=whole_number(1, MAX_PROJECTS),
            default=100,
            help="projects (%(default)s)",
        )
        warm.add_argument("--dry-run", action="store_true", help="only count the projects")
        told = "Delete all that is kept in Redis, and say how many keys."
        clear = self.add_part(parts, "clear", help=told, example="cache clear --dry-run")
        clear.add_argument("--dry-run", action="store_true", help="only count the keys")

    def changes(self, options: Mapping[str, Any]) -> bool:
        return options.get("command") != "stats" and super().changes(options)

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
        with self.shown(total=stats.size(), what="keys") as shown:
            found = {"redis": stats.redis(), "keys": stats.contents(shown.at), "reads": reads}
        self.report(found, options, lambda _: _shown(found, options["server"]))

    def _reads(self, server: str) -> dict[str, dict[str, float]] | None:
        try:
            return stats.ratios(stats.served(server))
        except (OSError, ValueError) as error:
            self.stderr.write(
                f"No metrics from {server}/metrics ({error}): name a server of Snipix by --server, "
                "and its METRICS_TOKEN in the environment."
            )
            return None

    # --- warm ------------------------------------------------------------------------------------

    def _warm(self, options: Mapping[str, Any]) -> None:
        if options["dry_run"]:
            count = len(warming.edited_last(options["limit"]))
            told = {"dry_run": True, "projects": count}
            self.report(told, options, lambda _: [f"{count:,} projects would be read."])
            return
        before, done = warming.fills(), 0
        try:
            with self.shown(total=options["limit"], what="projects") as shown:
                for at in warming.warm(options["limit"]):
                    shown.total = at.total
                    shown.at(done := at.done)
        except (warming.NotWarmed, PyMongoError, DatabaseError) as error:
            reason = str(error) if isinstance(error, warming.NotWarmed) else type(error).__name__
            raise CommandError(f"Ended after {done} projects: {reason} Repeat it later.") from error
        fills = warming.fills() - before
        kept = fills.pop("filled", 0)
        found = {"dry_run": False, "projects": done, "kept": kept, "refused": fills.total()}
        self.report(found, options, _told)

    # --- clear -----------------------------------------------------------------------------------

    def _clear(self, options: Mapping[str, Any]) -> None:
        is_dry = options["dry_run"]
        do = stats.clearable if is_dry else stats.clear
        with self.shown(total=stats.size(), what="keys") as shown:
            count = do(say=shown.at)
        told = "would be deleted" if is_dry else "deleted"
        self.report(
            {"dry_run": is_dry, "keys": count}, options, lambda _: [f"{count:,} keys {told}."]
        )


def _shown(found: Mapping[str, Any], server: str) -> Iterator[str]:
    redis = found["redis"]
    used, most = redis["used_memory"], redis["maxmemory"] or None
    limit = f"of {most:,} " if most else ""
    yield f"Redis {redis['redis_version']}: {used:,} bytes {limit}used by all that is in it,"
    yield f"{redis['evicted_keys']:,} keys evicted ({redis['maxmemory_policy']})\n"
    yield f"{'kept':30}{'keys':>12}"
    for name, count in found["keys"].items():
        yield f"{name:30}{count:>12,}"
    if found["reads"] is None:
        return
    yield f"\n{'read since ' + server + ' began':30}{'reads':>12}{'hits':>12}{'ratio':>8}"
    for name, at in found["reads"].items():
        yield f"{name:30}{at['reads']:>12,.0f}{at['hits']:>12,.0f}{at['ratio']:>8.2f}"


def _told(found: Mapping[str, Any]) -> Iterator[str]:
    projects, kept, refused = found["projects"], found["kept"], found["refused"]
    yield f"{projects} projects read: {kept} records and bodies are kept that weren't."
    if refused:
        yield f"{refused} weren't taken: changed just then, or Redis is full."


def _own_server() -> str:
    return f"http://127.0.0.1:{environment.integer('SNIPIX_PORT', 8000)}"


def _not_reached(error: Exception) -> CommandError:
    return CommandError(
        f"Redis can't be used where REDIS_URL says that it is ({type(error).__name__}).",
        returncode=NOT_REACHED,
    )
