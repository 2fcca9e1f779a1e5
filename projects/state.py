"""The state of a project: what its history keeps of it. The trash flag is kept beside it."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from snipix.states import Struct

Status = Literal["active", "archived"]
Right = Literal["read", "write"]
Container = Literal["mp4", "mov", "avi", "mkv", "webm"]


class Collaborator(Struct, frozen=True, kw_only=True):
    """Somebody whom the owner lets see a project, or change it."""

    user_id: str
    right: Right


class Video(Struct, frozen=True, kw_only=True):
    """What is known of a project's video file, from looking into it and not from who sent it."""

    file_name: str
    """What its sender called it: for people, and no name of a file of ours."""
    container: Container
    media_type: str
    size: Annotated[int, Meta(ge=1)]
    """In bytes."""
    sha256: str
    duration: Annotated[float, Meta(gt=0)]
    """In seconds, of the longest stream."""
    fps_num: Annotated[int, Meta(ge=1)]
    fps_den: Annotated[int, Meta(ge=1)]
    """Frames per second are `fps_num` / `fps_den`, exactly: 30000 / 1001 for NTSC."""
    width: Annotated[int, Meta(ge=1)]
    height: Annotated[int, Meta(ge=1)]
    """In pixels, as it is shown: a phone's upright recording is higher than wide."""
    video_codec: str
    audio_codec: str | None
    uploaded_at: str
    """RFC 3339, in UTC."""


class ProjectState(Struct, frozen=True, kw_only=True):
    """A project at one version."""

    name: Annotated[str, Meta(min_length=1, max_length=500)]
    user_id: str
    """Whose it is."""
    collaborators: list[Collaborator] = []
    description: Annotated[str, Meta(max_length=20_000)] = ""
    status: Status = "active"
    metadata: dict[str, Any] = {}
    tags: list[str] = []
    duration: Annotated[float, Meta(ge=0)] | None = None
    """Length of the video in seconds; None as long as it isn't known."""
    video: Video | None = None
    thumbnail: str | None = None
    video_path: str | None = None
    """The video's file, by its name in the project's folder of the media storage. So are the
    thumbnail and the trimmed video."""
    trimmed_video_path: str | None = None
    trimmed_duration: Annotated[float, Meta(ge=0)] | None = None


CONTENT_FIELDS = ("name", "description", "status", "metadata", "tags", "duration")
"""What a client may change; the rest comes from uploads and from handing over."""
