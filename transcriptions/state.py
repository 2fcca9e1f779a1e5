"""The state of a transcription: segments of words, who speaks, and how it was made.

All times are in seconds from the start of the media. `parse` reads a state, `parse_save` the body
of a save; `check` refuses what can't be kept, and `settle` gives the rest its one normal form.
"""

from collections.abc import Container, Iterable, Iterator
from itertools import count
from typing import Annotated, Any, TypeVar

from msgspec import Meta
from msgspec.structs import replace

from snipix import refusals, states
from snipix.refusals import Problem
from snipix.states import IGNORED, Struct

MAX_SEGMENTS = 50_000
MAX_WORDS = 300_000
MAX_SPEAKERS = 1_000
MAX_SECONDS = 1e10
MAX_TEXT = 20_000

# Seconds by which recognisers may be wrong about what is within, before or after something else.
TOLERANCE = 1e-6

Id = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Short = Annotated[str, Meta(max_length=200)]
Free = dict[str, Any]

# The bounds are described here and enforced by `check`, which reports all that break them.
Seconds = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_SECONDS})]
Share = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": 1})]

METADATA = Meta(description="Whatever a client wants to keep here; Snipix doesn't read it.")


class Word(Struct, frozen=True, kw_only=True):
    """A word and when it is spoken."""

    id: Annotated[
        str, Meta(max_length=250, description="Unique within the transcription; made if empty.")
    ] = ""
    text: Annotated[Short, Meta(description="With its punctuation, without spaces around it.")]
    start: Annotated[Seconds, Meta(description="In seconds.")]
    end: Annotated[Seconds, Meta(description="In seconds.")]
    confidence: Annotated[Share | None, Meta(description="From 0 to 1.")] = None
    is_filler: Annotated[bool, Meta(description="Whether it is an “um” or the like.")] = False
    speaker_id: Annotated[Id | None, Meta(description="Where it isn't the segment's.")] = None
    metadata: Annotated[Free, METADATA] = {}


class Segment(Struct, frozen=True, kw_only=True):
    """What one speaker says in one go."""

    id: Annotated[Id, Meta(description="Unique within the transcription.")]
    start_time: Annotated[Seconds, Meta(description="In seconds.")]
    end_time: Annotated[Seconds, Meta(description="In seconds; not before start_time.")]
    text: Annotated[Text, Meta(description="As it was recognised.")] = ""
    words: Annotated[list[Word], Meta(description="The words of what is shown, in time.")] = []
    speaker_id: Annotated[
        Id | None, Meta(description="A key of `speakers`, once it has a name.")
    ] = None
    confidence: Annotated[Share | None, Meta(description="From 0 to 1.")] = None
    is_edited: Annotated[bool, Meta(description="Whether somebody has edited it.")] = False
    edited_text: Annotated[
        Text | None, Meta(description="As somebody has edited it; shown instead of `text`.")
    ] = None
    metadata: Annotated[Free, METADATA] = {}

    @property
    def shown(self) -> str:
        """The text that people read: as it was edited, or else as it was recognised."""
        return self.text if self.edited_text is None else self.edited_text


class TranscriptionState(Struct, frozen=True, kw_only=True):
    """Everything that is known of what is said in a project's media."""

    segments: Annotated[list[Segment], Meta(max_length=MAX_SEGMENTS)] = []
    language: Annotated[Short, Meta(description="A language tag (BCP 47), as `en`.")] = "en"
    model_used: Annotated[Short | None, Meta(description="What recognised the speech.")] = None
    processing_time: Annotated[Seconds | None, Meta(description="How long that took.")] = None
    confidence_score: Annotated[Share | None, Meta(description="Of the whole, 0 to 1.")] = None
    is_complete: Annotated[bool, Meta(description="Whether recognition has ended.")] = False
    is_edited: Annotated[bool, Meta(description="Whether somebody has edited it.")] = False
    speakers: Annotated[
        dict[str, str],
        Meta(description="Names of speakers, by id; each of at most 200 characters."),
    ] = {}
    speaker_count: Annotated[
        int,
        Meta(
            ge=0,
            le=MAX_SPEAKERS,
            description="How many speak: at least as many as are named or speak in a segment.",
        ),
    ] = 0
    metadata: Annotated[Free, METADATA] = {}


