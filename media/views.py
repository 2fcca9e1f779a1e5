"""`/api/v1/projects/{id}/video/` and `…/thumbnail/`"""

from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from media import addresses, containers, services, serving, storage
from media.serving import Servable
from media.uploading import UploadViewSet
from projects.models import Project, Right
from projects.serializers import ProjectSerializer
from projects.state import ProjectState
from snipix import api, errors, etags, history, openapi, resilience, times, wire
from snipix.idempotency import Answer
from snipix.mongo import one
from snipix.openapi import ProblemDocument
from snipix.parameters import refuse_unknown, whole_number

RANGE = OpenApiParameter(
    "Range", str, OpenApiParameter.HEADER, description="The bytes that are wanted (RFC 9110, 14)."
)
VERSION = OpenApiParameter(
    "version", int, description="The video that this version of the project had; by default now."
)
SIGNED = [
    OpenApiParameter(name, str, description="Of a signed address; then no token is needed.")
    for name in ("expires", "signature")
]
FORM = {
    "multipart/form-data": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}},
    }
}
A_FILE: dict[Any, Any] = {
    (status, kind): OpenApiTypes.BINARY
    for status in (200, 206)
    for kind in containers.MEDIA_TYPES.values()
}
A_PICTURE: dict[Any, Any] = {(200, "image/jpeg"): OpenApiTypes.BINARY}
_PROBLEMS = {
    408: "The file stopped coming before it was complete.",
    411: "The form has no Content-Length.",
    412: "The project was changed meanwhile, or the file isn't the one that was meant.",
    413: "The video is too large.",
    415: "The body isn't a form (multipart/form-data).",
    416: "The file has no such bytes.",
    422: "The file isn't a video that can be shown, or the idempotency key was used before.",
    507: "There is no room for the file.",
}
_SAME_DATE = timedelta(minutes=1)
"""Longer than an upload takes from looking at the clock to its commit."""


def problems(*statuses: int) -> dict[Any, Any]:
    """The errors of media, for `extend_schema`."""
    return {
        (status, errors.PROBLEM_TYPE): OpenApiResponse(
            openapi.struct(ProblemDocument), _PROBLEMS[status]
        )
        for status in statuses
    }


class MediaViewSet(api.DocumentViewSet):
    """Files of a project. Whatever a client says that it accepts, it is sent what there is."""

    renderer_classes = (wire.JSONRenderer,)

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        return super().perform_content_negotiation(request, force=True)

    def get_project(self, right: Right = "read") -> Project:
        return Project.objects.in_hands_of(self.actor.user_id, self.kwargs["project_id"], right)


class VideoViewSet(UploadViewSet, MediaViewSet):
    """A project's video: always the file that was uploaded."""

    @extend_schema(
        request=FORM,
        parameters=[openapi.IF_MATCH_OPTIONAL, openapi.IDEMPOTENCY_KEY],
        responses={
            201: ProjectSerializer,
            **openapi.problems(400, 403, 404),
            **problems(408, 411, 412, 413, 415, 422, 507),
        },
    )
    def upload(self, request: Request, project_id: str) -> Response:
        """Upload the project's video. MP4, MOV, AVI, MKV and WebM are taken, by their content."""
        project = resilience.read(lambda: self.get_project("write"))
        if "Idempotency-Key" not in request.headers:  # a repeat was made on an older version
            etags.check_match(request, project.etag)
        self.check_upload()
        with self.form() as form:
            return self.take_in(form, project, _answer_upload)

    @extend_schema(
        parameters=[RANGE, VERSION],
        responses={**A_FILE, 304: None, **openapi.problems(400, 404), **problems(412, 416)},
    )
    def retrieve(self, request: Request, project_id: str) -> HttpResponseBase:
        """Read the video, or some of its bytes."""
        refuse_unknown(request, ("version",))
        return serving.answer(request._request, video_of(self.get_project(), self._version()))

    @extend_schema(
        parameters=[openapi.IF_MATCH_OPTIONAL, openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN],
        responses={200: ProjectSerializer, **openapi.problems(400, 403, 404, 412, 422)},
    )
    def destroy(self, request: Request, project_id: str) -> Response:
        """Leave the project without a video. Older versions of it still have theirs."""

        def work() -> Answer:
            project = self.get_project("write")
            etags.check_match(request, project.etag)
            if project.video is None:
                raise _no_video(project)
            services.remove_video(project, actor=self.actor)
            return Answer(_shown(project), headers={"ETag": str(project.etag)})

        return self.answer_change(project_id, work)

    def _version(self) -> int | None:
        text = self.request.query_params.get("version")
        return None if text is None else whole_number("version", text, 1, 2**53)


