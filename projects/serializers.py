"""The JSON form of projects, and what a client may put into it."""

from typing import Any, ClassVar

from bson import ObjectId
from django.contrib.auth.models import User
from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from media import addresses
from projects.models import Project
from snipix import api, wire

MAX_METADATA_BYTES = 256 * 1024
MAX_COLLABORATORS = 20


class TimelineSummarySerializer(serializers.Serializer):
    """A timeline in numbers."""

    version = serializers.IntegerField(help_text="0 as long as none was saved.")
    duration = serializers.FloatField(help_text="In seconds.")
    layers = serializers.IntegerField()
    clips = serializers.IntegerField()
    markers = serializers.IntegerField()
    saved_at = api.MillisecondField(allow_null=True)


class TranscriptionSummarySerializer(serializers.Serializer):
    """A transcription in numbers."""

    version = serializers.IntegerField(help_text="0 as long as none was made.")
    exists = serializers.BooleanField(help_text="False, too, while it is in the trash.")
    language = serializers.CharField()
    is_complete = serializers.BooleanField(help_text="Whether recognition has ended.")
    duration = serializers.FloatField(help_text="Until when there is speech, in seconds.")
    segments = serializers.IntegerField()
    words = serializers.IntegerField()
    speakers = serializers.IntegerField()
    saved_at = api.MillisecondField(allow_null=True)


class VideoSerializer(serializers.Serializer):
    """What was found in a project's video file."""

    address = serializers.CharField(help_text="Where the file is to be had.")
    file_name = serializers.CharField(help_text="What its sender called it.")
    media_type = serializers.CharField()
    container = serializers.CharField()
    size = serializers.IntegerField(help_text="In bytes.")
    sha256 = serializers.CharField()
    duration = serializers.FloatField(help_text="In seconds, of the longest stream.")
    fps_num = serializers.IntegerField(help_text="Frames per second: fps_num / fps_den, exactly.")
    fps_den = serializers.IntegerField()
    width = serializers.IntegerField(help_text="In pixels, as it is shown. So is the height.")
    height = serializers.IntegerField()
    video_codec = serializers.CharField()
    audio_codec = serializers.CharField(allow_null=True)
    uploaded_at = serializers.CharField()


class CollaboratorSerializer(serializers.Serializer):
    """Somebody whom the owner lets see a project, or change it."""

    user_id = api.TextField(max_length=64)
    right = serializers.ChoiceField(choices=["read", "write"])


