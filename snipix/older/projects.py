"""`/projects/`: the projects of the older client, with every field in both spellings."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import field
from rest_framework.request import Request
from rest_framework.response import Response

from media import addresses
from projects import services
from projects.models import Project, Right
from projects.serializers import ProjectSerializer
from projects.state import CONTENT_FIELDS
from snipix import cache, errors, etags, idempotency, openapi, times
from snipix.idempotency import Answer
from snipix.older import undeclared
from snipix.older.envelope import OPTIONS, OlderViewSet, answers, failures, success
from snipix.pagination import Keyset

MAX_PROJECTS = 50
"""How many are listed; the client asks for no second page."""
_NEWEST_FIRST = Keyset("updatedAt")
_YES = ("true", "1", "yes", "on")


class OlderProject(msgspec.Struct, kw_only=True):
    """A project. Every field of several words is there in camelCase, too: `createdAt` …"""

    id: str = field(name="_id")
    name: str
    description: str
    user_id: str
    status: str
    metadata: dict[str, Any]
    tags: list[str]
    collaborators: list[str]
    """The users who may see it besides its owner …"""
    permissions: dict[str, str]
    """… and what each of them may do: read, or write."""
    duration: float | None
    thumbnail: str | None
    """Where it is to be had. Never a path of the server; nor are the next two."""
    video_path: str | None
    trimmed_video_path: str | None
    trimmed_duration: float | None
    created_at: str
    updated_at: str
    is_deleted: bool
    deleted_at: str | None


class OlderProjectFields(msgspec.Struct, omit_defaults=True):
    """What of a project is set; what is left out, or null, stays as it is."""

    name: str | None = None
    description: str | None = None
    status: str | None = None
    metadata: dict[str, Any] | None = None
    tags: list[str] | None = None
    duration: float | None = None


def _camel(name: str) -> str:
    return re.sub("(?<=[a-z])_([a-z])", lambda found: found[1].upper(), name)


_SHOWN = {each.encode_name: each.name for each in msgspec.structs.fields(OlderProject)}
READ_ONLY = {"id", "project_id", *_SHOWN, *map(_camel, _SHOWN)} - set(CONTENT_FIELDS)
"""What clients send back as they got it, and what isn't theirs to set."""

_BODY = {"application/json": openapi.struct(OlderProjectFields)}
_CHANGES = [openapi.IF_MATCH_OPTIONAL, openapi.IDEMPOTENCY_KEY]
_HARD_DELETE = OpenApiParameter(
    "hard_delete", bool, description="Makes no difference: what is deleted can be restored."
)