class TranscriptionSave(TranscriptionState, frozen=True, kw_only=True):
    """The body of a save: the state, and beside it what the history says about the save."""

    description: Annotated[str, Meta(max_length=500, description="Name of this version.")] = ""
    change_summary: Annotated[str, Meta(max_length=2_000, description="What was changed.")] = ""
    version: Annotated[Any, IGNORED, Meta(description="Ignored; answers hold it.")] = None
    updated_at: Annotated[Any, IGNORED, Meta(description="Ignored; answers hold it.")] = None


EMPTY = TranscriptionState()

T = TypeVar("T", bound=TranscriptionState)


def parse(raw: bytes) -> TranscriptionState:
    """Read a state from JSON; raises InvalidState with the paths of everything that is wrong."""
    return settle(check(states.decode(raw, TranscriptionState)))


def parse_save(raw: bytes) -> tuple[TranscriptionState, str, str]:
    """Read the body of a save: the state alone, the description and the summary of changes."""
    return split(settle(check(states.decode(raw, TranscriptionSave))))


def split(save: TranscriptionSave) -> tuple[TranscriptionState, str, str]:
    """Part a save into the state alone, the description and the summary of changes."""
    fields = {name: getattr(save, name) for name in TranscriptionState.__struct_fields__}
    return TranscriptionState(**fields), save.description, save.change_summary


def summarise(state: TranscriptionState) -> dict[str, float | int]:
    """Tell the size of a transcription: until when there is speech, in seconds, and how much."""
    return {
        "duration": max((segment.end_time for segment in state.segments), default=0.0),
        "segments": len(state.segments),
        "words": sum(len(segment.words) for segment in state.segments),
        "speakers": state.speaker_count,
    }


def speakers_of(state: TranscriptionState) -> set[str]:
    """The ids of all who have a name, or speak in a segment or a word."""
    ids = {word.speaker_id for segment in state.segments for word in segment.words}
    ids.update(segment.speaker_id for segment in state.segments)
    ids.update(state.speakers)
    return {id for id in ids if id is not None}


# --- The normal form


def settle(state: T) -> T:
    """Bring a state that was checked into its normal form; what has it already stays as it is.

    Segments are in the order of their times; every word has an id; a segment with an edited text
    is edited, and so is a transcription with an edited segment; as many speakers are counted as
    there are, or more if more were sent.
    """
    taken = {word.id for segment in state.segments for word in segment.words}
    segments = sorted((_settled(segment, taken) for segment in state.segments), key=_order)
    return replace(
        state,
        segments=segments,
        is_edited=state.is_edited or any(segment.is_edited for segment in segments),
        speaker_count=max(state.speaker_count, len(speakers_of(state))),
    )


def _order(segment: Segment) -> tuple[float, float, str]:
    return segment.start_time, segment.end_time, segment.id


def _settled(segment: Segment, taken: Container[str]) -> Segment:
    changes: dict[str, Any] = {}
    if not all(word.id for word in segment.words):
        changes["words"] = _named(segment, taken)
    if segment.edited_text is not None and not segment.is_edited:
        changes["is_edited"] = True
    return replace(segment, **changes) if changes else segment


def _named(segment: Segment, taken: Container[str]) -> list[Word]:
    words = list(segment.words)
    for place, word in enumerate(words):
        if not word.id:
            words[place] = replace(word, id=word_id(segment.id, place, taken))
    return words


def word_id(segment: str, place: int, taken: Container[str]) -> str:
    """Make a word's id of its segment's and its place there, so that no other has it.

    The same words get the same ids again, and no two places get the same id: what follows the last
    `~` is the place. An id of 200 characters leaves room for the rest in a word's 250.
    """
    id, tries = f"{segment}~{place}", count(2)
    while id in taken:
        id = f"{segment}~{place}.{next(tries)}"
    return id


