"""What tests of the doctor share: projects of every kind, and a doctor."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from snipix import indexes
from tests.backups.conftest import films, save  # noqa: F401 - a fixture

ELSEWHERE = {"configuration", "validator-differs"}
"""What the tests' settings and database are told: they are guarded by no validators, so that what
they would refuse can be done by hand."""


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture(autouse=True)
def indexes_as_declared(db: None) -> Iterator[None]:
    yield
    list(indexes.ensure(prune=True))


def doctor(*options: str) -> dict[str, Any]:
    """The doctor's report; `code` is the exit code that it would be without the settings."""
    out = StringIO()
    try:
        call_command("doctor", *options, "--json", stdout=out, stderr=StringIO())
        exit_code = 0
    except CommandError as error:
        if (exit_code := error.returncode) != 3:
            raise
    told = json.loads(out.getvalue())
    assert (exit_code == 3) == bool(told["findings"])
    told["findings"] = [f for f in told["findings"] if f["code"] not in ELSEWHERE]
    return told


def codes(told: dict[str, Any], where: str = "findings") -> list[str]:
    return sorted(finding["code"] for finding in told[where])
