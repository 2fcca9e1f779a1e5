from itertools import pairwise

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec.structs import replace

from snipix import states
from snipix.errors import NotFound
from snipix.refusals import InvalidState
from tests.transcriptions.test_state import (
    a_segment,
    a_state,
    changed,
    made_up,
    parsed,
    texts,
    unhurried,
    wire_states,
)
from transcriptions import edits
from transcriptions import state as transcriptions
from transcriptions.state import EMPTY, Segment, Word
from transcriptions.words import words

STATE = parsed(a_state())


def segment_of(state, id):
    return next(segment for segment in state.segments if segment.id == id)


def edit(id, /, state=STATE, **changes):
    return segment_of(edits.edit_segment(state, id, changes).state, id)


def refused(call, *args, **kwargs):
    with pytest.raises(InvalidState) as caught:
        call(*args, **kwargs)
    (problem,) = caught.value.errors
    assert problem.hint
    return problem.path, problem.reason


def told(segment):
    return [(word.id, word.text, word.start, word.end) for word in segment.words]


def check(before, after):
    """What holds after every edit."""
    assert transcriptions.parse(states.encode(after)) == after
    old = {segment.id: segment for segment in before.segments}
    for segment in after.segments:
        assert segment == old.get(segment.id) or segment is not old.get(segment.id)
        assert all(one.start <= other.start for one, other in pairwise(segment.words))


# --- Texts


def test_an_edited_text_is_shown_instead_and_the_words_follow_it():
    segment = edit("s2", edited_text="How were you?")
    assert (segment.text, segment.shown) == ("how are you?", "How were you?")
    assert [word.text for word in segment.words] == ["How", "were", "you?"]
    old = segment_of(STATE, "s2").words
    assert segment.words[0] == replace(old[0], text="How")
    assert segment.words[2] is old[2]


def test_an_edit_marks_the_segment_and_the_transcription_as_edited():
    after = edits.edit_segment(STATE, "s2", {"edited_text": "What?"}).state
    assert [segment.is_edited for segment in after.segments] == [False, True, False]
    assert after.is_edited


@pytest.mark.parametrize(
    "changes", [{"end_time": 9}, {"speaker_id": None}, {"text": "What?"}, {"metadata": {"a": 1}}]
)
def test_every_edit_marks_what_it_changes_even_if_the_old_mark_is_sent_along(changes):
    assert edit("s3", **changes).is_edited
    assert edit("s3", **changes, is_edited=False).is_edited


def test_null_takes_the_edit_back():
    after = edits.edit_segment(STATE, "s2", {"edited_text": "how are you all?"}).state
    segment = edit("s2", after, edited_text=None)
    assert segment.edited_text is None
    assert told(segment) == told(segment_of(STATE, "s2"))


def test_what_was_edited_stays_marked_until_somebody_says_otherwise():
    after = edits.edit_segment(STATE, "s2", {"edited_text": "What?"}).state
    assert edit("s2", after, edited_text=None).is_edited
    assert not edit("s2", after, edited_text=None, is_edited=False).is_edited


def test_a_recognised_text_may_be_corrected_beneath_an_edited_one():
    after = edits.edit_segment(STATE, "s2", {"edited_text": "What?"}).state
    segment = edit("s2", after, text="huh?")
    assert (segment.text, segment.shown) == ("huh?", "What?")
    assert segment.words == segment_of(after, "s2").words


def test_words_that_follow_take_no_id_that_the_transcription_has():
    state = parsed(changed(("segments", 0, "words", 0, "id"), "s2~0"))
    assert edit("s2", state, edited_text="so how are you?").words[0].id == "s2~0.2"


def test_words_that_are_sent_are_taken_as_they_are():
    sent = [{"text": "All", "start": 2, "end": 2.5}, {"text": "else", "start": 3, "end": 4}]
    segment = edit("s2", edited_text="All else", words=sent)
    assert told(segment) == [("s2~0", "All", 2, 2.5), ("s2~1", "else", 3, 4)]


def test_a_change_to_what_it_is_already_changes_nothing():
    result = edits.edit_segment(STATE, "s2", {"text": "how are you?", "is_edited": False})
    assert (result.state, result.summary) == (STATE, "")
    assert result.state is STATE


# --- Times


def test_words_move_with_their_segment():
    segment = edit("s3", start_time=3.5, end_time=5.5)
    assert told(segment) == [("s3-0", "Fine!", 3.5, 5.5)]


