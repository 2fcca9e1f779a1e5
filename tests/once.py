"""What takes long to make and is the same for many tests: made once, and put back by copying."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from snipix.mongo import connection
from tests.conftest import KEPT

T = TypeVar("T")


class Once(Generic[T]):
    """Documents and media: the first `put` has them made, each later one copies what came of it.

    Only into an empty database, and a folder for media that isn't there yet.
    """

    def __init__(self) -> None:
        self._result: list[T] = []
        self._documents: dict[str, list[dict[str, Any]]] = {}

    def put(self, make: Callable[[], T], media: Path, kept: Path) -> T:
        """Return what `make` returned; `kept` is a folder that outlives the test."""
        if self._result:
            self._put_back(media, kept)
        else:
            self._result.append(make())
            self._keep(media, kept)
        return self._result[0]

    def _keep(self, media: Path, kept: Path) -> None:
        names = set(connection.database.list_collection_names()) - KEPT
        found = {name: list(connection.database[name].find()) for name in names}
        self._documents = {name: documents for name, documents in found.items() if documents}
        if media.exists():
            shutil.copytree(media, kept, dirs_exist_ok=True)

    def _put_back(self, media: Path, kept: Path) -> None:
        for name, documents in self._documents.items():
            connection.database[name].insert_many(documents)
        shutil.copytree(kept, media, dirs_exist_ok=True)