class ThumbnailViewSet(MediaViewSet):
    """A picture of a project's video, for those who may see it, or who have its signed address."""

    @extend_schema(
        parameters=SIGNED,
        responses={**A_PICTURE, 304: None, **openapi.problems(400, 403, 404), **problems(412)},
    )
    def retrieve(self, request: Request, project_id: str) -> HttpResponseBase:
        """Read the picture that was made of the video: a JPEG of at most 480 pixels a side."""
        refuse_unknown(request, ("expires", "signature"))
        project = self._signed_for() if self._is_signed else self.get_project()
        return serving.answer(request._request, thumbnail_of(project))

    @property
    def _is_signed(self) -> bool:
        return "signature" in self.request.query_params

    def get_permissions(self) -> Any:
        return [] if self._is_signed else super().get_permissions()

    def _signed_for(self) -> Project:
        """The project of a signed address; whether there is one isn't told to who made it up."""
        project = one(Project.objects.filter(project_id=self.kwargs["project_id"]))
        query = self.request.query_params
        expires, signature = query.get("expires", ""), query["signature"]
        file = project.thumbnail if project else None
        if not addresses.is_valid(file or "", expires, signature) or project is None:
            raise errors.Forbidden(
                "This address has ended. The project's `thumbnail` has a new one."
            )
        return project


def video_of(project: Project, version: int | None = None) -> Servable:
    """A project's video, or that of one of its versions. Raises NotFound."""
    state: ProjectState = history.read(project, version) if version else project.state
    if state.video is None or state.video_path is None:
        raise _no_video(project)
    modified = times.read(state.video.uploaded_at)
    return Servable(
        name=storage.name_of(project, state.video_path),
        media_type=state.video.media_type,
        tag=state.video.sha256[:32],
        modified=modified,
        called=f"{_stem(state)}.{state.video.container}",
        is_date_strong=lambda: _is_only_upload(project, modified),
    )


def thumbnail_of(project: Project) -> Servable:
    """The picture of a project's video. Raises NotFound."""
    state: ProjectState = project.state
    if state.video is None or state.thumbnail is None:
        raise _no_video(project)
    return Servable(
        name=storage.name_of(project, state.thumbnail),
        media_type="image/jpeg",
        tag=PurePath(state.thumbnail).stem,
        modified=times.read(state.video.uploaded_at),
        called=f"{_stem(state)}.jpg",
    )


def _is_only_upload(project: Project, time: datetime) -> bool:
    """Whether nothing else was uploaded at about that time, according to the history."""
    second = time.replace(microsecond=0)
    around = history.of(project).filter(created_at__gte=second, created_at__lt=second + _SAME_DATE)
    return len(around.filter(action="upload").defer("frame")[:2]) < 2


def _stem(state: ProjectState) -> str:
    return PurePath(state.video.file_name).stem if state.video else ""


def _no_video(project: Project) -> errors.NotFound:
    return errors.NotFound(f"Project {project.project_id!r} has no video. Upload one.")


def _answer_upload(project: Project) -> Answer:
    return Answer(_shown(project), 201, {"Location": addresses.video(project.project_id)})


def _shown(project: Project) -> bytes:
    return wire.encode(ProjectSerializer(project).data)
