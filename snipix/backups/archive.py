"""Reading an archive: every byte is proven before anything is made of it.

Checksums prove that nothing was changed since it was written, and not by whom: who hands an archive
to an operator may have made it himself. So its form is proven, too, and what it names.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import bson
import msgspec
from bson import CodecOptions, DatetimeConversion
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument
from django.apps import apps

from snipix import belongings
from snipix.backups.format import (
    DOCUMENTS,
    HEAD,
    MEDIA,
    UNKNOWN_FORM,
    Block,
    Damaged,
    decoded,
    read_block,
    read_manifest,
    unpack_documents,
)
from snipix.belongings import Belonging
from snipix.documents import MENDED

FORMAT = 1
LEFT_OUT = {"django_session"}
"""Collections of which no archive holds documents: who has a session's key is logged in.

They are described, though. To migrations they are there, once they are restored as applied, and so
nothing else would make their indexes.
"""
_OPTIONS = {
    "autoIndexId",
    "capped",
    "changeStreamPreAndPostImages",
    "clusteredIndex",
    "collation",
    "encryptedFields",
    "expireAfterSeconds",
    "indexOptionDefaults",
    "max",
    "size",
    "storageEngine",
    "validationAction",
    "validationLevel",
    "validator",
}
"""What MongoDB's `create` takes for a collection: not what makes a view of another one."""
_NOT_IN_NAMES = {*"/\\\0", *map(chr, range(0xD800, 0xE000))}
"""Of media. The surrogates are how Python tells of a file's name that isn't UTF-8."""
_ANY_DATE: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_MS
)
_ANY_DATE_RAW = CodecOptions(
    document_class=RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_MS
)


def collections() -> list[str]:
    """What is kept: the collections of all models, those of projects first."""
    models = apps.get_models(include_auto_created=True)
    others = {model._meta.db_table for model in models} | {"django_migrations", MENDED}
    return [*belongings.kinds(), *sorted(others - belongings.kinds().keys() - LEFT_OUT)]


class Described(msgspec.Struct, forbid_unknown_fields=True):
    """A collection as it was."""

    name: str
    is_there: bool
    options: dict[str, Any]
    indexes: list[dict[str, Any]]

    def __post_init__(self) -> None:
        """Raise ValueError for what isn't restored: it isn't Snipix's, or isn't plain."""
        if self.name not in {*collections(), *LEFT_OUT}:
            raise ValueError(f"this release knows no collection {self.name!r}")
        if odd := self.options.keys() - _OPTIONS:
            raise ValueError(f"{self.name} has the option {min(odd)!r}")
        if not all(isinstance(index.get("name"), str) for index in self.indexes):
            raise ValueError(f"{self.name} has an index without a name")


class Head(msgspec.Struct, forbid_unknown_fields=True):
    """What an archive begins with: what was there."""

    format: int
    collections: list[Described]
    begun: str = ""


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
    def collections(self) -> Sequence[Described]:
        """Name, options and indexes of what was there."""
        return self.head.collections

    def blocks(self) -> Iterator[Block]:
        """All blocks but the manifest, each proven, and in the end that none is missing. Damaged.

        The file is shared: read one thing after the other.
        """
        digest, at = sha256(), 8
        for number in range(self.manifest.blocks):
            self._file.seek(at)
            block = read_block(self._file, number)
            if block.kind not in (HEAD, DOCUMENTS, MEDIA):
                raise Damaged(f"block {number} is of a kind that has no place there")
            at = self._file.tell()
            digest.update(block.digest)
            yield block
        if digest.digest() != self.manifest.digest or at != self._end:
            raise Damaged("its blocks aren't those that the manifest knows")

    def stored(self) -> Iterator[Stored]:
        """The documents that count: of each project together, and the rest. Raises Damaged."""
        for block in self.blocks():
            if block.kind == DOCUMENTS:
                for one in self._documents(block):
                    if self._counts(one):
                        yield one

    def _documents(self, block: Block) -> Iterator[Stored]:
        try:
            for number, content in unpack_documents(BytesIO(block.content)):
                yield Stored(self._belonging(number, content), block.number)
        except (Damaged, InvalidBSON) as error:
            told = "it holds what isn't BSON" if isinstance(error, InvalidBSON) else error
            raise Damaged(f"block {block.number} ({block.label}): {told}") from error

    def _belonging(self, number: int, content: bytes) -> Belonging:
        """A document, all of which can be decoded. Raises Damaged and InvalidBSON."""
        if number >= len(self.collections):
            raise Damaged("it holds a document of a collection that the archive doesn't describe")
        name = self.collections[number].name
        if name in LEFT_OUT:
            raise Damaged(f"it holds a document of {name}, and no backup does")
        document = bson.decode(content, _ANY_DATE)
        project_id = ""
        if name in belongings.kinds():
            told = document.get("projectId")
            project_id = told if isinstance(told, str) else ""
        if "_id" not in document:
            raise Damaged(f"it holds a document of {name} without an _id")
        return Belonging(project_id, name, RawBSONDocument(content, _ANY_DATE_RAW))

    def media(self) -> Iterator[Part]:
        """The media, file by file, part by part. Raises Damaged."""
        if self.manifest.media_files is None:
            return
        last = Part("", "", -1, b"")
        for block in self.blocks():
            if block.kind == MEDIA:
                part = _part(block)
                follows = part[:2] == last[:2] and part.number == last.number + 1
                if part.number and not follows:
                    raise Damaged(f"block {block.number} ({block.label}): a part before it is gone")
                yield part
                last = part._replace(content=b"")

    def _counts(self, stored: Stored) -> bool:
        project_id = stored.belonging.project_id
        if not project_id:
            return stored.block >= self.manifest.others_from
        return stored.block >= self.manifest.renewed.get(project_id, 0)

    def _head(self) -> Head:
        self._file.seek(8)
        block = read_block(self._file, 0)
        head = decoded(block.content, Head, "its head")
        if block.kind != HEAD or head.format != FORMAT:
            raise Damaged(UNKNOWN_FORM)
        return head


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """An archive. Raises Damaged, and OSError."""
    if path.is_fifo():  # opening it would wait for a writer
        raise Damaged("it is a pipe, and an archive is read twice: write it to a file first")
    with path.open("rb") as file:
        yield Archive(file)


def is_media_name(key: str, file: str) -> bool:
    """Whether a file so named lies in the folder of its project, and nowhere else."""
    return not any(name in ("", ".", "..") or set(name) & _NOT_IN_NAMES for name in (key, file))


def _part(block: Block) -> Part:
    key, _, file = block.label.partition("/")
    if not is_media_name(key, file):
        raise Damaged(f"block {block.number} ({block.label!r}) is no file of a project")
    return Part(key, file, block.amount, block.content)
