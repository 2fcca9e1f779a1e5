"""`/api/v1/projects/{id}/transcription/`"""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec.structs import asdict
from rest_framework.request import Request
from rest_framework.response import Response

from projects.current_views import CurrentViewSet
from projects.models import Right
from snipix import errors, etags, history, openapi, times, wire
from snipix.documents import Document
from snipix.idempotency import Answer
from snipix.parameters import one_flag, one_number, one_time, refuse_unknown, whole_number
from snipix.states import StateWarning
from snipix.versions import Comparison, Rollback, VersionWithState
from transcriptions import edits, services, state, words
from transcriptions.edits import Edited
from transcriptions.models import Transcription
from transcriptions.search import MAX_HITS, Found, search
from transcriptions.state import Segment, TranscriptionState


class TranscriptionRead(TranscriptionState, frozen=True, kw_only=True):
    """A transcription's state, with its version and when that was saved beside its fields."""

    version: int = 0
    updated_at: str = ""


class TranscriptionSaved(msgspec.Struct, kw_only=True):
    """What a change of a transcription answers."""

    version: int
    etag: str
    updated_at: str
    segments: list[Segment] = []
    """Those that the change has added or altered, as they are now; not after a whole save."""
    kept: list[str] = []
    """Ids of segments that stayed as they were, since somebody has edited them."""
    warnings: list[StateWarning] = []


class TranscriptionComparison(Comparison, kw_only=True):
    """What differs between two versions, in words too."""

    words: list[str]


CHANGES = [openapi.IF_MATCH_OPTIONAL, openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN]
REPLACES = [openapi.IF_MATCH, openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN]
_SAVED = {200: openapi.struct(TranscriptionSaved)}
_WINDOW = [
    OpenApiParameter("start", float, description="Only what is said after this time (s)."),
    OpenApiParameter("end", float, description="Only what is said before this time (s)."),
    OpenApiParameter("words", bool, description="With false: segments without their words."),
]


class TranscriptionViews(CurrentViewSet):
    """What all views of a transcription share."""

    kind = "transcription"

    def get_document(self, right: Right = "read") -> Transcription:
        return Transcription.of(self.get_project(right))

    def change(
        self,
        edit: Callable[[TranscriptionState], Edited],
        check: Callable[[Request, Transcription], None],
    ) -> Response:
        """Make an edit the next version, if `check` finds its preconditions met."""

        def work() -> Answer:
            project = self.get_project("write")
            transcription = Transcription.of(project)
            check(self.request, transcription)
            before = transcription.state
            edited = edit(before)
            summary = edited.summary[:2000]
            services.save_transcription(
                project, transcription, edited.state, actor=self.actor, change_summary=summary
            )
            known = {id(segment) for segment in before.segments}
            changed = [each for each in edited.state.segments if id(each) not in known]
            return saved(transcription, segments=changed, kept=list(edited.kept))

        return self.answer_change(self.kwargs["project_id"], work)


