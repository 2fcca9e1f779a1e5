"""What differs between two transcriptions, in words for people.

segment s3: “hello wrold” → “hello world”
added 12 segments from 0.0 to 34.5 s
speaker Ana renamed Anna
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from snipix.comparison import differences
from transcriptions.state import TOLERANCE, Segment, TranscriptionState, Word

MAX_LINES = 50
MAX_PARTS = 6
MAX_NAME = 40
MIN_TOGETHER = 3
CONTEXT = 12
"""Letters that are told around what was changed of a long text."""

_bytes = msgspec.json.Encoder(order="sorted").encode


def words(before: TranscriptionState, after: TranscriptionState) -> list[str]:
    """Tell all that differs in at most MAX_LINES lines; the last counts what is left out."""
    lines = list(_lines(before, after))
    if more := len(lines) - MAX_LINES + 1:
        return lines if more <= 1 else [*lines[: MAX_LINES - 1], f"and {more:,} more changes"]
    return lines


def same(one: Any, other: Any) -> bool:
    """Whether two normalised values are equal as JSON: 1 isn't true, as it is in Python."""
    return one is other or (bool(one == other) and _bytes(one) == _bytes(other))


def parts(was: Segment, now: Segment, names: Mapping[str, str]) -> list[str]:
    """What has become of a segment; `names` are those of speakers, by id."""
    way = _way(was, now)
    told = [f"moved by {_number(way, sign='+')} s"] if way else list(_times(was, now))
    told = [*_texts(was, now), *told]
    if was.speaker_id != now.speaker_id:
        told.append(f"speaker {speaker(was.speaker_id, names)} → {speaker(now.speaker_id, names)}")
    if was.confidence != now.confidence:
        told.append(f"confidence {_value(was.confidence)} → {_value(now.confidence)}")
    if was.shown == now.shown and (count := _changed_words(was.words, now.words, way)):
        told.append(f"{count:,} word{'s' * (count > 1)} changed")
    told += _free(was.metadata, now.metadata)
    if not told and was.is_edited != now.is_edited:
        told.append("edited" if now.is_edited else "no longer edited")
    return told


def seconds(value: float) -> str:
    """A time with one to three decimals, as `12.4 s`."""
    return f"{_number(value)} s"


def quoted(text: str) -> str:
    return f"“{short(text)}”" if text.strip() else "nothing"


def short(text: str) -> str:
    """Bring a text into one short line."""
    line = " ".join(text[: 10 * MAX_NAME].split())
    line = "".join(char if char.isprintable() else "�" for char in line)
    return line if len(line) <= MAX_NAME else f"{line[: MAX_NAME - 1].rstrip()}…"


def speaker(id: str | None, names: Mapping[str, str]) -> str:
    """What people call a speaker: the name, or else the id."""
    return "nobody" if id is None else short(names.get(id, "")) or short(id)


def several(segments: Sequence[Segment]) -> str:
    """Tell many segments by their span: `12 segments from 0.0 to 34.5 s`."""
    start = min(segment.start_time for segment in segments)
    end = max(segment.end_time for segment in segments)
    return f"{len(segments):,} segments from {_number(start)} to {_number(end)} s"


def listed(what: str, told: Sequence[str]) -> str:
    """Put a few things about something into a line; what is too many is counted."""
    more = len(told) - MAX_PARTS
    shown = told if more <= 0 else [*told[:MAX_PARTS], f"and {more:,} more"]
    return f"{what}: {', '.join(shown)}"


# --- Lines


def _lines(before: TranscriptionState, after: TranscriptionState) -> Iterator[str]:
    if told := list(_of_transcription(before, after)):
        yield listed("transcription", told)
    yield from _speakers(before.speakers, after.speakers)
    was, now = ({segment.id: segment for segment in state.segments} for state in (before, after))
    yield from _came_or_went("removed", [one for id, one in was.items() if id not in now])
    yield from _came_or_went("added", [one for id, one in now.items() if id not in was])
    yield from _stayed(was, now, {**before.speakers, **after.speakers})