# --- What is refused


def check(state: T) -> T:
    """Return a state that can be kept; raises InvalidState for one that can't."""
    refusals.refuse(_problems(state))
    return state


def _problems(state: TranscriptionState) -> Iterator[Problem]:
    yield from size_problems(state)
    yield from _bad_time("processing_time", state.processing_time)
    yield from _bad_share("confidence_score", state.confidence_score)
    for index, segment in enumerate(state.segments):
        if not _is_sound(segment):
            yield from problems_of(segment, f"segments[{index}]")
    yield from _repeated_segments(state.segments)
    yield from _repeated_words(state.segments)
    for later, earlier in overlaps(state.segments):
        one, other = state.segments[later], state.segments[earlier]
        path = f"segments[{later}].start_time"
        yield overlap(path, one, other, f"segments[{earlier}] ends at {_number(other.end_time)} s")


def size_problems(state: TranscriptionState) -> Iterator[Problem]:
    """What is too many, or too long a name."""
    words = sum(len(segment.words) for segment in state.segments)
    for held, limit, what in (
        (len(state.segments), MAX_SEGMENTS, "segments"),
        (words, MAX_WORDS, "words"),
    ):
        if held > limit:
            reason = f"hold {held:,} {what}, more than {limit:,}"
            yield Problem("segments", reason, "Split the media into several projects.")
    if (speakers := len(speakers_of(state))) > MAX_SPEAKERS:
        reason = f"is too much: {speakers:,} are named or speak, and {MAX_SPEAKERS:,} may be"
        yield Problem("speakers", reason, "Give one speaker one id.")
    for id, name in state.speakers.items():
        path = refusals.join("speakers", id)
        if not 1 <= len(id) <= 200:
            yield Problem(path, "isn't an id of a speaker", "Use 1 to 200 characters as the id.")
        if len(name) > 200:
            yield Problem(path, "is too long a name", "Use at most 200 characters.")


def _is_sound(segment: Segment) -> bool:
    """Whether `problems_of` would find nothing; told quickly, since nearly all are sound."""
    start, end, letters = segment.start_time, segment.end_time, 0
    if not (0 <= start <= end <= MAX_SECONDS and _is_share(segment.confidence)):
        return False
    least, most = max(start - TOLERANCE, 0), min(end + TOLERANCE, MAX_SECONDS)
    for word in segment.words:
        if not least <= word.start <= word.end <= most:
            return False
        if word.confidence is not None and not 0 <= word.confidence <= 1:
            return False
        least = word.start
        letters += len(word.text)
    return letters <= MAX_TEXT


def problems_of(segment: Segment, path: str = "") -> Iterator[Problem]:
    """What can't be kept of a segment by itself; `path` is the segment's place, if it has one."""
    who = f"segment {segment.id}"
    start, end = (refusals.join(path, name) for name in ("start_time", "end_time"))
    yield from _bad_span((start, end), segment.start_time, segment.end_time, who)
    yield from _bad_share(refusals.join(path, "confidence"), segment.confidence, who)
    words = refusals.join(path, "words")
    if sum(len(word.text) for word in segment.words) > MAX_TEXT:
        reason = f"hold more than {MAX_TEXT:,} letters ({who})"
        yield Problem(words, reason, "Split the segment.")
    least = segment.start_time - TOLERANCE
    for index, word in enumerate(segment.words):
        yield from _word_problems(f"{words}[{index}]", word, segment, least)
        least = max(least, word.start)


