import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.transcriptions.test_edits import STATE, check, refused, segment_of
from tests.transcriptions.test_state import a_segment, a_state, parsed, unhurried, wire_states
from transcriptions import edits
from transcriptions.state import MAX_TEXT

# --- Splitting and merging


def test_a_segment_is_split_in_front_of_a_word():
    after = edits.split_segment(STATE, "s2", "s2-1", "s2b").state
    first, second = segment_of(after, "s2"), segment_of(after, "s2b")
    assert (first.text, second.text) == ("how", "are you?")
    assert first.end_time == second.start_time == second.words[0].start
    assert [*first.words, *second.words] == segment_of(STATE, "s2").words
    assert (first.speaker_id, second.speaker_id) == ("ana", "ana")
    assert first.is_edited
    assert second.is_edited


@pytest.mark.parametrize(("at", "border", "left"), [(2.9, 8 / 3, 1), (3.1, 10 / 3, 2)])
def test_a_word_goes_where_its_middle_is_and_the_border_to_its_edge(at, border, left):
    after = edits.split_segment(STATE, "s2", at, "new").state
    first, second = segment_of(after, "s2"), segment_of(after, "new")
    assert first.end_time == second.start_time == pytest.approx(border)
    assert (len(first.words), len(second.words)) == (left, 3 - left)


def test_in_a_pause_a_segment_is_split_at_the_very_time():
    words = [{"text": "a", "start": 0, "end": 1}, {"text": "b", "start": 5, "end": 6}]
    state = parsed({"segments": [{"id": "s", "start_time": 0, "end_time": 6, "words": words}]})
    assert edits.split_segment(state, "s", 2.25).state.segments[0].end_time == 2.25


def test_a_word_that_runs_on_beyond_the_border_ends_there():
    words = [{"text": "a", "start": 0, "end": 5}, {"text": "b", "start": 4, "end": 6}]
    state = parsed({"segments": [{"id": "s", "start_time": 0, "end_time": 6, "words": words}]})
    first, second = edits.split_segment(state, "s", "s~1").state.segments
    assert (first.words[0].end, second.words[0].start) == (4, 4)


@pytest.mark.parametrize("time", [0.9999995, 2.0000005])
def test_words_that_stand_out_by_the_tolerance_may_be_parted(time):
    words = [{"id": id, "text": id, "start": time, "end": time} for id in "ab"]
    segment = {"id": "s", "start_time": 1, "end_time": 2, "text": "a b", "words": words}
    state = parsed({"segments": [segment]})
    after = edits.split_segment(state, "s", "b").state
    check(state, after)
    assert [one.text for one in after.segments] == ["a", "b"]


def test_both_texts_are_split_and_those_of_segments_without_words_by_their_length():
    segment = {"id": "s", "start_time": 0, "end_time": 10, "text": "one two three four"}
    state = parsed({"segments": [{**segment, "edited_text": "One, two. Three, four."}]})
    first, second = edits.split_segment(state, "s", 4.5).state.segments
    assert (first.text, second.text) == ("one two", "three four")
    assert (first.shown, second.shown) == ("One, two.", "Three, four.")
    assert first.end_time == second.start_time == 4.5


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (2, "is 2, not within segment s2"),
        (4.5, "is 4.5, not within segment s2"),
        (float("nan"), "is nan, not within segment s2"),
        (2.1, "without words: all words come after it"),
        (3.9, "without words: no word comes after it"),
        ("s2-0", "without words: all words come after it"),
        ("s1-0", "is the id of no word of segment s2: s1-0"),
    ],
)
def test_a_place_that_parts_nothing_is_refused(at, reason):
    where, why = refused(edits.split_segment, STATE, "s2", at)
    assert where == "at"
    assert reason in why


def test_the_id_of_the_second_part_is_new():
    assert refused(edits.split_segment, STATE, "s2", 3.0, "s1") == (
        "new_id",
        "is a segment's already: s1",
    )
    assert refused(edits.split_segment, STATE, "s2", 3.0, "i" * 201)[0] == "new_id"
    once = edits.split_segment(STATE, "s2", "s2-2").state
    twice = edits.split_segment(once, "s2", "s2-1").state
    assert [segment.id for segment in twice.segments] == ["s1", "s2", "s2~3", "s3", "s2~2"]
    long = parsed({"segments": [a_segment("s" * 200, 0, 2, "a b")]})
    assert len(edits.split_segment(long, "s" * 200, 1.0).state.segments[1].id) <= 200


def test_neighbours_are_merged_in_the_order_of_their_times():
    after = edits.merge_segments(STATE, ["s2", "s1"]).state
    assert [segment.id for segment in after.segments] == ["s1", "s3"]
    merged = after.segments[0]
    assert (merged.start_time, merged.end_time) == (0, 4)
    assert merged.text == "Hello there, how are you?"
    assert merged.edited_text is None
    assert merged.words == [*STATE.segments[0].words, *STATE.segments[1].words]
    assert merged.is_edited


