"""Transcriptions made up from a seed: for the demo, the tests and the benchmarks.

What a recogniser makes of a conversation: segments of some ten words, each with its times, now and
then an "um", and several voices. The same seed and number of words give the same state.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from transcriptions.state import Segment, TranscriptionState, Word, check, settle

_TEXT = (
    "we cut the harbour scene after lunch and then nobody could find original sound because "
    "somebody had put it under music so please look again at first minute where camera turns"
)
_FILLER = "um"
_VOICES = {"speaker-1": "Alice", "speaker-2": "Bob", "speaker-3": "Charlie"}


def transcription(seed: int, words: int) -> TranscriptionState:
    """Make up a transcription of so many words."""
    state = TranscriptionState(
        segments=list(_segments(Random(seed), words)),  # noqa: S311 - made up
        model_used="made up",
        is_complete=True,
        speakers=dict(_VOICES),
    )
    return settle(check(state))


def _segments(random: Random, words: int) -> Iterator[Segment]:
    time, number = 0.0, 0
    while words > 0:
        number += 1
        count = min(random.randint(4, 16), words)
        words -= count
        segment = _segment(random, f"s{number}", time, count)
        yield segment
        time = round(segment.end_time + random.choice((0.1, 0.3, 1.2)), 3)


def _segment(random: Random, id: str, start: float, count: int) -> Segment:
    words, time = [], start
    for place in range(count):
        text = _FILLER if random.random() < 0.03 else random.choice(_TEXT.split())
        end = round(time + 0.08 + 0.05 * len(text), 3)
        words.append(
            Word(
                id=f"{id}~{place}",
                text=text,
                start=time,
                end=end,
                confidence=round(random.uniform(0.6, 1), 3),
                is_filler=text == _FILLER,
            )
        )
        time = round(end + random.choice((0.02, 0.05, 0.2)), 3)
    return Segment(
        id=id,
        start_time=start,
        end_time=words[-1].end,
        text=" ".join(word.text for word in words),
        words=words,
        speaker_id=random.choice(list(_VOICES)),
        confidence=round(sum(word.confidence or 0 for word in words) / count, 3),
    )
