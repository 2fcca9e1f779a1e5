"""The project: what people list, open, rename and share. Its timeline is a document of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, Self

from django.apps import apps
from django.conf import settings
from django.db import models
from django_mongodb_backend.fields import ArrayField
from django_mongodb_backend.managers import MongoManager
from pymongo import ASCENDING, DESCENDING, IndexModel

from projects import keys
from projects.state import ProjectState
from snipix import cache, errors, history
from snipix.accounts import SYSTEM, Actor
from snipix.cache import Name
from snipix.documents import Document, DocumentQuerySet
from snipix.etags import ETag
from snipix.mongo import BsonField, one
from snipix.times import now

Right = Literal["read", "write", "own"]
_RIGHTS: tuple[Right, ...] = ("read", "write", "own")
_LIST = {"isDeleted": False}


def no_timeline() -> dict[str, Any]:
    """The summary of a timeline that was never saved."""
    return {
        "version": 0,
        "duration": 0.0,
        "layers": 0,
        "clips": 0,
        "markers": 0,
        "saved_at": None,
    }


def no_transcription() -> dict[str, Any]:
    """The summary of a transcription that was never made."""
    return {
        "version": 0,
        "exists": False,
        "language": "",
        "is_complete": False,
        "duration": 0.0,
        "segments": 0,
        "words": 0,
        "speakers": 0,
        "saved_at": None,
    }


def without_video(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Schema 2 says what is known of the video; before, nobody could upload one."""
    return {**state, "video": None}


def parts() -> Iterator[type[Part]]:
    """What belongs to a project and has its ObjectId: its timeline, …"""
    return (model for model in apps.get_models() if issubclass(model, Part))


def not_found(project_id: str) -> errors.NotFound:
    return errors.NotFound(f"There is no project {project_id!r}, or it isn't yours.")


class ProjectQuerySet(DocumentQuerySet):
    def visible_to(self, user_id: str) -> Self:
        """What somebody owns or was given."""
        return self.filter(readers__contains=[user_id])

    def in_hands_of(self, user_id: str, project_id: str, right: Right = "read") -> Project:
        """One project that somebody can see; to strangers it doesn't exist.

        Raises NotFound, and Forbidden for one who can see it but lacks the right.
        """
        project = one(self.visible_to(user_id).filter(project_id=project_id))
        if project is None:
            raise not_found(project_id)
        held = project.right_of(user_id)
        if _RIGHTS.index(held) < _RIGHTS.index(right):
            needed = "its owner" if right == "own" else "its owner, or somebody with the right to"
            raise errors.Forbidden(f"You may {held} this project. Ask {needed}.", right=held)
        return project


class LiveProjects(MongoManager.from_queryset(ProjectQuerySet)):  # type: ignore[misc]
    def get_queryset(self) -> ProjectQuerySet:
        return super().get_queryset().live()


class AllProjects(MongoManager.from_queryset(ProjectQuerySet)):  # type: ignore[misc]
    """Projects, the trash included."""


