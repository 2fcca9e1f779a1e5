"""`manage.py load_demo`"""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand

from projects.models import Project
from projects.services import create_project
from snipix import environment, history
from snipix.accounts import ANONYMOUS, Actor
from timelines import samples
from timelines.models import Timeline
from timelines.services import save_timeline

PROJECT_ID = "demo"
ADMINISTRATOR = "admin"
SEED = 1


class Command(BaseCommand):
    """Something to look at on a new machine."""

    help = (
        "Make a demo project with a timeline of 200 clips, and the administrator `admin` with the "
        "password that SNIPIX_DEMO_ADMIN_PASSWORD holds. What is there already stays as it is."
    )

    def handle(self, **options: Any) -> None:
        self.is_quiet = options["verbosity"] == 0
        if not User.objects.filter(username=ADMINISTRATOR).exists():
            self._make_administrator()
        if history.change(_make_project):
            self._say(f"Made the project {PROJECT_ID!r}, with a timeline of 200 clips.")

    def _make_administrator(self) -> None:
        if password := environment.text("SNIPIX_DEMO_ADMIN_PASSWORD"):
            User.objects.create_superuser(ADMINISTRATOR, password=password)
            self._say(f"Made the administrator {ADMINISTRATOR!r}.")
        else:
            self._say("No administrator: SNIPIX_DEMO_ADMIN_PASSWORD isn't set.")

    def _say(self, text: str) -> None:
        if not self.is_quiet:
            self.stdout.write(text)


def _make_project() -> bool:
    """Make the project with its timeline; also one in the trash counts as made."""
    if Project.everything.filter(project_id=PROJECT_ID).exists():
        return False
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
    return True


def _owner() -> str:
    """Tell who sees it: in accounts mode somebody has to log in."""
    admin = User.objects.filter(username=ADMINISTRATOR).first()
    return str(admin.pk) if admin and settings.SNIPIX_AUTH == "accounts" else ANONYMOUS
