"""The timeline of a project: one document each, since states reach megabytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django_mongodb_backend.fields import ArrayField, ObjectIdAutoField
from pymongo import ASCENDING, DESCENDING, IndexModel

from projects.models import Part, Project
from snipix import frames, times
from snipix.accounts import SYSTEM, Actor
from snipix.mongo import BsonField, one
from timelines.state import TimelineState


class Timeline(Part):
    """A timeline: empty, at version 0, as long as none was saved."""

    kind = "timeline"
    state_type = TimelineState
    long_lists = (("layers", "clips"), ("markers",))
    collection_indexes: ClassVar[Sequence[IndexModel]] = (
        IndexModel([("projectId", ASCENDING)], unique=True),
        IndexModel([("schemaVersion", ASCENDING)]),
    )

    layers = BsonField(default=list)
    playhead_time = models.FloatField(db_column="playheadTime", default=0.0)
    zoom = models.FloatField(default=1.0)
    duration = models.FloatField(default=0.0)
    markers = BsonField(default=list)
    selected_clips = ArrayField(
        models.CharField(max_length=200), db_column="selectedClips", default=list
    )
    is_playing = models.BooleanField(db_column="isPlaying", default=False)
    is_snapping = models.BooleanField(db_column="isSnapping", default=True)
    fps_num = models.PositiveIntegerField(db_column="fpsNum", default=30)
    fps_den = models.PositiveIntegerField(db_column="fpsDen", default=1)
    metadata = BsonField(default=dict)

    class Meta(Part.Meta):
        db_table = "timelines"

    def __str__(self) -> str:
        return f"timeline of {self.project_id}"

    @classmethod
    def of(cls, project: Project) -> Timeline:
        """The timeline of a project."""
        return one(cls.everything.filter(pk=project.pk)) or cls._unsaved(project)

    @classmethod
    def current(cls, project: Project) -> Self:
        return super().current(project) or cls._unsaved(project)

    @classmethod
    def _unsaved(cls, project: Project) -> Self:
        return cls(
            id=project.pk,
            project_id=project.project_id,
            user_id=project.user_id,
            created_by=project.created_by,
            created_at=project.created_at,
            updated_at=project.created_at,
        )

    def upgrade(self, *, actor: Actor = SYSTEM) -> None:
        from timelines import services

        project = Project.everything.get(pk=self.pk)
        services.save_timeline(project, self, self.state, actor=actor, action="upgrade")

    def _set_trashed(self, is_deleted: bool, actor: Actor) -> None:
        raise TypeError("A timeline goes to the trash, and comes back, with its project.")

    def purge(self, *, actor: Actor = SYSTEM) -> dict[str, int]:
        raise TypeError("A timeline is purged with its project.")


class Draft(models.Model):
    """The last autosave of one client."""

    goes_with_project = True
    collection_indexes: ClassVar[Sequence[IndexModel]] = (
        IndexModel(
            [("projectId", ASCENDING), ("userId", ASCENDING), ("clientId", ASCENDING)], unique=True
        ),
        IndexModel(
            [
                *((key, ASCENDING) for key in ("projectId", "userId")),
                *((key, DESCENDING) for key in ("updatedAt", "_id")),
            ]
        ),
        IndexModel(
            [("updatedAt", ASCENDING)], expireAfterSeconds=settings.DRAFT_RETENTION_DAYS * 86_400
        ),
    )

    id = ObjectIdAutoField(primary_key=True)
    project_id = models.CharField(max_length=64, db_column="projectId")
    user_id = models.CharField(max_length=64, db_column="userId")
    client_id = models.CharField(max_length=64, db_column="clientId")
    base_etag = models.CharField(max_length=100, db_column="baseEtag")
    updated_at = models.DateTimeField(db_column="updatedAt")
    frame = models.BinaryField()
    size = models.PositiveBigIntegerField()

    class Meta:
        db_table = "drafts"

    def __str__(self) -> str:
        return f"draft of {self.project_id} by {self.client_id}"

    @property
    def content(self) -> bytes:
        """The state, as canonical bytes."""
        return frames.decompress(bytes(self.frame), None)

    def is_newer_than(self, project: Project) -> bool:
        """Whether it was autosaved after the last save, as the project's summary knows it."""
        saved_at = project.timeline_state["saved_at"]
        return saved_at is None or self.updated_at > times.aware(saved_at)
