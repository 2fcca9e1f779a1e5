"""`/api/v1/projects/{id}/timeline/`"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response

from projects.current_views import CurrentViewSet
from projects.models import Right
from snipix import etags, history, openapi, times, versions, wire
from snipix.documents import Document
from snipix.history import Revision
from snipix.idempotency import Answer
from snipix.pagination import OLDEST_VERSION_FIRST
from snipix.parameters import one_time, refuse_unknown, whole_number
from snipix.states import StateWarning
from snipix.versions import Comparison, Rollback, Version, VersionWithState
from timelines import changes, edits, json_patch, services, state, words
from timelines.changes import Change
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
    merged: bool = False
    """Whether others had saved meanwhile, so that the state isn't the one that was sent."""


class TimelineComparison(Comparison, kw_only=True):
    """What differs between two versions, in words too, and as a patch from one to the other."""

    words: list[str]
    patch: list[dict[str, Any]]


class Changes(msgspec.Struct, kw_only=True):
    """What happened since a version: `patch` (RFC 6902) makes the newest state of that one."""

    since: int
    version: int
    etag: str
    versions: list[Version]
    words: list[str]
    patch: list[dict[str, Any]]


class PatchOperation(msgspec.Struct, rename={"from_": "from"}):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: str
    from_: str | None = None
    value: Any = None


MAX_MISSED = 100
_SAVES = [openapi.IF_MATCH, openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN, openapi.PREFER]


class TimelineViewSet(CurrentViewSet):
    """A project's timeline: layers, clips, keyframes and markers."""

    kind = "timeline"

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
        responses={
            200: openapi.either(TimelineRead, VersionWithState),
            304: None,
            **openapi.problems(400, 404),
        },
    )
    def retrieve(self, request: Request, project_id: str) -> Response:
        """Read the timeline. One that was never saved is empty, and at version 0.

        With `?at=` it is read as it was at a time, in the form that …/versions/{n}/ has.
        """
        refuse_unknown(request, ("at",))
        if "at" in request.query_params:
            return self.answer_then(one_time(request, "at"))
        return self.answer_current(_encode)

    @extend_schema(
        parameters=_SAVES,
        request={"application/json": openapi.struct(state.Save)},
        responses={
            200: openapi.struct(TimelineSaved),
            **openapi.problems(400, 403, 404, 409, 412, 413, 422, 428),
        },
    )
    def update(self, request: Request, project_id: str) -> Response:
        """Save the timeline as a whole; a new version, unless nothing has changed."""
        return self._change(request, {wire.JSON: changes.replacement})

    @extend_schema(
        parameters=_SAVES,
        request={
            wire.EDITS: openapi.struct(edits.Edits),
            wire.JSON_PATCH: {"type": "array", "items": openapi.struct(PatchOperation)},
        },
        responses={
            200: openapi.struct(TimelineSaved),
            **openapi.problems(400, 403, 404, 409, 412, 413, 422, 428),
        },
    )
    def partial_update(self, request: Request, project_id: str) -> Response:
        """Edit the timeline, by edits of elements or by a JSON Patch; all of it or nothing."""
        kinds = {wire.EDITS: changes.from_edits, wire.JSON_PATCH: changes.from_json_patch}
        return self._change(request, kinds)

    @extend_schema(
        parameters=[openapi.SINCE],
        responses={200: openapi.struct(Changes), **openapi.problems(400, 404)},
    )
    def changes(self, request: Request, project_id: str) -> Response:
        """What a client that was away has missed: the versions since, and how to catch up."""
        refuse_unknown(request, ("since",))
        timeline = self.get_document()
        since = whole_number("since", request.query_params.get("since", "0"), 0, timeline.version)
        match = {**history.whose(timeline), "version": {"$gt": since}}
        newer = OLDEST_VERSION_FIRST.first(MAX_MISSED, Revision, match, without=("frame",))
        found = self.compared(timeline, since, timeline.version)
        missed = Changes(
            since=since,
            version=int(timeline.version),
            etag=str(timeline.etag),
            versions=versions.shown(timeline, newer),
            words=found.words,
            patch=found.patch,
        )
        return Response(wire.encode(missed))

    def compared(self, document: Document, before: int, after: int) -> TimelineComparison:
        """Compare in terms of the edit too: in words, and as a JSON Patch."""
        found = super().compared(document, before, after)
        one, other = (self._state(document, version) for version in (before, after))
        return TimelineComparison(
            **msgspec.structs.asdict(found),
            words=words.words(one, other),
            patch=json_patch.between(*map(msgspec.to_builtins, (one, other))),
        )

    def _state(self, document: Document, version: int) -> state.TimelineState:
        return history.read(document, version) if version else state.EMPTY

    def _change(self, request: Request, kinds: Mapping[str, Callable[[bytes], Change]]) -> Response:
        raw = wire.raw(request)
        # An empty body has no type; what it lacks is said by whoever reads it.
        kind = kinds.get(wire.media_type(request)) if raw else next(iter(kinds.values()))
        if kind is None:
            raise UnsupportedMediaType(wire.media_type(request))
        change = kind(raw)
        merges = "merge" in wire.preferences(request)

        def work() -> Answer:
            project = self.get_project("write")
            timeline = Timeline.of(project)
            stated = etags.stated(request, timeline.etag)
            outcome = changes.carry_out(timeline, stated, change, merges=merges)
            services.save_timeline(
                project,
                timeline,
                outcome.state,
                actor=self.actor,
                description=change.description,
                change_summary=outcome.summary,
            )
            return _saved(timeline, state.warnings(outcome.state), merged=outcome.merged)

        return self.answer_change(project_id=self.kwargs["project_id"], work=work)


def _encode(timeline: Timeline) -> bytes:
    beside = {"version": timeline.version, "updated_at": times.write(timeline.updated_at)}
    return wire.encode({**msgspec.structs.asdict(timeline.state), **beside})


def _saved(timeline: Timeline, warnings: list[StateWarning], *, merged: bool = False) -> Answer:
    saved = TimelineSaved(
        version=int(timeline.version),
        etag=str(timeline.etag),
        updated_at=times.write(timeline.updated_at),
        warnings=warnings,
        merged=merged,
    )
    return Answer(wire.encode(saved), headers={"Preference-Applied": "merge"} if merged else {})