class Project(Document):
    """A project and, embedded, a summary of its timeline."""

    kind = "project"
    goes_with_project = True
    representation = "2"
    state_type = ProjectState
    upgrades = (without_video,)
    derived_fields = ("readers", "keys", "sort_name", "sort_duration")
    collection_indexes: ClassVar[Sequence[IndexModel]] = (
        IndexModel([("projectId", ASCENDING)], unique=True),
        IndexModel([("schemaVersion", ASCENDING)]),
        *(
            IndexModel(
                [("keys", ASCENDING), (column, DESCENDING), ("_id", DESCENDING)],
                partialFilterExpression=_LIST,
            )
            for column in ("updatedAt", "createdAt", "sortName", "sortDuration")
        ),
        IndexModel(
            [("readers", ASCENDING), ("deletedAt", DESCENDING), ("_id", DESCENDING)],
            partialFilterExpression={"isDeleted": True},
        ),
        IndexModel(
            [("deletedAt", ASCENDING), ("_id", ASCENDING)],
            partialFilterExpression={"isDeleted": True},
        ),
        IndexModel(
            [("purgingAt", ASCENDING), ("_id", ASCENDING)],
            partialFilterExpression={"isDeleted": True},
        ),
        IndexModel([("updatedAt", DESCENDING), ("_id", DESCENDING)]),
    )

    name = models.CharField(max_length=500)
    description = models.TextField(blank=True, max_length=20_000)
    status = models.CharField(max_length=20, choices=[(s, s) for s in ("active", "archived")])
    metadata = BsonField(default=dict, blank=True)
    tags = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    duration = models.FloatField(null=True, blank=True)
    video = BsonField(null=True, default=None, editable=False)
    thumbnail = models.CharField(max_length=500, null=True, editable=False)  # noqa: DJ001
    video_path = models.CharField(  # noqa: DJ001 - JSON has null, and so has the contract
        max_length=500, db_column="videoPath", null=True, editable=False
    )
    trimmed_video_path = models.CharField(  # noqa: DJ001
        max_length=500, db_column="trimmedVideoPath", null=True, editable=False
    )
    trimmed_duration = models.FloatField(db_column="trimmedDuration", null=True, editable=False)
    collaborators = BsonField(default=list, editable=False)
    readers = ArrayField(models.CharField(max_length=64), default=list, editable=False)
    """Who may see it: the owner, and whoever it is shared with."""
    keys = BsonField(default=list, editable=False)
    """What lists and searches find it by."""
    sort_name = models.CharField(max_length=100, db_column="sortName", editable=False)
    sort_duration = models.FloatField(db_column="sortDuration", editable=False)
    timeline_state = BsonField(db_column="timelineState", default=no_timeline, editable=False)
    """The timeline in numbers; not part of the project's own versions."""
    transcription_state = BsonField(
        db_column="transcriptionState", default=no_transcription, editable=False
    )
    """The transcription in numbers; likewise."""
    purging_at = models.DateTimeField(db_column="purgingAt", null=True, editable=False)
    """Since when it is being destroyed (`projects/purging.py`): from then on it is nobody's."""

    objects: ClassVar[LiveProjects] = LiveProjects()
    everything: ClassVar[AllProjects] = AllProjects()

    class Meta(Document.Meta):
        db_table = "projects"

    def __str__(self) -> str:
        return self.name

    @property
    def etag(self) -> ETag:
        # Both only grow, so that their sum is another one whenever either was saved.
        summary = self.timeline_state["version"] + self.transcription_state["version"]
        return ETag.of(self.version, bytes(self.digest), self.representation, int(summary))

    @property
    def purge_after(self) -> datetime | None:
        """When retention destroys it, if it stays in the trash."""
        retention = timedelta(days=settings.TRASH_RETENTION_DAYS)
        return self.deleted_at + retention if self.deleted_at else None

    @property
    def is_going(self) -> bool:
        return self.purging_at is not None

    def derive(self) -> None:
        self.readers = [self.user_id, *(c["user_id"] for c in self.collaborators)]
        self.keys = keys.keys(self.readers, self.user_id, self.state)
        self.sort_name = keys.normalised(self.name)[:100]
        self.sort_duration = -1.0 if self.duration is None else self.duration

    @property
    def records(self) -> list[Name]:
        """It is on the lists of all who can see it."""
        return [*super().records, *(Name("list", reader) for reader in self.readers)]

    def purge(self, *, actor: Actor = SYSTEM) -> dict[str, int]:
        """Destroy for ever, with all that belongs to it, what is in the trash and stays there.

        Its audit entries stay. Returns how many documents of each collection are gone: none, if it
        was restored or purged meanwhile.
        """
        from projects import purging

        gone = history.change(lambda: purging.begin(self, actor=actor))
        if gone is None:
            return {}
        purging.finish(self.pk, gone)
        return dict(gone)

    def mark(self) -> None:
        """Mark it as being destroyed, within a change: nobody finds it, or brings it back."""
        self.purging_at = self.purging_at or now()
        self._update_if(
            {}, {"purgingAt": self.purging_at, "heldAt": now(), "readers": [], "keys": []}
        )

    def right_of(self, user_id: str) -> Right:
        """What one of its readers may do with it."""
        if user_id == self.user_id:
            return "own"
        found = (c["right"] for c in self.collaborators if c["user_id"] == user_id)
        return next(found, "read")

    def note(self, name: str, summary: dict[str, Any]) -> None:
        """Take over the summary of what is being saved, as `timeline_state`: no version of its own.

        Raises NotFound if the project's trash flag isn't what it was when it was read.
        """
        if self.is_going:
            raise not_found(self.project_id)
        cache.current.also(*self.records)
        setattr(self, name, summary)
        self.updated_at = now()
        values = self._stored((name, "updated_at"))
        if not self._update_if({"isDeleted": self.is_deleted}, values):
            raise errors.NotFound(f"Project {self.project_id!r} went to the trash, or came back.")


class Part(Document):
    """A document that belongs to a project and has its ObjectId, so that there can't be two."""

    goes_with_project = True

    class Meta(Document.Meta):
        abstract = True

    def hold(self) -> None:
        """Hold its project, which every purge changes: of this there may be no document yet."""
        Project(id=self.pk).hold()

    @classmethod
    def current(cls, project: Project) -> Self | None:
        """The part of a project as it is now, without its state; None if it isn't to be read."""
        found = cls.everything.filter(pk=project.pk)
        return one(found.only("version", "digest", "updated_at", "is_deleted", "project_id"))
