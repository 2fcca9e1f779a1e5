"""`/media/…`: the older client's addresses."""

from collections.abc import Mapping

import msgspec
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from media import addresses
from media.uploading import UploadViewSet
from media.views import A_FILE, A_PICTURE, RANGE, SIGNED, VERSION, ThumbnailViewSet, VideoViewSet
from projects.models import Project
from projects.state import ProjectState
from snipix import errors
from snipix.idempotency import Answer
from snipix.older.envelope import OlderPath, answers, failures, success

FORM_FOR_PROJECT = {
    "multipart/form-data": {
        "type": "object",
        "required": ["project_id", "file"],
        "properties": {
            "project_id": {"type": "string"},
            "file": {"type": "string", "format": "binary"},
        },
    }
}


class OlderUpload(msgspec.Struct, kw_only=True):
    """What has become of an uploaded video."""

    project_id: str
    file_path: str
    """Where it is to be had: an address, and no path of the server."""
    duration: float
    """In seconds."""
    thumbnail: str


class OlderUploadViewSet(OlderPath, UploadViewSet):
    """`/media/upload`: a form with a `file` and the `project_id` that it is for."""

    form_fields = ("project_id",)

    @extend_schema(
        request=FORM_FOR_PROJECT,
        responses={200: answers(OlderUpload), **failures(400, 403, 404, 413, 422)},
    )
    def upload(self, request: Request) -> Response:
        """Upload a project's video."""
        self.check_upload()
        with self.form() as form:
            project = self.found(self._project_id(form.fields))
            return self.take_in(form, project, _answer)

    def check_fields(self, fields: Mapping[str, str]) -> None:
        """Whose project it is, where the form says so before its file."""
        if "project_id" in fields:
            self.found(fields["project_id"])

    def _project_id(self, fields: Mapping[str, str]) -> str:
        if "project_id" not in fields:
            hint = "Send the id of the project beside the file, best before it."
            raise errors.InvalidInput.at("project_id", "is missing", hint)
        return fields["project_id"]


class OlderVideoViewSet(OlderPath, VideoViewSet):
    """`/media/{id}/video`: as in v1, and never what was trimmed."""

    @extend_schema(
        parameters=[RANGE, VERSION], responses={**A_FILE, 304: None, **failures(400, 404, 412, 416)}
    )
    def retrieve(self, request: Request, project_id: str) -> HttpResponseBase:
        return super().retrieve(request, project_id)


class OlderThumbnailViewSet(OlderPath, ThumbnailViewSet):
    """`/media/{id}/thumbnail`: as in v1."""

    @extend_schema(
        parameters=SIGNED, responses={**A_PICTURE, 304: None, **failures(400, 403, 404, 412)}
    )
    def retrieve(self, request: Request, project_id: str) -> HttpResponseBase:
        return super().retrieve(request, project_id)


def _answer(project: Project) -> Answer:
    state: ProjectState = project.state
    made = OlderUpload(
        project_id=project.project_id,
        file_path=addresses.video(project.project_id, older=True),
        duration=state.duration or 0.0,
        thumbnail=addresses.thumbnail(project.project_id, state.thumbnail or "", older=True),
    )
    return Answer(success(made, "Video uploaded successfully"))
