"""The history of documents: how a state becomes the next version, and how any version comes back.

Every change is one transaction (`change`) that writes, once (`write`): the revision, the document's
head, and the audit entry. A revision holds its state as a frame against the state before it, whole
about every 200 versions, and the end of a hash chain: `digest[n] = SHA-256(digest[n-1] + SHA-256
of n's canonical bytes)`, starting from the document's ObjectId. So a history can't be altered
unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import bson
import msgspec
from bson import ObjectId
from django.conf import settings
from django.db import models
from django_mongodb_backend.fields import ObjectIdAutoField, ObjectIdField
from django_mongodb_backend.query import wrap_database_errors
from pymongo import ASCENDING, DESCENDING, IndexModel

from snipix import audit, cache, chains, errors, frames, pieces, resilience, states
from snipix.chains import HistoryDamaged
from snipix.memory import contents
from snipix.mongo import connection, one
from snipix.times import now

if TYPE_CHECKING:
    from snipix.accounts import Actor
    from snipix.documents import Document

T = TypeVar("T")

_MOST_BYTES_AS_BSON = 10
"""Bytes of BSON for a byte of JSON, at worst: a list of digits, whose positions BSON spells out."""

FULL_FRAME_EVERY = 200
"""Versions from one whole frame to the next: what a read of an old version decodes at most."""
_SMALL = 64 * 1024
"""Bytes of differences that are always worth it, however small the state is."""


class Revision(models.Model):
    """The stored record of one version of a document. Never rewritten."""

    goes_with_project = True
    collection_indexes: ClassVar[Sequence[IndexModel]] = (
        # Begins with the shard key: a sharded cluster keeps no other index unique.
        IndexModel(
            [(key, ASCENDING) for key in ("projectId", "documentId", "kind", "version")],
            unique=True,
        ),
        IndexModel(
            [
                (key, ASCENDING)
                for key in ("projectId", "documentId", "kind", "createdAt", "version")
            ]
        ),
    )

    id = ObjectIdAutoField(primary_key=True)
    document_id = ObjectIdField(db_column="documentId")
    kind = models.CharField(max_length=20)
    project_id = models.CharField(max_length=64, db_column="projectId")
    version = models.PositiveBigIntegerField()
    schema_version = models.PositiveSmallIntegerField(db_column="schemaVersion")
    action = models.CharField(max_length=20)
    description = models.CharField(max_length=500, blank=True)
    change_summary = models.CharField(max_length=2000, db_column="changeSummary", blank=True)
    created_by = models.CharField(max_length=64, db_column="createdBy")
    created_at = models.DateTimeField(db_column="createdAt")
    is_deleted = models.BooleanField(db_column="isDeleted")
    full_version = models.PositiveBigIntegerField(db_column="fullVersion")
    """The version whose frame is whole, from which this one is decoded: itself, if it is whole."""
    frame = models.BinaryField()
    size = models.PositiveBigIntegerField()
    """Bytes of the canonical state."""
    content_digest = models.BinaryField(db_column="contentDigest")
    digest = models.BinaryField()

    class Meta:
        db_table = "revisions"

    def __str__(self) -> str:
        return f"{self.kind} {self.project_id} v{self.version}"


def change(work: Callable[[], T]) -> T:
    """Run `work` as one change: all that it writes is committed together, once, or not at all.

    It may run several times, so it reads all that it depends on itself. A change within a change
    joins it. Raises what `work` raises, and the errors of `resilience.transaction`.
    """
    with cache.current.changing():
        return resilience.transaction(work, is_committed=audit.is_recorded)


def rehearse(work: Callable[[], T]) -> T:
    """Run `work` as a change, take it back, and return what it would have answered."""

    def rehearsed() -> T:
        raise resilience.TakenBack(work())

    try:
        return change(rehearsed)
    except resilience.TakenBack as taken_back:
        return taken_back.result


def write(
    document: Document,
    state: states.Struct | None = None,
    *,
    action: str,
    actor: Actor,
    is_deleted: bool | None = None,
    description: str = "",
    change_summary: str = "",
) -> bool:
    """Make `state` the next version of `document`: revision, head and audit entry.

    Without a state it stays as it is, and only the trash flag changes. Returns False when nothing
    would change, nor its schema: then there is no new version. Must be called within `change`.
    Raises NotFound for what is being destroyed, and NewerSchema.
    """
    _refuse_change(document)
    previous = _current(document)
    new = None if state is None else pieces.split(document, state)
    content = new.content if new else previous
    trashed = document.is_deleted if is_deleted is None else is_deleted
    is_equal = content == previous and (new is None or not document.is_outdated)
    if content is None or (is_equal and trashed == document.is_deleted):
        document.hold()
        return False
    before = document.version
    _check_size(new)
    cache.current.also(*document.records)
    frame = advance(document, previous, content, at=now())
    _take_over(document, new, is_deleted=trashed)
    cache.current.also(*document.records)  # of who can see it from now on, too
    if not document.write_if(before):
        raise resilience.WriteConflict
    contents.put((document.state_type, document.content_digest), content, len(content))
    id = resilience.record_id()
    told = {"description": description, "change_summary": change_summary}
    revision = revision_of(document, frame, len(content), id=id, action=action, actor=actor, **told)
    revision.save(force_insert=True)
    audit.record(id, document, action, actor, from_version=before)
    return True


def _refuse_change(document: Document) -> None:
    """Raise NotFound for what is being destroyed, and NewerSchema."""
    if document.is_going:
        raise errors.NotFound(f"This {document.kind} is being destroyed.")
    document.refuse_newer(document.schema_version)


def _take_over(document: Document, new: pieces.Split | None, *, is_deleted: bool) -> None:
    """Give a document that has just stepped on the state and the flag of its new version."""
    if document.version == 1:
        document.created_at = document.updated_at
    if is_deleted != document.is_deleted:
        document.is_deleted = is_deleted
        document.deleted_at = document.updated_at if is_deleted else None
    if new is not None:
        document.hold_state(new)
        document.schema_version = document.current_schema()
        document.derive()


def read(document: Document, version: int) -> Any:
    """The state of a version. Raises NotFound, and HistoryDamaged for what can't be decoded."""
    return states.from_builtins(read_json(document, version), document.state_type)


