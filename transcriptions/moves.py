"""Where words are once the borders of their segment are moved."""

from __future__ import annotations

from msgspec.structs import replace

from snipix.refusals import InvalidState, Problem
from transcriptions.state import TOLERANCE, Segment, Word


def moved(old: Segment, new: Segment) -> list[Word]:
    """The words of a segment after its times were changed.

    They move with a segment that lasts as long as before. Otherwise only its borders were moved:
    the words stay where they are spoken, and are cut at the borders. Raises InvalidState for
    words that would lie outside, rather than forget when they were spoken.
    """
    way = new.start_time - old.start_time
    if way == 0 and new.end_time == old.end_time:
        return old.words
    if abs(new.end_time - old.end_time - way) <= TOLERANCE:
        # To the nanosecond, so that moving it back gives the same times again.
        times = [(round(word.start + way, 9), round(word.end + way, 9)) for word in old.words]
        return [_placed(word, *time, new) for word, time in zip(old.words, times, strict=True)]
    for word in old.words:
        _check_inside(word, new)
    return [_placed(word, word.start, word.end, new) for word in old.words]


def _placed(word: Word, start: float, end: float, segment: Segment) -> Word:
    """A word at a time, cut at the borders of its segment."""
    start, end = (min(max(t, segment.start_time), segment.end_time) for t in (start, end))
    return replace(word, start=start, end=end) if (start, end) != (word.start, word.end) else word


def _check_inside(word: Word, segment: Segment) -> None:
    is_late = word.start > segment.end_time or word.start == segment.end_time < word.end
    is_early = word.end < segment.start_time or word.end == segment.start_time > word.start
    if is_late or is_early:
        span = f"spoken from {word.start:.9g} to {word.end:.9g} s"
        reason = f"leaves a word outside: “{word.text[:40]}” ({word.id}), {span}"
        hint = "Send the words with their times, too, or split the segment first."
        raise InvalidState([Problem("end_time" if is_late else "start_time", reason, hint)])
