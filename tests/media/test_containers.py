"""Which kind of video a file is, by its bytes alone."""

from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.containers import HEAD_BYTES, MEDIA_TYPES, NotWhole, check_whole, kind_of
from tests.media.films import box, film


def is_whole(content: bytes, kind: str) -> bool:
    try:
        check_whole(BytesIO(content), len(content), kind)
    except NotWhole:
        return False
    return True


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_a_film_is_known_and_whole(kind: str) -> None:
    assert kind_of(film(kind)[:HEAD_BYTES]) == kind
    assert is_whole(film(kind), kind)


@pytest.mark.parametrize("kind", MEDIA_TYPES)
@given(data=st.data())
def test_a_film_that_was_cut_anywhere_isnt_whole(kind: str, data: st.DataObject) -> None:
    content = film(kind)
    ends = {len(content)} | set(_ends_of_boxes(content) if kind in ("mp4", "mov") else ())
    at = data.draw(st.integers(1, len(content) - 1).filter(lambda at: at not in ends))
    if kind == "avi" and at == len(content) - 1:
        return  # that may be padding
    assert not is_whole(content[:at], kind)


def _ends_of_boxes(content: bytes) -> list[int]:
    """Where a file could be cut, and only what is missing would tell: there is no index then."""
    ends, at = [], 0
    while at < len(content):
        at += int.from_bytes(content[at : at + 4], "big")
        ends.append(at)
    return ends


@pytest.mark.parametrize(
    "head",
    [
        b"<!--ftypisom",  # a first box of a gigabyte, which is a page's first letters
        b"<!--mdat-->",
        b"%PDFmoov",
        b"GIF8wide",
        b"PK\x03\x04mdat"[:4] + b"ftyp",
        b"\0\0\x20\0ftypisom",
        b"\0\0\0\x18ftypavif",
        b"\0\0\0\x18ftypM4A ",
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WEBP",
        b"\x1a\x45\xdf\xa3\x84\x42\x82\x81x",
        b"\x1a\x45\xdf\xa3\x42\x82",
        b"",
    ],
)
def test_what_others_read_in_another_way_is_no_video(head: bytes) -> None:
    assert kind_of(head.ljust(HEAD_BYTES, b"\0")) is None
    assert kind_of(head) is None


def test_a_head_with_nothing_behind_it_isnt_whole() -> None:
    whole = film("webm")
    head = whole[: whole.index(b"\x18\x53\x80\x67")]  # where the segment begins
    assert kind_of(head) == "webm"
    assert not is_whole(head, "webm")


def test_an_old_movie_begins_without_a_brand() -> None:
    assert kind_of(box(b"wide") + box(b"mdat", bytes(60))) == "mov"


def test_a_box_may_have_64_bits_of_length_or_reach_to_the_end() -> None:
    start = box(b"ftyp", b"qt  ")
    assert is_whole(start + b"\0\0\0\1mdat" + (26).to_bytes(8, "big") + bytes(10), "mov")
    assert not is_whole(start + b"\0\0\0\1mdat" + (27).to_bytes(8, "big") + bytes(10), "mov")
    assert is_whole(start + b"\0\0\0\0mdat" + bytes(99), "mov")
    assert not is_whole(start + b"\0\0\0\0free" + bytes(99), "mov")


@given(st.binary(max_size=200), st.sampled_from(list(MEDIA_TYPES)))
def test_no_bytes_do_harm(content: bytes, kind: str) -> None:
    kind_of(content)
    for start in (b"", film(kind)[:100]):
        with suppress(NotWhole):
            check_whole(BytesIO(start + content), len(start + content), kind)