def read_json(document: Document, version: int) -> Any:
    """The state of a version as plain JSON, as it would be stored today. Raises as `read` does."""
    found = revision(document, version)
    return document.upgraded(msgspec.json.decode(_content(document, found)), found.schema_version)


def read_bytes(document: Document, version: int) -> bytes:
    """The canonical bytes of a version, proven by their digest. Raises as `read` does."""
    return _content(document, revision(document, version))


def _content(document: Document, last: Revision) -> bytes:
    until = of(document).filter(version__lte=last.version)
    try:
        return _decode(until.filter(version__gte=last.full_version))
    except HistoryDamaged:
        return _decode(until)  # it may only be wrong about which version is whole


def revision(document: Document, version: int) -> Revision:
    """The revision of a version, without its frame. Raises NotFound."""
    found = one(_of(document).filter(version=version).defer("frame"))
    if found is None:
        raise errors.NotFound(f"There is no version {version} of this {document.kind}.")
    return found


def revision_at(document: Document, time: datetime) -> Revision:
    """The revision that was the newest at a time. Raises NotFound for one before the first."""
    found = _of(document).filter(created_at__lte=time).order_by("-created_at", "-version")
    if (last := one(found)) is None:
        raise errors.NotFound(f"There was no version of this {document.kind} yet.")
    return last


@wrap_database_errors
def is_trash(document: Document) -> bool | None:
    """Whether its newest version is in the trash, whatever the head says; None if there is none.

    One look into an index.
    """
    revisions = connection.get_collection(Revision._meta.db_table)
    found = revisions.find_one(
        whose(document),
        {"isDeleted": True},
        sort=[("version", DESCENDING)],
        session=connection.session,
    )
    return found and found["isDeleted"] is True


def of(document: Document) -> models.QuerySet[Revision]:
    """The revisions of a document, oldest first."""
    return _of(document).order_by("version")


def whose(document: Document) -> dict[str, Any]:
    """What MongoDB finds the revisions of a document by."""
    return {"projectId": document.project_id, "documentId": document.pk, "kind": document.kind}


def _of(document: Document) -> models.QuerySet[Revision]:
    return Revision.objects.filter(
        project_id=document.project_id, document_id=document.pk, kind=document.kind
    )


def verify(document: Document) -> int:
    """Prove a history: versions 1 … n without gap, every state readable, the chain unbroken.

    Returns n, the version of the head as it is stored now: what is saved meanwhile isn't looked
    at. Raises HistoryDamaged, which names the first version that is wrong.
    """
    head = type(document).everything.get(pk=document.pk)
    proof, last = chains.Chain(head.pk), None
    for last in of(head).filter(version__lte=head.version).iterator(chunk_size=100):
        proof.add(last)
    try:
        check_head(head, proof, last)
    except HistoryDamaged as error:
        if isinstance(error.__cause__, pieces.PieceMissing) and _is_ahead(head):
            return proof.version  # somebody has saved since it was read
        raise
    if of(head).filter(version__gt=head.version).exists() and not _is_ahead(head):
        raise HistoryDamaged(f"the head is at version {head.version}, history goes on after it")
    return proof.version


