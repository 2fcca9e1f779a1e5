"""`/transcriptions/`: what is said, with the words' `is_filler` in both spellings."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from drf_spectacular.utils import extend_schema
from msgspec import Meta, field
from msgspec.structs import replace
from rest_framework.request import Request
from rest_framework.response import Response

from projects.models import Right
from snipix import errors, etags, openapi, states, times, wire
from snipix.idempotency import Answer
from snipix.older import undeclared
from snipix.older.envelope import OPTIONS, OlderViewSet, answers, failures, success
from snipix.older.undeclared import told_as_sent
from transcriptions import edits, services, state, words
from transcriptions.editing import find, refusal
from transcriptions.edits import Edited, read_fields
from transcriptions.models import Transcription
from transcriptions.segment_views import Batch
from transcriptions.state import Segment, TranscriptionState

ShownSegment = Annotated[dict[str, Any], Meta(description="A segment as in v1, or more.")]


class OlderTranscription(
    TranscriptionState, frozen=True, kw_only=True, forbid_unknown_fields=False
):
    """A transcription, with whatever else a client has sent. Its words have `isFiller`, too."""

    segments: list[ShownSegment] = []  # type: ignore[assignment]
    id: str = field(name="_id", default="")
    project_id: str = ""
    created_at: str = ""
    updated_at: str = ""


class OlderTranscriptionStart(msgspec.Struct):
    """Whose transcription is made; any other field of one may be sent, too."""

    project_id: str
    language: str = "en"
    model_used: str | None = None


NOT_STATE = ("_id", "id", "project_id", "created_at", "updated_at")
"""What clients send back as they got it."""

_CHANGES = [openapi.IF_MATCH_OPTIONAL, openapi.IDEMPOTENCY_KEY]
_ANY = {"application/json": {"type": "object", "additionalProperties": True}}
_START = {"application/json": openapi.struct(OlderTranscriptionStart)}
_SEGMENTS = {"application/json": {"type": "array", "items": openapi.struct(Segment)}}
_CHANGED: dict[Any, Any] = {
    200: answers(OlderTranscription),
    **failures(400, 404, 412, 413, 422),
}


class OlderTranscriptionViews(OlderViewSet):
    """What the views of a transcription share."""

    kind = "transcription"

    def get_document(self, right: Right = "read") -> Transcription:
        return Transcription.of(self.get_project(right))

    def change(self, edit: Callable[[TranscriptionState], Edited], message: str) -> Response:
        """Make an edit the next version."""

        def work() -> Answer:
            project = self.get_project("write")
            transcription = Transcription.of(project)
            etags.check_match(self.request, transcription.etag)
            with told_as_sent():
                edited = edit(transcription.state)
            summary = edited.summary[:2000]
            services.save_transcription(
                project, transcription, edited.state, actor=self.actor, change_summary=summary
            )
            kept = f"; {len(edited.kept)} stay as somebody has edited them" if edited.kept else ""
            return Answer(success(shown(transcription), message + kept))

        return self.answer_change(self.kwargs["project_id"], work)


class OlderTranscriptionViewSet(OlderTranscriptionViews):
    """The transcription of a project."""

    @extend_schema(
        request=_START,
        parameters=[openapi.IDEMPOTENCY_KEY],
        responses={200: answers(OlderTranscription), **failures(400, 404, 409, 413, 422)},
    )
    def create(self, request: Request) -> Response:
        """Make a project's transcription; one that is in the trash comes back as this."""
        sent = read_fields(wire.raw(request))
        project_id = sent.get("project_id")
        if not isinstance(project_id, str):
            raise errors.InvalidInput.at("project_id", "must be a string", "Send a project's id.")
        self.kwargs["project_id"] = project_id
        new = _replaced(state.EMPTY, sent)

        def work() -> Answer:
            project = self.get_project("write")
            made = services.create_transcription(project, new.state, actor=self.actor)
            return Answer(success(shown(made), "Transcription created successfully"))

        return self.answer_change(project_id, work)

    @extend_schema(responses={200: answers(OlderTranscription), 304: None, **failures(404)})
    def retrieve(self, request: Request, project_id: str) -> Response:
        """Read the transcription."""
        return self.answer_current(
            lambda found: success(shown(found), "Transcription found"), options=OPTIONS
        )

    @extend_schema(request=_ANY, parameters=_CHANGES, responses=_CHANGED)
    def update(self, request: Request, project_id: str) -> Response:
        """Replace the fields that are sent: `segments`, `speakers`, `is_edited` …"""
        sent = read_fields(wire.raw(request))
        return self.change(lambda before: _replaced(before, sent), "Transcription updated")

    @extend_schema(
        parameters=_CHANGES, responses={200: answers(None), **failures(400, 404, 412, 422)}
    )
    def destroy(self, request: Request, project_id: str) -> Response:
        """Move the transcription to the trash; the project stays."""

        def work() -> Answer:
            project = self.get_project("write")
            transcription = Transcription.of(project)
            etags.check_match(request, transcription.etag)
            services.delete_transcription(project, transcription, actor=self.actor)
            return Answer(success(None, "Transcription deleted successfully"))

        return self.answer_change(project_id, work)

    @extend_schema(request=_ANY, parameters=_CHANGES, responses=_CHANGED)
    def metadata(self, request: Request, project_id: str) -> Response:
        """Change what is known of the whole: `processing_time`, `model_used`, `speakers` …"""
        sent = _given(read_fields(wire.raw(request)))
        return self.change(
            lambda before: edits.change_metadata(before, **undeclared.changes(sent, before)),
            "Transcription metadata updated",
        )


