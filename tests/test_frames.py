"""Frames: what is compressed against another state comes back, and costs what was changed."""

from contextlib import suppress
from random import Random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from snipix import frames

NOISE = Random(1).randbytes(300_000)


@given(st.binary(max_size=200), st.binary(max_size=200) | st.none())
def test_whatever_is_compressed_comes_back(content: bytes, previous: bytes | None) -> None:
    assert frames.decompress(frames.compress(content, previous), previous) == content


@given(st.data())
def test_what_was_cut_out_or_put_in_comes_back(data: st.DataObject) -> None:
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(NOISE))] * 2)))
    content = NOISE[:start] + data.draw(st.binary(max_size=50)) + NOISE[end:]
    frame = frames.compress(content, NOISE)
    assert frames.decompress(frame, NOISE) == content
    assert len(frame) < 100


@pytest.mark.parametrize("repeated", [b"a", b"ab"])
def test_equal_ends_never_overlap(repeated: bytes) -> None:
    """In what repeats itself, the same bytes could be taken for its start and for its end."""
    for before in range(8):
        for after in range(8):
            content, previous = repeated * after, repeated * before
            assert frames.decompress(frames.compress(content, previous), previous) == content


def test_what_moved_far_away_costs_little() -> None:
    content = NOISE[100_000:] + NOISE[:100_000]
    frame = frames.compress(content, NOISE)
    assert frames.decompress(frame, NOISE) == content
    assert len(frame) < 500


def test_a_frame_without_marks_is_read() -> None:
    """As differences were written at first: against all of the previous state."""
    dictionary = zstandard.ZstdCompressionDict(NOISE, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    content = NOISE[:1000] + b"changed" + NOISE[1000:]
    frame = zstandard.ZstdCompressor(dict_data=dictionary).compress(content)
    assert frames.decompress(frame, NOISE) == content


@given(st.data())
def test_a_damaged_frame_is_an_error_or_something_else(data: st.DataObject) -> None:
    """Never anything worse: what it yields is then held to its digest."""
    content = NOISE[:1000] + b"changed" + NOISE[2000:3000]
    frame = bytearray(frames.compress(content, NOISE[:3000]))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    length = data.draw(st.sampled_from([len(frame), place]))
    with suppress(zstandard.ZstdError):
        frames.decompress(bytes(frame[:length]), NOISE[:3000])


def test_a_frame_that_claims_more_than_any_state_has_is_refused() -> None:
    """It would fill the memory before anybody could look at it."""
    with pytest.raises(zstandard.ZstdError, match="longer than any"):
        frames.decompress(zstandard.ZstdCompressor().compress(bytes((64 << 20) + 1)), None)
