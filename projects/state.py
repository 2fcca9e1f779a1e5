"""The state of a project: what its history keeps of it. The trash flag is kept beside it."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from snipix.states import Struct

Status = Literal["active", "archived"]
Right = Literal["read", "write"]


class Collaborator(Struct, frozen=True, kw_only=True):
    """Somebody whom the owner lets see a project, or change it."""

    user_id: str
    right: Right


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
    thumbnail: str | None = None
    video_path: str | None = None
    """The video's file, as the media storage names it. So are the next two."""
    trimmed_video_path: str | None = None
    trimmed_duration: Annotated[float, Meta(ge=0)] | None = None


CONTENT_FIELDS = ("name", "description", "status", "metadata", "tags", "duration")
"""What a client may change; the rest comes from uploads and from handing over."""
