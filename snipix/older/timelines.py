"""`/timeline/`: saves that name no version, and a history whose newest version is the current."""

from bson import ObjectId
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from projects.models import Project, Right
from snipix import checkpoints, errors, etags, openapi, states, wire
from snipix.etags import ETag
from snipix.history import Revision
from snipix.idempotency import Answer
from snipix.mongo import one
from snipix.older.envelope import OPTIONS, OlderViewSet, answers, failures, success
from snipix.older.timeline_forms import (
    OlderTimeline,
    OlderTimelineChange,
    OlderTimelineSave,
    OlderTimelineVersion,
    read_state,
    shown,
    shown_history,
)
from snipix.parameters import whole_number
from timelines import services, words
from timelines.models import Timeline
from timelines.state import TimelineState

MAX_HISTORY = 1_000
UNNAMED = (None, "", "Quick Save")
"""Descriptions of what nobody has given a name: the last is the client's own word for that."""

_CHANGES = [openapi.IF_MATCH_OPTIONAL, openapi.IDEMPOTENCY_KEY]
_VERSION_ID = OpenApiParameter(
    "project_id", str, OpenApiParameter.PATH, description="No project's: the `_id` of a version."
)


class VersionsStay(errors.SnipixError):
    """A version can't be taken out of a history."""

    status = 409
    code = "versions-stay"
    title = "Versions are never removed"


class OlderTimelineViewSet(OlderViewSet):
    """The timeline of a project, and its versions."""

    kind = "timeline"

    def get_document(self, right: Right = "read") -> Timeline:
        return Timeline.of(self.get_project(right))

    @extend_schema(
        request={"application/json": openapi.struct(OlderTimelineSave)},
        parameters=_CHANGES,
        responses={200: answers(OlderTimeline), **failures(400, 404, 412, 413, 422)},
    )
    def create(self, request: Request) -> Response:
        """Save a timeline: the next version, on top of the current one, whatever that is by then.

        A state that is equal to the current one makes none; a name under which it is saved becomes
        that version's.
        """
        sent = states.decode(wire.raw(request), OlderTimelineSave)
        self.kwargs["project_id"] = sent.project_id
        return self._save(sent)

    @extend_schema(responses={200: answers(OlderTimeline), 304: None, **failures(404)})
    def retrieve(self, request: Request, project_id: str) -> Response:
        """Read the timeline. One that was never saved is empty, and at version 0."""
        return self._answer_current()

    @extend_schema(responses={200: answers(OlderTimeline), **failures(404)})
    def version(self, request: Request, project_id: str, version: str) -> Response:
        """Read one version."""
        found = shown(self.get_document(), int(version), is_flat=True)
        return Response(success(found, "Timeline state found"))

    @extend_schema(
        parameters=[
            OpenApiParameter("limit", int, description="Versions at most; by default 20."),
            OpenApiParameter("skip", int, description="How many of the newest to leave out."),
        ],
        responses={200: answers(OlderTimelineVersion, many=True), **failures(400, 404)},
    )
    def history(self, request: Request, project_id: str) -> Response:
        """List the versions, the newest first, without their states."""
        query = request.query_params
        limit = whole_number("limit", query.get("limit", "20"), 1, MAX_HISTORY)
        skip = whole_number("skip", query.get("skip", "0"), 0, 2**53)
        found = shown_history(self.get_document(), limit, skip)
        return Response(success(found, f"Found {len(found)} timeline versions"))

    @extend_schema(
        request=None,
        parameters=_CHANGES,
        responses={200: answers(OlderTimeline), **failures(400, 404, 412, 422)},
    )
    def restore(self, request: Request, project_id: str, version: str) -> Response:
        """Make the state of an old version the next version, which a page then loads.

        The current one stays the current one: every load of a page restores it.
        """
        _, tag = self.find_current()
        if ETag.read(tag.etag).version == int(version):
            return self._answer_current()

        def work() -> Answer:
            project = self.get_project("write")
            timeline = Timeline.of(project)
            etags.check_match(request, timeline.etag)
            services.roll_back_timeline(project, timeline, int(version), actor=self.actor)
            return Answer(success(shown(timeline, timeline.version), "Timeline restored"))

        return self.answer_change(project_id, work)

    @extend_schema(
        request={"application/json": openapi.struct(OlderTimelineChange)},
        parameters=[_VERSION_ID, *_CHANGES],
        responses={200: answers(OlderTimeline), **failures(400, 404, 412, 413, 422)},
    )
    def update(self, request: Request, project_id: str) -> Response:
        """Save a state over a version, that is, as the next one: none is ever rewritten.

        Without a state, the version is named by the description.
        """
        sent = states.decode(wire.raw(request), OlderTimelineChange)
        revision = self._revision(project_id)
        self.kwargs["project_id"] = revision.project_id
        if sent.timeline_state is not None:
            return self._save(sent)

        def work() -> Answer:
            timeline = self.get_document("write")
            self._name(timeline, revision.version, sent.description)
            return Answer(success(shown(timeline, revision.version), "Timeline updated"))

        return self.answer_change(revision.project_id, work)

    @extend_schema(parameters=[_VERSION_ID], responses=failures(404, 409))
    def destroy(self, request: Request, project_id: str) -> Response:
        """Refuse to remove a version, and say why."""
        version = self._revision(project_id).version
        raise VersionsStay(
            f"Version {version} stays: it is part of the timeline's history, "
            "of which nothing is removed. What isn't needed any more can be deleted as a project."
        )

    def _answer_current(self) -> Response:
        def encode(timeline: Timeline) -> bytes:
            return success(shown(timeline, timeline.version, is_flat=True), "Timeline found")

        return self.answer_current(encode, options=OPTIONS)

    def _save(self, sent: OlderTimelineChange) -> Response:
        def work() -> Answer:
            project = self.get_project("write")
            timeline = Timeline.of(project)
            etags.check_match(self.request, timeline.etag)
            before = timeline.state
            after = read_state(sent.timeline_state, before)
            is_new = services.save_timeline(
                project,
                timeline,
                after,
                actor=self.actor,
                description=sent.description or "",
                change_summary=sent.change_summary or _told(before, after),
            )
            if not is_new:
                self._name(timeline, timeline.version, sent.description)
            return Answer(success(shown(timeline, timeline.version), "Timeline saved"))

        return self.answer_change(self.kwargs["project_id"], work)

    def _name(self, timeline: Timeline, version: int, description: str | None) -> None:
        """Keep the name that somebody gave a version without changing its state."""
        if description not in UNNAMED:
            checkpoints.name_version(timeline, version, str(description)[:200], actor=self.actor)

    def _revision(self, id: str) -> Revision:
        """The version that has an `_id`. Raises NotFound, also for one that is a stranger's."""
        known = Revision.objects.filter(pk=id, kind=self.kind) if ObjectId.is_valid(id) else None
        found = one(known.defer("frame")) if known is not None else None
        mine = Project.objects.visible_to(self.actor.user_id)
        if found is None or not mine.filter(project_id=found.project_id).exists():
            raise errors.NotFound(f"There is no timeline state {id!r}, or it isn't yours.")
        return found


def _told(before: TimelineState, after: TimelineState) -> str:
    return "; ".join(words.words(before, after))[:2000]
