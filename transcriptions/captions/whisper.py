"""Transcriptions as speech recognisers write them, in JSON: which one, the content tells.

- openai-whisper (`--output_format json`): `segments` with `words`, if they were asked for
- faster-whisper, which writes no files: its dataclasses, as a list or under `segments`, with the
  language at the top or under `info`
- whisper.cpp (`-oj`, or `-ojf` for words): `transcription` with times in ms, and tokens
- Snipix's own JSON

Segments are put in order. Words belong to what is shown: where they don't make up the text, they
are left out with a warning. A word that is outside its segment, mostly by rounding, is moved to
its edge: widened segments might overlap. Confidence is a probability: of a word its own, and of a
segment the geometric mean of its tokens', which is what Whisper's `avg_logprob` is the logarithm
of.
"""

import re
from collections.abc import Iterator, Sequence
from math import exp, log
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from snipix import states
from snipix.refusals import translate
from transcriptions.captions.errors import UnreadableCaptions, unreadable
from transcriptions.captions.formats import UNKNOWN_LANGUAGE
from transcriptions.captions.importing import Imported, segment_ids
from transcriptions.captions.oddities import Oddities
from transcriptions.captions.reading import decode
from transcriptions.state import (
    MAX_SECONDS,
    MAX_TEXT,
    Segment,
    TranscriptionState,
    Word,
    check,
    settle,
)

MAX_WORD = 200

_Seconds = Annotated[float, Meta(ge=-MAX_SECONDS, le=MAX_SECONDS)]
_Milliseconds = Annotated[float, Meta(ge=-MAX_SECONDS * 1000, le=MAX_SECONDS * 1000)]
_Text = Annotated[str, Meta(max_length=MAX_TEXT)]
_Name = Annotated[str, Meta(max_length=200)]


class _Word(NamedTuple):
    text: str
    start: float
    end: float
    probability: float | None


class _Segment(NamedTuple):
    text: str
    start: float
    end: float
    confidence: float | None
    words: Sequence[_Word]


class _Heard(NamedTuple):
    """What a recogniser has heard, in seconds."""

    segments: list[_Segment]
    language: str | None
    model: str | None = None


def read(raw: bytes) -> Imported:
    """Read a transcription; raises UnreadableCaptions with the path of what is wrong."""
    text, is_broken = _decoded(raw)
    with unreadable():
        value = states.decode_free(text.encode())
        if _is_own(value):
            return Imported(settle(check(states.from_builtins(value, TranscriptionState))), [])
        heard = _heard(value)
        if is_broken and any("\ufffd" in segment.text for segment in heard.segments):
            decode(raw)  # refuses it, naming the line
        oddities = Oddities()
        return Imported(settle(check(_state(heard, oddities))), oddities.listed())


def _decoded(raw: bytes) -> tuple[str, bool]:
    """Return the text, and whether some of it isn't UTF-8.

    whisper.cpp writes tokens that are only a part of a character. That spoils these tokens; but a
    text isn't to be spoilt.
    """
    try:
        return decode(raw), False
    except UnreadableCaptions:
        return raw.decode("utf-8-sig", "replace"), True


def _is_own(value: Any) -> bool:
    segments = value.get("segments") if isinstance(value, dict) else None
    first = segments[0] if isinstance(segments, list) and segments else value
    return isinstance(first, dict) and ("start_time" in first or "is_complete" in first)


def _heard(value: Any) -> _Heard:
    match value:
        case {"transcription": list()}:
            return _from_cpp(_convert(value, _Cpp))
        case {"segments": list()}:
            return _from_whisper(_convert(value, _Whisper))
        case list():
            return _from_whisper(_convert({"segments": value}, _Whisper, "segments"))
    raise UnreadableCaptions(
        "",
        "is JSON, but not of a transcription that is known here",
        "Send the JSON of openai-whisper, faster-whisper, whisper.cpp or Snipix.",
    )


T = TypeVar("T", bound=msgspec.Struct)


def _convert(value: Any, type_: type[T], added: str = "") -> T:
    """Read what is known of a recogniser's format; what isn't known doesn't matter."""
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        first = translate(error, type_)
        path = first.path.removeprefix(added)
        raise UnreadableCaptions(path, first.reason, first.hint) from None


# --- openai-whisper and faster-whisper


class _WhisperWord(msgspec.Struct):
    word: str
    start: _Seconds
    end: _Seconds
    probability: float | None = None


class _WhisperSegment(msgspec.Struct):
    text: _Text
    start: _Seconds
    end: _Seconds
    avg_logprob: float | None = None
    words: list[_WhisperWord] | None = None


class _WhisperInfo(msgspec.Struct):
    language: _Name | None = None


class _Whisper(msgspec.Struct):
    segments: list[_WhisperSegment]
    language: _Name | None = None
    info: _WhisperInfo | None = None


def _from_whisper(whisper: _Whisper) -> _Heard:
    info = whisper.info or _WhisperInfo()
    return _Heard([_whispered(s) for s in whisper.segments], whisper.language or info.language)


