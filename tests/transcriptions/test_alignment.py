from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.transcriptions.test_state import a_segment, one_segment, parsed, texts, unhurried
from transcriptions import state as transcriptions
from transcriptions.alignment import cut, retext, timed
from transcriptions.state import MAX_TEXT, Segment, Word
from transcriptions.texts import joined, parts, pieces


def a_spoken(text, start=0, end=10, **fields):
    (segment,) = parsed({"segments": [a_segment("s", start, end, text, **fields)]}).segments
    return segment


def told(words):
    return [(word.id, word.text, word.start, word.end) for word in words]


def texts_of(words):
    return [word.text for word in words]


# --- What stays

numbered = st.integers(1, 12).map(
    lambda count: [f"word{i}{'abcdefghijkl'[i] * 9}" for i in range(count)]
)


def respelt(text):
    return f"{text.upper()},"


@st.composite
def edits(draw):
    """A segment, its new text, and what becomes of each of its words there: None if it goes."""
    old = draw(numbered)
    new, fates = [], {}
    for text in old:
        new += draw(st.lists(st.sampled_from(["uh", "and", "so"]), max_size=2))
        fate = draw(st.sampled_from([text, text, respelt(text), None]))
        new += [fate] if fate else []
        fates[text] = fate
    new += draw(st.lists(st.just("then"), max_size=2))
    return a_spoken(" ".join(old)), " ".join(new), fates


@unhurried
@given(edits())
def test_words_that_stay_keep_their_ids_times_and_other_fields(edit):
    segment, text, fates = edit
    segment = replace(
        segment, words=[replace(w, confidence=0.5, metadata={"a": 1}) for w in segment.words]
    )
    words = {word.id: word for word in retext(segment, text)}
    for old in segment.words:
        fate = fates[old.text]
        if fate == old.text:
            assert words[old.id] is old
        elif fate:
            assert words[old.id] == replace(old, text=fate)
        else:
            assert old.id not in words or words[old.id].text != old.text


@unhurried
@given(one_segment, st.data())
def test_whatever_the_text_the_words_are_its_words_in_order_and_within_the_segment(segment, data):
    text = data.draw(edited(segment.shown) | texts)
    words = retext(segment, text)
    if not segment.words and segment.shown.strip():
        assert words == []
        return
    assert [p.text for word in words for p in pieces(word.text)] == [p.text for p in pieces(text)]
    assert all(one.start <= other.start for one, other in pairwise(words))
    assert list(transcriptions.problems_of(replace(segment, words=words))) == []
    assert len({word.id for word in words}) == len(words)
    known = {word.id: word for word in segment.words}
    for word in words:
        old = known.get(word.id, word)
        assert word == replace(old, text=word.text)
    assert retext(segment, text) == words


@st.composite
def edited(draw, text):
    """A text with some of its words gone, changed or doubled, and others put between them."""
    ways = {0: lambda one: one, 1: str.upper, 2: lambda one: f"{one} {one}", 3: lambda one: ""}
    words = [ways[draw(st.sampled_from([0, 0, 0, 0, 1, 2, 3]))](one) for one in text.split(" ")]
    at = draw(st.integers(0, len(words)))
    return " ".join(
        [
            *words[:at],
            *draw(st.lists(st.sampled_from(["no", "天気", "x" * 300]), max_size=2)),
            *words[at:],
        ]
    )


@unhurried
@given(one_segment)
def test_the_same_text_changes_no_word(segment):
    same = retext(segment, " ".join(word.text for word in segment.words))
    assert all(one is other for one, other in zip(same, segment.words, strict=True))


@pytest.mark.parametrize("word", ["no", "天"])
def test_one_of_many_equal_words_goes_and_all_others_stay(word):
    segment = a_spoken(" ".join([word] * 200))
    words = retext(segment, f"{word} " * 199)
    assert len(words) == 199
    assert {one.id for one in words} <= {one.id for one in segment.words}


def test_a_word_of_the_same_spelling_stays_rather_than_one_that_only_sounds_the_same():
    segment = a_spoken("No no")
    assert retext(segment, "no") == [segment.words[1]]


# --- Where new words are


