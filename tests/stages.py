"""Web servers of their own, on the database server that all tests use."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymongo import MongoClient

from snipix.demo.stage import Stage

_DROP_MS = 120_000
"""The embedded server takes its time over what many tests leave."""


@contextmanager
def serving(folder: Path, *, workers: int = 2, **env: str) -> Iterator[Stage]:
    """A web server, with a database of its own, which is gone afterwards."""
    uri, name = os.environ["MONGODB_URI"], f"snipix_{folder.name}_{os.getpid()}"
    with Stage(folder, uri=uri, database=name, workers=workers, **env) as stage:
        yield stage
    with MongoClient(uri, socketTimeoutMS=_DROP_MS) as client:
        client.drop_database(name)
