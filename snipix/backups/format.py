"""The form of an archive: blocks, one after the other, each with its checksum.

    magic, block 0 (what was there), blocks of documents, of media, the last (manifest), trailer

A block is a header, which has a checksum of its own so that its lengths can be trusted, a label in
words, and a zstd frame (RFC 8878); a block of documents holds, for each, the number of its
collection and the document as BSON. The manifest knows the checksums of all blocks, and the trailer
that of the manifest: no byte can be changed, and no block left out, put in, or taken from another
archive, unnoticed. All numbers are little-endian.
"""

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import IO, Annotated, Any, BinaryIO, NamedTuple, TypeVar
from zlib import crc32

import bson
import msgspec
import zstandard
from bson.errors import InvalidBSON

MAGIC = b"SNIPIX\x01\n"
END = b"\nXIPINS\x01"
HEAD, DOCUMENTS, MEDIA, MANIFEST = b"head", b"docs", b"file", b"mani"
BLOCK_BYTES = 1 << 20
"""Of what is in a block, about: one document may have up to sixteen times as many."""
_MOST_BYTES = 64 << 20
_HEADER = struct.Struct("<4sIIHI32s")
"""Kind, number, documents (or the number of the file's part), bytes of label and frame, digest."""
_CHECK = struct.Struct("<I")
_TRAILER = struct.Struct("<8sQ32s")
_NUMBER = struct.Struct("<H")
_START = struct.Struct("<HI")
"""The number of the collection, and the length that every BSON document begins with."""
_LENGTH_BYTES = 4
_LEVEL = 3
_Number = Annotated[int, msgspec.Meta(ge=0)]
_Form = TypeVar("_Form")

UNKNOWN_FORM = "it is of a form that this version of Snipix doesn't know"


class Damaged(Exception):
    """An archive that isn't what was written; says which part of it."""


class Header(NamedTuple):
    """What a block says of itself."""

    kind: bytes
    number: int
    amount: int
    label_bytes: int
    frame_bytes: int
    digest: bytes


class Block(NamedTuple):
    """A block that was proven."""

    number: int
    offset: int
    kind: bytes
    amount: int
    label: str
    content: bytes
    digest: bytes


def encode(number: int, kind: bytes, count: int, label: str, content: bytes) -> tuple[bytes, bytes]:
    """A block's bytes, and its digest."""
    frame = zstandard.ZstdCompressor(level=_LEVEL).compress(content)
    label_bytes = label.encode()
    header = Header(kind, number, count, len(label_bytes), len(frame), b"")
    digest = _digest(header, label_bytes, frame)
    fixed = _HEADER.pack(*header._replace(digest=digest)) + label_bytes
    return fixed + _CHECK.pack(crc32(fixed)) + frame, digest


def _digest(header: Header, label: bytes, frame: bytes) -> bytes:
    digest = sha256(_HEADER.pack(*header._replace(digest=b"")))
    digest.update(label)
    digest.update(frame)
    return digest.digest()


def read_block(file: BinaryIO, expected: int) -> Block:
    """Read the block that begins here and prove it. Raises Damaged, which names it."""
    offset = file.tell()
    where = f"block {expected} (from byte {offset:,} on)"
    fixed = file.read(_HEADER.size)
    if len(fixed) < _HEADER.size:
        raise Damaged(f"{where}: the archive ends within its header")
    header = Header(*_HEADER.unpack(fixed))
    label_bytes = file.read(header.label_bytes)
    check = file.read(_CHECK.size)
    if check != _CHECK.pack(crc32(fixed + label_bytes)):
        raise Damaged(f"{where}: its header was changed")
    if header.number != expected or header.frame_bytes > _MOST_BYTES:
        raise Damaged(f"{where}: block {header.number} is in its place")
    label = label_bytes.decode(errors="replace")
    frame = file.read(header.frame_bytes)
    if _digest(header, label_bytes, frame) != header.digest:
        raise Damaged(f"{where}: its content ({label}) was changed")
    content = _decompress(frame, where)
    return Block(expected, offset, header.kind, header.amount, label, content, header.digest)


def _decompress(frame: bytes, where: str) -> bytes:
    try:
        # A frame may say how long it is, and that counts more than `max_output_size`.
        if zstandard.frame_content_size(frame) > _MOST_BYTES:
            raise Damaged(f"{where}: it would be longer than any block")
        return zstandard.ZstdDecompressor().decompress(frame, max_output_size=_MOST_BYTES)
    except zstandard.ZstdError as error:
        raise Damaged(f"{where}: its content can't be decompressed") from error


def pack_document(collection: int, document: bytes) -> bytes:
    return _NUMBER.pack(collection) + document


