"""The examples in deploy/: they start commands of ours, spelt rightly; the manual names them."""

import re
import shlex
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted(path for path in (ROOT / "deploy").rglob("*") if path.is_file())
STARTED = re.compile(r"manage\.py ([^\"'&;\n]+)")


def started(path: Path) -> list[list[str]]:
    """The commands that an example starts, each with its arguments."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
    whole = STARTED.findall(text.replace('", "', " "))
    return [shlex.split(re.sub(r"\$+\([^)]*\)", "today", words.rstrip("]"))) for words in whole]


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_every_example_starts_commands_that_are_there(path: Path) -> None:
    for name, *arguments in started(path):
        command = load_command_class(get_commands()[name], name)
        command.create_parser("manage.py", name).parse_args(arguments)


def test_what_is_to_run_regularly_has_an_example_for_each_scheduler() -> None:
    for folder in ("cron", "systemd", "kubernetes"):
        found = {name for p in EXAMPLES if p.parent.name == folder for name, *_ in started(p)}
        assert found == {"backup", "doctor", "purge_deleted", "sweep_media"}, folder


def test_every_timer_starts_a_service_and_is_shown_to_operators() -> None:
    manual = (ROOT / "docs" / "operations.md").read_text()
    for path in EXAMPLES:
        if path.suffix == ".timer":
            assert path.with_suffix(".service") in EXAMPLES
        if path.suffix != ".service":  # its timer leads to it
            assert f"(../{path.relative_to(ROOT)})" in manual, path.name