def test_a_merged_segment_keeps_what_was_known_of_any():
    segments = [
        a_segment("a", 0, 1, "one", confidence=0.9, metadata={"k": 1, "a": 1}),
        a_segment("b", 1, 2, "two", "ana", edited_text="Two", metadata={"k": 2, "b": 2}),
        a_segment("c", 2, 3, "three", confidence=0.4),
    ]
    (merged,) = edits.merge_segments(parsed({"segments": segments}), ["a", "b", "c"]).state.segments
    assert (merged.text, merged.shown) == ("one two three", "one Two three")
    assert (merged.speaker_id, merged.confidence) == ("ana", 0.4)
    assert merged.metadata == {"k": 1, "a": 1, "b": 2}


def test_words_that_were_spoken_at_once_are_in_order_when_merged():
    segments = [a_segment("a", 0, 4, "one three"), a_segment("b", 1, 5, "two four")]
    state = parsed({"segments": segments})
    after = edits.merge_segments(state, ["a", "b"]).state
    check(state, after)
    assert [word.text for word in after.segments[0].words] == ["one", "two", "three", "four"]


THREE = parsed({"segments": [a_segment(f"s{i}", i, i + 1, f"word{i}", "ana") for i in range(3)]})


@pytest.mark.parametrize(
    ("state", "ids", "path", "reason"),
    [
        (STATE, ["s1"], "ids", "must have at least 2 items"),
        (STATE, ["s1", "s9"], "ids[1]", "is the id of no segment: s9"),
        (STATE, ["s1", "s2", "s1"], "ids[2]", "is also ids[0]: s1"),
        (STATE, ["s2", "s3"], "ids", "are segments of different speakers: Ana and Ben"),
        (THREE, ["s0", "s2"], "ids[1]", "is no neighbour of the others: segment s1 lies between"),
        (THREE, ["s2", "s0"], "ids[0]", "is no neighbour of the others"),
    ],
)
def test_what_cant_be_merged_is_refused(state, ids, path, reason):
    where, why = refused(edits.merge_segments, state, ids)
    assert where == path
    assert reason in why


def test_what_others_say_in_between_stays_when_neighbours_are_merged():
    segments = [*a_state()["segments"], a_segment("s4", 4, 6, "Good.", "ana")]
    after = edits.merge_segments(parsed({"segments": segments}), ["s2", "s4"]).state
    assert [segment.id for segment in after.segments] == ["s1", "s2", "s3"]


def test_a_merge_that_makes_one_speaker_speak_twice_at_once_is_refused():
    segments = [
        a_segment("a", 0, 9, "", "ana"),
        a_segment("n", 5, 8),
        a_segment("b", 9, 10, "", "ana"),
    ]
    where, why = refused(edits.merge_segments, parsed({"segments": segments}), ["n", "b"])
    assert where == "ids"
    assert "overlaps" in why


def test_a_merge_that_makes_too_long_a_text_is_refused():
    segments = [a_segment(f"s{i}", i, i + 1) for i in range(2)]
    long = [{**segment, "text": "a" * (MAX_TEXT // 2)} for segment in segments]
    assert refused(edits.merge_segments, parsed({"segments": long}), ["s0", "s1"])[0] == "ids"


@st.composite
def splits(draw):
    """A state, a segment with words, and where to split it."""
    state = parsed(draw(wire_states(least=2)))
    able = [s for s in state.segments if s.end_time > s.start_time and len(s.words) > 1]
    if not able:
        state = STATE
        able = [STATE.segments[1]]
    segment = draw(st.sampled_from(able))
    place = draw(st.integers(1, len(segment.words) - 1))
    return state, segment, segment.words[place].id


@unhurried
@given(splits())
def test_what_is_split_and_merged_again_has_its_words_and_texts_back(split):
    state, segment, at = split
    parted = edits.split_segment(state, segment.id, at, "new").state
    check(state, parted)
    merged = edits.merge_segments(parted, [segment.id, "new"]).state
    check(parted, merged)
    back = segment_of(merged, segment.id)
    assert [replace(word, end=0.0) for word in back.words] == [
        replace(w, end=0.0) for w in segment.words
    ]
    border = segment_of(parted, segment.id).end_time
    place = [word.id for word in segment.words].index(at)
    for index, (now, old) in enumerate(zip(back.words, segment.words, strict=True)):
        assert now.end == old.end or (index < place and now.end == max(border, now.start) < old.end)
    assert (back.start_time, back.end_time) == (segment.start_time, segment.end_time)
    assert "".join(back.text.split()) == "".join(segment.text.split())
    assert "".join(back.shown.split()) == "".join(segment.shown.split())
    fields = ("speaker_id", "confidence", "metadata")
    assert [getattr(back, name) for name in fields] == [getattr(segment, name) for name in fields]
