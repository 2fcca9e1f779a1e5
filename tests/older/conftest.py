"""What the tests of the older paths share."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.older.client import Older


@pytest.fixture
def older(db: None) -> Older:
    """The older client in anonymous mode."""
    return Older()


@pytest.fixture
def film(older: Older) -> str:
    """A project."""
    return older.project()


@pytest.fixture
def saves(shared_data: Path) -> list[Any]:
    """The bodies of three saves, recorded from the client."""
    recorded = json.loads((shared_data / "client_saves.json").read_bytes())
    return [save["body"] for save in recorded["saves"]]
