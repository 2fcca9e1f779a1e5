"""Words that follow a text: who edits what is shown keeps the times of all that stays.

Words are compared piece by piece with the new text, in three rounds, each within what the rounds
before left open: by the same spelling, by what is heard (case and punctuation may differ) and, if
as many pieces came as went, one by one by similar spelling. A word all of whose pieces are found,
one after another, stays: it keeps everything but its text.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from msgspec.structs import replace
from rapidfuzz.distance import Indel, LCSseq

from transcriptions.state import Segment, Word, word_id
from transcriptions.texts import MAX_PIECE, Piece, heard, pieces

SIMILAR = 0.5
"""From this share of common letters on, a word is another spelling and not another word."""

Pair: TypeAlias = tuple[int, int]
"""Places of what is the same, in the old list and in the new one."""


def retext(segment: Segment, text: str, taken: Iterable[str] = ()) -> list[Word]:
    """The words of a segment once it shows another text; `taken` are ids that others have.

    New words share the time of those that they replace, by the length of their texts. Where none
    was replaced, they share the pause at their place, and last 0 s if there is none: no other
    word's time is touched. Starts stay in order, within the segment. A segment that shows a text
    without having words gets none, since nobody knows when they were spoken.
    """
    if not segment.words and segment.shown.strip():
        return []
    found = pieces(text)
    ids = {*taken, *(word.id for word in segment.words)}
    words: list[Word] = []
    for run in _runs(segment, text, found):
        words.extend(_spoken(run, segment.id, len(words), ids))
        if run.after is not None:
            words.append(run.after)
    return words


def timed(segment: Segment) -> list[Word]:
    """The words of a segment; without any, those of its text, without ids and evenly in time."""
    if segment.words:
        return segment.words
    return list(_shared(_texts(segment.shown), segment.start_time, segment.end_time))


def cut(words: Sequence[Word], place: int, text: str) -> tuple[str, str]:
    """Cut a text, which may differ from the words somewhat, in front of the word at a place."""
    old = [(index, piece.text) for index, word in enumerate(words) for piece in pieces(word.text)]
    first = sum(1 for index, _ in old if index < place)
    found = pieces(text)
    pairs = _aligned([piece for _, piece in old], [piece.text for piece in found])
    # What wasn't found lies between the last that belongs before, and the first that belongs after.
    i0, j0 = max(((i + 1, j + 1) for i, j in pairs if i < first), default=(0, 0))
    i1, j1 = min(((i, j) for i, j in pairs if i >= first), default=(len(old), len(found)))
    share = (first - i0) / (i1 - i0) if i1 > i0 else 1.0
    border = j0 + round((j1 - j0) * share)
    at = found[border].at if border < len(found) else len(text)
    return text[:at].strip(), text[at:].strip()


# --- Runs: what is new between two words that stay


class _Run(NamedTuple):
    """New pieces, from when to when they are spoken, and the word that comes after them."""

    texts: list[str]
    start: float
    end: float
    speaker_id: str | None
    after: Word | None


class _Stay(NamedTuple):
    """A word that stays: its place, those of its pieces in the new text, and the word itself."""

    place: int
    first: int
    last: int
    word: Word


def _runs(segment: Segment, text: str, found: list[Piece]) -> Iterator[_Run]:
    place = at = 0
    before: Word | None = None
    for stay in [*_stays(segment.words, text, found), None]:
        after = stay.word if stay else None
        gone = segment.words[place : stay.place if stay else None]
        texts = [piece.text for piece in found[at : stay.first if stay else None]]
        start, end = _span(segment, before, gone, after)
        speakers = {word.speaker_id for word in gone}
        yield _Run(texts, start, end, speakers.pop() if len(speakers) == 1 else None, after)
        if stay:
            place, at, before = stay.place + 1, stay.last + 1, after


def _span(
    segment: Segment, before: Word | None, gone: Sequence[Word], after: Word | None
) -> tuple[float, float]:
    """The time of the words that are gone, or else the pause at their place."""
    most = after.start if after else segment.end_time
    least = before.start if before else min(segment.start_time, most)
    most = max(least, most)  # a word may stand out by the tolerance
    if gone:
        start, end = gone[0].start, max(word.end for word in gone)
    else:
        start, end = before.end if before else segment.start_time, most
    start = min(max(start, least), most)
    return start, min(max(end, start), most)


def _spoken(run: _Run, segment: str, place: int, ids: Container[str]) -> Iterator[Word]:
    for at, word in enumerate(_shared(run.texts, run.start, run.end), place):
        yield replace(word, id=word_id(segment, at, ids), speaker_id=run.speaker_id)


def _shared(texts: Sequence[str], start: float, end: float) -> Iterator[Word]:
    """Words that share a time by the length of their texts, to the microsecond."""
    total, length = sum(map(len, texts)), 0
    since = start
    for text in texts:
        length += len(text)
        until = min(max(round(start + (end - start) * length / total, 6), since), end)
        yield Word(text=text, start=since, end=until)
        since = until


# --- What stays


def _stays(words: Sequence[Word], text: str, found: list[Piece]) -> Iterator[_Stay]:
    owned = [_texts(word.text) for word in words]
    pairs = dict(_aligned([one for own in owned for one in own], [piece.text for piece in found]))
    first = 0
    for place, own in enumerate(owned):
        places = [pairs.get(i) for i in range(first, first + len(own))]
        first += len(own)
        if not places or places[0] is None:
            continue
        last = places[0] + len(places) - 1
        if places == list(range(places[0], last + 1)):
            shown = _shown(text, found[places[0]], found[last])
            if len(shown) <= MAX_PIECE:
                word = words[place]
                kept = word if own == _texts(shown) else replace(word, text=shown)
                yield _Stay(place, places[0], last, kept)


def _texts(text: str) -> list[str]:
    return [piece.text for piece in pieces(text)]


def _shown(text: str, first: Piece, last: Piece) -> str:
    return " ".join(text[first.at : last.at + len(last.text)].split())


def _aligned(old: Sequence[str], new: Sequence[str]) -> list[Pair]:
    """Pairs of pieces that are the same, in order on both sides."""
    pairs = _common(old, new)
    for find in (_alike, _similar):
        more = [
            (i0 + i, j0 + j)
            for (i0, i1), (j0, j1) in _gaps(pairs, len(old), len(new))
            for i, j in find(old[i0:i1], new[j0:j1])
        ]
        pairs = sorted(pairs + more)
    return pairs


def _gaps(pairs: Sequence[Pair], old: int, new: int) -> Iterator[tuple[Pair, Pair]]:
    """From where to where there are pieces on both sides without a pair."""
    for (i, j), (i1, j1) in pairwise([(-1, -1), *pairs, (old, new)]):
        if i1 - i > 1 and j1 - j > 1:
            yield (i + 1, i1), (j + 1, j1)


def _common(old: Sequence[str], new: Sequence[str]) -> list[Pair]:
    """The longest common subsequence.

    It takes 20,000 times 20,000 steps at worst, but 64 at once: some 50 ms.
    """
    numbers: dict[str, int] = {}
    sides = [[numbers.setdefault(text, len(numbers)) for text in side] for side in (old, new)]
    blocks = LCSseq.editops(*sides).as_matching_blocks()
    return [(block.a + k, block.b + k) for block in blocks for k in range(block.size)]


def _alike(old: Sequence[str], new: Sequence[str]) -> list[Pair]:
    return _common([heard(text) for text in old], [heard(text) for text in new])


def _similar(old: Sequence[str], new: Sequence[str]) -> list[Pair]:
    if len(old) != len(new):
        return []
    pairs = enumerate(zip(old, new, strict=True))
    return [(i, i) for i, (one, other) in pairs if _is_similar(heard(one), heard(other))]


def _is_similar(one: str, other: str) -> bool:
    return Indel.normalized_similarity(one, other) >= SIMILAR
