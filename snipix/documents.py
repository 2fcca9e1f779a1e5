"""The stored document: what projects, timelines and transcriptions have in common.

Top-level keys are camelCase in MongoDB (`db_column`), snake_case in Python and on the wire. The
part of a document that has a history is its *state*, a typed struct; the rest says whose it is,
which version it is, and where it stands in its history. A state becomes the next version in one
place only: `snipix.history.write`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

import msgspec
from django.apps import apps
from django.db import models
from django_mongodb_backend.fields import ObjectIdAutoField
from django_mongodb_backend.managers import MongoManager
from django_mongodb_backend.query import wrap_database_errors
from django_mongodb_backend.queryset import MongoQuerySet
from pymongo import IndexModel

from snipix import errors, history, pieces, states, times
from snipix.accounts import SYSTEM, Actor
from snipix.cache import Name
from snipix.etags import ETag
from snipix.mongo import connection
from snipix.times import now

MENDED = "mended_documents"
"""The collection in which the doctor keeps what it replaces."""
Upgrade = Callable[[Mapping[str, Any]], Mapping[str, Any]]
_POSITION = (
    "version",
    "schema_version",
    "digest",
    "content_digest",
    "full_version",
    "chain_size",
    "updated_at",
    "is_deleted",
    "deleted_at",
)


class DocumentQuerySet(MongoQuerySet):
    """The vocabulary of queries. Commands say what they do: `trash`, `restore`, `purge`."""

    def live(self) -> Self:
        return self.filter(is_deleted=False)

    def trashed(self) -> Self:
        return self.filter(is_deleted=True)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Move every document to the trash, one change each. Nothing is destroyed."""
        count = sum(document.delete()[0] for document in self.live())
        return count, {self.model._meta.label: count}

    def restore(self) -> int:
        """Bring every document back from the trash, one change each. Returns how many."""
        count = 0
        for document in self.trashed():
            document.restore()
            count += 1
        return count

    def purge(self) -> int:
        """Destroy what is in the trash, one change each; what isn't any more stays. How many?"""
        return sum(bool(document.purge()) for document in self.trashed())

    def erase(self) -> int:
        """Remove the documents alone, without their histories. `purge` is what you want."""
        return self._raw_delete(self.db)


class LiveManager(MongoManager.from_queryset(DocumentQuerySet)):  # type: ignore[misc]
    """Everything but the trash."""

    def get_queryset(self) -> DocumentQuerySet:
        return super().get_queryset().live()


class EverythingManager(MongoManager.from_queryset(DocumentQuerySet)):  # type: ignore[misc]
    """Everything, the trash included."""


class Tag(msgspec.Struct, frozen=True):
    """What is current of a document: its ETag, and when that version was saved."""

    etag: str
    saved_at: str

    def variant(self, options: str) -> Self:
        """The tag of what is written as some options want it."""
        return msgspec.structs.replace(self, etag=str(ETag.read(self.etag).variant(options)))


