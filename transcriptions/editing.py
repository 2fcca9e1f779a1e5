"""What all edits of a transcription share: their result, their refusals, their last check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from msgspec.structs import replace

from snipix import refusals, states
from snipix.errors import NotFound
from snipix.refusals import InvalidState, Problem, join
from transcriptions import state as transcriptions
from transcriptions.state import Segment, TranscriptionState


class Edited(NamedTuple):
    """What an edit makes of a state, and how the history tells it; "" if it changes nothing."""

    state: TranscriptionState
    summary: str
    kept: Sequence[str] = ()
    """Ids of segments that were sent and stay as they are, since somebody has edited them."""


def read_fields(raw: bytes) -> dict[str, Any]:
    """Read the fields that a body changes, strictly; `edit_segment` and the others check them."""
    fields = states.decode_free(raw)
    if not isinstance(fields, dict):
        raise refusal("", "must be an object", "Send an object with what is to be changed.")
    return fields


def refusal(path: str, reason: str, hint: str) -> InvalidState:
    return InvalidState([Problem(path, reason, hint)])


@contextmanager
def blamed(path: str) -> Iterator[None]:
    """Say of every refusal that it is about this field of the body."""
    try:
        yield
    except InvalidState as refused:
        raise InvalidState([replace(problem, path=path) for problem in refused.errors]) from None


def find(state: TranscriptionState, id: str) -> tuple[int, Segment]:
    """A segment and its place; raises NotFound."""
    for index, segment in enumerate(state.segments):
        if segment.id == id:
            return index, segment
    raise NotFound(f"There is no segment {id} in this transcription.")


def chosen(state: TranscriptionState, ids: Sequence[str], least: int = 1) -> list[Segment]:
    """The segments with the ids of a body, in their order in the state."""
    if len(ids) < least:
        raise refusal("ids", f"must have at least {least} items", "Name more segments.")
    known = {segment.id for segment in state.segments}
    first: dict[str, int] = {}
    for index, id in enumerate(ids):
        if id not in known:
            hint = "Load the transcription anew: it may be gone."
            raise refusal(f"ids[{index}]", f"is the id of no segment: {id}", hint)
        if first.setdefault(id, index) != index:
            raise refusal(f"ids[{index}]", f"is also ids[{first[id]}]: {id}", "Name each once.")
    return [segment for segment in state.segments if segment.id in first]


def check_words_are_new(sent: Iterable[tuple[str, Segment]], others: Iterable[Segment]) -> None:
    """Refuse ids of words, in segments at their paths of the body, that other words have."""
    first = {word.id: f"a word of segment {one.id}" for one in others for word in one.words}
    refusals.refuse(p for path, one in sent for p in _taken_words(join(path, "words"), one, first))


def _taken_words(path: str, segment: Segment, first: dict[str, str]) -> Iterator[Problem]:
    for index, word in enumerate(segment.words):
        place = f"{path}[{index}]"
        if word.id and (other := first.setdefault(word.id, place)) != place:
            reason = f"is also the id of {other}: {word.id}"
            yield Problem(f"{place}.id", reason, "Give each an id of its own, or none.")


def settled(state: TranscriptionState, places: Mapping[str, str]) -> TranscriptionState:
    """The state in its normal form, unless there is too much of it, or segments overlap.

    `places` are the paths in the body, by id, of the segments that were sent or changed. The others
    were compared when they came.
    """
    refusals.refuse(transcriptions.size_problems(state))
    refusals.refuse(_overlaps(state.segments, places))
    return transcriptions.settle(state)


def _overlaps(segments: list[Segment], places: Mapping[str, str]) -> Iterator[Problem]:
    for later, earlier in transcriptions.overlaps(segments):
        one, other = segments[later], segments[earlier]
        if one.id in places:
            where = f"{other.id} ends at {other.end_time:.9g} s"
            path = join(places[one.id], "start_time")
            yield transcriptions.overlap(path, one, other, where)
        elif other.id in places:
            where = f"{one.id} starts at {one.start_time:.9g} s"
            path = join(places[other.id], "end_time")
            yield transcriptions.overlap(path, other, one, where)
