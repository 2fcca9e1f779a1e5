"""`manage.py profile_queries`"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from projects.models import Project
from snipix import profiling
from snipix.commands import FOUND, OperatorCommand
from snipix.mongo import one
from snipix.pagination import Keyset


class Command(OperatorCommand):
    """Thin shell around `snipix.profiling`."""

    help = (
        "Run the API's reads on one project, as its owner and with nothing cached, and show every "
        "query: the index that serves it, its time, how many documents it looked at and returned. "
        "Changes nothing. The embedded server explains no plans: there the shape decides."
    )
    example = "profile_queries --project holiday"
    exit_codes = {FOUND: "no index serves some query"}

    def changes(self, options: Mapping[str, Any]) -> bool:
        return False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", metavar="ID", help="by default the one edited last")

    def handle(self, *args: Any, **options: Any) -> None:
        project = _project(options["project"])
        paths = list(profiling.paths(project))
        reads = self.progress(paths, total=len(paths), what="reads")
        try:
            found = [query for path in reads for query in profiling.profile(path, project.user_id)]
        except profiling.NotRead as error:
            raise CommandError(str(error)) from error
        told = {
            "project": project.project_id,
            "reads": len(paths),
            "queries": [{**query._asdict(), "is_served": query.is_served} for query in found],
        }
        is_wrong = not all(query.is_served for query in found)
        self.report(told, options, lambda _: _lines(found), is_wrong=is_wrong)
        if is_wrong:
            raise CommandError("No index serves some of these queries.", returncode=FOUND)


def _project(id: str | None) -> Project:
    if id is None:
        found = next(iter(Keyset("updatedAt").first(1, Project, {"isDeleted": False})), None)
    else:
        found = one(Project.objects.filter(project_id=id))
    if found is None:
        raise CommandError("There is no such project. To make some up: manage.py seed")
    return found


def _lines(found: list[profiling.Query]) -> Iterator[str]:
    path = ""
    for query in found:
        if query.path != path:
            path = query.path
            yield path
        index = query.plan or query.served_by or "NO INDEX"
        looked = "" if query.examined is None else f", {query.examined} looked at"
        counted = f"{query.milliseconds:8.2f} ms {query.returned:5} returned{looked}"
        yield f"  {query.command:24} {counted}  {index}"
