"""Where one segment ends and the next begins: splitting, and merging."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from msgspec.structs import replace

from snipix import refusals
from transcriptions.alignment import cut, timed
from transcriptions.editing import Edited, blamed, chosen, find, refusal, settled
from transcriptions.state import MAX_TEXT, Segment, TranscriptionState, Word, problems_of
from transcriptions.texts import joined
from transcriptions.words import seconds, short, speaker

MAX_ID = 200


def split_segment(state: TranscriptionState, id: str, at: float | str, new_id: str = "") -> Edited:
    """Split a segment at a time in seconds, or in front of the word with an id.

    No word is cut in two: it goes where its middle is, and the border to its edge. A word that
    runs on beyond the border, since its next one begins earlier than it ends, ends there. Both
    parts keep the speaker, the confidence and the metadata; the second one gets `new_id`.
    """
    index, old = find(state, id)
    new_id = _new_id(state, old, new_id)
    words = timed(old)
    place = _place(old, words, at)
    border = _border(old, place, at)
    before, after = _texts(old, words, place)
    until = [_ending(word, border) for word in old.words[:place]]
    first = replace(before, end_time=border, words=until)
    second = replace(after, id=new_id, start_time=border, words=old.words[place:])
    segments = [*state.segments[:index], first, second, *state.segments[index + 1 :]]
    result = settled(replace(state, segments=segments), {})
    return Edited(result, f"split segment {short(id)} at {seconds(border)}")


def merge_segments(state: TranscriptionState, ids: Sequence[str]) -> Edited:
    """Make one segment of several neighbours, in the order of their times.

    It has the first one's id, and all their words and texts. Their speaker may be known of some
    only, but not be another; nothing else of that speaker may lie between them. Its confidence is
    that of the least certain; of metadata with the same key, the first is taken.
    """
    parts = chosen(state, ids, 2)
    _check_speakers(state, parts)
    _check_neighbours(state, ids, parts)
    new = _merged(parts)
    segments = [one for one in state.segments if one.id not in set(ids)]
    with blamed("ids"):
        refusals.refuse(problems_of(new))
        _check_lengths(new)
        result = settled(replace(state, segments=[*segments, new]), {new.id: ""})
    names = ", ".join(short(segment.id) for segment in parts[:-1])
    return Edited(result, f"merged segments {names} and {short(parts[-1].id)}")


# --- Splitting


def _new_id(state: TranscriptionState, segment: Segment, id: str) -> str:
    """The id of the second part: as it was sent, or made of the first one's."""
    taken = {segment.id for segment in state.segments}
    if id in taken:
        raise refusal("new_id", f"is a segment's already: {id}", "Give it an id of its own.")
    if len(id) > MAX_ID:
        raise refusal("new_id", f"must have at most {MAX_ID} characters", "Send a shorter one.")
    made = (f"{segment.id[: MAX_ID - 8]}~{number}" for number in count(2))
    return id or next(one for one in made if one not in taken)


def _place(segment: Segment, words: Sequence[Word], at: float | str) -> int:
    """The place of the first word of the second part."""
    if isinstance(at, str):
        place = next((i for i, word in enumerate(segment.words) if word.id == at), -1)
        if place < 0:
            reason = f"is the id of no word of segment {segment.id}: {at}"
            raise refusal("at", reason, "Load the transcription anew: it may be gone.")
    else:
        _check_within(segment, at)
        place = next((i for i, one in enumerate(words) if one.start + one.end > 2 * at), len(words))
    if words and not 0 < place < len(words):
        where = "all words come after it" if place == 0 else "no word comes after it"
        reason = f"leaves a part of segment {segment.id} without words: {where}"
        raise refusal("at", reason, "Choose a place between two words.")
    return place


def _check_within(segment: Segment, at: float) -> None:
    if not segment.start_time < at < segment.end_time:
        span = f"{segment.start_time:.9g} and {segment.end_time:.9g} s"
        reason = f"is {at:.9g}, not within segment {segment.id}"
        raise refusal("at", reason, f"Choose a time between {span}.")


def _border(segment: Segment, place: int, at: float | str) -> float:
    """When the second part begins: as near to the wanted time as its words let it."""
    if not segment.words:
        return float(at)
    border = latest = segment.words[place].start
    if not isinstance(at, str):
        border = min(max(at, *(word.end for word in segment.words[:place])), latest)
    return min(max(border, segment.start_time), segment.end_time)


def _ending(word: Word, border: float) -> Word:
    return word if word.end <= border else replace(word, end=max(word.start, border))


def _texts(segment: Segment, words: Sequence[Word], place: int) -> list[Segment]:
    """Two segments with a part of each text, and otherwise as the one was."""
    texts = cut(words, place, segment.text)
    edited: Sequence[str | None] = (None, None)
    if segment.edited_text is not None:
        edited = cut(words, place, segment.edited_text)
    return [
        replace(segment, text=text, edited_text=shown, is_edited=True)
        for text, shown in zip(texts, edited, strict=True)
    ]


# --- Merging


def _check_speakers(state: TranscriptionState, parts: Sequence[Segment]) -> None:
    known = {segment.speaker_id for segment in parts} - {None}
    if len(known) > 1:
        names = " and ".join(sorted(speaker(id, state.speakers) for id in known))
        reason = f"are segments of different speakers: {names}"
        raise refusal("ids", reason, "Give them one speaker first.")


def _check_neighbours(
    state: TranscriptionState, ids: Sequence[str], parts: Sequence[Segment]
) -> None:
    """What others say in between does no harm; what the same one says would change places."""
    speakers, wanted = {segment.speaker_id for segment in parts}, set(ids)
    order = [segment.id for segment in state.segments]
    first, last = order.index(parts[0].id), order.index(parts[-1].id)
    for place in range(first, last):
        other = state.segments[place]
        if other.id not in wanted and other.speaker_id in speakers:
            later = next(id for id in order[place:] if id in wanted)
            reason = f"is no neighbour of the others: segment {other.id} lies between"
            raise refusal(f"ids[{list(ids).index(later)}]", reason, f"Merge {other.id}, too.")


def _merged(parts: Sequence[Segment]) -> Segment:
    is_edited = any(segment.edited_text is not None for segment in parts)
    confidences = [one.confidence for one in parts if one.confidence is not None]
    words = [word for segment in parts for word in segment.words]
    metadata: dict[str, Any] = {}
    for segment in reversed(parts):
        metadata |= segment.metadata
    return replace(
        parts[0],
        end_time=max(segment.end_time for segment in parts),
        text=joined(segment.text for segment in parts),
        edited_text=joined(segment.shown for segment in parts) if is_edited else None,
        words=sorted(words, key=lambda word: word.start),
        speaker_id=next((one.speaker_id for one in parts if one.speaker_id is not None), None),
        confidence=min(confidences, default=None),
        is_edited=True,
        metadata=metadata,
    )


def _check_lengths(segment: Segment) -> None:
    for text in (segment.text, segment.edited_text or ""):
        if len(text) > MAX_TEXT:
            reason = f"make a text of more than {MAX_TEXT:,} characters"
            raise refusal("ids", reason, "Merge fewer segments.")
