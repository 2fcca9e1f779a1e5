"""`/api/v1/projects/`"""

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from projects import services
from projects.models import BY_LAST_EDIT, Project
from projects.serializers import ProjectPageSerializer, ProjectSerializer, TrashedSerializer
from snipix import etags, idempotency, openapi, wire
from snipix.idempotency import Answer
from snipix.pagination import refuse_unknown
from snipix.versions import Rollback, VersionedViewSet


class ProjectViewSet(VersionedViewSet):
    """Projects: the last edited one first."""

    queryset = Project.objects.none()
    serializer_class = ProjectSerializer

    def get_document(self) -> Project:
        return Project.objects.in_hands_of(self.actor.user_id, self.kwargs["project_id"])

    def roll_back(self, version: int) -> Answer:
        project = self.get_document()
        services.roll_back_project(project, version, actor=self.actor)
        return self._answer(project)

    @extend_schema(
        parameters=[openapi.CURSOR, openapi.PAGE_SIZE],
        responses={200: ProjectPageSerializer, **openapi.problems(400)},
    )
    def list(self, request: Request) -> Response:
        """List the projects that you can see, the last edited one first."""
        refuse_unknown(request, ("cursor", "page_size"))
        mine = {"isDeleted": False, "readers": self.actor.user_id}
        page = BY_LAST_EDIT.page(Project, mine, request)
        return Response({"results": self.get_serializer(page.results, many=True).data,
                         "next": page.next})  # fmt: skip

    @extend_schema(
        parameters=[openapi.IDEMPOTENCY_KEY],
        responses={201: ProjectSerializer, **openapi.problems(400, 409, 422)},
    )
    def create(self, request: Request) -> Response:
        """Make a project. Its id may be chosen, so that an editor can begin offline."""
        content = self._validated()
        key = idempotency.derived_id(request)
        project_id = content.pop("project_id", None) or str(key)

        def work() -> Answer:
            project = services.create_project(
                actor=self.actor, id=key, project_id=project_id, **content
            )
            return self._answer(project, 201)

        return self.answer_change(project_id, work)

    @extend_schema(responses={200: ProjectSerializer, 304: None, **openapi.problems(404)})
    def retrieve(self, request: Request, project_id: str) -> Response:
        """Read a project, with a summary of its timeline."""
        project = self.get_document()
        return self.answer_read(project.etag, lambda: self._encode(project))

    @extend_schema(
        parameters=[openapi.IF_MATCH, openapi.IDEMPOTENCY_KEY],
        responses={200: ProjectSerializer, **openapi.problems(400, 404, 412, 422, 428)},
    )
    def update(self, request: Request, project_id: str) -> Response:
        """Replace what can be set: fields that are left out get their defaults."""
        return self._change(lambda project: services.defaults() | self._validated(project))

    @extend_schema(
        parameters=[openapi.IF_MATCH, openapi.IDEMPOTENCY_KEY],
        responses={200: ProjectSerializer, **openapi.problems(400, 404, 412, 422, 428)},
    )
    def partial_update(self, request: Request, project_id: str) -> Response:
        """Replace the fields that are named; `metadata` as a whole."""
        return self._change(lambda project: self._validated(project, partial=True))

    @extend_schema(
        parameters=[openapi.IF_MATCH_OPTIONAL, openapi.IDEMPOTENCY_KEY],
        responses={200: TrashedSerializer, **openapi.problems(404, 412, 422)},
    )
    def destroy(self, request: Request, project_id: str) -> Response:
        """Move a project to the trash, from where it can be restored until retention ends."""

        def work() -> Answer:
            project = self.get_document()
            etags.check_match(request, project.etag)
            project.delete(actor=self.actor)
            return Answer(wire.encode(TrashedSerializer(project).data))

        return self.answer_change(project_id, work)

    @extend_schema(
        request=None,
        parameters=[openapi.IF_MATCH_OPTIONAL, openapi.IDEMPOTENCY_KEY],
        responses={200: ProjectSerializer, **openapi.problems(404, 412, 422)},
    )
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, project_id: str) -> Response:
        """Bring a project back from the trash. One that isn't there stays as it is."""

        def work() -> Answer:
            project = Project.everything.in_hands_of(self.actor.user_id, project_id)
            etags.check_match(request, project.etag)
            project.restore(actor=self.actor)
            return self._answer(project)

        return self.answer_change(project_id, work)

    @extend_schema(
        request={"application/json": openapi.struct(Rollback)},
        parameters=[openapi.IF_MATCH_OPTIONAL, openapi.IDEMPOTENCY_KEY],
        responses={200: ProjectSerializer, **openapi.problems(400, 404, 412, 422)},
    )
    def rollback(self, request: Request, project_id: str) -> Response:
        return super().rollback(request, project_id)

    def _change(self, content: Callable[[Project], dict[str, Any]]) -> Response:
        def work() -> Answer:
            project = self.get_document()
            etags.require_match(self.request, project.etag)
            services.update_project(project, actor=self.actor, **content(project))
            return self._answer(project)

        return self.answer_change(self.kwargs["project_id"], work)

    def _validated(self, project: Project | None = None, partial: bool = False) -> dict[str, Any]:
        serializer = self.get_serializer(project, data=self.request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        content = dict(serializer.validated_data)
        if project is not None:
            content.pop("project_id", None)
        return content

    def _encode(self, project: Project) -> bytes:
        return wire.encode(self.get_serializer(project).data)

    def _answer(self, project: Project, status: int = 200) -> Answer:
        headers = {"ETag": str(project.etag)}
        if status == 201:
            headers["Location"] = f"/api/v1/projects/{project.project_id}/"
        return Answer(self._encode(project), status, headers)