@unhurried
@given(st.floats(0, 1e4), st.integers(0, 10**7))
def test_a_segment_that_is_moved_forth_and_back_is_where_it_was(way, milliseconds):
    start = milliseconds / 1000
    state = parsed({"segments": [a_segment("s", start, start + 6, "one two three")]})
    there = edits.edit_segment(state, "s", {"start_time": start + way, "end_time": start + 6 + way})
    back = edits.edit_segment(there.state, "s", {"start_time": start, "end_time": start + 6}).state
    for one, other in zip(back.segments[0].words, state.segments[0].words, strict=True):
        assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=2e-9)


def test_words_stay_where_they_are_spoken_when_a_border_is_moved():
    assert told(edit("s3", end_time=9)) == told(segment_of(STATE, "s3"))
    assert told(edit("s3", start_time=2.5)) == told(segment_of(STATE, "s3"))


def test_words_are_cut_at_a_border_that_is_moved_into_them():
    assert told(edit("s3", start_time=3.5, end_time=4)) == [("s3-0", "Fine!", 3.5, 4)]


@pytest.mark.parametrize(
    ("times", "path", "word"),
    [
        ({"end_time": 3}, "end_time", "“you?” (s2-2), spoken from 3.33333333 to 4 s"),
        ({"start_time": 2.8}, "start_time", "“how” (s2-0)"),
    ],
)
def test_a_border_that_would_leave_a_word_outside_is_refused(times, path, word):
    where, why = refused(edits.edit_segment, STATE, "s2", times)
    assert where == path
    assert f"leaves a word outside: {word}" in why


def test_a_segment_that_is_moved_comes_to_its_place_among_the_others():
    after = edits.edit_segment(STATE, "s1", {"start_time": 10, "end_time": 12}).state
    assert [segment.id for segment in after.segments] == ["s2", "s3", "s1"]


# --- What an edit of a segment is refused for

BAD = [
    ({"start_time": -1}, "start_time", "can't be negative (segment s2)"),
    ({"end_time": 1}, "end_time", "before the start at 2 s"),
    ({"start_time": 1.5}, "start_time", "overlaps: s1 ends at 2 s, and speaker ana"),
    ({"speaker_id": "ben"}, "end_time", "overlaps: s3 starts at 3 s, and speaker ben"),
    ({"confidence": 3}, "confidence", "from 0 to 1 (segment s2)"),
    ({"text": 5}, "text", "must be a string"),
    ({"edited_text": "x" * 20_001}, "edited_text", "at most 20,000 characters"),
    ({"colour": 1}, "colour", "isn't a known field"),
    ({"id": "s9"}, "id", "can't be changed: it is s2"),
    ({"words": [{"text": "a", "start": 2, "end": 9}]}, "words[0].end", "after its segment ends"),
    ({"words": [{"text": "a", "start": 2}]}, "words[0].end", "is missing"),
    ({"words": [{"id": "s1-0", "text": "a", "start": 2, "end": 2}]}, "words[0].id",
     "is also the id of a word of segment s1: s1-0"),
    ({"words": [{"id": "n", "text": "a", "start": 2, "end": 2}] * 2}, "words[1].id",
     "is also the id of words[0]: n"),
    ({"metadata": {"$a": 1}}, 'metadata["$a"]', "starts with `$`"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "path", "reason"), BAD)
def test_a_bad_edit_is_refused_with_the_path_in_its_own_body(changes, path, reason):
    where, why = refused(edits.edit_segment, STATE, "s2", changes)
    assert where == path
    assert reason in why


@pytest.mark.parametrize(
    "call",
    [
        lambda: edits.edit_segment(STATE, "s9", {}),
        lambda: edits.split_segment(STATE, "s9", 1.0),
        lambda: edits.delete_segment(STATE, "s9"),
        lambda: edits.rename_speaker(STATE, "s9", "Zoe"),
    ],
)
def test_what_there_isnt_is_not_found(call):
    with pytest.raises(NotFound, match=r"There is no (segment|speaker) s9 in this transcription"):
        call()


def test_a_body_of_changes_is_an_object():
    assert edits.read_fields(b'{"text": "a", "start_time": 1.0}') == {"text": "a", "start_time": 1}
    assert refused(edits.read_fields, b"[]") == ("", "must be an object")


# --- What recognisers add


def test_segments_are_added_in_their_places():
    new = parsed({"segments": [a_segment("s0", 7, 8, "Bye", "ana")]}).segments
    result = edits.append_segments(STATE, new)
    assert [segment.id for segment in result.state.segments] == ["s1", "s2", "s3", "s0"]
    assert not result.state.is_edited
    assert edits.append_segments(result.state, new) == edits.Edited(result.state, "", [])


def test_the_same_words_without_ids_are_the_same_again():
    new = [replace(one, words=[replace(w, id="") for w in one.words]) for one in STATE.segments]
    once = edits.append_segments(EMPTY, new).state
    assert edits.append_segments(once, new).state is once


