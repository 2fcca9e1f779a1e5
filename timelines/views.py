"""`/api/v1/projects/{id}/timeline/`"""

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from projects.models import Project, Right
from snipix import etags, history, openapi, times, wire
from snipix.idempotency import Answer
from snipix.pagination import one_time, refuse_unknown
from snipix.states import StateWarning
from snipix.versions import Rollback, VersionedViewSet
from timelines import services, state
from timelines.models import Timeline


class TimelineRead(state.TimelineState, frozen=True, kw_only=True):
    """A timeline's state, with its version and when that was saved beside its fields."""

    version: int = 0
    updated_at: str = ""


class TimelineSaved(msgspec.Struct):
    """What saving a timeline answers."""

    version: int
    etag: str
    updated_at: str
    warnings: list[StateWarning]


class TimelineViewSet(VersionedViewSet):
    """A project's timeline: layers, clips, keyframes and markers."""

    def get_project(self, right: Right = "read") -> Project:
        return Project.objects.in_hands_of(self.actor.user_id, self.kwargs["project_id"], right)

    def get_document(self, right: Right = "read") -> Timeline:
        return Timeline.of(self.get_project(right))

    def roll_back(self, version: int) -> Answer:
        project = self.get_project("write")
        timeline = Timeline.of(project)
        services.roll_back_timeline(project, timeline, version, actor=self.actor)
        return _saved(timeline, state.warnings(timeline.state))

    @extend_schema(
        request={"application/json": openapi.struct(Rollback)},
        parameters=[openapi.IF_MATCH_OPTIONAL, openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN],
        responses={200: openapi.struct(TimelineSaved), **openapi.problems(400, 403, 404, 412, 422)},
    )
    def rollback(self, request: Request, project_id: str) -> Response:
        return super().rollback(request, project_id)

    @extend_schema(
        parameters=[openapi.AT],
        responses={200: openapi.struct(TimelineRead), 304: None, **openapi.problems(400, 404)},
    )
    def retrieve(self, request: Request, project_id: str) -> Response:
        """Read the timeline. One that was never saved is empty, and at version 0.

        With `?at=` it is read as it was at a time, in the form that …/versions/{n}/ has.
        """
        refuse_unknown(request, ("at",))
        timeline = self.get_document()
        if "at" in request.query_params:
            then = one_time(request, "at")
            return self.answer_version(timeline, history.revision_at(timeline, then))
        return self.answer_read(timeline.etag, lambda: _encode(timeline))

    @extend_schema(
        parameters=[openapi.IF_MATCH, openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN],
        request={"application/json": openapi.struct(state.Save)},
        responses={
            200: openapi.struct(TimelineSaved),
            **openapi.problems(400, 403, 404, 412, 413, 422, 428),
        },
    )
    def update(self, request: Request, project_id: str) -> Response:
        """Save the timeline as a whole; a new version, unless nothing has changed."""
        new, description, change_summary = state.parse_save(wire.raw(request))
        warnings = state.warnings(new)

        def work() -> Answer:
            project = self.get_project("write")
            timeline = Timeline.of(project)
            etags.require_match(request, timeline.etag)
            services.save_timeline(
                project,
                timeline,
                new,
                actor=self.actor,
                description=description,
                change_summary=change_summary,
            )
            return _saved(timeline, warnings)

        return self.answer_change(project_id, work)


def _encode(timeline: Timeline) -> bytes:
    beside = {"version": timeline.version, "updated_at": times.write(timeline.updated_at)}
    return wire.encode({**timeline.readable_state, **beside})


def _saved(timeline: Timeline, warnings: list[StateWarning]) -> Answer:
    saved = TimelineSaved(
        int(timeline.version), str(timeline.etag), times.write(timeline.updated_at), warnings
    )
    return Answer(wire.encode(saved))