def _word_problems(path: str, word: Word, segment: Segment, least: float) -> Iterator[Problem]:
    who = f"word {word.id}" if word.id else f"word “{word.text[:40]}”"
    bad = list(_bad_span((f"{path}.start", f"{path}.end"), word.start, word.end, who))
    yield from bad
    yield from _bad_share(f"{path}.confidence", word.confidence, who)
    if bad:
        return
    span = f"segment {segment.id}, {_number(segment.start_time)} to {_number(segment.end_time)} s"
    if word.start < segment.start_time - TOLERANCE:
        reason = f"is {_number(word.start)}, before its segment starts ({who}; {span})"
        yield Problem(f"{path}.start", reason, "Keep words within their segment.")
    elif word.start < least:
        reason = f"is {_number(word.start)}, before the start of the word before it ({who})"
        yield Problem(f"{path}.start", reason, "Send words in the order of their starts.")
    if word.end > segment.end_time + TOLERANCE:
        reason = f"is {_number(word.end)}, after its segment ends ({who}; {span})"
        yield Problem(f"{path}.end", reason, "Keep words within their segment.")


def _bad_span(paths: tuple[str, str], start: float, end: float, who: str) -> Iterator[Problem]:
    bad = [*_bad_time(paths[0], start, who), *_bad_time(paths[1], end, who)]
    yield from bad
    if not bad and end < start:
        reason = f"is {_number(end)}, before the start at {_number(start)} s ({who})"
        yield Problem(paths[1], reason, "Send an end that isn't before the start.")


def _bad_time(path: str, value: float | None, who: str = "") -> Iterator[Problem]:
    if value is None or 0 <= value <= MAX_SECONDS:
        return
    said = f" ({who})" if who else ""
    if value < 0:
        reason = f"is {_number(value)}: a time can't be negative{said}"
        yield Problem(path, reason, "Send 0 or more.")
    else:
        reason = f"is {_number(value)}: a time must be finite, and at most {MAX_SECONDS:,.0f}{said}"
        yield Problem(path, reason, "Send a smaller number.")


def _is_share(value: float | None) -> bool:
    return value is None or 0 <= value <= 1


def _bad_share(path: str, value: float | None, who: str = "") -> Iterator[Problem]:
    if value is not None and not _is_share(value):
        said = f" ({who})" if who else ""
        reason = f"is {_number(value)}: a confidence is from 0 to 1{said}"
        yield Problem(path, reason, "Divide percentages by 100.")


def _repeated_segments(segments: Iterable[Segment]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, segment in enumerate(segments):
        if (other := first.setdefault(segment.id, index)) != index:
            reason = f"is also the id of segments[{other}]: {segment.id}"
            yield Problem(f"segments[{index}].id", reason, "Give each an id of its own.")


def _repeated_words(segments: list[Segment]) -> Iterator[Problem]:
    ids = [word.id for segment in segments for word in segment.words if word.id]
    if len(set(ids)) == len(ids):
        return
    first: dict[str, str] = {}
    for index, segment in enumerate(segments):
        for place, word in enumerate(segment.words):
            path = f"segments[{index}].words[{place}]"
            if word.id and (other := first.setdefault(word.id, path)) != path:
                reason = f"is also the id of {other}: {word.id}"
                yield Problem(f"{path}.id", reason, "Give each an id of its own, or none.")


def overlaps(segments: list[Segment]) -> Iterator[tuple[int, int]]:
    """The segments that start before an earlier one of the same speaker ends: later, earlier.

    Segments without a speaker aren't compared: nobody says that they are of one voice.
    """
    longest: dict[str, int] = {}
    for index in sorted(range(len(segments)), key=lambda i: _order(segments[i])):
        segment = segments[index]
        if segment.speaker_id is None:
            continue
        other = longest.setdefault(segment.speaker_id, index)
        if other != index and segments[other].end_time - segment.start_time > TOLERANCE:
            yield index, other
        if segment.end_time > segments[other].end_time:
            longest[segment.speaker_id] = index


def overlap(path: str, one: Segment, other: Segment, where: str) -> Problem:
    """Why two segments of one speaker can't be kept; `where` says how they lie."""
    reason = (
        f"overlaps: {where}, and speaker {one.speaker_id} speaks in both ({one.id}, {other.id})"
    )
    return Problem(path, reason, "Move one of them, or give it another speaker.")


def _number(value: float) -> str:
    return f"{value:.9g}"
