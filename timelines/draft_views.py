"""`/api/v1/projects/{id}/timeline/draft/` and `…/drafts/`"""

from typing import Annotated

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from projects.models import Project, Right
from snipix import api, history, openapi, states, times, wire
from snipix.pagination import Keyset
from snipix.parameters import refuse_unknown
from timelines import drafts, state
from timelines.models import Draft

BY_AUTOSAVE = Keyset("updatedAt")


class DraftBody(states.Struct, frozen=True, kw_only=True):
    """An autosave: the state, and the ETag of the version that the edit began on."""

    base_etag: Annotated[str, msgspec.Meta(max_length=100)]
    state: state.TimelineState


class DraftRead(msgspec.Struct, kw_only=True):
    """A draft. Newer ones than the head may hold work that was never saved."""

    client_id: str
    base_etag: str
    updated_at: str
    size: int
    is_newer: bool
    """Whether it was autosaved after the timeline's last save."""

    @classmethod
    def of(cls, draft: Draft, project: Project) -> "DraftRead":
        return cls(
            client_id=draft.client_id,
            base_etag=draft.base_etag,
            updated_at=times.write(draft.updated_at),
            size=int(draft.size),
            is_newer=draft.is_newer_than(project),
        )


class DraftWithState(DraftRead, kw_only=True):
    """A draft with its state."""

    state: state.TimelineState


class DraftPage(msgspec.Struct):
    """One page of one's own drafts, those newer than the head first."""

    results: list[DraftRead]
    next: str | None


class DraftViewSet(api.DocumentViewSet):
    """What an editor autosaves between saves. Needs `X-Client-Id`."""

    def get_project(self, right: Right = "read") -> Project:
        return Project.objects.in_hands_of(self.actor.user_id, self.kwargs["project_id"], right)

    @extend_schema(
        parameters=[openapi.CLIENT_ID],
        responses={200: openapi.struct(DraftWithState), **openapi.problems(400, 404)},
    )
    def retrieve(self, request: Request, project_id: str) -> Response:
        """Read the draft of a client of yours."""
        project = self.get_project()
        draft = drafts.get(project, actor=self.actor)
        shown = DraftRead.of(draft, project)
        content = msgspec.Raw(draft.content)
        return Response(wire.encode({**msgspec.structs.asdict(shown), "state": content}))

    @extend_schema(
        parameters=[openapi.CLIENT_ID],
        request={"application/json": openapi.struct(DraftBody)},
        responses={200: openapi.struct(DraftRead), **openapi.problems(400, 403, 404, 413)},
    )
    def update(self, request: Request, project_id: str) -> Response:
        """Autosave: the last write wins, no version is made."""
        drafts.client_of(self.actor)
        body = states.decode(wire.raw(request), DraftBody)
        state.check(body.state)

        def work() -> DraftRead:
            project = self.get_project("write")
            draft = drafts.put(project, body.state, base_etag=body.base_etag, actor=self.actor)
            return DraftRead.of(draft, project)

        return Response(wire.encode(history.change(work)))

    @extend_schema(
        parameters=[openapi.CLIENT_ID], responses={204: None, **openapi.problems(400, 404)}
    )
    def destroy(self, request: Request, project_id: str) -> Response:
        """Throw the draft of a client of yours away."""
        project = self.get_project()
        drafts.get(project, actor=self.actor)
        history.change(lambda: drafts.discard(project, actor=self.actor))
        return Response(status=204)

    @extend_schema(
        parameters=[openapi.CURSOR, openapi.PAGE_SIZE],
        responses={200: openapi.struct(DraftPage), **openapi.problems(400, 404)},
    )
    def list(self, request: Request, project_id: str) -> Response:
        """List your own drafts, the last autosaved first: those newer than the head lead."""
        refuse_unknown(request, ("cursor", "page_size"))
        project = self.get_project()
        mine = {"projectId": project.project_id, "userId": self.actor.user_id}
        page = BY_AUTOSAVE.page(Draft, mine, request, without=("frame",))
        found = [DraftRead.of(draft, project) for draft in page.results]
        return Response(wire.encode(DraftPage(found, page.next)))
