"""Cues: what is on the screen, from when to when; and how a transcription becomes a list of them.

Times of cues are whole milliseconds, the unit of SRT and WebVTT.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from transcriptions.captions import splitting
from transcriptions.captions.errors import UnreadableCaptions
from transcriptions.captions.oddities import Oddities
from transcriptions.captions.splitting import Rules
from transcriptions.state import MAX_SECONDS, MAX_SEGMENTS, Segment, TranscriptionState

MAX_MS = int(MAX_SECONDS * 1000)


class Cue(msgspec.Struct, frozen=True, kw_only=True):
    """A text, possibly of several lines, and when it is shown."""

    start_ms: int
    end_ms: int
    text: str
    speaker: str | None = None
    """The name of who says it."""
    id: str = ""
    line: int = 0
    """The line of the file that its times were read from, from 1."""


class Found:
    """What is read from a file, in the file's order."""

    def __init__(self) -> None:
        self.cues: list[Cue] = []
        self.oddities = Oddities()
        self.language: str | None = None

    def add(self, cue: Cue) -> None:
        """Add a cue, as long as a transcription can hold them all."""
        if len(self.cues) == MAX_SEGMENTS:
            reason = f"this is one cue more than the {MAX_SEGMENTS:,} that are taken"
            raise UnreadableCaptions(f"line {cue.line}", reason, "Split the file.")
        self.cues.append(cue)


class CueOptions(Rules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a transcription becomes cues.

    The default is one cue per segment, since only that is exact: what is exported and imported
    again has every time and every text. The rules of subtitling are for what people will read.
    """

    cues: Annotated[
        Literal["segments", "subtitles"],
        Meta(description="One cue per segment, as it is; or as the rules of subtitling want it."),
    ] = "segments"
    speakers: Annotated[
        bool | None,
        Meta(
            description="Whether speakers are named. By default where the format has a place for "
            "them besides the text: not in SRT."
        ),
    ] = None


def of_state(
    state: TranscriptionState, options: CueOptions, *, names_in_text: bool = False
) -> list[Cue]:
    """Make the cues of a transcription, by their start.

    `names_in_text` is for formats that have no other place for speakers: a text then starts with
    the name, whenever another speaker begins.
    """
    segments = sorted(state.segments, key=_span)
    previous = None
    cues: list[Cue] = []
    for segment in segments:
        name = speaker_name(state, segment) if options.speakers is not False else None
        prefix = f"{name}: " if names_in_text and name and name != previous else ""
        cues += _of_segment(segment, name, prefix, options)
        previous = name
    return cues if options.cues == "segments" else _timed(cues, options)


def speaker_name(state: TranscriptionState, segment: Segment) -> str | None:
    """Say who speaks: by name, or by id where there is no name."""
    id = segment.speaker_id
    return None if id is None else state.speakers.get(id) or id


def _span(segment: Segment) -> tuple[int, int]:
    """Round a segment's times to milliseconds."""
    return round(segment.start_time * 1000), round(segment.end_time * 1000)


def _of_segment(
    segment: Segment, name: str | None, prefix: str, options: CueOptions
) -> Iterator[Cue]:
    start, end = _span(segment)
    if options.cues == "segments":
        text = prefix + segment.shown
        yield Cue(start_ms=start, end_ms=end, text=text, speaker=name, id=segment.id)
        return
    words = [(w.text, round(w.start * 1000), round(w.end * 1000)) for w in segment.words]
    pieces = splitting.split(segment.shown, start, end, words, prefix, options)
    for number, piece in enumerate(pieces, 1):
        id = segment.id if len(pieces) == 1 else f"{segment.id}-{number}"
        yield Cue(start_ms=piece.start, end_ms=piece.end, text=piece.text, speaker=name, id=id)


def _timed(cues: list[Cue], rules: Rules) -> list[Cue]:
    """Give every cue the time that it takes to be read, as far as the next leaves it."""
    cues = sorted(cues, key=lambda cue: cue.start_ms)
    nexts = [cue.start_ms for cue in cues[1:]] + [MAX_MS]
    return [
        msgspec.structs.replace(cue, end_ms=_end(cue, until, rules))
        for cue, until in zip(cues, nexts, strict=False)
    ]


def _end(cue: Cue, next_start: int, rules: Rules) -> int:
    latest = cue.start_ms + rules.max_duration_ms
    if next_start < cue.end_ms:
        return min(cue.end_ms, latest)  # two speak at once, and so are shown at once
    reading = round(len(cue.text) * 1000 / rules.max_chars_per_second)
    wanted = max(cue.end_ms, cue.start_ms + max(rules.min_duration_ms, reading))
    room = next_start - rules.min_gap_ms
    # A gap isn't worth more than the cue.
    return min(wanted, latest, room if room - cue.start_ms > rules.min_gap_ms else next_start)
