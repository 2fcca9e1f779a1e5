"""Which bytes a `Range` header means (RFC 9110, section 14)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.facts import RangeNotSatisfiable
from media.ranges import MAX_RANGES, wanted

LENGTH = 10_000
"""That of the RFC's own examples."""


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-999", [(500, 1000)]),
        ("bytes=-500", [(9500, 10_000)]),
        ("bytes=9500-", [(9500, 10_000)]),
        ("bytes=0-", [(0, 10_000)]),
        ("bytes=0-0,-1", [(0, 1), (9999, 10_000)]),
        ("bytes= 0-999, 4500-5499, -1000", [(0, 1000), (4500, 5500), (9000, 10_000)]),
        ("bytes=-1000,0-99", [(9000, 10_000), (0, 100)]),
        ("bytes=500-600,601-999", [(500, 601), (601, 1000)]),
        ("bytes=500-700,601-999", [(500, 1000)]),
        ("bytes=0-99999", [(0, 10_000)]),
        ("bytes=-99999", [(0, 10_000)]),
        ("Bytes=0-1", [(0, 2)]),
        ("bytes=,0-1,,", [(0, 2)]),
        ("bytes=20000-,0-1", [(0, 2)]),
        ("bytes=0-" + "9" * 7000, [(0, 10_000)]),
    ],
)
def test_a_range_is_what_the_rfc_says(header: str, spans: list[tuple[int, int]]) -> None:
    assert wanted(header, LENGTH) == [range(*span) for span in spans]


@pytest.mark.parametrize(
    "header",
    [
        "", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=5-4", "bytes=0-1,5-4", "bytes=a-b",
        "bytes=1", "bytes=0--1", "bytes=+1-2", "bytes=0x1-2", "bytes=1 -2", "seconds=0-1",
        "bytes=\u0661-\u0662", "0-1", ",".join(["bytes=0-1"] + ["3-4"] * MAX_RANGES),
    ],
)  # fmt: skip
def test_what_isnt_valid_is_ignored(header: str) -> None:
    assert wanted(header, LENGTH) is None


@pytest.mark.parametrize(
    "header", ["bytes=10000-", "bytes=99999-100000", "bytes=-0", "bytes=-0,10000-"]
)
def test_what_lies_beyond_cant_be_satisfied(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        wanted(header, LENGTH)
    assert caught.value.headers["Content-Range"] == "bytes */10000"


spans = st.tuples(st.integers(0, 300), st.integers(0, 300))
specs = st.one_of(
    spans.map(lambda span: f"{min(span)}-{max(span)}"),
    st.integers(0, 300).map(lambda first: f"{first}-"),
    st.integers(0, 300).map(lambda last: f"-{last}"),
)


@given(st.lists(specs, min_size=1, max_size=MAX_RANGES), st.integers(1, 250))
def test_every_byte_that_is_asked_for_is_sent_once(sent: list[str], length: int) -> None:
    meant = set()
    for spec in sent:
        first, _, last = spec.partition("-")
        if first:
            meant |= set(range(int(first), int(last or length) + 1))
        else:
            meant |= set(range(length - int(last), length))
    meant &= set(range(length))
    try:
        found = wanted("bytes=" + ",".join(sent), length)
    except RangeNotSatisfiable:
        found = []
    assert sorted(byte for each in found or [] for byte in each) == sorted(meant)


@given(st.text(max_size=60), st.integers(1, 1000))
def test_no_header_does_harm(header: str, length: int) -> None:
    try:
        found = wanted(f"bytes={header}", length) or []
    except RangeNotSatisfiable:
        return
    assert all(0 <= each.start < each.stop <= length for each in found)