def _whispered(segment: _WhisperSegment) -> _Segment:
    words = [_Word(w.word, w.start, w.end, w.probability) for w in segment.words or []]
    mean = segment.avg_logprob
    confidence = None if mean is None else exp(min(mean, 0))
    return _Segment(segment.text, segment.start, segment.end, confidence, words)


# --- whisper.cpp


class _Offsets(msgspec.Struct):
    """In milliseconds."""

    start: _Milliseconds = msgspec.field(name="from")
    end: _Milliseconds = msgspec.field(name="to")


class _Token(msgspec.Struct):
    text: str
    offsets: _Offsets | None = None
    p: float | None = None


class _Line(msgspec.Struct):
    text: _Text
    offsets: _Offsets
    tokens: list[_Token] = []


class _Result(msgspec.Struct):
    language: _Name | None = None


class _Model(msgspec.Struct):
    type: _Name | None = None


class _Cpp(msgspec.Struct):
    transcription: list[_Line]
    result: _Result | None = None
    model: _Model | None = None


_SPECIAL = re.compile(r"\[_[A-Z]+_\d*\]|<\|[^|]*\|>")
"""Tokens that mark times and the like, and aren't spoken: [_BEG_], [_TT_150], <|en|>."""

_UNSPACED = {"zh", "ja", "th", "lo", "my", "yue"}
"""Languages without spaces, for which Whisper takes every token as a word."""


def _from_cpp(cpp: _Cpp) -> _Heard:
    language = cpp.result.language if cpp.result else None
    is_spaced = language not in _UNSPACED
    segments = [_line(line, is_spaced=is_spaced) for line in cpp.transcription]
    return _Heard(segments, language, cpp.model.type if cpp.model else None)


def _line(line: _Line, *, is_spaced: bool) -> _Segment:
    tokens = [token for token in line.tokens if not _SPECIAL.fullmatch(token.text)]
    words = list(_words_of(tokens, is_spaced=is_spaced))
    start, end = line.offsets.start / 1000, line.offsets.end / 1000
    return _Segment(line.text, start, end, _mean([token.p for token in tokens]), words)


def _words_of(tokens: Sequence[_Token], *, is_spaced: bool) -> Iterator[_Word]:
    """Put together the tokens of each word: the first has a space in front."""
    run: list[_Token] = []
    for token in tokens:
        if run and (token.text.startswith(" ") or not is_spaced):
            yield from _word_of(run)
            run = []
        run.append(token)
    yield from _word_of(run)


def _word_of(tokens: Sequence[_Token]) -> Iterator[_Word]:
    times = [token.offsets for token in tokens if token.offsets]
    if times:
        text = "".join(token.text for token in tokens)
        probability = _mean([token.p for token in tokens])
        yield _Word(text, times[0].start / 1000, times[-1].end / 1000, probability)


def _mean(probabilities: Sequence[float | None]) -> float | None:
    """Return the geometric mean, which for Whisper's tokens is exp(avg_logprob)."""
    known = [min(max(p, 1e-9), 1.0) for p in probabilities if p is not None]
    return exp(sum(map(log, known)) / len(known)) if known else None


# --- As a state


def _state(heard: _Heard, oddities: Oddities) -> TranscriptionState:
    said = sorted((s for s in heard.segments if s.text.strip()), key=lambda s: (s.start, s.end))
    ids = segment_ids(len(said))
    segments = [_segment(id, one, oddities) for id, one in zip(ids, said, strict=True)]
    return TranscriptionState(
        segments=segments,
        language=heard.language or UNKNOWN_LANGUAGE,
        model_used=heard.model,
        confidence_score=_overall(segments),
        is_complete=True,
    )


def _segment(id: str, said: _Segment, oddities: Oddities) -> Segment:
    start = max(said.start, 0.0)
    end = max(said.end, start)
    if said.end < said.start:
        message = f"Segment {id} ends before it starts; it is kept, without length."
        oddities.add(id, "never-shown", message)
    words = [word for word in said.words if word.text.strip()]
    if words and not _make_up(words, said.text):
        message = f"The words of segment {id} don't make up its text, and are left out."
        oddities.add(id, "dropped-words", message)
        words = []
    return Segment(
        id=id,
        start_time=start,
        end_time=end,
        text=said.text.strip(),
        words=list(_within(words, start, end)),
        confidence=said.confidence,
    )


def _make_up(words: Sequence[_Word], text: str) -> bool:
    if any(len(word.text.strip()) > MAX_WORD for word in words):
        return False
    return "".join("".join(word.text.split()) for word in words) == "".join(text.split())


def _within(words: Sequence[_Word], first: float, last: float) -> Iterator[Word]:
    """Put words into their segment, each starting no earlier than the one before."""
    for word in words:
        first = min(max(word.start, first), last)
        end = min(max(word.end, first), last)
        p = None if word.probability is None else min(max(word.probability, 0.0), 1.0)
        yield Word(text=word.text.strip(), start=first, end=end, confidence=p)


def _overall(segments: Sequence[Segment]) -> float | None:
    """Return the mean confidence, weighted by time."""
    spans = [
        (s.end_time - s.start_time, s.confidence) for s in segments if s.confidence is not None
    ]
    total = sum(length for length, _ in spans)
    return sum(length * share for length, share in spans) / total if total else None
