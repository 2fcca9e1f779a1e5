"""The ground of operators' commands: help, progress, reports, exit codes."""

import json
import os
import re
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from bson import ObjectId
from django.conf import settings
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import OperationalError
from pymongo.errors import ConfigurationError, OperationFailure

from snipix import errors
from snipix.commands import (
    FOUND,
    INTERRUPTED,
    ONLY_LOOKING,
    OperatorCommand,
    Progress,
    whole_number,
)

OURS = ("snipix", "media", "projects", "timelines", "transcriptions")
FOR_DEVELOPERS = {"runlocal", "demo"}
"""They run until they are stopped, and tell a person what happens: `make run`, `make demo`."""
FOR_OPERATORS = sorted(
    {name for name, app in get_commands().items() if app in OURS} - FOR_DEVELOPERS
)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class Counting(OperatorCommand):
    help = "Count to three."
    example = "counting --json"
    exit_codes = {FOUND: "there was a three"}
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        counted = list(self.progress(range(1, 4), total=3, what="numbers"))
        self.report(
            {"counted": counted}, options, lambda found: (f"{n}!" for n in found["counted"])
        )


class Failing(OperatorCommand):
    example = "failing"
    requires_system_checks = []

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def handle(self, *args: Any, **options: Any) -> None:
        raise self.error


def run(*options: str, err: StringIO | None = None) -> tuple[str, str]:
    """What it answers, and what it says meanwhile."""
    out, err = StringIO(), err or StringIO()
    call_command(Counting(), *options, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_people_are_answered_in_lines_and_told_of_progress_apart() -> None:
    out, err = run()
    assert out.splitlines() == ["1!", "2!", "3!"]
    assert err.splitlines()[-1] == "3 of 3 numbers"


def test_programs_are_answered_one_json_document() -> None:
    assert json.loads(run("--json")[0]) == {"counted": [1, 2, 3]}


def test_with_verbosity_0_only_programs_are_answered() -> None:
    assert run("--verbosity=0")[0] == ""
    assert run("--verbosity=0", "--json")[0] != ""


def test_on_a_terminal_progress_is_one_bar() -> None:
    err = run(err=Terminal())[1]
    assert err.count("\n") == 1
    assert err.endswith(f"\r[{'#' * 30}] 3 of 3 numbers\n")


def test_progress_takes_few_lines_however_much_there_is() -> None:
    err = StringIO()
    shown = Progress(Counting(stderr=err).stderr, total=10_000, what="things")
    for done in range(1, 10_001):
        shown.at(done)
    assert len(err.getvalue().splitlines()) == 20


def test_with_verbosity_0_there_is_no_progress() -> None:
    assert run("--verbosity=0") == ("", "")
    assert run("--verbosity=0", err=Terminal())[1] == ""


def progress_of(stream: StringIO, *, done: int, total: int) -> str:
    def fail() -> None:
        with Counting(stderr=stream).shown(total=total, what="things") as shown:
            for each in range(1, done + 1):
                shown.at(each)
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    return stream.getvalue()


def test_progress_ends_with_how_far_it_came() -> None:
    assert progress_of(Terminal(), done=2, total=3).endswith(f"\r[{'#' * 20:30}] 2 of 3 things\n")
    assert progress_of(StringIO(), done=97, total=100).splitlines()[-1] == "97 of 100 things"
    assert progress_of(Terminal(), done=3, total=3).count("\n") == 1
    assert progress_of(StringIO(), done=0, total=3) == ""


def test_progress_of_nothing_says_nothing() -> None:
    assert list(Counting().progress((), total=0, what="things")) == []


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (errors.Overloaded("Too many at once."), "Too many at once.", 1),
        (OperationalError("{_id: 'secret'}"), "MongoDB can't do it just now", 1),
        (KeyboardInterrupt(), "Interrupted", INTERRUPTED),
        (FileNotFoundError(2, "No such file", "/a/b"), "^/a/b: No such file", 1),
        (TimeoutError(), "TimeoutError", 1),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence(error: Any, said: str, code: int) -> None:
    with pytest.raises(CommandError, match=said) as refused:
        call_command(Failing(error))
    assert refused.value.returncode == code
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["purge_deleted"], "What was done stays done: run it again"),
        (["purge_deleted", "--dry-run"], "Nothing was changed."),
        (["sweep_media", "--dry-run"], "Nothing was changed."),
        (["ensure_schema", "--check"], "Nothing was changed."),
        (["ensure_indexes"], "What was done stays done: run it again"),
        (["migrate_documents", "--list"], "Nothing was changed."),
        (["profile_queries"], "Nothing was changed."),
        (["doctor"], "Nothing was changed."),
        (["doctor", "--fix"], "What was done stays done: run it again"),
        (["backup", "f"], "There is no archive of this run"),
        (["backup", "f", "--verify"], "Nothing was changed."),
        (["create_token", "alice"], "No token was printed."),
        (["cache", "clear"], "What was done stays done: run it again"),
        (["cache", "stats"], "Nothing was changed."),
    ],
)
def test_what_is_interrupted_says_what_repeating_does(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = load_command_class(get_commands()[arguments[0]], arguments[0])

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "handle", interrupted)
    with pytest.raises(CommandError, match=f"^Interrupted. {re.escape(said)}"):
        call_command(command, *arguments[1:])


