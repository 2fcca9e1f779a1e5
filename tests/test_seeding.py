"""`manage.py seed`: made-up projects with valid histories, in any number."""

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from projects.models import Project
from snipix import history, seeding, states
from snipix.api import PROJECT_ID
from snipix.audit import AuditEntry
from snipix.history import Revision
from snipix.management.commands.seed import MAX_PROJECTS, MAX_SEED
from snipix.pieces import Piece
from tests.conftest import Api
from timelines.models import Timeline
from transcriptions.models import Transcription


def seed(*options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("seed", *options, "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


def contents() -> list[bytes]:
    models = (Project, Timeline, Transcription)
    return [states.encode(d.state) for m in models for d in m.everything.order_by("project_id")]


def test_what_is_made_up_is_as_if_it_had_been_saved(api: Api) -> None:
    told = seed("--projects=3", "--clips=100", "--words=50", "--versions=3")
    assert told["projects"] == 3
    assert Piece.objects.exists()
    for model in (Project, Timeline, Transcription):
        for document in model.everything.all():
            assert history.verify(document) == (3 if model is Timeline else 1)
    assert Revision.objects.count() == AuditEntry.objects.count() == 3 * 5
    project = api("GET", f"/projects/{seeding.id_of(1, 0)}/").json()
    assert project["timeline"]["clips"] == 100
    assert project["transcription"]["words"] == 50
    found = api("GET", f"/projects/?q={project['name'].split()[0]}").json()["results"]
    assert project["id"] in [each["id"] for each in found]


def test_it_can_be_changed_like_any_other(api: Api) -> None:
    seed("--projects=1", "--clips=100")
    path = f"/projects/{seeding.id_of(1, 0)}/timeline/"
    state = api("GET", path).json() | {"zoom": 7}
    body = {name: state[name] for name in Timeline.state_type.__struct_fields__}
    assert api("PUT", path, body, if_match=api.etag(path)).status_code == 200
    assert history.verify(Timeline.objects.get()) == 4


def test_the_same_seed_makes_up_the_same(db: None) -> None:
    options = ("--projects=4", "--clips=5", "--words=20")
    seed(*options)
    first = contents()
    Project.objects.all().delete()
    Project.everything.all().purge()
    seed(*options)
    assert contents() == first
    seed(*options, "--seed=2")
    assert Project.objects.count() == 8


def test_a_dry_run_makes_up_nothing(db: None) -> None:
    seed("--projects=2")
    told = seed("--projects=5", "--dry-run")
    assert told == {"dry_run": True, "projects": 3, "there_already": 2}
    assert Project.objects.count() == 2


def test_an_interrupted_run_goes_on_where_it_was(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "BATCH", 2)
    going = seeding.seed(seeding.Wanted(5, 1, "anonymous", 0, 0, 1))
    next(going)
    going.close()
    assert Project.objects.count() == 2
    assert seed("--projects=5", "--clips=0") == {
        "dry_run": False, "projects": 3, "documents": 9, "there_already": 2,
    }  # fmt: skip
    assert seed("--projects=5", "--clips=0")["projects"] == 0


@pytest.mark.parametrize(
    "option",
    [
        "--projects=0",
        "--clips=-1",
        "--versions=0",
        "--words=many",
        f"--seed={'9' * 80}",
        "--projects=1000001",
    ],
)
def test_numbers_are_numbers(db: None, option: str) -> None:
    with pytest.raises(CommandError, match="whole number"):
        seed(option)


@pytest.mark.parametrize("owner", ["", "x" * 500, "nobody", "0" * 24])
def test_an_owner_is_somebody(db: None, owner: str) -> None:
    with pytest.raises(CommandError, match="--owner: there is no user"):
        seed("--projects=1", "--owner", owner)
    assert not Project.everything.exists()


def test_a_user_may_own(alice: User) -> None:
    seed("--projects=1", "--clips=0", "--owner", str(alice.pk))
    assert Project.objects.get().user_id == str(alice.pk)


def test_every_id_is_one_that_a_route_takes() -> None:
    assert re.fullmatch(PROJECT_ID, seeding.id_of(MAX_SEED, MAX_PROJECTS))
