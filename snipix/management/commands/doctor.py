"""`manage.py doctor`"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from snipix import checks, snapshots, times
from snipix.commands import FOUND, OperatorCommand, whole_number
from snipix.doctor import mending
from snipix.doctor.checkup import CheckUp, check_up
from snipix.doctor.findings import Finding

_ORDER = ("error", "warning", "note")


class Command(OperatorCommand):
    help = (
        "Look into everything that is stored, and say what is wrong, where, and what to do: "
        "server, settings, indexes, validators, every history, summaries, orphans, media, sizes. "
        "Changes nothing without --fix, which mends what is safe to mend and loses nothing."
    )
    example = "doctor --since 7 --json"
    exit_codes = {FOUND: "something is wrong, and (still) to be done"}
    # Its own report says what they would.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--fix", action="store_true", help="mend what is safe to mend")
        parser.add_argument(
            "--since",
            type=whole_number(1, 36_500),
            metavar="DAYS",
            help="of projects, look only into those that were changed in the last days",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for problem in checks.database_uri():
            if problem.is_serious():  # nothing can be looked into
                raise CommandError(f"{problem.msg} {problem.hint}")
        since = times.now() - timedelta(days=options["since"]) if options["since"] else None
        with self.shown(total=snapshots.projects(), what="projects") as shown:
            found = check_up(since=since, say=shown.at)
        mended, left = self._mended(found) if options["fix"] else ([], found.findings)
        self.report(_reported(found, mended, left), options, _told, is_wrong=bool(left))
        if left:
            raise CommandError(f"{len(left)} findings.", returncode=FOUND)

    def _mended(self, found: CheckUp) -> tuple[list[Finding], list[Finding]]:
        total = len({finding.project_id for finding in found.findings if finding.project_id})
        with self.shown(total=total, what="projects mended") as shown:
            return mending.mend_all(found.findings, shown.at)

    def changes(self, options: Mapping[str, Any]) -> bool:
        return bool(options.get("fix"))


def _reported(found: CheckUp, mended: list[Finding], left: list[Finding]) -> dict[str, Any]:
    left = sorted(left, key=lambda finding: (_ORDER.index(finding.severity), finding.where))
    return {
        **found.as_json(),
        "findings": [finding.as_json() for finding in left],
        "mended": [finding.as_json() for finding in mended],
    }


def _told(report: Mapping[str, Any]) -> Iterable[str]:
    sizes = report["sizes"]
    yield f"{report['projects']:,} projects with {report['versions']:,} versions"
    yield (
        f"{sizes['data_bytes']:,} bytes of data and {sizes['index_bytes']:,} of indexes: "
        f"{sizes['free_tier_share']:.1%} of Atlas's free tier; "
        f"{sizes['week_bytes']:,} bytes came in the last seven days"
    )
    for size, collection, project_id in sizes["largest"]:
        yield f"  {size:>12,} bytes: {collection} of project {project_id}"
    for finding in report["mended"]:
        yield f"mended   {finding['code']}: {finding['where']}: {finding['what']}"
    for finding in report["findings"]:
        yield f"{finding['severity']:8} {finding['code']}: {finding['where']}: {finding['what']}"
        yield f"         {finding['what_to_do']}"
    if not report["findings"]:
        yield "healthy"
