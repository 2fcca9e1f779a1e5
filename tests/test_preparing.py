"""`manage.py prepare` and what it consists of: run twice, interrupted, beside writers."""

import json
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from projects.models import Project
from snipix import indexes, schemas
from snipix.commands import FOUND, LEFT
from snipix.mongo import connection
from tests.conftest import Api
from tests.together import at_once, meanwhile

UNIQUE = "projectId_1"
QUIET = ("--without-schema", "--verbosity=0")
"""The tests' database is guarded by no validators, so that tests can do what they would refuse."""


@pytest.fixture(autouse=True)
def as_declared(db: None) -> Iterator[None]:
    yield
    list(indexes.ensure(prune=True))


def answered(name: str, *options: str) -> Any:
    out = StringIO()
    call_command(name, *options, "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


def drop() -> None:
    for name in ("projects", "timelines"):
        connection.get_collection(name).drop_index(UNIQUE)


def test_preparing_twice_is_preparing_once() -> None:
    drop()
    assert answered("prepare", *QUIET) == {"done": ["migrate", "ensure_indexes"]}
    before = {m: connection.get_collection(m._meta.db_table).index_information()
              for m, _ in indexes.declared()}  # fmt: skip
    assert answered("prepare", *QUIET) == {"done": ["migrate", "ensure_indexes"]}
    assert list(indexes.drift()) == []
    for model, found in before.items():
        assert connection.get_collection(model._meta.db_table).index_information() == found


def test_an_index_that_cant_be_built_is_in_no_other_steps_way() -> None:
    drop()
    twins = connection.get_collection("projects")
    twins.insert_many([{"projectId": "twin"}, {"projectId": "twin"}])
    out = StringIO()
    with pytest.raises(CommandError, match="documents with the same projectId") as refused:
        call_command("prepare", *QUIET, "--demo", "--json", stdout=out, stderr=StringIO())
    assert refused.value.returncode == LEFT
    assert json.loads(out.getvalue()) == {"done": ["migrate", "ensure_indexes", "load_demo"]}
    assert Project.objects.filter(project_id="demo").exists()
    twins.delete_many({"projectId": "twin"})


def test_two_who_load_the_demo_make_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNIPIX_DEMO_ADMIN_PASSWORD", "a-password-for-tests")
    told = at_once(2, lambda _: answered("load_demo"))
    for what in ("administrator", "project"):
        assert sorted(each[what] for each in told) == ["made", "was there"]


def test_a_check_says_what_is_to_be_done_and_does_nothing() -> None:
    assert answered("prepare", "--check", "--without-schema") == {"to_do": []}
    drop()
    connection.get_collection("projects").create_index("description")  # nobody's to remove
    with pytest.raises(CommandError, match="run prepare") as refused:
        answered("prepare", "--check", "--without-schema")
    assert refused.value.returncode == FOUND
    said = StringIO()
    with pytest.raises(CommandError):
        call_command("prepare", "--check", stdout=said)
    wanted = [f"{name}: {UNIQUE} is missing" for name in ("projects", "timelines")]
    unguarded = [f"{name}: its validator is missing" for name, _ in schemas.validators()]
    assert sorted(said.getvalue().splitlines()) == sorted(wanted + unguarded)
    assert len(list(indexes.drift())) == 3, "a check changes nothing"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("ensure_indexes --check", f"projects: {UNIQUE} is missing"),
        ("ensure_schema --check", "projects: its validator is missing"),
        ("prepare --check", f"projects: {UNIQUE} is missing"),
        ("migrate_documents --list", "1 are of an older one"),
        ("doctor", f"index-missing: projects: {UNIQUE}"),
    ],
)
def test_what_is_wrong_is_told_with_verbosity_0_as_well(api: Api, command: str, said: str) -> None:
    """As cron runs them, which mails what it is told: an exit code says nothing to act on."""
    api.create()
    connection.get_collection("projects").update_one({}, {"$set": {"schemaVersion": 1}})
    drop()
    out, (name, *options) = StringIO(), command.split()
    with pytest.raises(CommandError) as told:
        call_command(name, *options, "--verbosity=0", stdout=out, stderr=StringIO())
    assert (told.value.returncode, said in out.getvalue()) == (FOUND, True), out.getvalue()


def test_preparing_beside_writers_loses_nothing(api: Api) -> None:
    with meanwhile(lambda: Api().create()["id"]) as made:
        while len(made) < 5:
            drop()
            answered("prepare", *QUIET)
    assert sorted(Project.objects.values_list("project_id", flat=True)) == sorted(made)
    assert list(indexes.drift()) == []


def interrupted_after_the_first(ensure: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
    def once(**options: Any) -> Iterator[Any]:
        yield next(ensure(**options))
        raise KeyboardInterrupt

    return once


@pytest.mark.parametrize("command", [("prepare", *QUIET), ("ensure_indexes",)])
def test_what_was_interrupted_goes_on(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    drop()
    with monkeypatch.context() as patched:
        patched.setattr(indexes, "ensure", interrupted_after_the_first(indexes.ensure))
        with pytest.raises(CommandError, match=r"Interrupted\. What was done stays") as refused:
            answered(*command)
        assert refused.value.returncode == 130
    assert len(list(indexes.drift())) == 1
    answered(*command)
    assert list(indexes.drift()) == []


@pytest.mark.parametrize("seconds", ["nan", "-1", "inf", "soon", "1e9"])
def test_a_wait_is_a_number_of_seconds(seconds: str) -> None:
    with pytest.raises(CommandError, match="a number of seconds from 0 to 86,400"):
        answered("prepare", f"--wait={seconds}")


def test_validators_are_printed_or_else_compared() -> None:
    with pytest.raises(CommandError, match="not allowed with"):
        answered("ensure_schema", "--print", "--check")
    assert set(answered("ensure_schema", "--print")) == set(dict(schemas.validators()))