@pytest.mark.parametrize(
    "error",
    [ConfigurationError("mongodb://u:secret@h"), OperationFailure("secret", code=18)],
)
def test_an_address_that_cant_be_used_is_not_to_be_tried_again(error: Exception) -> None:
    with pytest.raises(CommandError, match="MONGODB_URI can't be used") as refused:
        call_command(Failing(error))
    assert not re.search("secret|again", str(refused.value))


@pytest.mark.parametrize("text", ["", "2", "12", "-5", "5.0", "five", "9" * 5_000])
def test_a_whole_number_has_bounds(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="a whole number from 3 to 11"):
        whole_number(3, 11)(text)


@pytest.mark.parametrize("text", ["3", "007", "11"])
def test_between_them_it_is_read(text: str) -> None:
    assert whole_number(3, 11)(text) == int(text)


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_what_names_no_file_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="the path of a file"):
        call_command("backup", text)


def parts(name: str) -> Iterator[list[str]]:
    command = load_command_class(get_commands()[name], name)
    assert isinstance(command, OperatorCommand), "no example, no --json, no exit codes"
    if not command.has_parts:
        yield [name]
        return
    parser = command.create_parser("manage.py", name)
    for action in parser._subparsers._group_actions:
        yield from ([name, part] for part in action.choices)


@pytest.mark.parametrize("name", FOR_OPERATORS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in parts(name):
        with pytest.raises(SystemExit):
            call_command(*command, "--help")
        told = capsys.readouterr().out
        assert f"example: manage.py {' '.join(command)}" in told
        assert "exit codes: 0 done; 1 something went wrong" in told
        assert "--json" in told


@pytest.mark.parametrize("name", sorted(set(FOR_OPERATORS) - {"create_token"}))
def test_what_changes_something_can_also_only_look(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for the command that makes a secret, which only its answer shows."""
    command = load_command_class(get_commands()[name], name)
    for part in parts(name):
        with pytest.raises(SystemExit):
            call_command(*part, "--help")
        told = capsys.readouterr().out
        ways = [way for way in ONLY_LOOKING if f"--{way.replace('_', '-')}" in told]
        assert ways or not command.changes({"command": part[-1]}), part


@pytest.mark.parametrize("name", FOR_OPERATORS)
def test_what_is_misspelt_is_refused(name: str) -> None:
    for command in parts(name):
        with pytest.raises(CommandError, match=r"unrecognized arguments|required"):
            call_command(*command, "--misspelt")


def test_there_are_commands_to_look_at() -> None:
    assert {"cache", "create_token", "ensure_indexes", "prepare", "sweep_media"} <= set(
        FOR_OPERATORS
    )


AWAY = "mongodb://someone:secret@127.0.0.1:9/?serverSelectionTimeoutMS=300&replicaSet=rs0"
ARGUMENTS = {
    "backup": ["never.snipix"],
    "cache": ["warm"],
    "create_token": ["alice"],
    "prepare": ["--wait", "0"],
    "restore": ["README.md"],
}


RUN_ALL = """
import json, sys
import django
from django.core.management import call_command
django.setup()
for name, *arguments in json.loads(sys.argv[1]):
    try:
        told = call_command(name, *arguments)
    except BaseException as error:
        told = type(error).__name__, str(error), getattr(error, "returncode", None)
    print(json.dumps([name, told]), flush=True)
"""


@pytest.fixture(scope="module")
def said_while_away(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each command ends with while MongoDB is away: in one process, to be fast."""
    media = tmp_path_factory.mktemp("media")
    (media / "projects" / str(ObjectId())).mkdir(parents=True)
    env = {**os.environ, "MONGODB_URI": AWAY, "MEDIA_ROOT": str(media)}
    commands = json.dumps([[name, *ARGUMENTS.get(name, ())] for name in FOR_OPERATORS])
    ended = subprocess.run(
        [sys.executable, "-c", RUN_ALL, commands],
        cwd=settings.BASE_DIR,
        env={**env, "DJANGO_SETTINGS_MODULE": "snipix.settings"},
        capture_output=True,
        text=True,
    )
    return dict(json.loads(line) for line in ended.stdout.splitlines() if line.startswith("["))


@pytest.mark.parametrize("name", FOR_OPERATORS)
def test_while_the_database_is_away_each_says_so_in_a_sentence(
    said_while_away: dict[str, Any], name: str
) -> None:
    kind, text, code = said_while_away[name]
    assert (kind, code) == ("CommandError", 1), text
    assert not {"secret", "127.0.0.1"} & set(re.split(r"[\s:@]", text))