def test_a_recogniser_may_think_better_of_a_segment():
    better = replace(STATE.segments[0], text="Hullo there,")
    result = edits.append_segments(STATE, [better])
    assert result.state.segments[0] is better
    assert result.summary == "replaced segment s1 at 0.0 s: “Hullo there,”"


def test_what_somebody_has_edited_is_never_replaced_and_the_answer_says_so():
    edited = edits.edit_segment(STATE, "s1", {"edited_text": "Hi there,"}).state
    better = replace(STATE.segments[0], text="Hullo there,")
    new = replace(better, id="s4", start_time=8.0, end_time=9.0, words=[])
    result = edits.append_segments(edited, [better, new])
    assert segment_of(result.state, "s1") is segment_of(edited, "s1")
    assert result.kept == ["s1"]
    assert result.summary.endswith("kept 1 that somebody has edited")
    assert edits.append_segments(edited, [better]) == edits.Edited(edited, "", ["s1"])
    assert edits.append_segments(edited, [segment_of(edited, "s1")]).kept == []


def bare(id="n", start=7.0, end=8.0, **fields):
    return Segment(id=id, start_time=start, end_time=end, **fields)


@pytest.mark.parametrize(
    ("sent", "path", "reason"),
    [
        ([bare(), bare("m", 9.0, 8.5)], "segments[1].end_time", "(segment m)"),
        ([bare(), bare(end=9.0)], "segments[1].id", "is also the id of segments[0]: n"),
        ([bare(), bare("m", 3.5, speaker_id="ana")], "segments[1].start_time", "s2 ends at 4 s"),
        ([bare("m", 1.0, 2.5, speaker_id="ben")], None, ""),
        ([bare("m", 2.0, 3.5, speaker_id="ben")], "segments[0].end_time", "s3 starts at 3 s"),
        ([bare(words=[Word(id="s1-0", text="a", start=7.0, end=7.0)])], "segments[0].words[0].id",
         "is also the id of a word of segment s1"),
        ([bare(words=[Word(id="x", text="a", start=7.0, end=7.0)]),
          bare("m", words=[Word(id="x", text="a", start=7.0, end=7.0)])],
         "segments[1].words[0].id", "is also the id of segments[0].words[0]"),
    ],
)  # fmt: skip
def test_a_bad_batch_is_refused_with_paths_of_the_batch(sent, path, reason):
    if path is None:
        assert edits.append_segments(STATE, sent).summary
        return
    where, why = refused(edits.append_segments, STATE, sent)
    assert where == path
    assert reason in why


@unhurried
@given(wire_states(), st.data())
def test_batches_in_any_order_and_with_repeats_give_the_same_state(wire, data):
    whole = parsed({"segments": wire["segments"]})
    sent = [states.from_builtins(segment, Segment) for segment in wire["segments"]]
    order = data.draw(st.permutations(sent)) + data.draw(
        st.lists(st.sampled_from(sent)) if sent else st.just([])
    )
    state = EMPTY
    while order:
        count = data.draw(st.integers(1, len(order)))
        after = edits.append_segments(state, order[:count]).state
        check(state, after)
        state, order = after, order[count:]
    assert state == whole


# --- Speakers, and the rest


def test_a_speaker_is_renamed_once_for_all():
    result = edits.rename_speaker(STATE, "ana", "Anna")
    assert result.state.speakers == {"ana": "Anna", "ben": "Ben"}
    assert all(
        one is other for one, other in zip(result.state.segments, STATE.segments, strict=True)
    )
    assert result.summary == "renamed speaker Ana “Anna”"
    nameless = parsed(a_state(speakers={}))
    assert edits.rename_speaker(nameless, "ben", "Ben").summary == "named speaker ben “Ben”"
    assert edits.rename_speaker(STATE, "ana", "Ana").state is STATE


@pytest.mark.parametrize("name", ["", "  ", "n" * 201])
def test_a_name_that_is_none_is_refused(name):
    assert refused(edits.rename_speaker, STATE, "ana", name)[0] == "name"


def test_a_speaker_whose_id_cant_be_a_key_cant_be_named():
    state = parsed(changed(("segments", 0, "speaker_id"), "$0"))
    where, why = refused(edits.rename_speaker, state, "$0", "Ana")
    assert (where, why) == ("name", "is a key that starts with `$`")