def test_a_word_that_is_spelt_otherwise_keeps_its_id_and_another_word_gets_its_own():
    segment = a_spoken("hello wrold now")
    assert retext(segment, "hello world now")[1] == replace(segment.words[1], text="world")
    another = retext(segment, "hello people now")[1]
    assert another.id == "s~1"
    assert (another.start, another.end) == pytest.approx((10 / 3, 20 / 3), abs=1e-6)


def test_words_share_the_time_of_those_that_they_replace_by_their_length():
    words = retext(a_spoken("one 22 33 four", 0, 8), "one big old monsters four")
    assert told(words[1:4]) == [
        ("s~1", "big", 2, 2.857143),
        ("s~2", "old", 2.857143, 3.714286),
        ("s~3", "monsters", 3.714286, 6),
    ]


def test_inserted_words_share_the_pause_at_their_place():
    words = [
        Word(id="a", text="one", start=1.0, end=2.0),
        Word(id="b", text="four", start=5.0, end=6.0),
    ]
    segment = Segment(id="s", start_time=0.0, end_time=7.0, text="one four", words=words)
    assert told(retext(segment, "zero one two three four five")) == [
        ("s~0", "zero", 0, 1),
        ("a", "one", 1, 2),
        ("s~2", "two", 2, 3.125),
        ("s~3", "three", 3.125, 5),
        ("b", "four", 5, 6),
        ("s~5", "five", 6, 7),
    ]


def test_inserted_words_last_no_time_where_there_is_no_pause():
    words = retext(a_spoken("one two", 0, 2), "one and two")
    assert told(words) == [("s-0", "one", 0, 1), ("s~1", "and", 1, 1), ("s-1", "two", 1, 2)]


@pytest.mark.parametrize("text", ["one and two three", "one two and three", "so one four five"])
def test_times_that_have_no_last_digit_stay_in_order_too(text):
    segment = a_spoken("one two three", 0, 1)
    found = replace(segment, words=retext(segment, text))
    assert list(transcriptions.problems_of(found)) == []


def test_a_new_word_stays_between_words_that_overlap():
    words = [
        Word(id="a", text="one", start=0.0, end=5.0),
        Word(id="b", text="gone", start=1.0, end=6.0),
        Word(id="c", text="two", start=2.0, end=3.0),
    ]
    segment = Segment(id="s", start_time=0.0, end_time=7.0, text="one gone two", words=words)
    assert told(retext(segment, "one x y two"))[1:3] == [("s~1", "x", 1, 1.5), ("s~2", "y", 1.5, 2)]


def test_new_words_stay_in_order_next_to_one_that_stands_out_by_the_tolerance():
    late, early = 1.0000005, 0.9999995
    for time, text in ((late, "on after"), (early, "before on")):
        words = [Word(id="w", text="on", start=time, end=time)]
        span = (0.0, 1.0) if time == late else (1.0, 2.0)
        segment = Segment(id="s", start_time=span[0], end_time=span[1], text="on", words=words)
        found = replace(segment, words=retext(segment, text))
        assert len(found.words) == 2
        assert list(transcriptions.problems_of(found)) == []


def test_new_words_take_no_id_that_a_word_of_another_segment_has():
    words = retext(a_spoken("one three"), "one two three", {"s~1", "s~1.2"})
    assert [word.id for word in words] == ["s-0", "s~1.3", "s-1"]


def test_new_words_are_of_the_one_who_spoke_the_old_ones():
    segment = a_spoken("one two three")
    words = [
        replace(word, speaker_id="ben", is_filler=True, confidence=1.0) for word in segment.words
    ]
    new = retext(replace(segment, words=words), "one quite different three")[1]
    assert (new.speaker_id, new.is_filler, new.confidence) == ("ben", False, None)


# --- Segments without words


def test_a_segment_without_words_stays_without_them():
    segment = Segment(id="s", start_time=0.0, end_time=7.0, text="never timed")
    assert retext(segment, "never aligned") == []


def test_words_come_back_after_everything_was_deleted():
    segment = a_spoken("one two", 0, 6)
    empty = replace(segment, edited_text="", words=retext(segment, ""))
    assert empty.words == []
    assert told(retext(empty, "one two")) == [("s~0", "one", 0, 3), ("s~1", "two", 3, 6)]


