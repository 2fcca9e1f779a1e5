"""Finding what is said, and when.

Case, accents and punctuation are ignored. A phrase may run on from one segment into the next one of
the same speaker: recognisers end segments where they like.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, groupby
from typing import NamedTuple

import msgspec

from transcriptions.alignment import timed
from transcriptions.state import Segment, TranscriptionState, Word
from transcriptions.texts import joined, parts, pieces

MAX_HITS = 100
SURROUNDING = 6
"""Words that are told before a hit, and after it."""


class Hit(msgspec.Struct, frozen=True):
    """What was found: from when to when it is spoken, in seconds, and where.

    `segment_ids` are those that it lies in, mostly one. `word_ids` is empty where a segment has no
    words; the times are estimated there, by how far into the text it is found.
    """

    start: float
    end: float
    segment_ids: list[str]
    speaker_id: str | None
    word_ids: list[str]
    text: str
    before: str
    after: str


class Found(msgspec.Struct, frozen=True):
    """The first hits in the order of the segments, and how many more there are."""

    hits: list[Hit]
    more: int


def search(
    state: TranscriptionState, query: str, *, limit: int = MAX_HITS, prefix: bool = False
) -> Found:
    """Find a word or a phrase; hits don't overlap each other.

    With `prefix`, the last word of the query is met by its beginning, as for search as you type. A
    query without letters or digits finds nothing. Takes time in proportion to the transcription.
    """
    wanted = _parts(query)
    hits: list[Hit] = []
    more = 0
    if wanted:
        for _, segments in groupby(state.segments, key=lambda segment: segment.speaker_id):
            speech = _Speech(segments)
            for first, last in speech.find(wanted, prefix):
                if len(hits) < limit:
                    hits.append(speech.hit(first, last))
                else:
                    more += 1
    return Found(hits, more)


class _Said(NamedTuple):
    word: Word
    segment: Segment


class _Speech:
    """What one speaker says in segments one after another."""

    def __init__(self, segments: Iterator[Segment]) -> None:
        self.said = [_Said(word, segment) for segment in segments for word in timed(segment)]
        heard = [_parts_of_word(said.word.text) for said in self.said]
        self.owners = [i for i, parts in enumerate(heard) for _ in parts]
        """The word that each part belongs to."""
        parts = [part for parts in heard for part in parts]
        self.text = "".join(f" {part}" for part in parts) + " "
        """All parts, each with a space before and after it."""
        self.starts = list(accumulate((len(part) + 1 for part in parts), initial=0))

    def find(self, wanted: Sequence[str], prefix: bool) -> Iterator[tuple[int, int]]:
        """The first and the last word of each hit."""
        needle = f" {' '.join(wanted)}{'' if prefix else ' '}"
        at = self.text.find(needle)
        while at >= 0:
            first = bisect_right(self.starts, at) - 1
            last = first + len(wanted) - 1
            yield self.owners[first], self.owners[last]
            after = bisect_right(self.owners, self.owners[last])
            at = self.text.find(needle, self.starts[after])

    def hit(self, first: int, last: int) -> Hit:
        found = self.said[first : last + 1]
        return Hit(
            start=found[0].word.start,
            end=max(said.word.end for said in found),
            segment_ids=list(dict.fromkeys(said.segment.id for said in found)),
            speaker_id=found[0].segment.speaker_id,
            word_ids=[said.word.id for said in found if said.word.id],
            text=_text(found),
            before=_text(self.said[max(first - SURROUNDING, 0) : first]),
            after=_text(self.said[last + 1 : last + 1 + SURROUNDING]),
        )


def _text(said: Sequence[_Said]) -> str:
    return joined(one.word.text for one in said)


def _parts(text: str) -> Sequence[str]:
    """The parts of a text; where there are no spaces, every character is one."""
    return [part for piece in pieces(text) for part in parts(piece.text)]


# Of the words alone, not of queries: a language has few that are said often, and they are short.
_parts_of_word = lru_cache(maxsize=2**15)(_parts)
