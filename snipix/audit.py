"""The audit trail: who changed what, when, from where, in which request, between which versions.

An entry commits with its change or not at all, holds no content, and outlives what it speaks of
until its own retention ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from bson import ObjectId
from django.conf import settings
from django.db import models
from django_mongodb_backend.fields import ObjectIdAutoField, ObjectIdField
from pymongo import ASCENDING, DESCENDING, IndexModel

from snipix.times import now

if TYPE_CHECKING:
    from snipix.accounts import Actor
    from snipix.documents import Document


_LATER = {"purge", "mend", "restore backup"}
"""Actions that aren't saves: they happen at another time than the last one."""


class AuditEntry(models.Model):
    """What one change did to one document."""

    collection_indexes: ClassVar[Sequence[IndexModel]] = (
        *(
            IndexModel([*subject, ("createdAt", DESCENDING), ("_id", DESCENDING)])
            for subject in (
                [("projectId", ASCENDING)],
                [("userId", ASCENDING)],
                [("action", ASCENDING)],
                [],
            )
        ),
        IndexModel(
            [("createdAt", ASCENDING)],
            expireAfterSeconds=settings.AUDIT_RETENTION_DAYS * 86_400,
        ),
        IndexModel([("documentId", ASCENDING)], partialFilterExpression={"action": "purge"}),
    )

    id = ObjectIdAutoField(primary_key=True)
    created_at = models.DateTimeField(db_column="createdAt")
    user_id = models.CharField(max_length=64, db_column="userId")
    action = models.CharField(max_length=20)
    kind = models.CharField(max_length=20)
    document_id = ObjectIdField(db_column="documentId")
    project_id = models.CharField(max_length=64, db_column="projectId")
    from_version = models.PositiveBigIntegerField(db_column="fromVersion")
    to_version = models.PositiveBigIntegerField(db_column="toVersion", null=True)
    """None where nothing is left: after a purge."""
    request_id = models.CharField(max_length=64, db_column="requestId", blank=True)
    address = models.CharField(max_length=45, blank=True)
    client_id = models.CharField(max_length=64, db_column="clientId", blank=True)
    via = models.CharField(max_length=20)
    """api, admin or command."""

    class Meta:
        db_table = "audit_entries"
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} {self.kind} {self.project_id}"


def is_recorded(id: ObjectId) -> bool:
    return AuditEntry.objects.filter(pk=id).exists()


def purged(keys: Iterable[ObjectId]) -> set[ObjectId]:
    """Those of these projects that were destroyed, as far as their entries are kept."""
    entries = AuditEntry.objects.filter(action="purge", document_id__in=keys)
    return set(entries.values_list("document_id", flat=True))


def record(
    id: ObjectId, document: Document, action: str, actor: Actor, *, from_version: int
) -> None:
    """Note a change of `document`, within the change's own transaction."""
    entry(id, document, action, actor, from_version=from_version).save(force_insert=True)


def entry(
    id: ObjectId, document: Document, action: str, actor: Actor, *, from_version: int
) -> AuditEntry:
    """What is to be noted of a change."""
    return AuditEntry(
        id=id,
        created_at=now() if action in _LATER else document.updated_at,
        user_id=actor.user_id,
        action=action,
        kind=document.kind,
        document_id=document.pk,
        project_id=document.project_id,
        from_version=from_version,
        to_version=None if action == "purge" else document.version,
        request_id=actor.request_id,
        address=actor.address,
        client_id=actor.client_id,
        via=actor.via,
    )