class Document(models.Model):
    """A document with an owner, a version and a history.

    `objects` hides the trash, `everything` doesn't.
    """

    kind: str
    """What it is, in revisions and audit entries."""
    representation: str = "1"
    """The version of its JSON form: change it when the same state is written differently."""
    state_type: type[states.Struct]
    upgrades: ClassVar[Sequence[Upgrade]] = ()
    """What turns a stored state of schema version 1 into one of version 2, that into 3, …"""
    long_lists: ClassVar[Sequence[pieces.Path]] = ()
    """Where the state has lists that are stored in pieces once they are long."""
    derived_fields: tuple[str, ...] = ()
    """Fields that `derive` computes from the state, for queries."""
    collection_indexes: ClassVar[Sequence[IndexModel]] = ()

    id = ObjectIdAutoField(primary_key=True)
    project_id = models.CharField(max_length=64, db_column="projectId")
    user_id = models.CharField(max_length=64, db_column="userId")
    created_by = models.CharField(max_length=64, db_column="createdBy", editable=False)
    created_at = models.DateTimeField(db_column="createdAt", default=now, editable=False)
    updated_at = models.DateTimeField(db_column="updatedAt", default=now, editable=False)
    version = models.PositiveBigIntegerField(default=0, editable=False)
    schema_version = models.PositiveSmallIntegerField(db_column="schemaVersion", default=1)
    is_deleted = models.BooleanField(db_column="isDeleted", default=False, editable=False)
    deleted_at = models.DateTimeField(db_column="deletedAt", null=True, editable=False)
    held_at = models.DateTimeField(db_column="heldAt", null=True, editable=False)
    digest = models.BinaryField(default=bytes, editable=False)
    """The end of the hash chain over all versions."""
    content_digest = models.BinaryField(db_column="contentDigest", default=bytes, editable=False)
    """SHA-256 of this version's canonical bytes."""
    full_version = models.PositiveBigIntegerField(
        db_column="fullVersion", default=0, editable=False
    )
    """The newest version whose revision holds its state whole."""
    chain_size = models.PositiveBigIntegerField(db_column="chainSize", default=0, editable=False)
    """Bytes of the frames since then."""

    _pieces = pieces.NOTHING
    """What the next write changes among the pieces."""

    objects: ClassVar[Any] = LiveManager()
    everything: ClassVar[Any] = EverythingManager()

    class Meta:
        abstract = True
        base_manager_name = "everything"
        default_manager_name = "everything"

    @property
    def is_going(self) -> bool:
        """Whether it is being destroyed: nothing changes it any more."""
        return False

    @property
    def stored_state(self) -> dict[str, Any]:
        """What the document itself holds of its state: all but what is in pieces."""
        return {name: getattr(self, name) for name in self.state_type.__struct_fields__}

    @property
    def state(self) -> Any:
        if self.schema_version != self.current_schema():
            stored = self.upgraded(self._whole_state(), self.schema_version)
            return states.from_builtins(stored, self.state_type)
        try:
            return pieces.join(self)
        except pieces.PieceMissing:  # somebody has saved since this document was read
            return history.read(self, self.version)

    def hold_state(self, split: pieces.Split) -> None:
        """Take over a new state, to be stored by `write_if`."""
        self._pieces = split.change
        for name, value in split.stored.items():
            setattr(self, name, value)

    @property
    def content(self) -> bytes:
        """The canonical bytes of the state as it is stored, whatever its schema."""
        if self.schema_version == self.current_schema():
            return states.encode(self.state)
        return states.encode(self._whole_state())

    def _whole_state(self) -> Mapping[str, Any]:
        try:
            return pieces.join_stored(self)
        except pieces.PieceMissing:
            whole: Mapping[str, Any] = msgspec.json.decode(history.read_bytes(self, self.version))
            return whole

    @classmethod
    def current_schema(cls) -> int:
        """The schema version of what is stored today."""
        return len(cls.upgrades) + 1

    @property
    def is_outdated(self) -> bool:
        """Whether it is stored as an older schema has it."""
        return self.schema_version < self.current_schema()

    @classmethod
    def upgraded(cls, stored: Mapping[str, Any], schema_version: int) -> Mapping[str, Any]:
        """A stored state of an older schema version, as it would be stored today.

        Raises NewerSchema.
        """
        cls.refuse_newer(schema_version)
        for upgrade in cls.upgrades[schema_version - 1 :]:
            stored = upgrade(stored)
        return stored

    @classmethod
    def refuse_newer(cls, schema_version: int) -> None:
        """Raise NewerSchema for what only a newer release knows, as while servers are replaced."""
        if schema_version > cls.current_schema():
            raise errors.NewerSchema(
                f"This {cls.kind} was saved by a newer release of Snipix than this server runs. "
                "Nothing is lost; try again in a few seconds."
            )

    def upgrade(self, *, actor: Actor = SYSTEM) -> None:
        """Store the state as it would be stored today: a version of its own, in a change."""
        history.write(self, self.state, action="upgrade", actor=actor)

    def derive(self) -> None:
        """Compute `derived_fields` anew, after the state was set."""

    @property
    def etag(self) -> ETag:
        return ETag.of(self.version, bytes(self.digest) or self.pk.binary, self.representation)

    @property
    def tag(self) -> Tag:
        return Tag(str(self.etag), times.write(self.updated_at))

    @property
    def first_etag(self) -> ETag:
        """The tag of version 0: the beginning, before anything was saved."""
        return ETag.of(0, self.pk.binary, self.representation)

    @property
    def records(self) -> list[Name]:
        """What the cache keeps that says what is current of it."""
        return [Name("project", self.project_id)]

    def delete(self, *, actor: Actor = SYSTEM) -> tuple[int, dict[str, int]]:  # type: ignore[override]
        """Move to the trash, whatever the version is by now. Returns as Django's `delete` does."""
        self._set_trashed(True, actor)
        return 1, {self._meta.label: 1}

    def restore(self, *, actor: Actor = SYSTEM) -> None:
        """Bring back from the trash, whatever the version is by now."""
        self._set_trashed(False, actor)

    def _set_trashed(self, is_deleted: bool, actor: Actor) -> None:
        action = "delete" if is_deleted else "restore"

        def work() -> None:
            self.refresh_from_db()
            history.write(self, action=action, actor=actor, is_deleted=is_deleted)

        history.change(work)

    def hold(self) -> None:
        """Make a change that changes nothing of this document conflict with whoever purges it.

        Otherwise what it does write, such as its kept answer, could outlive a purge.
        """
        self._update_if({}, {"heldAt": now()})

    def write_if(self, version: int) -> bool:
        """Store this document if the stored one is at `version`: one conditional write.

        Version 0 is none at all. Returns False when it isn't at that version, and then nothing was
        written. (Within a transaction MongoDB itself refuses the second of two racing writers.)
        """
        if version == 0:
            self.save(force_insert=True)
        elif not self._update_if({"version": version}, self._stored(self._historic_fields())):
            return False
        self._pieces.write(self)
        return True

    def overwrite(self) -> None:
        """Store this document in place of whatever is stored of it: for the doctor."""
        self.held_at = now()  # a mark that it was changed, where its version stays
        self._update_if({}, self._stored({*self._historic_fields(), "held_at"}))
        self._pieces.write(self)

    def amend(self, *names: str) -> None:
        """Store fields that aren't part of the state, where nobody has saved meanwhile."""
        self.held_at = now()
        self._update_if({"version": self.version}, self._stored({*names, "held_at"}))

    def _historic_fields(self) -> set[str]:
        """What a change sets: the state, and where it stands in its history."""
        return {*self.state_type.__struct_fields__, *self.derived_fields, *_POSITION}

    def _stored(self, names: Collection[str]) -> dict[str, Any]:
        """What MongoDB keeps of some fields, by key."""
        return {
            str(field.column): field.get_db_prep_save(getattr(self, field.attname), connection)
            for field in self._meta.concrete_fields
            if field.attname in names
        }

    @wrap_database_errors
    def _update_if(self, condition: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
        """Set `values`, keyed by column, where `condition` holds.

        A plain `$set`: the ORM's update() sends a pipeline, twice as costly on large states.
        """
        result = connection.get_collection(self._meta.db_table).update_one(
            {"_id": self.pk, **condition}, {"$set": values}, session=connection.session
        )
        return result.matched_count == 1


def kinds() -> Mapping[str, type[Document]]:
    """The models of all documents, by kind: projects, timelines, …"""
    return {model.kind: model for model in apps.get_models() if issubclass(model, Document)}
