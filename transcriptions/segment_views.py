"""`…/transcription/segments/` and what else is said of parts of a transcription."""

from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Any

from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from snipix import errors, etags, openapi, states, wire
from snipix.etags import ETag
from snipix.parameters import refuse_unknown
from snipix.states import S, Struct
from transcriptions import edits
from transcriptions.editing import find
from transcriptions.models import Transcription
from transcriptions.state import Id, Segment
from transcriptions.views import (
    CHANGES,
    REPLACES,
    TranscriptionSaved,
    TranscriptionViews,
    check_current,
    require_current,
)

MAX_BATCH = 5_000


class Batch(Struct, frozen=True, kw_only=True):
    """Segments to be added, in any order."""

    segments: Annotated[list[Segment], Meta(min_length=1, max_length=MAX_BATCH)]


class Split(Struct, frozen=True, kw_only=True):
    """Where a segment is to be split."""

    at: Annotated[
        Any,
        Meta(
            description="A time in seconds, or the id of the second part's first word.",
            extra_json_schema={"type": ["number", "string"]},
        ),
    ]
    new_id: Annotated[str, Meta(description="Of the second part; made if it is left out.")] = ""


class Merge(Struct, frozen=True, kw_only=True):
    """Neighbouring segments that are to be one."""

    ids: list[str]


class Assignment(Struct, frozen=True, kw_only=True):
    """Who speaks in some segments; null: nobody knows."""

    ids: list[str]
    speaker_id: Id | None


class SpeakerName(Struct, frozen=True, kw_only=True):
    """What a speaker is to be called."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]


_CHANGED: dict[Any, Any] = {
    200: openapi.struct(TranscriptionSaved),
    **openapi.problems(400, 403, 404, 412, 413, 422),
}
_REPLACED: dict[Any, Any] = {**_CHANGED, **openapi.problems(428)}


class SegmentViewSet(TranscriptionViews):
    """The segments of a transcription, one by one.

    A segment has an ETag of its own, so that a change of another one refuses no edit of it.
    """

    @extend_schema(
        request={"application/json": openapi.struct(Batch)}, parameters=CHANGES, responses=_CHANGED
    )
    def create(self, request: Request, project_id: str) -> Response:
        """Add segments, in any order; one that is sent again changes nothing.

        One whose id is there with another content is replaced, unless somebody has edited it.
        """
        batch = _decoded(request, Batch)
        return self.change(lambda s: edits.append_segments(s, batch.segments), check_current)

    @extend_schema(
        responses={200: openapi.struct(Segment), 304: None, **openapi.problems(404)},
    )
    def retrieve(self, request: Request, project_id: str, segment_id: str) -> Response:
        """Read a segment, under its own ETag."""
        refuse_unknown(request, ())
        _, segment = find(self.get_document().state, segment_id)
        return self.answer_read(_etag(segment), lambda: wire.encode(segment))

    @extend_schema(
        request={"application/json": {"type": "object", "additionalProperties": True}},
        parameters=REPLACES,
        responses=_REPLACED,
    )
    def partial_update(self, request: Request, project_id: str, segment_id: str) -> Response:
        """Change fields of a segment; the words follow the text that is shown, with their times.

        `edited_text` is what people make of the recognised `text`; null takes it back.
        """
        fields = edits.read_fields(wire.raw(request))
        check = _match(segment_id, is_required=True)
        return self.change(lambda s: edits.edit_segment(s, segment_id, fields), check)

    @extend_schema(parameters=CHANGES, responses=_CHANGED)
    def destroy(self, request: Request, project_id: str, segment_id: str) -> Response:
        """Remove a segment; it stays in the history."""
        check = _match(segment_id)
        return self.change(lambda s: edits.delete_segment(s, segment_id), check)

    @extend_schema(
        request={"application/json": openapi.struct(Split)}, parameters=CHANGES, responses=_CHANGED
    )
    def split(self, request: Request, project_id: str, segment_id: str) -> Response:
        """Split a segment in two, between two words."""
        wanted = _decoded(request, Split)
        if isinstance(wanted.at, bool) or not isinstance(wanted.at, int | float | str):
            hint = "Send a time in seconds, or the id of a word."
            raise errors.InvalidInput.at("at", "must be a number or a string", hint)
        check = _match(segment_id)
        return self.change(
            lambda s: edits.split_segment(s, segment_id, wanted.at, wanted.new_id), check
        )

    @extend_schema(
        request={"application/json": openapi.struct(Merge)}, parameters=CHANGES, responses=_CHANGED
    )
    def merge(self, request: Request, project_id: str) -> Response:
        """Make one segment of several neighbours of one speaker."""
        wanted = _decoded(request, Merge)
        return self.change(lambda s: edits.merge_segments(s, wanted.ids), check_current)

    @extend_schema(
        request={"application/json": openapi.struct(Assignment)},
        parameters=CHANGES,
        responses=_CHANGED,
    )
    def assign(self, request: Request, project_id: str) -> Response:
        """Say who speaks in some segments."""
        wanted = _decoded(request, Assignment)
        return self.change(
            lambda s: edits.set_speaker(s, wanted.ids, wanted.speaker_id), check_current
        )

    @extend_schema(
        request={"application/json": openapi.struct(SpeakerName)},
        parameters=REPLACES,
        responses=_REPLACED,
    )
    def name_speaker(self, request: Request, project_id: str, speaker_id: str) -> Response:
        """Name a speaker, or rename one: once, for all segments."""
        name = _decoded(request, SpeakerName).name
        return self.change(lambda s: edits.rename_speaker(s, speaker_id, name), require_current)


def _decoded(request: Request, type_: type[S]) -> S:
    return states.decode(wire.raw(request), type_)


def _etag(segment: Segment) -> ETag:
    """A segment has no versions of its own: its content names it."""
    return ETag(0, sha256(states.encode(segment)).hexdigest()[:16], "segment")


def _match(id: str, *, is_required: bool = False) -> Callable[[Request, Transcription], None]:
    """A precondition that either the segment's tag meets or the transcription's."""

    def check(request: Request, transcription: Transcription) -> None:
        if not is_required and request.headers.get("If-Match", "").strip() in ("", "*"):
            return
        current = _etag(find(transcription.state, id)[1])
        stated = etags.stated(request, current)
        if not any(t.same_version(current) or t.same_version(transcription.etag) for t in stated):
            raise errors.VersionMismatch(
                f"Segment {id} was changed meanwhile. Read it again, apply the change to that, and "
                "send it with the new ETag.",
                current={"version": int(transcription.version), "etag": str(current)},
            )

    return check