class OlderProjectViewSet(OlderViewSet):
    """Projects."""

    kind = "project"
    change_parameters = ("hard_delete",)

    def get_document(self, right: Right = "read") -> Project:
        return self.get_project(right)

    @extend_schema(responses={200: answers(OlderProject, many=True)})
    def list(self, request: Request) -> Response:
        """List the projects that you can see, the last edited one first; 50 at most."""
        viewer = self.actor.user_id

        def make() -> bytes:
            match = {"isDeleted": False, "keys": {"$all": [viewer]}}
            found = [shown(each) for each in _NEWEST_FIRST.first(MAX_PROJECTS, Project, match)]
            return success(found, f"Found {len(found)} projects")

        page = cache.pages.fetch(viewer, _options(), make, self._coding())
        coded = {"Content-Encoding": page.coding} if page.coding else {}
        return Response(page.content, headers=coded)

    @extend_schema(
        request=_BODY,
        parameters=[openapi.IDEMPOTENCY_KEY],
        responses={200: answers(OlderProject), **failures(400, 422)},
    )
    def create(self, request: Request) -> Response:
        """Make a project."""
        content = _content(request.data, None)
        project_id = idempotency.derived_id(request)

        def work() -> Answer:
            project = services.create_project(actor=self.actor, project_id=project_id, **content)
            return _answer(project, "Project created successfully")

        return self.answer_change(project_id or "", work, creates=True)

    @extend_schema(responses={200: answers(OlderProject), 304: None, **failures(404)})
    def retrieve(self, request: Request, project_id: str) -> Response:
        """Read a project."""
        return self.answer_current(
            lambda project: success(shown(project), "Project found"), options=_options()
        )

    @extend_schema(
        request=_BODY,
        parameters=_CHANGES,
        responses={200: answers(OlderProject), **failures(400, 404, 412, 422)},
    )
    def update(self, request: Request, project_id: str) -> Response:
        """Change the fields that are sent. Those that aren't the client's to set are ignored."""

        def work() -> Answer:
            project = self.get_project("write")
            etags.check_match(request, project.etag)
            content = _content(request.data, project)
            services.update_project(project, actor=self.actor, **content)
            return _answer(project, "Project updated successfully")

        return self.answer_change(project_id, work)

    @extend_schema(
        parameters=[_HARD_DELETE, *_CHANGES],
        responses={200: answers(None), **failures(400, 404, 412, 422)},
    )
    def destroy(self, request: Request, project_id: str) -> Response:
        """Move a project to the trash, from where it can be restored until retention ends."""
        is_hard = request.query_params.get("hard_delete", "").lower() in _YES
        message = "Project deleted successfully" + (
            ". It stays in the trash until retention ends: nothing is destroyed at once."
            if is_hard
            else ""
        )

        def work() -> Answer:
            project = self.get_project("own")
            etags.check_match(request, project.etag)
            project.delete(actor=self.actor)
            return Answer(success(None, message))

        return self.answer_change(project_id, work)

    @extend_schema(
        request=None,
        parameters=_CHANGES,
        responses={200: answers(OlderProject), **failures(400, 404, 412, 422)},
    )
    def restore(self, request: Request, project_id: str) -> Response:
        """Bring a project back from the trash."""

        def work() -> Answer:
            project = Project.everything.in_hands_of(self.actor.user_id, project_id, "own")
            etags.check_match(request, project.etag)
            if not project.is_deleted:
                raise errors.NotFound(f"Project {project_id!r} isn't in the trash.")
            project.restore(actor=self.actor)
            return _answer(project, "Project restored successfully")

        return self.answer_change(project_id, work)


def shown(project: Project) -> dict[str, Any]:
    """A project as the older client gets it, with what it once sent and we don't know."""
    beside = undeclared.metadata_put_back(project.metadata)
    fields = _fields(project, beside["metadata"])
    ours = {sent: getattr(fields, name) for sent, name in _SHOWN.items()}
    return {**beside, **ours, **{_camel(name): value for name, value in ours.items()}}


def _options() -> str:
    """What makes these bytes, besides the project: signed addresses end."""
    return f"{OPTIONS} {addresses.period()}"


def _fields(project: Project, metadata: dict[str, Any]) -> OlderProject:
    shared = {each["user_id"]: each["right"] for each in project.collaborators}
    id, picture = project.project_id, project.thumbnail if project.video else None
    return OlderProject(
        id=id,
        name=project.name,
        description=project.description,
        user_id=project.user_id,
        status=project.status,
        metadata=metadata,
        tags=project.tags,
        collaborators=list(shared),
        permissions=shared,
        duration=project.duration,
        thumbnail=addresses.thumbnail(id, picture, older=True) if picture else None,
        video_path=addresses.video(id, older=True) if project.video else None,
        trimmed_video_path=None,
        trimmed_duration=project.trimmed_duration,
        created_at=times.write(project.created_at),
        updated_at=times.write(project.updated_at),
        is_deleted=project.is_deleted,
        deleted_at=times.write(project.deleted_at) if project.deleted_at else None,
    )


def _content(sent: Any, project: Project | None) -> dict[str, Any]:
    """What is to be set, as v1 checks it; what we don't know joins the metadata.

    For a new project `project` is None. Raises ValidationError.
    """
    if isinstance(sent, Mapping):
        is_blank = {name for name in CONTENT_FIELDS if sent.get(name) is None}
        given = {name: v for name, v in sent.items() if name not in READ_ONLY | is_blank}
        metadata = project.state.metadata if project else {}
        sent = undeclared.changes_of(given, metadata, CONTENT_FIELDS)
    serializer = ProjectSerializer(project, data=sent, partial=project is not None)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _answer(project: Project, message: str) -> Answer:
    return Answer(success(shown(project), message), headers={"ETag": str(project.etag)})