def unpack_documents(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The documents that a file holds from here on, each with the number of its collection.

    Whether they are BSON is left to the reader. Raises Damaged where the last one is cut.
    """
    while start := file.read(_START.size):
        if len(start) < _START.size:
            raise Damaged("its last document is cut")
        collection, length = _START.unpack(start)
        yield collection, start[_NUMBER.size :] + file.read(length - _LENGTH_BYTES)


def trailer(offset: int, manifest_digest: bytes) -> bytes:
    """The end of an archive whose manifest begins at `offset`."""
    place = offset.to_bytes(8, "little")
    return _TRAILER.pack(END, offset, sha256(END + place + manifest_digest).digest())


def decoded(content: bytes, form: type[_Form], what: str) -> _Form:
    """What BSON of ours holds: anybody can sign an archive. Raises Damaged for another form."""
    try:
        return msgspec.convert(bson.decode(content), form)
    except (InvalidBSON, msgspec.ValidationError) as error:
        raise Damaged(f"{UNKNOWN_FORM} ({what}: {error})") from error


class Manifest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What an archive says of itself, once it is whole."""

    moment: str
    """The time of all that is in it."""
    database: str
    blocks: _Number
    digest: bytes
    """SHA-256 over the digests of all blocks before."""
    others_from: _Number
    """The block from which on what belongs to no project counts."""
    renewed: Mapping[str, _Number]
    """Projects that were changed after they had been copied: copies in earlier blocks don't
    count."""
    projects: _Number
    documents: _Number
    """All that were written, also those that don't count."""
    media_files: _Number | None
    """None, if media weren't asked for."""
    media_bytes: _Number

    def encode(self) -> bytes:
        return bson.encode(msgspec.structs.asdict(self))


class Writer:
    """Writes an archive, block by block. `number` is that of the block which comes next."""

    def __init__(self, file: BinaryIO, collections: Sequence[str]) -> None:
        self.number = 0
        self.documents = 0
        self._numbers = {name: number for number, name in enumerate(collections)}
        self._file = file
        self._all = sha256()
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._labels: list[str] = []
        file.write(MAGIC)

    def write(self, kind: bytes, count: int, label: str, content: bytes) -> bytes:
        """Write a block; returns its digest."""
        block, digest = encode(self.number, kind, count, label, content)
        self._file.write(block)
        self._all.update(digest)
        self.number += 1
        return digest

    def add(self, collection: str, document: bytes, label: str) -> None:
        """Add a document, to be written with others; `label` says what it is of."""
        self._waiting.append(pack_document(self._numbers[collection], document))
        self._bytes += len(document)
        if label not in self._labels[-1:]:
            self._labels = [*self._labels[:1], label]
        if self._bytes >= BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits: what is added next begins another block."""
        if self._waiting:
            label = " to ".join(dict.fromkeys(self._labels))
            self.write(DOCUMENTS, len(self._waiting), label, b"".join(self._waiting))
        self.documents += len(self._waiting)
        self._waiting, self._bytes, self._labels = [], 0, []

    def finish(self, **about: Any) -> None:
        """Write manifest and trailer, and wait until all of it is on the disk."""
        self.flush()
        manifest = Manifest(
            blocks=self.number, digest=self._all.digest(), documents=self.documents, **about
        )
        offset = self._file.tell()
        digest = self.write(MANIFEST, 0, "manifest", manifest.encode())
        self._file.write(trailer(offset, digest))
        self._file.flush()
        os.fsync(self._file.fileno())


def read_manifest(file: BinaryIO) -> tuple[Manifest, int]:
    """An archive's manifest, and where it begins. Raises Damaged for what isn't a whole archive."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise Damaged(f"its first {len(MAGIC)} bytes aren't those of an archive")
    if size < len(MAGIC) + _TRAILER.size:
        raise Damaged("it ends before its trailer: it isn't whole")
    file.seek(size - _TRAILER.size)
    last = file.read(_TRAILER.size)
    _, offset, _ = _TRAILER.unpack(last)
    where = f"its trailer (from byte {size - _TRAILER.size:,} on)"
    if last[: len(END)] != END:
        raise Damaged(f"{where} was changed, or the archive isn't whole")
    if not len(MAGIC) <= offset <= size - _TRAILER.size - _HEADER.size:
        raise Damaged(f"{where} was changed")
    file.seek(offset)
    manifest, digest = _manifest(file)
    if last != trailer(offset, digest) or file.tell() != size - _TRAILER.size:
        raise Damaged(f"{where} was changed")
    return manifest, offset


def _manifest(file: BinaryIO) -> tuple[Manifest, bytes]:
    """The manifest, which is the only block whose number nobody knows before."""
    offset = file.tell()
    number = int.from_bytes(file.read(_HEADER.size)[4:8], "little")
    file.seek(offset)
    try:
        block = read_block(file, number)
    except Damaged as error:
        raise Damaged(f"its manifest, or its trailer: {error}") from error
    if block.kind != MANIFEST:
        raise Damaged("its trailer was changed: there is no manifest where it says")
    return decoded(block.content, Manifest, "its manifest"), block.digest
