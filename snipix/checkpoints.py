"""Names that people give to versions, to find them again. Revisions themselves stay as they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django_mongodb_backend.fields import ObjectIdAutoField, ObjectIdField
from django_mongodb_backend.query import wrap_database_errors
from pymongo import ASCENDING, DESCENDING, IndexModel

from snipix import audit, cache, errors, history, resilience
from snipix.cache import Name
from snipix.mongo import connection
from snipix.times import now

if TYPE_CHECKING:
    from snipix.accounts import Actor
    from snipix.documents import Document


class Checkpoint(models.Model):
    """The name of one version of a document."""

    goes_with_project = True
    collection_indexes: ClassVar[Sequence[IndexModel]] = (
        IndexModel(
            [
                *((key, ASCENDING) for key in ("projectId", "documentId", "kind")),
                ("version", DESCENDING),
            ],
            unique=True,
        ),
    )

    id = ObjectIdAutoField(primary_key=True)
    project_id = models.CharField(max_length=64, db_column="projectId")
    document_id = ObjectIdField(db_column="documentId")
    kind = models.CharField(max_length=20)
    version = models.PositiveBigIntegerField()
    name = models.CharField(max_length=200)
    created_by = models.CharField(max_length=64, db_column="createdBy")
    created_at = models.DateTimeField(db_column="createdAt")

    class Meta:
        db_table = "checkpoints"

    def __str__(self) -> str:
        return f"{self.name} (version {self.version})"


def record_name(kind: str, key: str, version: int) -> Name:
    """The record in the cache that says how a version of a document is called now."""
    return Name("version", f"{kind}:{key}:{version}")


def _void(document: Document, version: int) -> None:
    cache.current.also(record_name(document.kind, str(document.pk), version))


@wrap_database_errors
def name_version(document: Document, version: int, name: str, *, actor: Actor) -> None:
    """Name a version, or rename it, within a change. Raises NotFound."""
    history.revision(document, version)
    _void(document, version)
    values = {"name": name, "createdBy": actor.user_id, "createdAt": now()}
    connection.get_collection(Checkpoint._meta.db_table).update_one(
        {**history.whose(document), "version": version},
        {"$set": values},
        upsert=True,
        session=connection.session,
    )
    audit.record(resilience.record_id(), document, "name", actor, from_version=version)


@wrap_database_errors
def forget_name(document: Document, version: int, *, actor: Actor) -> None:
    """Take a version's name away, within a change. Raises NotFound for one that has none."""
    _void(document, version)
    gone = connection.get_collection(Checkpoint._meta.db_table).delete_one(
        {**history.whose(document), "version": version}, session=connection.session
    )
    if not gone.deleted_count:
        raise errors.NotFound(f"Version {version} of this {document.kind} has no name.")
    audit.record(resilience.record_id(), document, "unname", actor, from_version=version)


def names(document: Document, versions: Collection[int]) -> dict[int, str]:
    """The names of some versions, by one query."""
    found = Checkpoint.objects.filter(
        project_id=document.project_id,
        document_id=document.pk,
        kind=document.kind,
        version__in=list(versions),
    )
    return dict(found.values_list("version", "name"))
