"""The transcription of a project: one document each, as a timeline is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from django.db import models
from pymongo import ASCENDING, DESCENDING, IndexModel

from projects.models import Part, Project
from snipix import errors, history
from snipix.accounts import SYSTEM, Actor
from snipix.mongo import BsonField, one
from transcriptions.state import TranscriptionState


class Transcription(Part):
    """A transcription.

    Its own trash flag says that it was deleted alone; with a deleted project it goes anyway.
    """

    kind = "transcription"
    state_type = TranscriptionState
    long_lists = (("segments",),)
    collection_indexes: ClassVar[Sequence[IndexModel]] = (
        IndexModel([("projectId", ASCENDING)], unique=True),
        IndexModel([("schemaVersion", ASCENDING)]),
        # The lists of the admin site. No save changes these keys: only the trash does.
        IndexModel([("isDeleted", ASCENDING), ("deletedAt", DESCENDING), ("_id", DESCENDING)]),
    )

    segments = BsonField(default=list)
    language = models.CharField(max_length=200, default="en")
    model_used = models.CharField(  # noqa: DJ001 - JSON has null, and so has the contract
        max_length=200, db_column="modelUsed", null=True
    )
    processing_time = models.FloatField(db_column="processingTime", null=True)
    confidence_score = models.FloatField(db_column="confidenceScore", null=True)
    is_complete = models.BooleanField(db_column="isComplete", default=False)
    is_edited = models.BooleanField(db_column="isEdited", default=False)
    speakers = BsonField(default=dict)
    speaker_count = models.PositiveIntegerField(db_column="speakerCount", default=0)
    metadata = BsonField(default=dict)

    class Meta(Part.Meta):
        db_table = "transcriptions"

    def __str__(self) -> str:
        return f"transcription of {self.project_id}"

    @classmethod
    def of(cls, project: Project) -> Transcription:
        """The transcription of a project. Raises NotFound if it has none, or one in the trash."""
        found = cls.any_of(project)
        if found.version == 0 or found.is_deleted:
            where = (
                "is in the trash: restore it" if found.is_deleted else "isn't there yet: create it"
            )
            raise errors.NotFound(f"The transcription of project {project.project_id!r} {where}.")
        return found

    @classmethod
    def any_of(cls, project: Project) -> Transcription:
        """The transcription of a project, also from the trash; at version 0 if it has none."""
        return one(cls.everything.filter(pk=project.pk)) or cls(
            id=project.pk,
            project_id=project.project_id,
            user_id=project.user_id,
        )

    @classmethod
    def current(cls, project: Project) -> Self | None:
        found = super().current(project)
        return None if found is None or found.is_deleted else found

    def upgrade(self, *, actor: Actor = SYSTEM) -> None:
        from transcriptions import services

        services.save_transcription(
            self._project(), self, self.state, actor=actor, action="upgrade"
        )

    def _set_trashed(self, is_deleted: bool, actor: Actor) -> None:
        from transcriptions import services

        write = services.delete_transcription if is_deleted else services.restore_transcription

        def work() -> None:
            self.refresh_from_db()
            write(self._project(), self, actor=actor)

        history.change(work)

    def purge(self, *, actor: Actor = SYSTEM) -> dict[str, int]:
        raise TypeError("A transcription is purged with its project.")

    def _project(self) -> Project:
        return Project.everything.get(pk=self.pk)