class TranscriptionViewSet(TranscriptionViews):
    """A project's transcription: segments, words and speakers."""

    def roll_back(self, version: int) -> Answer:
        project = self.get_project("write")
        transcription = Transcription.of(project)
        services.roll_back_transcription(project, transcription, version, actor=self.actor)
        return saved(transcription)

    @extend_schema(
        request={"application/json": openapi.struct(Rollback)},
        parameters=CHANGES,
        responses={**_SAVED, **openapi.problems(400, 403, 404, 412, 422)},
    )
    def rollback(self, request: Request, project_id: str) -> Response:
        return super().rollback(request, project_id)

    @extend_schema(
        parameters=[*_WINDOW, openapi.AT],
        responses={
            200: openapi.either(TranscriptionRead, VersionWithState),
            304: None,
            **openapi.problems(400, 404),
        },
    )
    def retrieve(self, request: Request, project_id: str) -> Response:
        """Read the transcription: whole, a window of time, or without words.

        With `?at=` it is read as it was at a time, in the form that …/versions/{n}/ has.
        """
        if "at" in request.query_params:
            refuse_unknown(request, ("at",))
            return self.answer_then(one_time(request, "at"))
        refuse_unknown(request, ("start", "end", "words"))
        start, end = one_number(request, "start", 0.0), one_number(request, "end", inf)
        has_words = one_flag(request, "words", True)
        options = f"{start} {end} {has_words}" if request.query_params else ""
        return self.answer_current(lambda t: _encode(t, start, end, has_words), options=options)

    @extend_schema(
        request={"application/json": openapi.struct(state.TranscriptionSave)},
        parameters=[openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN],
        responses={
            201: openapi.struct(TranscriptionSaved),
            200: openapi.struct(TranscriptionSaved),  # with `dry_run`: nothing was made
            **openapi.problems(400, 403, 404, 409, 413, 422),
        },
    )
    def create(self, request: Request, project_id: str) -> Response:
        """Make the project's transcription; an empty body, `{}`, makes an empty one.

        One that is in the trash comes back with this state as its next version.
        """
        new, description, _ = state.parse_save(wire.raw(request) or b"{}")

        def work() -> Answer:
            transcription = services.create_transcription(
                self.get_project("write"), new, actor=self.actor, description=description
            )
            headers = {"Location": f"/api/v1/projects/{project_id}/transcription/"}
            return replace(saved(transcription), status=201, headers=headers)

        return self.answer_change(project_id, work)

    @extend_schema(
        request={"application/json": openapi.struct(state.TranscriptionSave)},
        parameters=REPLACES,
        responses={**_SAVED, **openapi.problems(400, 403, 404, 412, 413, 422, 428)},
    )
    def update(self, request: Request, project_id: str) -> Response:
        """Replace the transcription as a whole; a new version, unless nothing has changed."""
        new, description, summary = state.parse_save(wire.raw(request))

        def work() -> Answer:
            project = self.get_project("write")
            transcription = Transcription.of(project)
            etags.require_match(request, transcription.etag)
            told = summary or "; ".join(words.words(transcription.state, new))[:2000]
            services.save_transcription(
                project,
                transcription,
                new,
                actor=self.actor,
                description=description,
                change_summary=told,
            )
            return saved(transcription)

        return self.answer_change(project_id, work)

    @extend_schema(
        request={"application/json": {"type": "object", "additionalProperties": True}},
        parameters=REPLACES,
        responses={**_SAVED, **openapi.problems(400, 403, 404, 412, 413, 422, 428)},
    )
    def partial_update(self, request: Request, project_id: str) -> Response:
        """Change what is known of the whole: language, speakers, `is_complete`, `metadata` …"""
        fields = edits.read_fields(wire.raw(request))
        return self.change(lambda before: edits.change_metadata(before, **fields), require_current)

    @extend_schema(
        parameters=CHANGES, responses={**_SAVED, **openapi.problems(400, 403, 404, 412, 422)}
    )
    def destroy(self, request: Request, project_id: str) -> Response:
        """Move the transcription to the trash; the project stays. It can be restored."""

        def work() -> Answer:
            project = self.get_project("write")
            transcription = Transcription.of(project)
            etags.check_match(request, transcription.etag)
            services.delete_transcription(project, transcription, actor=self.actor)
            return saved(transcription)

        return self.answer_change(project_id, work)

    @extend_schema(
        request=None,
        parameters=CHANGES,
        responses={**_SAVED, **openapi.problems(400, 403, 404, 412, 422)},
    )
    def restore(self, request: Request, project_id: str) -> Response:
        """Bring the transcription back from the trash. One that isn't there stays as it is."""

        def work() -> Answer:
            project = self.get_project("write")
            transcription = Transcription.any_of(project)
            if transcription.version == 0:
                raise errors.NotFound("The project never had a transcription.")
            etags.check_match(request, transcription.etag)
            services.restore_transcription(project, transcription, actor=self.actor)
            return saved(transcription)

        return self.answer_change(project_id, work)

    @extend_schema(
        parameters=[
            OpenApiParameter("q", str, required=True, description="A word, or a phrase."),
            OpenApiParameter("limit", int, description=f"Hits at most; by default {MAX_HITS}."),
            OpenApiParameter("prefix", bool, description="With true: the last word may go on."),
        ],
        responses={200: openapi.struct(Found), **openapi.problems(400, 404)},
    )
    def search(self, request: Request, project_id: str) -> Response:
        """Find a word or a phrase, and when it is said; case and accents don't count."""
        refuse_unknown(request, ("q", "limit", "prefix"))
        query = request.query_params.get("q", "")
        if not 1 <= len(query) <= 500:
            raise errors.InvalidInput.at("q", "must have 1 to 500 characters", "Send a phrase.")
        limit = whole_number("limit", request.query_params.get("limit", str(MAX_HITS)), 1, 1_000)
        prefix = one_flag(request, "prefix", False)
        found = search(self.get_document().state, query, limit=limit, prefix=prefix)
        return Response(wire.encode(found))

    def compared(self, document: Document, before: int, after: int) -> TranscriptionComparison:
        found = super().compared(document, before, after)
        one, other = (
            history.read(document, version) if version else state.EMPTY
            for version in (before, after)
        )
        return TranscriptionComparison(
            **msgspec.structs.asdict(found), words=words.words(one, other)
        )


def _encode(transcription: Transcription, start: float, end: float, has_words: bool) -> bytes:
    shown = _window(transcription.state, start, end, has_words)
    beside = {
        "version": transcription.version,
        "updated_at": times.write(transcription.updated_at),
    }
    return wire.encode({**asdict(shown), **beside})


def _window(
    whole: TranscriptionState, start: float, end: float, has_words: bool
) -> TranscriptionState:
    """The segments that are said, at least in part, between two times."""
    segments = whole.segments
    if start > 0 or end < inf:
        segments = [s for s in segments if s.end_time > start and s.start_time < end]
    if not has_words:
        segments = [msgspec.structs.replace(segment, words=[]) for segment in segments]
    return msgspec.structs.replace(whole, segments=segments)


def require_current(request: Request, transcription: Transcription) -> None:
    etags.require_match(request, transcription.etag)


def check_current(request: Request, transcription: Transcription) -> None:
    etags.check_match(request, transcription.etag)


def saved(transcription: Transcription, **more: Any) -> Answer:
    """What a change of a transcription answers."""
    answer = TranscriptionSaved(
        version=int(transcription.version),
        etag=str(transcription.etag),
        updated_at=times.write(transcription.updated_at),
        **more,
    )
    return Answer(wire.encode(answer))
