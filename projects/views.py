"""`/api/v1/projects/`"""

from collections.abc import Callable
from typing import Any

import msgspec
from bson import ObjectId
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from media import addresses
from projects import listing, purging, services
from projects.current_views import CurrentViewSet
from projects.models import Project, Right
from projects.serializers import (
    CollaboratorsSerializer,
    HandOverSerializer,
    ProjectPageSerializer,
    ProjectSerializer,
    TrashedSerializer,
    TrashPageSerializer,
)
from projects.state import Collaborator
from snipix import api, audit_views, errors, etags, idempotency, openapi, wire
from snipix.audit_views import EntryPage
from snipix.idempotency import Answer
from snipix.mongo import one
from snipix.pagination import Keyset, count
from snipix.parameters import refuse_unknown
from snipix.versions import Rollback

BY_DELETION = Keyset("deletedAt")


class Purged(msgspec.Struct):
    """How many documents of each kind are gone."""

    purged: dict[str, int]


_CHANGES = [openapi.IF_MATCH_OPTIONAL, openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN]
_REPLACES = [openapi.IF_MATCH, openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN]


class ProjectViewSet(CurrentViewSet):
    """Projects: the last edited one first."""

    kind = "project"
    queryset = Project.objects.none()
    serializer_class = ProjectSerializer

    def get_document(self, right: Right = "read") -> Project:
        return self.get_project(right)

    def roll_back(self, version: int) -> Answer:
        project = self.get_document("write")
        services.roll_back_project(project, version, actor=self.actor)
        return self._answer(project)

    @extend_schema(
        parameters=[openapi.CURSOR, openapi.PAGE_SIZE, *openapi.LISTING],
        responses={200: ProjectPageSerializer, **openapi.problems(400)},
    )
    def list(self, request: Request) -> Response:
        """List the projects that you can see, the last edited one first; filter and search them."""
        keyset, match = listing.wanted(request, self.actor.user_id)

        def make() -> bytes:
            total = count(Project, match, request)
            page = keyset.page(Project, match, request)
            results = ProjectSerializer(page.results, many=True).data
            counted = {} if total is None else {"total": total}
            return wire.encode({"results": results, "next": page.next, **counted})

        return self.answer_page(make)

    @extend_schema(
        parameters=[openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN],
        responses={
            201: ProjectSerializer,
            200: OpenApiResponse(ProjectSerializer, "With `dry_run`: nothing was made."),
            **openapi.problems(400, 409, 413, 415, 422),
        },
    )
    def create(self, request: Request) -> Response:
        """Make a project. Its id may be chosen, so that an editor can begin offline."""
        content = self._validated()
        project_id = content.pop("project_id", None) or idempotency.derived_id(request)

        def work() -> Answer:
            project = services.create_project(actor=self.actor, project_id=project_id, **content)
            return self._answer(project, 201)

        return self.answer_change(project_id or "", work, creates=True)

    @extend_schema(responses={200: ProjectSerializer, 304: None, **openapi.problems(404)})
    def retrieve(self, request: Request, project_id: str) -> Response:
        """Read a project, with a summary of its timeline."""
        return self.answer_current(self._encode, options=addresses.period())

    @extend_schema(
        parameters=_REPLACES,
        responses={200: ProjectSerializer, **openapi.problems(400, 403, 404, 412, 422, 428)},
    )
    def update(self, request: Request, project_id: str) -> Response:
        """Replace what can be set: fields that are left out get their defaults."""
        return self._change(lambda project: services.defaults() | self._validated(project))

    @extend_schema(
        parameters=_REPLACES,
        responses={200: ProjectSerializer, **openapi.problems(400, 403, 404, 412, 422, 428)},
    )
    def partial_update(self, request: Request, project_id: str) -> Response:
        """Replace the fields that are named; `metadata` as a whole."""
        return self._change(lambda project: self._validated(project, partial=True))

    @extend_schema(
        parameters=_CHANGES,
        responses={200: TrashedSerializer, **openapi.problems(400, 403, 404, 412, 422)},
    )
    def destroy(self, request: Request, project_id: str) -> Response:
        """Move a project to the trash, from where it can be restored until retention ends."""

        def work() -> Answer:
            project = self.get_document("own")
            etags.check_match(request, project.etag)
            project.delete(actor=self.actor)
            return Answer(wire.encode(TrashedSerializer(project).data))

        return self.answer_change(project_id, work)

    @extend_schema(
        request=None,
        parameters=_CHANGES,
        responses={200: ProjectSerializer, **openapi.problems(400, 403, 404, 412, 422)},
    )
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, project_id: str) -> Response:
        """Bring a project back from the trash. One that isn't there stays as it is."""

        def work() -> Answer:
            project = Project.everything.in_hands_of(self.actor.user_id, project_id, "own")
            etags.check_match(request, project.etag)
            project.restore(actor=self.actor)
            return self._answer(project)

        return self.answer_change(project_id, work)

    @extend_schema(
        request=None,
        parameters=[openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN],
        responses={200: openapi.struct(Purged), **openapi.problems(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def purge(self, request: Request, project_id: str) -> Response:
        """Destroy a project in the trash for ever, with all that belongs to it. Administrators."""
        self.require_staff()

        def work() -> Answer:
            project = one(Project.everything.trashed().filter(project_id=project_id))
            if project is None:
                raise errors.NotFound(f"There is no project {project_id!r} in the trash.")
            gone = purging.count(project)
            if purging.begin(project, actor=self.actor) is None:
                raise errors.NotFound(f"There is no project {project_id!r} in the trash.")
            begun.append(project.pk)
            return Answer(wire.encode(Purged(gone)))

        begun: list[ObjectId] = []
        response = self.answer_change(project_id, work)
        for key in begun[-1:]:
            purging.finish_begun(key)
        return response

    @extend_schema(
        request=CollaboratorsSerializer,
        parameters=_REPLACES,
        responses={200: ProjectSerializer, **openapi.problems(400, 403, 404, 412, 422, 428)},
    )
    @action(detail=True, methods=["put"])
    def collaborators(self, request: Request, project_id: str) -> Response:
        """Set who else may see or change the project. The owner's to do."""
        wanted = self._checked(CollaboratorsSerializer)

        def work() -> Answer:
            project = self.get_document("own")
            etags.require_match(request, project.etag)
            shared = [Collaborator(**c) for c in wanted["collaborators"]]
            services.share_project(project, shared, actor=self.actor)
            return self._answer(project)

        return self.answer_change(project_id, work)

    @extend_schema(
        request=HandOverSerializer,
        parameters=_CHANGES,
        responses={200: ProjectSerializer, **openapi.problems(400, 403, 404, 412, 422)},
    )
    @action(detail=True, methods=["post"], url_path="hand-over")
    def hand_over(self, request: Request, project_id: str) -> Response:
        """Make somebody else the owner. You may still change the project afterwards."""
        wanted = self._checked(HandOverSerializer)

        def work() -> Answer:
            project = self.get_document("own")
            etags.check_match(request, project.etag)
            services.hand_over_project(project, wanted["user_id"], actor=self.actor)
            return self._answer(project)

        return self.answer_change(project_id, work)

    @extend_schema(
        parameters=[openapi.CURSOR, openapi.PAGE_SIZE],
        responses={200: openapi.struct(EntryPage), **openapi.problems(400, 404)},
    )
    @action(detail=True)
    def audit(self, request: Request, project_id: str) -> Response:
        """List who changed the project, its timeline and what else belongs to it, and when."""
        refuse_unknown(request, ("cursor", "page_size"))
        project = Project.everything.in_hands_of(self.actor.user_id, project_id)
        match = {"projectId": project.project_id}
        return audit_views.page(match, request, with_address=self.actor.is_staff)

    @extend_schema(
        request={"application/json": openapi.struct(Rollback)},
        parameters=_CHANGES,
        responses={200: ProjectSerializer, **openapi.problems(400, 403, 404, 412, 422)},
    )
    def rollback(self, request: Request, project_id: str) -> Response:
        return super().rollback(request, project_id)

    def _change(self, content: Callable[[Project], dict[str, Any]]) -> Response:
        def work() -> Answer:
            project = self.get_document("write")
            etags.require_match(self.request, project.etag)
            services.update_project(project, actor=self.actor, **content(project))
            return self._answer(project)

        return self.answer_change(self.kwargs["project_id"], work)

    def _validated(self, project: Project | None = None, partial: bool = False) -> dict[str, Any]:
        content = self._checked(ProjectSerializer, project, partial=partial)
        if project is not None:
            content.pop("project_id", None)
        return content

    def _checked(self, kind: Any, instance: Any = None, **options: Any) -> dict[str, Any]:
        serializer = kind(instance, data=self.request.data, **options)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def _encode(self, project: Project) -> bytes:
        return wire.encode(ProjectSerializer(project).data)

    def _answer(self, project: Project, status: int = 200) -> Answer:
        headers = {"ETag": str(project.etag)}
        if status == 201:
            headers["Location"] = f"/api/v1/projects/{project.project_id}/"
        return Answer(self._encode(project), status, headers)


class TrashViewSet(api.DocumentViewSet):
    """`/api/v1/trash/`: what can be restored."""

    @extend_schema(
        parameters=[openapi.CURSOR, openapi.PAGE_SIZE],
        responses={200: TrashPageSerializer, **openapi.problems(400)},
    )
    def list(self, request: Request) -> Response:
        """List what is in the trash, the last deleted first, and when it will be destroyed."""
        refuse_unknown(request, ("cursor", "page_size"))
        mine = {"isDeleted": True, "readers": self.actor.user_id}
        page = BY_DELETION.page(Project, mine, request)
        return Response(
            {"results": TrashedSerializer(page.results, many=True).data, "next": page.next}
        )