class OlderSegmentViewSet(OlderTranscriptionViews):
    """The segments of a transcription."""

    @extend_schema(request=_SEGMENTS, parameters=_CHANGES, responses=_CHANGED)
    def create(self, request: Request, project_id: str) -> Response:
        """Add segments, in any order; one that is sent again changes nothing."""
        sent = states.decode_free(wire.raw(request))
        if not isinstance(sent, list):
            raise refusal("", "must be an array", "Send an array of segments.")
        taken = [undeclared.taken_in(each, Segment) for each in sent]
        with told_as_sent():
            batch = states.from_builtins({"segments": taken}, Batch)
        return self.change(
            lambda before: edits.append_segments(before, batch.segments), "Segments added"
        )

    @extend_schema(request=_ANY, parameters=_CHANGES, responses=_CHANGED)
    def update(self, request: Request, project_id: str, segment_id: str) -> Response:
        """Change the fields of a segment that are sent; words needn't have ids."""
        sent = read_fields(wire.raw(request))

        def edit(before: TranscriptionState) -> Edited:
            _, segment = find(before, segment_id)
            fields = undeclared.changes(undeclared.carried_over(sent, segment), segment)
            return edits.edit_segment(before, segment_id, fields)

        return self.change(edit, "Segment updated")

    @extend_schema(parameters=_CHANGES, responses=_CHANGED)
    def destroy(self, request: Request, project_id: str, segment_id: str) -> Response:
        """Remove a segment; it stays in the history."""
        return self.change(lambda s: edits.delete_segment(s, segment_id), "Segment deleted")


def shown(transcription: Transcription) -> dict[str, Any]:
    """A transcription as `OlderTranscription`."""
    return {
        **undeclared.put_back(transcription.state),
        "_id": str(transcription.pk),
        "project_id": transcription.project_id,
        "created_at": times.write(transcription.created_at),
        "updated_at": times.write(transcription.updated_at),
    }


def _replaced(before: TranscriptionState, sent: dict[str, Any]) -> Edited:
    """A transcription with the fields that were sent. Raises InvalidState."""
    whole = undeclared.carried_over(_given(sent), before)
    fields = undeclared.changes(whole, before)
    with told_as_sent():
        new = states.from_builtins(fields, TranscriptionState)
        named = {name: getattr(new, name) for name in fields}
        after = state.settle(state.check(replace(before, **named)))
    return Edited(after, "; ".join(words.words(before, after)))


def _given(sent: dict[str, Any]) -> dict[str, Any]:
    """What is to be set: null stands for a field that isn't sent."""
    return {name: v for name, v in sent.items() if name not in NOT_STATE and v is not None}
