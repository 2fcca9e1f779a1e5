"""The hash chain of a history, and how its versions are decoded: nothing here asks the database.

`digest[n] = SHA-256(digest[n-1] + SHA-256 of n's canonical bytes)`, starting from the document's
ObjectId. So the same proof serves what is stored and what is in an archive.
"""

import hashlib
from datetime import datetime
from typing import Protocol

import zstandard
from bson import ObjectId

from snipix import frames


class HistoryDamaged(Exception):
    """A stored history that doesn't yield what was saved: a revision is missing or was altered."""


class Link(Protocol):
    """What a proof needs of a revision."""

    @property
    def version(self) -> int: ...
    @property
    def full_version(self) -> int: ...
    @property
    def frame(self) -> bytes | memoryview: ...
    @property
    def content_digest(self) -> bytes | memoryview: ...
    @property
    def digest(self) -> bytes | memoryview: ...
    @property
    def is_deleted(self) -> bool: ...
    @property
    def created_at(self) -> datetime: ...


class Head(Protocol):
    """Where a document says that it stands in its history."""

    @property
    def version(self) -> int: ...
    @property
    def digest(self) -> bytes | memoryview: ...
    @property
    def content_digest(self) -> bytes | memoryview: ...
    @property
    def full_version(self) -> int: ...
    @property
    def chain_size(self) -> int: ...
    @property
    def is_deleted(self) -> bool: ...
    @property
    def deleted_at(self) -> datetime | None: ...


class Chain:
    """A history as far as it has been proven: feed it revision by revision, from the first on."""

    def __init__(self, document_id: ObjectId) -> None:
        self.digest = document_id.binary
        self.version = 0
        self.content = b""
        """The canonical bytes of `version`."""
        self.content_digest = b""
        self.full_version = 0
        """The newest version that is held whole."""
        self.chain_size = 0
        """Bytes of the frames since then."""
        self.deleted_at: datetime | None = None
        """When it went to the trash, if `version` is there."""

    def add(self, revision: Link) -> None:
        """Prove the next revision. Raises HistoryDamaged, which says what is wrong with it."""
        expected = self.version + 1
        if revision.version != expected:
            what = "is there twice" if revision.version < expected else "is missing"
            version = revision.version if revision.version < expected else expected
            raise HistoryDamaged(f"{revision}: version {version} {what}")
        self.content = decode(revision, self.content)
        self.content_digest = sha256(self.content)
        self.digest = chain(self.digest, self.content_digest)
        if self.digest != bytes(revision.digest):
            raise HistoryDamaged(f"{revision}: the hash chain is broken")
        self._follow(revision)
        self.version = expected

    def _follow(self, revision: Link) -> None:
        """Take over where a revision stands. HistoryDamaged if it isn't read from where it says."""
        frame = bytes(revision.frame)
        if revision.full_version == revision.version and not frames.is_difference(frame):
            self.full_version, self.chain_size = revision.version, 0
        elif revision.full_version == self.full_version > 0:
            self.chain_size += len(frame)
        else:
            raise HistoryDamaged(
                f"{revision}: it says that version {revision.full_version} is whole, from which it "
                f"is read, and that is {self.full_version or revision.version}"
            )
        if not revision.is_deleted:
            self.deleted_at = None
        elif self.deleted_at is None:
            self.deleted_at = revision.created_at


def misplaced(head: Head, proof: Chain) -> str:
    """How a head doesn't stand where its history ends; empty if it does."""
    if proof.version == 0 or (head.version, bytes(head.digest)) != (proof.version, proof.digest):
        return f"the head is at version {head.version}, history at {proof.version}"
    is_deleted = proof.deleted_at is not None
    if (head.is_deleted, head.deleted_at) != (is_deleted, proof.deleted_at):
        told, wanted = (
            _trash(head.is_deleted, head.deleted_at),
            _trash(is_deleted, proof.deleted_at),
        )
        return f"the head says {told}, its last version {wanted}"
    if (head.full_version, head.chain_size) != (proof.full_version, proof.chain_size):
        told = f"version {head.full_version} and {head.chain_size} bytes"
        wanted = f"{proof.full_version} and {proof.chain_size}"
        return f"the head builds on {told}, its last version on {wanted}"
    if bytes(head.content_digest) != proof.content_digest:
        return "the head's digest of its content isn't that of its last version"
    return ""


def _trash(is_deleted: bool, deleted_at: datetime | None) -> str:
    since = f" since {deleted_at:%Y-%m-%d %H:%M:%S.%f}" if deleted_at else ""
    return ("in the trash" if is_deleted else "not in the trash") + since


def decode(revision: Link, previous: bytes) -> bytes:
    """A revision's canonical bytes, proven by their digest. Raises HistoryDamaged."""
    return proven(revision, decompress(revision, previous))


def decompress(revision: Link, previous: bytes) -> bytes:
    """What a revision's frame holds, given the bytes of the version before it. HistoryDamaged."""
    frame = bytes(revision.frame)
    is_whole = revision.full_version == revision.version and not frames.is_difference(frame)
    try:
        return frames.decompress(frame, None if is_whole else previous)
    except zstandard.ZstdError as error:
        raise HistoryDamaged(f"{revision}: its state can't be decoded") from error


def proven(revision: Link, content: bytes) -> bytes:
    """The content, if it is what was saved. Raises HistoryDamaged."""
    if sha256(content) != bytes(revision.content_digest):
        raise HistoryDamaged(f"{revision}: its state isn't the one that was saved")
    return content


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def chain(digest: bytes, content_digest: bytes) -> bytes:
    """The digest of the version after the one that has `digest`."""
    return hashlib.sha256(digest + content_digest).digest()