def test_segments_are_given_to_another_speaker():
    result = edits.set_speaker(STATE, ["s1", "s2"], "cleo")
    assert [segment.speaker_id for segment in result.state.segments] == ["cleo", "cleo", "ben"]
    assert result.state.speaker_count == 3
    assert result.summary == "gave 2 segments to speaker cleo"
    assert edits.set_speaker(STATE, ["s1"], "ana").state is STATE
    assert refused(edits.set_speaker, STATE, ["s2"], "ben")[0] == "speaker_id"
    assert refused(edits.set_speaker, STATE, ["s2"], "")[0] == "speaker_id"
    assert refused(edits.set_speaker, STATE, ["s9"], "ben")[0] == "ids[0]"


def test_fields_of_the_transcription_are_changed():
    result = edits.change_metadata(STATE, language="de", is_complete=True, confidence_score=0.5)
    after = result.state
    assert (after.language, after.is_complete, after.confidence_score) == ("de", True, 0.5)
    assert after.segments == STATE.segments
    assert result.summary == (
        "transcription: language en → de, confidence score nothing → 0.5, complete"
    )
    assert edits.change_metadata(STATE, language="en").state is STATE
    assert edits.change_metadata(STATE, speaker_count=1).state.speaker_count == 2


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"language": 5}, "language"),
        ({"processing_time": -1}, "processing_time"),
        ({"speakers": {"$": "a"}}, 'speakers["$"]'),
        ({"colour": 1}, "colour"),
        ({"segments": []}, "segments"),
    ],
)
def test_a_bad_field_of_the_transcription_is_refused(fields, path):
    assert refused(edits.change_metadata, STATE, **fields)[0] == path


def test_a_deleted_segment_is_gone():
    result = edits.delete_segment(STATE, "s2")
    assert [segment.id for segment in result.state.segments] == ["s1", "s3"]
    assert result.state.is_edited
    assert result.summary == "removed segment s2 at 2.0 s: “how are you?”"


# --- Whatever is done


times = st.integers(0, 4_000).map(lambda milliseconds: milliseconds / 1000)
some_changes = st.fixed_dictionaries(
    {},
    optional={
        "text": texts,
        "edited_text": st.none() | texts | st.just("the tide, left!"),
        "start_time": times,
        "end_time": times,
        "speaker_id": st.sampled_from([None, "ana", "cleo"]),
        "is_edited": st.booleans(),
    },
)


@st.composite
def some_edits(draw, state):
    """The name of an edit and its arguments, which are about what there is."""
    segment = draw(st.sampled_from(state.segments))
    after = draw(st.sampled_from(state.segments))
    word = draw(st.sampled_from([word.id for word in segment.words] or ["none"]))
    return draw(
        st.sampled_from(
            [
                ("edit_segment", segment.id, draw(some_changes)),
                ("edit_segment", segment.id, {"edited_text": draw(texts)}),
                ("split_segment", segment.id, word),
                ("split_segment", segment.id, (segment.start_time + segment.end_time) / 2),
                ("merge_segments", [segment.id, after.id]),
                ("delete_segment", segment.id),
                ("set_speaker", [segment.id, after.id][: 1 + (segment is not after)], "cleo"),
                ("rename_speaker", "ana", draw(texts)),
                ("append_segments", draw(made_up).segments),
                ("append_segments", [replace(after, text="better", confidence=0.25)]),
            ]
        )
    )


@unhurried
@given(wire_states(fewest=1, least=1).map(parsed), st.data())
def test_every_result_of_an_edit_can_be_kept_and_leaves_alone_what_it_isnt_about(state, data):
    for _ in range(data.draw(st.integers(1, 5))):
        if not state.segments:
            return
        name, *arguments = data.draw(some_edits(state))
        try:
            result = getattr(edits, name)(state, *arguments)
        except (InvalidState, NotFound):
            event(f"{name} refused")
            continue
        event(f"{name} {'made' if result.summary else 'changes nothing'}")
        check(state, result.state)
        untouched(state, result.state, named(arguments))
        assert bool(result.summary) == (result.state is not state)
        assert result.summary or not words(state, result.state)
        state = result.state


def named(arguments):
    """The ids of the segments that an edit is about."""
    first = arguments[0]
    listed = first if isinstance(first, list) else [first]
    return {one.id if isinstance(one, Segment) else one for one in listed}


def untouched(before, after, but):
    now = {segment.id: segment for segment in after.segments}
    for segment in before.segments:
        if segment.id not in but:
            assert now[segment.id] is segment


@unhurried
@given(made_up, made_up)
def test_nothing_that_somebody_edited_is_lost_to_a_recogniser(state, sent):
    try:
        after = edits.append_segments(state, sent.segments).state
    except InvalidState:
        return
    now = {segment.id: segment for segment in after.segments}
    for segment in state.segments:
        if segment.is_edited:
            assert now[segment.id] is segment
