"""Transcriptions on the admin site: to be read, moved to the trash and restored. Editors edit."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, ClassVar, NamedTuple

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html

from projects.models import Project
from snipix.admin_documents import DocumentAdmin, is_trash
from transcriptions.captions.writing import PARAGRAPH_PAUSE_MS
from transcriptions.models import Transcription
from transcriptions.state import Segment, TranscriptionState, speakers_of

MOST_SEGMENTS = 500
MOST_LETTERS = 200_000
"""What a page shows of a transcript: the first segments, up to either."""
MOST_SPEAKERS = 100
UNSURE = 0.5
"""Below this confidence, what was recognised is marked."""
LONGEST_PARAGRAPH = 60.0
"""Seconds after which one who goes on speaking gets a new paragraph, and so another time."""
_SHORT = 300
"""Letters of a recognised text that are shown beside what it was edited to."""


class Line(NamedTuple):
    """A segment as it is shown."""

    text: str
    mark: str
    note: str


class Paragraph(NamedTuple):
    """What one speaker says without a long pause, or in about a minute."""

    time: str
    speaker: str
    lines: list[Line]


@admin.register(Transcription)
class TranscriptionAdmin(DocumentAdmin):
    """A transcription has a trash flag of its own, and is destroyed only with its project."""

    change_form_template = "admin/transcriptions/transcription_form.html"
    delete_confirmation_template = "admin/transcriptions/trash_confirmation.html"
    list_display = (
        "project_id", "language", "model_used", "is_complete", "is_edited", "speaker_count",
        "version", "updated_at",
    )  # fmt: skip
    # The live ones have no `deleted_at`: one index serves them, the newest first, and the trash.
    ordering: ClassVar[Any] = ("-deleted_at", "-pk")
    actions = ("delete_selected", "restore_selected")
    heavy = ("segments", "speakers", "metadata")
    fields = (
        "project", "language", "model_used", "confidence", "is_complete", "is_edited", "version",
        "created_at", "updated_at", "contents",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change transcriptions may restore them; nobody edits one here."""
        return obj is None and super().has_change_permission(request)

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        return (*self.list_display, "deleted_at") if is_trash(request) else self.list_display

    def links(self, request: HttpRequest, document: Any) -> list[tuple[str, str]]:
        return [("Project", _project_url(document)), *super().links(request, document)]

    @admin.display(description="project")
    def project(self, transcription: Transcription) -> str:
        found = Project.everything.filter(pk=transcription.pk).values_list("name", "is_deleted")
        name, is_deleted = found.first() or (transcription.project_id, False)
        where = " (in the trash, and its transcription with it)" if is_deleted else ""
        return format_html('<a href="{}">{}</a>{}', _project_url(transcription), name, where)

    @admin.display(description="confidence")
    def confidence(self, transcription: Transcription) -> str:
        score = transcription.confidence_score
        return "unknown" if score is None else f"{score:.0%}"

    @admin.display(description="transcript")
    def contents(self, transcription: Transcription) -> str:
        state = transcription.state
        segments = list(first_of(state.segments))
        speakers = sorted(speakers_of(state))
        context = {
            "language": state.language,
            "count": state.speaker_count,
            "speakers": [named(id, state) for id in speakers[:MOST_SPEAKERS]],
            "more_speakers": len(speakers[MOST_SPEAKERS:]),
            "paragraphs": list(paragraphs(segments, state)),
            "more": len(state.segments) - len(segments),
            # The API answers 404 for what is in the trash.
            "captions": "" if transcription.is_deleted else _captions_url(transcription),
        }
        return render_to_string("admin/transcriptions/contents.html", context)


def _project_url(transcription: Transcription) -> str:
    return reverse("admin:projects_project_change", args=[quote(transcription.pk)])


def _captions_url(transcription: Transcription) -> str:
    path = reverse("transcription-captions", kwargs={"project_id": transcription.project_id})
    return f"{path}/?format=txt"


# --- The transcript, to be read --------------------------------------------------------------


def first_of(segments: list[Segment]) -> Iterator[Segment]:
    """As many of the first segments as a page shows."""
    letters = accumulate(len(segment.shown) for segment in segments)
    for segment, total in zip(segments[:MOST_SEGMENTS], letters, strict=False):
        if total <= MOST_LETTERS:
            yield segment


def paragraphs(segments: Iterable[Segment], state: TranscriptionState) -> Iterator[Paragraph]:
    """Part segments as captions in plain text are, by speakers and pauses, and long turns too."""
    turns: list[list[Segment]] = []
    for segment in segments:
        if turns and _continues(segment, turns[-1]):
            turns[-1].append(segment)
        else:
            turns.append([segment])
    for turn in turns:
        lines = [_line(segment) for segment in turn]
        yield Paragraph(clock(turn[0].start_time), _speaker(turn[0], state), lines)


def _continues(segment: Segment, turn: list[Segment]) -> bool:
    pause = segment.start_time - turn[-1].end_time
    is_long = segment.start_time - turn[0].start_time >= LONGEST_PARAGRAPH
    is_close = pause * 1000 < PARAGRAPH_PAUSE_MS and not is_long
    return is_close and segment.speaker_id == turn[-1].speaker_id


def _line(segment: Segment) -> Line:
    if segment.is_edited:
        return Line(segment.shown, "edited", f"Edited. Recognised as “{_short(segment.text)}”")
    if segment.confidence is not None and segment.confidence < UNSURE:
        return Line(segment.shown, "unsure", f"Confidence {segment.confidence:.0%}")
    return Line(segment.shown, "", "")


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def _speaker(segment: Segment, state: TranscriptionState) -> str:
    id = segment.speaker_id
    return "Speaker unknown" if id is None else state.speakers.get(id) or id


def named(id: str, state: TranscriptionState) -> str:
    """A speaker's name, and the id that it stands for."""
    name = state.speakers.get(id)
    return f"{name} ({id})" if name else id


def clock(seconds: float) -> str:
    """A time as h:mm:ss, cut to the second."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"
