"""Edits of a transcription: what a recogniser adds, and what people make of it.

Each function takes a state and returns another one, with a sentence for the history; what wasn't
edited is the same object in both. They raise InvalidState for what can't be done, with paths of
the request's body, and NotFound for a segment or a speaker that there isn't.

What people do marks a segment and the transcription as edited. Nothing unmarks them but
`is_edited: false`: a segment whose text was taken back may still have times or words that somebody
has set, and a recogniser may not replace those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from snipix import refusals, states
from snipix.errors import NotFound
from snipix.free_values import check_free
from transcriptions import state as transcriptions
from transcriptions import words as telling
from transcriptions.alignment import retext
from transcriptions.editing import (
    Edited,
    blamed,
    check_words_are_new,
    chosen,
    find,
    read_fields,
    refusal,
    settled,
)
from transcriptions.joints import MAX_ID, merge_segments, split_segment
from transcriptions.moves import moved
from transcriptions.state import Segment, TranscriptionState, Word
from transcriptions.words import quoted, same, seconds, short, speaker

__all__ = [
    "Edited",
    "append_segments",
    "change_metadata",
    "delete_segment",
    "edit_segment",
    "merge_segments",
    "read_fields",
    "rename_speaker",
    "set_speaker",
    "split_segment",
]


# --- What recognisers do


def append_segments(state: TranscriptionState, segments: Sequence[Segment]) -> Edited:
    """Add segments, in any order. To send some again changes nothing.

    A segment whose id is there already, with another content, is replaced. If somebody has edited
    it, it stays as it is instead, and `kept` says so. Paths begin with `segments[i]`.
    """
    sent = {f"segments[{index}]": segment for index, segment in enumerate(segments)}
    refusals.refuse(p for path, one in sent.items() for p in transcriptions.problems_of(one, path))
    places = _places(sent)
    before = {segment.id: segment for segment in state.segments}
    edited = {id for id in places if id in before and before[id].is_edited}
    kept = [id for id in places if id in edited and not same(before[id], sent[places[id]])]
    places = {id: path for id, path in places.items() if id not in edited}
    staying = [segment for segment in state.segments if segment.id not in places]
    added = {path: sent[path] for path in places.values()}
    check_words_are_new(added.items(), staying)
    after = settled(replace(state, segments=[*staying, *added.values()]), places)
    result = [_unless_same(before.get(segment.id), segment) for segment in after.segments]
    new = [segment for segment in result if segment is not before.get(segment.id)]
    if not new:
        return Edited(state, "", kept)
    return Edited(replace(after, segments=result), _told(new, before, kept), kept)


def _places(sent: Mapping[str, Segment]) -> dict[str, str]:
    """The path of each segment by its id; the very same may have been sent twice."""
    places: dict[str, str] = {}
    for path, segment in sent.items():
        first = places.setdefault(segment.id, path)
        if not same(sent[first], segment):
            reason = f"is also the id of {first}: {segment.id}"
            raise refusal(f"{path}.id", reason, "Give each an id of its own.")
    return places


def _unless_same(before: Segment | None, now: Segment) -> Segment:
    return before if before is not None and same(before, now) else now


def _told(new: Sequence[Segment], before: Mapping[str, Segment], kept: Sequence[str]) -> str:
    added = [segment for segment in new if segment.id not in before]
    replaced = [segment for segment in new if segment.id in before]
    sides = (("added", added), ("replaced", replaced))
    told = [f"{verb} {_several(segments)}" for verb, segments in sides if segments]
    if kept:
        told.append(f"kept {len(kept):,} that somebody has edited")
    return ", ".join(told)


def _several(segments: Sequence[Segment]) -> str:
    return telling.several(segments) if len(segments) > 1 else _named(segments[0])


def change_metadata(state: TranscriptionState, **fields: Any) -> Edited:
    """Change fields of the transcription itself: language, is_complete, speakers, metadata …"""
    if "segments" in fields:
        raise refusal("segments", "can't be changed here", "Edit the segments one by one.")
    bare = replace(state, segments=[])
    checked = states.from_builtins({**states.to_builtins(bare), **fields}, TranscriptionState)
    transcriptions.check(checked)
    changed = {name: getattr(checked, name) for name in fields}
    result = settled(replace(state, **changed), {})
    if same(bare, replace(result, segments=[])):
        return Edited(state, "")
    told = telling.words(bare, replace(result, segments=[]))
    return Edited(result, "; ".join(told) or "changed whether it is edited")


# --- What people do to a segment


def edit_segment(state: TranscriptionState, id: str, changes: Mapping[str, Any]) -> Edited:
    """Change fields of a segment, given as JSON by their names; `edited_text: null` takes it back.

    If another text is shown afterwards, the words follow it; words that are sent are taken as
    they are. Words move with a segment that lasts as long as before. Otherwise they stay where
    they are, cut at its new borders; one that would lie outside is refused.
    """
    index, old = find(state, id)
    new = _changed(old, changes)
    refusals.refuse(transcriptions.problems_of(replace(new, words=[])))
    others = [*state.segments[:index], *state.segments[index + 1 :]]
    if "words" not in changes:
        new = replace(new, words=_following(old, new, others))
    if same(old, new):
        return Edited(state, "")
    if new.is_edited == old.is_edited:  # many clients send it along as they got it
        new = replace(new, is_edited=True)
    refusals.refuse(transcriptions.problems_of(new))
    check_words_are_new([("", new)], others)
    result = settled(replace(state, segments=[*others, new], is_edited=True), {id: ""})
    _, new = find(result, id)
    told = telling.parts(old, new, state.speakers) or ["a detail"]
    return Edited(result, telling.listed(f"edited segment {short(id)}", told))


def _changed(segment: Segment, changes: Mapping[str, Any]) -> Segment:
    """A segment with changes, which are held to its own definition."""
    fields = states.to_builtins(replace(segment, words=[]))
    new = states.from_builtins({**fields, **changes}, Segment)
    if new.id != segment.id:
        raise refusal("id", f"can't be changed: it is {segment.id}", "Leave it out.")
    return new if "words" in changes else replace(new, words=segment.words)


def _following(old: Segment, new: Segment, others: Iterable[Segment]) -> list[Word]:
    """The words of a segment after its times, or the text that it shows, were changed."""
    words = moved(old, new)
    if old.shown == new.shown:
        return words
    taken = (word.id for segment in others for word in segment.words)
    placed = replace(old, start_time=new.start_time, end_time=new.end_time, words=words)
    return retext(placed, new.shown, taken)


def delete_segment(state: TranscriptionState, id: str) -> Edited:
    """Remove a segment and its words."""
    index, old = find(state, id)
    rest = [*state.segments[:index], *state.segments[index + 1 :]]
    return Edited(replace(state, segments=rest, is_edited=True), f"removed {_named(old)}")


def _named(segment: Segment) -> str:
    return f"segment {short(segment.id)} at {seconds(segment.start_time)}: {quoted(segment.shown)}"


# --- What people say about speakers


def rename_speaker(state: TranscriptionState, id: str, name: str) -> Edited:
    """Give a speaker a name, or another one, wherever the speaker speaks."""
    if id not in transcriptions.speakers_of(state):
        raise NotFound(f"There is no speaker {id} in this transcription.")
    if not name.strip():
        raise refusal("name", "is empty", "Send the speaker's name.")
    if state.speakers.get(id) == name:
        return Edited(state, "")
    with blamed("name"):
        speakers = check_free({**state.speakers, id: name}, "speakers")
        result = settled(replace(state, speakers=speakers, is_edited=True), {})
    verb = "renamed" if id in state.speakers else "named"
    return Edited(result, f"{verb} speaker {speaker(id, state.speakers)} {quoted(name)}")


def set_speaker(state: TranscriptionState, ids: Sequence[str], speaker_id: str | None) -> Edited:
    """Say who speaks in some segments, or that nobody knows."""
    if speaker_id is not None and not 1 <= len(speaker_id) <= MAX_ID:
        reason = f"must have 1 to {MAX_ID} characters"
        raise refusal("speaker_id", reason, "Send the id of a speaker, or null.")
    old = {one.id: "" for one in chosen(state, ids) if one.speaker_id != speaker_id}
    if not old:
        return Edited(state, "")
    segments = [
        replace(one, speaker_id=speaker_id, is_edited=True) if one.id in old else one
        for one in state.segments
    ]
    with blamed("speaker_id"):
        result = settled(replace(state, segments=segments, is_edited=True), old)
    what = f"segment {short(next(iter(old)))}" if len(old) == 1 else f"{len(old):,} segments"
    return Edited(result, f"gave {what} to speaker {speaker(speaker_id, state.speakers)}")
