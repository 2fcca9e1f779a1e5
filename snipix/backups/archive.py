"""Reading an archive: every byte is proven before anything is made of it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import bson
from bson.raw_bson import RawBSONDocument

from snipix.backups.format import (
    DOCUMENTS,
    HEAD,
    MANIFEST,
    MEDIA,
    UNKNOWN_FORM,
    Block,
    Damaged,
    read_block,
    read_manifest,
    unpack_documents,
)
from snipix.belongings import Belonging

FORMAT = 1


class Stored(NamedTuple):
    """A document that counts, and the block that it is in."""

    belonging: Belonging
    """Its `project_id` is empty, if it belongs to no project."""
    block: int


class Part(NamedTuple):
    """Some bytes of a media file: its first ones if `number` is 0."""

    key: str
    file: str
    number: int
    content: bytes


class Archive:
    """An archive whose manifest was proven; what it holds is proven as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size
        self.manifest, self._end = read_manifest(file)
        self.head = self._head()

    @property
    def id(self) -> str:
        """What tells it from every other archive."""
        return self.manifest.digest.hex()

    @property
    def collections(self) -> list[Mapping[str, Any]]:
        """Name, options and indexes of what was there."""
        found: list[Mapping[str, Any]] = self.head["collections"]
        return found

    def blocks(self) -> Iterator[Block]:
        """All blocks but the manifest, each proven, and in the end that none is missing. Damaged.

        The file is shared: read one thing after the other.
        """
        digest, at = sha256(), 8
        for number in range(self.manifest.blocks):
            self._file.seek(at)
            block = read_block(self._file, number)
            if block.kind == MANIFEST:
                raise Damaged(f"block {number} is a manifest, before the archive's end")
            at = self._file.tell()
            digest.update(block.digest)
            yield block
        if digest.digest() != self.manifest.digest or at != self._end:
            raise Damaged("its blocks aren't those that the manifest knows")

    def stored(self) -> Iterator[Stored]:
        """The documents that count: of each project together, and the rest. Raises Damaged."""
        names = [one["name"] for one in self.collections]
        for block in self.blocks():
            if block.kind == DOCUMENTS:
                for number, document in unpack_documents(BytesIO(block.content)):
                    one = RawBSONDocument(document)
                    stored = Stored(
                        Belonging(_project_of(block, one), names[number], one), block.number
                    )
                    if self._counts(stored):
                        yield stored

    def media(self) -> Iterator[Part]:
        """The media, file by file, part by part. Raises Damaged."""
        for block in self.blocks():
            if block.kind == MEDIA:
                key, _, file = block.label.partition("/")
                yield Part(key, file, block.amount, block.content)

    def _counts(self, stored: Stored) -> bool:
        project_id = stored.belonging.project_id
        if not project_id:
            return stored.block >= self.manifest.others_from
        return stored.block >= self.manifest.renewed.get(project_id, 0)

    def _head(self) -> Mapping[str, Any]:
        self._file.seek(8)
        block = read_block(self._file, 0)
        head = bson.decode(block.content)
        if block.kind != HEAD or head["format"] != FORMAT:
            raise Damaged(UNKNOWN_FORM)
        return head


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """An archive. Raises Damaged, and OSError."""
    with path.open("rb") as file:
        yield Archive(file)


def _project_of(block: Block, document: RawBSONDocument) -> str:
    return str(document["projectId"]) if block.label.startswith("project") else ""