def _of_transcription(before: TranscriptionState, after: TranscriptionState) -> Iterator[str]:
    for name in ("language", "model_used", "processing_time", "confidence_score", "speaker_count"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield f"{name.replace('_', ' ')} {_value(old)} → {_value(new)}"
    if before.is_complete != after.is_complete:
        yield "complete" if after.is_complete else "no longer complete"
    yield from _free(before.metadata, after.metadata)


def _speakers(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for id, name in before.items():
        if id not in after:
            yield f"speaker {speaker(id, before)} lost the name"
        elif after[id] != name:
            yield f"speaker {speaker(id, before)} renamed {quoted(after[id])}"
    for id, name in after.items():
        if id not in before:
            yield f"speaker {short(id)} named {quoted(name)}"


def _came_or_went(verb: str, segments: Sequence[Segment]) -> Iterator[str]:
    if len(segments) >= MIN_TOGETHER:
        yield f"{verb} {several(segments)}"
        return
    for segment in segments:
        where = f"{short(segment.id)} at {seconds(segment.start_time)}"
        yield f"{verb} segment {where}: {quoted(segment.shown)}"


def _stayed(
    was: Mapping[str, Segment], now: Mapping[str, Segment], names: Mapping[str, str]
) -> Iterator[str]:
    """Tell segments together that were changed in the same way, as when all are moved."""
    changed = {
        id: parts(old, now[id], names)
        for id, old in was.items()
        if id in now and not same(old, now[id])
    }
    ways = {id: " ".join(told) for id, told in changed.items()}
    counts = Counter(ways.values())
    first = {way: id for id, way in reversed(ways.items())}
    for id, told in changed.items():
        count = counts[ways[id]]
        if told and count < MIN_TOGETHER:
            yield listed(f"segment {short(id)}", told)
        elif told and first[ways[id]] == id:
            yield listed(f"{count:,} segments", told)


# --- Parts of a line


def _texts(was: Segment, now: Segment) -> Iterator[str]:
    if was.shown != now.shown:
        old, new = _excerpts(was.shown, now.shown)
        yield f"{quoted(old)} → {quoted(new)}"
    elif was.text != now.text:
        old, new = _excerpts(was.text, now.text)
        yield f"recognised text {quoted(old)} → {quoted(new)}"


def _excerpts(old: str, new: str) -> tuple[str, str]:
    """What differs of two texts, and a little of what stands around it."""
    if max(len(old), len(new)) <= MAX_NAME:
        return old, new
    start = max(_common(old, new) - CONTEXT, 0)
    end = max(_common(old[start:][::-1], new[start:][::-1]) - CONTEXT, 0)
    cut = (text[start : len(text) - end] for text in (old, new))
    before, after = "…" * (start > 0), "…" * (end > 0)
    one, other = (f"{before}{text}{after}" for text in cut)
    return one, other


def _common(one: str, other: str) -> int:
    """How many letters two texts begin with both."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _way(was: Segment, now: Segment) -> float:
    """How far a segment was moved, if it lasts as long as before; or else 0."""
    way = now.start_time - was.start_time
    is_moved = abs(now.end_time - was.end_time - way) <= TOLERANCE and abs(way) > TOLERANCE
    return way if is_moved else 0.0


def _times(was: Segment, now: Segment) -> Iterator[str]:
    for name, what in (("start_time", "start"), ("end_time", "end")):
        old, new = getattr(was, name), getattr(now, name)
        if old != new:
            yield f"{what} {_number(old, new)} → {_number(new, old)} s"


def _changed_words(before: Sequence[Word], after: Sequence[Word], way: float) -> int:
    """How many words came, went or changed otherwise than by the way of their segment."""
    was, now = ({word.id: word for word in side} for side in (before, after))
    differ = sum(1 for id in was if id in now and not _is_same_word(was[id], now[id], way))
    return differ + len(was.keys() ^ now.keys())


def _is_same_word(was: Word, now: Word, way: float) -> bool:
    if abs(now.start - was.start - way) > TOLERANCE or abs(now.end - was.end - way) > TOLERANCE:
        return False
    return same(msgspec.structs.replace(was, start=now.start, end=now.end), now)


def _free(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Tell the keys that differ, deeper ones by their path: `source.name`."""
    for found in () if same(before, after) else differences(before, after):
        name = f"metadata {short(found.path)}"
        if found.kind == "added":
            yield f"{name} set to {_value(found.after)}"
        elif found.kind == "removed":
            yield f"{name} removed, was {_value(found.before)}"
        else:
            yield f"{name} {_value(found.before)} → {_value(found.after)}"


def _number(value: float, other: float | None = None, sign: str = "") -> str:
    """A number with as many decimals as it takes to see that it isn't the other."""
    digits = 3 if other is None or round(value, 3) != round(other, 3) else 9
    text = f"{value:{sign}.{digits}f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def _value(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    return short(value if isinstance(value, str) else msgspec.json.encode(value).decode())