def test_words_of_a_text_alone_are_spread_over_the_segments_time():
    segment = Segment(id="s", start_time=1.0, end_time=8.0, text="one three")
    assert told(timed(segment)) == [("", "one", 1, 3.625), ("", "three", 3.625, 8)]
    spoken = a_spoken("one")
    assert timed(spoken) is spoken.words


# --- Writing without spaces, and long pieces


def test_chinese_words_stay_though_no_space_parts_them():
    words = [
        Word(id="a", text="今日", start=0.0, end=1.0),
        Word(id="b", text="は", start=1.0, end=2.0),
        Word(id="c", text="天気", start=2.0, end=4.0),
    ]
    segment = Segment(id="s", start_time=0.0, end_time=4.0, text="今日は天気", words=words)
    assert told(retext(segment, "今日も天気。"))[1:] == [
        ("s~1", "も", 1, 2),
        ("c", "天気", 2, 4),
        ("s~3", "。", 4, 4),
    ]
    assert [word.text for word in retext(segment, "今月は天気")] == ["今", "月", "は", "天気"]


def test_a_piece_that_is_too_long_for_a_word_becomes_several():
    words = retext(a_spoken("a"), "x" * 450)
    assert [len(word.text) for word in words] == [200, 200, 50]


def test_a_word_that_would_be_too_long_for_one_goes():
    words = [Word(id="w", text="New York", start=0.0, end=1.0)]
    segment = Segment(id="s", start_time=0.0, end_time=1.0, text="New York", words=words)
    loud = [f"New{'!' * 120}", f"York{'!' * 120}"]
    assert texts_of(retext(segment, "NEW York")) == ["NEW York"]
    assert texts_of(retext(segment, " ".join(loud))) == loud


@pytest.mark.parametrize("texts", [("no",), ("a", "b"), ("天", "地"), ("aa", "aA", "Aa")])
def test_the_longest_texts_of_the_same_words_are_compared_too(texts):
    """The plainest comparison would take minutes; that this one ends is all that is held here."""
    length = MAX_TEXT // (len(texts[0]) + 1)
    old = [texts[i % len(texts)] for i in range(length)]
    new = [texts[i // 3 % len(texts)] for i in range(length - 7)]
    words = retext(a_spoken(" ".join(old)), " ".join(new))
    assert texts_of(words) == new


# --- Cutting a text


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("one two three four", ("one two", "three four")),
        ("One, two; three four.", ("One, two;", "three four.")),
        ("one three four", ("one", "three four")),
        ("one two uh three", ("one two uh", "three")),
        ("one tow thre four", ("one tow", "thre four")),
        ("quite another text here", ("quite another", "text here")),
        ("", ("", "")),
        ("three four", ("", "three four")),
    ],
)
def test_a_text_is_cut_where_a_word_begins_even_if_it_is_another_one(text, sides):
    assert cut(a_spoken("one two three four").words, 2, text) == sides


@unhurried
@given(one_segment, st.data())
def test_nothing_of_a_text_is_lost_where_it_is_cut(segment, data):
    text = data.draw(edited(segment.shown))
    sides = cut(segment.words, data.draw(st.integers(0, len(segment.words))), text)
    assert "".join("".join(sides).split()) == "".join(text.split())


# --- Texts


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["one", "two"], "one two"),
        ([" one ", "", "  ", "two"], "one two"),
        (["今日は", "天気。"], "今日は天気。"),
        (["今日は", "Ana"], "今日は Ana"),
        ([], ""),
    ],
)
def test_texts_are_joined_as_they_are_written(texts, whole):
    assert joined(texts) == whole


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("Don't!", ["dont"]),
        ("don\u2019t", ["dont"]),
        ("Naïve", ["naive"]),
        ("well-known", ["well", "known"]),
        ("—", []),
        ("Straße", ["strasse"]),
    ],
)
def test_what_is_heard_knows_neither_case_nor_accents_nor_punctuation(text, heard):
    assert parts(text) == heard