def check_head(
    head: Document,
    proof: chains.Chain,
    last: Revision | None,
    fetch_pieces: pieces.Fetch | None = None,
) -> Any:
    """Prove that a head is what its history ends with, and return its state. HistoryDamaged.

    Compared as states: once the state's definition has grown, more is written down than was.
    """
    if (wrong := chains.misplaced(head, proof)) or not last:
        raise HistoryDamaged(wrong)
    try:
        stored = head.upgraded(pieces.join_stored(head, fetch_pieces), head.schema_version)
    except pieces.PieceMissing as error:
        raise HistoryDamaged(f"the head's state is incomplete: {error}") from error
    state = state_of(head, proof.content, last.schema_version)
    if states.from_builtins(stored, head.state_type) != state:
        raise HistoryDamaged("the head's state isn't that of its last version")
    return state


def state_of(head: Document, content: bytes, schema_version: int) -> Any:
    """The state that canonical bytes of some schema hold, as it would be stored today."""
    stored = head.upgraded(msgspec.json.decode(content), schema_version)
    return states.from_builtins(stored, head.state_type)


def _is_ahead(head: Document) -> bool:
    """Whether the stored head has moved on since `head` was read."""
    return type(head).everything.filter(pk=head.pk, version__gt=head.version).exists()


def _current(document: Document) -> bytes | None:
    """The canonical bytes of the version that a document is at; None before the first."""
    if document.version == 0:
        return None
    key = (document.state_type, bytes(document.content_digest))
    content: bytes | None = contents.get(key)
    return document.content if content is None else content


def _check_size(new: pieces.Split | None) -> None:
    """Refuse what MongoDB couldn't hold: as BSON a state may be many times longer than as JSON."""
    limit = settings.MAX_STATE_BYTES
    if new is None or len(new.content) < limit // _MOST_BYTES_AS_BSON:
        return
    size = max(len(new.content), *(len(bson.encode(part)) for part in new.parts()))
    if size > limit:
        raise errors.BodyTooLarge(
            f"The state would take {size:,} bytes in the database; at most {limit:,} fit.",
            bytes=size,
            limit=limit,
        )


def advance(document: Document, previous: bytes | None, content: bytes, *, at: datetime) -> bytes:
    """Step to the next version. Returns its frame; whether it is whole is decided here, once."""
    start = bytes(document.digest) or document.pk.binary
    frame = _difference(document, previous, content)
    document.version += 1
    document.updated_at = at
    document.content_digest = chains.sha256(content)
    document.digest = chains.chain(start, document.content_digest)
    if frame is None:
        frame = frames.compress(content, None)
        document.full_version, document.chain_size = document.version, 0
    else:
        document.chain_size += len(frame)
    return frame


def _difference(document: Document, previous: bytes | None, content: bytes) -> bytes | None:
    """The next version's frame as a difference; None if it has to be whole."""
    if (
        previous is None
        or document.version - document.full_version >= FULL_FRAME_EVERY - 1
        # What is written down now must be what was written down then: after a change of the
        # state's definition it may not be, and then nothing may build on it.
        or chains.sha256(previous) != document.content_digest
    ):
        return None
    frame = frames.compress(content, previous)
    # Reading a version costs what lies between it and the last whole one: never much more than
    # the state itself, however little of it stays from save to save.
    return frame if document.chain_size + len(frame) <= max(len(content), _SMALL) else None


def revision_of(
    document: Document,
    frame: bytes,
    size: int,
    *,
    id: ObjectId,
    action: str,
    actor: Actor,
    description: str = "",
    change_summary: str = "",
) -> Revision:
    """What is to be stored of the version that a document has just stepped to."""
    return Revision(
        id=id,
        document_id=document.pk,
        kind=document.kind,
        project_id=document.project_id,
        version=document.version,
        schema_version=document.schema_version,
        action=action,
        description=description,
        change_summary=change_summary,
        created_by=actor.user_id,
        created_at=document.updated_at,
        is_deleted=document.is_deleted,
        full_version=document.full_version,
        frame=frame,
        size=size,
        content_digest=document.content_digest,
        digest=document.digest,
    )


def _decode(revisions: models.QuerySet[Revision]) -> bytes:
    content = b""
    for revision in revisions.iterator(chunk_size=100):
        content = chains.decompress(revision, content)
    return chains.proven(revision, content)