class MetadataField(serializers.DictField):
    """Free-form JSON; the parser has held it to the limits of free-form values already."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        value: dict[str, Any] = super().to_internal_value(data)
        size = len(wire.encode(value))
        if size > MAX_METADATA_BYTES:
            raise serializers.ValidationError(
                f"has {size:,} bytes as JSON; at most {MAX_METADATA_BYTES:,} are taken."
            )
        return value


class ProjectSerializer(api.DocumentSerializer):
    """A project. Its files are shown by their addresses, and come from uploads."""

    id = api.TextField(
        validators=[RegexValidator(rf"^{api.PROJECT_ID}\Z")],
        source="project_id",
        required=False,
        help_text="May be chosen when the project is created; made otherwise. Never changes.",
    )
    etag = serializers.CharField(read_only=True, help_text="For `If-Match`, as in the header.")
    metadata = MetadataField(required=False)
    tags = serializers.ListField(
        child=api.TextField(max_length=100), max_length=100, required=False
    )
    duration = api.NumberField(
        min_value=0, max_value=1e9, required=False, allow_null=True, help_text="In seconds."
    )
    video = serializers.SerializerMethodField(help_text="What was found in its video file.")
    thumbnail = serializers.SerializerMethodField(
        help_text="The address of a picture of the video; with accounts it is signed, and ends."
    )
    video_path = serializers.SerializerMethodField(help_text="The address of the video.")
    trimmed_video_path = serializers.SerializerMethodField()
    timeline = TimelineSummarySerializer(source="timeline_state", read_only=True)
    transcription = TranscriptionSummarySerializer(source="transcription_state", read_only=True)
    version = serializers.IntegerField(read_only=True)
    collaborators = CollaboratorSerializer(many=True, read_only=True)
    created_at = api.MillisecondField(read_only=True)
    updated_at = api.MillisecondField(read_only=True)
    deleted_at = api.MillisecondField(read_only=True, allow_null=True)

    class Meta:
        model = Project
        fields = (
            "id", "name", "description", "status", "metadata", "tags", "duration",
            "video", "thumbnail", "video_path", "trimmed_video_path", "trimmed_duration",
            "timeline", "transcription", "version", "etag", "user_id", "created_by",
            "collaborators",
            "created_at", "updated_at", "is_deleted", "deleted_at",
        )  # fmt: skip
        read_only_fields = (
            "trimmed_duration", "user_id", "created_by", "is_deleted",
        )  # fmt: skip
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "description": {"max_length": 20_000},
            "status": {"required": False},
        }

    @extend_schema_field(VideoSerializer(allow_null=True))
    def get_video(self, project: Project) -> dict[str, Any] | None:
        shown = {"address": addresses.video(project.project_id)}
        return {**shown, **project.video} if project.video else None

    def get_thumbnail(self, project: Project) -> str | None:
        stored = project.thumbnail if project.video else None
        return addresses.thumbnail(project.project_id, stored) if stored else None

    def get_video_path(self, project: Project) -> str | None:
        return addresses.video(project.project_id) if project.video else None

    def get_trimmed_video_path(self, project: Project) -> str | None:
        return None  # nothing is trimmed yet; what was stored by others names files of theirs

    def validate_name(self, value: str) -> str:
        if not value.strip():
            raise serializers.ValidationError("may not be blank.")
        return value

    def validate_id(self, value: str) -> str:
        if self.instance is not None and value != self.instance.project_id:
            raise serializers.ValidationError("can't be changed; leave it out.")
        return value


class CollaboratorsSerializer(api.StrictSerializer):
    """Who else may see or change a project: this list, and nobody else but the owner."""

    collaborators = serializers.ListField(
        child=CollaboratorSerializer(), max_length=MAX_COLLABORATORS
    )

    def validate_collaborators(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ids = [collaborator["user_id"] for collaborator in value]
        if len(set(ids)) < len(ids):
            raise serializers.ValidationError("name each person once.")
        return [{**c, "user_id": known_user(c["user_id"])} for c in value]


class HandOverSerializer(api.StrictSerializer):
    """Who is to be the owner."""

    user_id = api.TextField(max_length=64)

    def validate_user_id(self, value: str) -> str:
        return known_user(value)


def known_user(user_id: str) -> str:
    """The id, if there is such a user. Raises ValidationError."""
    if not (
        ObjectId.is_valid(user_id) and User.objects.filter(pk=user_id, is_active=True).exists()
    ):
        raise serializers.ValidationError(f"there is no user {user_id!r}.")
    return user_id.lower()


class ProjectPageSerializer(serializers.Serializer):
    """One page of a list."""

    results = ProjectSerializer(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="The next page's cursor for `?cursor=`; null on the last page."
    )
    total = serializers.IntegerField(required=False, help_text="With `?include=total`.")


class TrashedSerializer(serializers.Serializer):
    """A project in the trash."""

    id = serializers.CharField(source="project_id")
    name = serializers.CharField()
    version = serializers.IntegerField()
    etag = serializers.CharField()
    deleted_at = api.MillisecondField()
    purge_after = api.MillisecondField(help_text="It can be restored until then.")


class TrashPageSerializer(serializers.Serializer):
    """One page of the trash."""

    results = TrashedSerializer(many=True)
    next = serializers.CharField(allow_null=True)
