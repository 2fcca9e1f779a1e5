"""How cues become a transcription."""

from collections.abc import Sequence
from heapq import heappop, heappush

from msgspec import Struct
from msgspec.structs import replace

from snipix.states import StateWarning
from transcriptions.captions.cues import Cue, Found
from transcriptions.captions.errors import UnreadableCaptions
from transcriptions.captions.formats import UNKNOWN_LANGUAGE
from transcriptions.captions.oddities import Oddities
from transcriptions.state import (
    MAX_SPEAKERS,
    MAX_TEXT,
    Segment,
    TranscriptionState,
    check,
    settle,
)

MAX_NAME = 200


class Imported(Struct, frozen=True):
    """A transcription that was read from a file, and what is odd in it or wasn't kept."""

    state: TranscriptionState
    warnings: list[StateWarning]


def from_cues(found: Found) -> Imported:
    """Make a segment of every cue, by their times: s1, s2 … Texts and times stay as they are.

    Ids have as many digits as the last one, since cues of the same times are in the order of ids.
    Voices become speakers: speaker-1, speaker-2 … Segments of one speaker can't overlap in a
    transcription, so a cue that overlaps another of the same voice gets a second speaker of the
    same name. Raises UnreadableCaptions for more than a transcription can hold.
    """
    _check_sizes(found.cues)
    oddities = found.oddities
    speakers = _Speakers(oddities)
    cues = sorted((_placed(cue, oddities) for cue in found.cues), key=_order)
    ids = segment_ids(len(cues))
    segments = [_segment(id, cue, speakers) for id, cue in zip(ids, cues, strict=True)]
    if not segments:
        oddities.add("", "no-cues", "The file holds no cues.")
    state = TranscriptionState(
        segments=segments,
        language=found.language or UNKNOWN_LANGUAGE,
        is_complete=True,
        speakers=speakers.names,
    )
    return Imported(settle(check(state)), oddities.listed())


def segment_ids(count: int) -> list[str]:
    """Make ids for segments that stay in order when they are sorted as texts."""
    digits = len(str(count))
    return [f"s{number:0{digits}}" for number in range(1, count + 1)]


def _check_sizes(cues: Sequence[Cue]) -> None:
    for cue in cues:
        if len(cue.text) > MAX_TEXT:
            reason = f"a text of {len(cue.text):,} characters; at most {MAX_TEXT:,} are taken"
            raise UnreadableCaptions(f"line {cue.line}", reason, "Split the cue.")
        if cue.speaker and len(cue.speaker) > MAX_NAME:
            reason = f"a voice's name has more than {MAX_NAME} characters"
            raise UnreadableCaptions(f"line {cue.line}", reason, "Shorten the name.")


def _placed(cue: Cue, oddities: Oddities) -> Cue:
    if cue.end_ms >= cue.start_ms:
        return cue
    message = "The cue ends before it starts, and so is never shown; it is kept, without length."
    oddities.add(f"line {cue.line}", "never-shown", message)
    return replace(cue, end_ms=cue.start_ms)


def _order(cue: Cue) -> tuple[int, int]:
    return cue.start_ms, cue.end_ms


def _segment(id: str, cue: Cue, speakers: "_Speakers") -> Segment:
    return Segment(
        id=id,
        start_time=cue.start_ms / 1000,
        end_time=cue.end_ms / 1000,
        text=cue.text,
        speaker_id=speakers.of(cue) if cue.speaker else None,
    )


class _Speakers:
    """Who speaks, by name. There are several of one name if they speak at once."""

    def __init__(self, oddities: Oddities) -> None:
        self.names: dict[str, str] = {}
        self.oddities = oddities
        self._busy: dict[str, list[tuple[int, int]]] = {}  # until when, and the speaker's number
        self._free: dict[str, list[int]] = {}

    def of(self, cue: Cue) -> str:
        """Return the id of the first speaker of the cue's voice who isn't speaking yet."""
        name = cue.speaker or ""
        busy, free = self._busy.setdefault(name, []), self._free.setdefault(name, [])
        while busy and busy[0][0] <= cue.start_ms:
            heappush(free, heappop(busy)[1])
        number = heappop(free) if free else self._new(name, cue.line, is_second=bool(busy))
        heappush(busy, (cue.end_ms, number))
        return f"speaker-{number}"

    def _new(self, name: str, line: int, *, is_second: bool) -> int:
        number = len(self.names) + 1
        if number > MAX_SPEAKERS:
            reason = f"there are more than {MAX_SPEAKERS:,} speakers"
            raise UnreadableCaptions(f"line {line}", reason, "Split the file.")
        if is_second:
            message = "The voice still speaks, so this is taken for a second one of this name."
            self.oddities.add(f"line {line}", "overlapping-voice", message)
        self.names[f"speaker-{number}"] = name
        return number
