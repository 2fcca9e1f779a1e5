"""`manage.py load_demo`"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandParser
from django.db import IntegrityError

from projects.models import Project
from projects.services import create_project
from snipix import environment, history
from snipix.accounts import ANONYMOUS, Actor
from snipix.commands import OperatorCommand
from timelines import samples
from timelines.models import Timeline
from timelines.services import save_timeline

PROJECT_ID = "demo"
ADMINISTRATOR = "admin"
SEED = 1

Outcome = Literal["made", "was there", "no password"]
"""The first is also what a dry run says of what it would make."""


class Command(OperatorCommand):
    """Something to look at on a new machine."""

    help = (
        "Make a demo project with a timeline of 200 clips, and the administrator `admin` with the "
        "password that SNIPIX_DEMO_ADMIN_PASSWORD holds. What is there already stays as it is."
    )
    example = "load_demo"
    needs_whole_database = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be made")

    def handle(self, *args: Any, **options: Any) -> None:
        is_dry = options["dry_run"]
        administrator = _administrator(is_dry=is_dry)
        made = history.change(lambda: _project(is_dry=is_dry))
        project = "made" if made else "was there"
        found = {"dry_run": is_dry, "administrator": administrator, "project": project}
        self.report(found, options, _lines)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    made = "Would make" if found["dry_run"] else "Made"
    if found["administrator"] == "made":
        yield f"{made} the administrator {ADMINISTRATOR!r}."
    elif found["administrator"] == "no password":
        yield "No administrator: SNIPIX_DEMO_ADMIN_PASSWORD isn't set."
    if found["project"] == "made":
        yield f"{made} the project {PROJECT_ID!r}, with a timeline of 200 clips."


def _administrator(*, is_dry: bool) -> Outcome:
    if User.objects.filter(username=ADMINISTRATOR).exists():
        return "was there"
    if not (password := environment.text("SNIPIX_DEMO_ADMIN_PASSWORD")):
        return "no password"
    if not is_dry:
        try:
            User.objects.create_superuser(ADMINISTRATOR, password=password)
        except IntegrityError:  # another run was faster
            return "was there"
    return "made"


def _project(*, is_dry: bool) -> bool:
    """Make the project with its timeline, unless it is there; in the trash it is, too."""
    if Project.everything.filter(project_id=PROJECT_ID).exists():
        return False
    if not is_dry:
        _make_project()
    return True


def _make_project() -> None:
    state = samples.timeline(SEED)
    actor = Actor(_owner())
    project = create_project(
        actor=actor,
        project_id=PROJECT_ID,
        name="The harbour",
        description="A made-up film, to try things out with.",
        tags=["demo"],
        duration=state.duration,
    )
    save_timeline(project, Timeline.of(project), state, actor=actor, description="First cut")


def _owner() -> str:
    """Tell who sees it: in accounts mode somebody has to log in."""
    admin = User.objects.filter(username=ADMINISTRATOR).first()
    return str(admin.pk) if admin and settings.SNIPIX_AUTH == "accounts" else ANONYMOUS
