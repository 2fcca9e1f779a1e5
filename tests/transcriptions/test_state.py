import copy
import json
import math

import bson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from snipix import refusals, states
from snipix.refusals import InvalidState
from transcriptions import state as transcriptions
from transcriptions.state import Segment, TranscriptionState, Word

# A busy machine is no reason to fail.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

FIRST = ("segments", 0)
SECOND = ("segments", 1)
WORD = (*SECOND, "words", 1)


def a_state(**fields):
    segments = [
        a_segment("s1", 0, 2, "Hello there,", "ana"),
        a_segment("s2", 2, 4, "how are you?", "ana"),
        a_segment("s3", 3, 5, "Fine!", "ben"),
    ]
    return {"segments": segments, "speakers": {"ana": "Ana", "ben": "Ben"}, **fields}


def a_segment(id, start, end, text="", speaker=None, **fields):
    """A segment whose words share its time."""
    texts = text.split()
    step = (end - start) / max(len(texts), 1)
    words = [
        {"id": f"{id}-{i}", "text": one, "start": start + i * step, "end": start + (i + 1) * step}
        for i, one in enumerate(texts)
    ]
    times = {"start_time": start, "end_time": end}
    return {"id": id, **times, "text": text, "words": words, "speaker_id": speaker, **fields}


def changed(path, value, state=None):
    """Return a valid state in which one value is another."""
    root = node = copy.deepcopy(state or a_state())
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return root


def parsed(state):
    return transcriptions.parse(json.dumps(state).encode())


def problems(state):
    with pytest.raises(InvalidState) as caught:
        transcriptions.parse_save(json.dumps(state).encode())
    return caught.value.errors


# --- Transcriptions made up

SPEAKERS = (None, "ana", "ben")
VOCABULARY = ("the", "The", "tide,", "Left!", "naïve", "don't", "no", "天", "気", "New York", "—")

milliseconds = st.integers(0, 3_000)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@st.composite
def words_within(draw, id, start, end, vocabulary=VOCABULARY, least=0):
    """Words in order of their starts; they may overlap, last 0 s, or have no id yet."""
    moments = st.integers(start, end)
    starts = sorted(draw(st.lists(moments, min_size=least, max_size=6)))
    ends = [draw(st.integers(one, end)) for one in starts]
    return [
        {
            "id": draw(st.sampled_from([f"{id}-{i}", ""])),
            "text": draw(st.sampled_from(vocabulary)),
            "start": one / 1000,
            "end": other / 1000,
            **draw(st.fixed_dictionaries({}, optional={"confidence": st.floats(0, 1)})),
        }
        for i, (one, other) in enumerate(zip(starts, ends, strict=True))
    ]


@st.composite
def wire_segments(draw, id, start, end, speaker, least=0):
    words = draw(words_within(id, start, end, least=least))
    spoken = st.just(" ".join(word["text"] for word in words))
    optional = {
        "confidence": st.floats(0, 1),
        "edited_text": spoken | texts,
        "metadata": st.dictionaries(st.sampled_from("xyz"), st.booleans() | st.integers(0, 1)),
    }
    return {
        "id": id,
        "start_time": start / 1000,
        "end_time": end / 1000,
        "words": words,
        "speaker_id": speaker,
        "text": draw(spoken | texts) if words else draw(texts),
        **draw(st.fixed_dictionaries({}, optional=optional)),
    }


@st.composite
def wire_states(draw, fewest=0, least=0):
    """Each speaker speaks in segments one after another; different speakers speak at once."""
    segments = []
    for speaker in SPEAKERS:
        borders = sorted(draw(st.lists(milliseconds, min_size=2 * fewest, max_size=8)))
        for i in range(len(borders) // 2):
            id, (start, end) = f"{speaker}{i}", borders[2 * i : 2 * i + 2]
            segments.append(draw(wire_segments(id, start, end, speaker, least)))
    return {"segments": draw(st.permutations(segments)), "speakers": {"ana": "Ana"}}


made_up = wire_states().map(parsed)
one_segment = wire_segments("s", 1_000, 4_000, None).map(
    lambda segment: parsed({"segments": [segment]}).segments[0]
)


# --- What is refused

REFUSED = [
    # Times
    ((*FIRST, "start_time"), -1, "segments[0].start_time", "is -1: a time can't be neg", "s1"),
    ((*FIRST, "end_time"), 1e11, "segments[0].end_time", "at most 10,000,000,000", "s1"),
    ((*FIRST, "end_time"), 10**300, "segments[0].end_time", "must be finite", "s1"),
    ((*SECOND, "end_time"), 1, "segments[1].end_time", "before the start at 2 s", "s2"),
    ((*WORD, "start"), -0.5, "segments[1].words[1].start", "can't be negative", "s2-1"),
    ((*WORD, "end"), 2e10, "segments[1].words[1].end", "at most 10,000,000,000", "s2-1"),
    ((*WORD, "end"), 2.1, "segments[1].words[1].end", "before the start at 2.66666667 s", "s2-1"),
    ((*WORD, "end"), 4.1, "segments[1].words[1].end", "after its segment ends", "s2-1"),
    ((*SECOND, "words", 0, "start"), 1.9, "segments[1].words[0].start", "before its segment", "s2"),
    ((*WORD, "start"), 1.9, "segments[1].words[1].start", "before its segment starts", "s2-1"),
    ((*SECOND, "words", 2, "start"), 2.5, "segments[1].words[2].start", "word before it", "s2-2"),
    (("processing_time",), -1, "processing_time", "can't be negative", ""),
    # Confidences
    ((*FIRST, "confidence"), 97, "segments[0].confidence", "is 97: a confidence is from 0", "s1"),
    ((*WORD, "confidence"), -0.1, "segments[1].words[1].confidence", "from 0 to 1", "s2-1"),
    (("confidence_score",), 1.5, "confidence_score", "from 0 to 1", ""),
    # Ids
    ((*SECOND, "id"), "s1", "segments[1].id", "is also the id of segments[0]", "s1"),
    ((*WORD, "id"), "s1-0", "segments[1].words[1].id", "of segments[0].words[0]", "s1-0"),
    ((*WORD, "id"), "s2-0", "segments[1].words[1].id", "of segments[1].words[0]", "s2-0"),
    ((*FIRST, "id"), "", "segments[0].id", "must not be empty", ""),
    ((*WORD, "id"), "i" * 251, "segments[1].words[1].id", "at most 250 characters", ""),
    # One speaker speaks once at a time
    ((*SECOND, "start_time"), 1.5, "segments[1].start_time", "segments[0] ends at 2 s", "s2, s1"),
    ((*FIRST, "end_time"), 2.1, "segments[1].start_time", "overlaps: segments[0] ends at 2.1", ""),
    ((*("segments", 2), "speaker_id"), "ana", "segments[2].start_time", "speaker ana", "s3, s2"),
    # Texts and speakers
    ((*FIRST, "text"), "t" * 20_001, "segments[0].text", "at most 20,000 characters", ""),
    ((*WORD, "text"), "t" * 201, "segments[1].words[1].text", "at most 200 characters", ""),
    (("speakers",), {"$ana": "Ana"}, 'speakers["$ana"]', "starts with `$`", ""),
    (("speakers",), {"a\0": "Ana"}, 'speakers["a\\u0000"]', "NUL", ""),
    (("speakers",), {"k" * 256: "Ana"}, f'speakers["{"k" * 99}…"]', "is too long a key", ""),
    (("speakers",), {"k" * 201: "Ana"}, f'speakers["{"k" * 99}…"]', "isn't an id", ""),
    (("speakers",), {"": "Ana"}, 'speakers[""]', "isn't an id of a speaker", ""),
    (("speakers",), {"ana": "A" * 201}, "speakers.ana", "is too long a name", ""),
    (("speakers",), {"ana": 5}, "speakers", "must be a string, not a number", ""),
    (("speaker_count",), -1, "speaker_count", "must be at least 0", ""),
    # The rest is as in every state
    ((*WORD, "metadata"), {"$set": 1}, 'segments[1].words[1].metadata["$set"]', "with `$`", ""),
    ((*WORD, "start"), None, "segments[1].words[1].start", "a number, not null", ""),
    ((*WORD, "begin"), 1, "segments[1].words[1].begin", "isn't a known field", ""),
    (("description",), "d" * 501, "description", "at most 500 characters", ""),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "where", "why", "who"), REFUSED)
def test_a_refusal_names_the_path_the_reason_the_element_and_what_to_do(
    path, value, where, why, who
):
    first, *_ = problems(changed(path, value))
    assert first.path == where
    assert why in first.reason
    assert who in first.reason
    assert first.hint


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["start_time", "end_time", "confidence"])
def test_numbers_that_arent_finite_are_refused_even_if_they_were_never_json(name, value):
    segment = replace(Segment(id="s", start_time=0.0, end_time=1.0), **{name: value})
    with pytest.raises(InvalidState, match=rf"segments\[0\].{name} is (nan|inf)"):
        transcriptions.check(TranscriptionState(segments=[segment]))


def test_a_word_without_an_id_is_named_by_its_text():
    state = changed((*WORD, "id"), "", changed((*WORD, "confidence"), 2))
    (problem,) = problems(state)
    assert "word “are”" in problem.reason


def test_all_that_is_wrong_is_reported_at_once_up_to_a_limit():
    state = changed((*WORD, "confidence"), 2, changed((*SECOND, "id"), "s1"))
    assert [p.path for p in problems(state)] == [
        "segments[1].words[1].confidence",
        "segments[1].id",
    ]
    many = [a_segment(f"s{i}", 1, 0) for i in range(50)]
    assert len(problems({"segments": many})) == refusals.MAX_PROBLEMS


def test_what_lies_within_a_microsecond_is_in_order():
    wire = changed((*SECOND, "start_time"), 1.9999995)
    assert parsed(changed((*WORD, "end"), 4.0000005, wire))


def test_the_words_of_one_segment_hold_no_more_than_its_text_may():
    words = [{"text": "t" * 200, "start": 0, "end": 0} for _ in range(101)]
    (problem,) = problems({"segments": [{**a_segment("s", 0, 1), "words": words}]})
    assert (problem.path, problem.reason[:26]) == (
        "segments[0].words",
        "hold more than 20,000 lett",
    )


def test_too_many_words_and_speakers_are_refused():
    word = Word(text="", start=0.0, end=0.0)
    segment = Segment(id="s", start_time=0.0, end_time=1.0)
    full = replace(segment, words=[word] * transcriptions.MAX_WORDS)
    assert transcriptions.check(TranscriptionState(segments=[full]))
    crowded = [full, replace(segment, id="t", words=[word])]
    with pytest.raises(InvalidState, match="segments hold 300,001 words, more than 300,000"):
        transcriptions.check(TranscriptionState(segments=crowded))
    speaking = [replace(segment, id=f"{i}", speaker_id=f"{i}") for i in range(1_001)]
    with pytest.raises(InvalidState, match="speakers is too much: 1,001 are named or speak"):
        transcriptions.check(TranscriptionState(segments=speaking))


def test_an_overlap_with_a_long_segment_is_found_also_behind_a_short_one():
    times = [(20, 21), (0, 9), (1, 2), (8, 12), (12, 20)]
    segments = [a_segment(f"s{i}", *one, speaker="ana") for i, one in enumerate(times)]
    found = problems({"segments": segments})
    assert [problem.path for problem in found] == [
        "segments[2].start_time",
        "segments[3].start_time",
    ]
    assert all("segments[1] ends at 9 s" in problem.reason for problem in found)


def test_segments_of_nobody_or_of_several_speakers_may_lie_at_one_time():
    segments = [a_segment(f"{speaker}{i}", 0, 5) for i in range(2) for speaker in "ab"]
    assert parsed({"segments": segments})
    assert parsed(changed((*("segments", 2), "start_time"), 2))


def test_speakers_may_speak_before_they_have_a_name():
    assert parsed(a_state(speakers={})).segments[0].speaker_id == "ana"


# --- The normal form


def test_segments_are_put_in_the_order_of_their_times():
    wire = {"segments": [a_segment(*one) for one in (("c", 1, 2), ("b", 1, 2), ("a", 1, 3))]}
    wire["segments"].append(a_segment("z", 0, 9))
    assert [segment.id for segment in parsed(wire).segments] == ["z", "b", "c", "a"]


def test_words_without_an_id_get_one_that_is_the_same_every_time():
    wire = changed((*WORD, "id"), "")
    assert parsed(wire).segments[1].words[1].id == "s2~1"
    assert parsed(wire) == parsed(json.loads(states.encode(parsed(wire))))


def test_an_id_that_is_made_is_never_one_that_was_given():
    wire = changed((*WORD, "id"), "", changed((*FIRST, "words", 0, "id"), "s2~1"))
    assert parsed(wire).segments[1].words[1].id == "s2~1.2"


def test_the_longest_segment_id_leaves_room_for_the_ids_of_its_words():
    words = [{"text": "a", "start": 0, "end": 0} for _ in range(3)]
    state = parsed({"segments": [{**a_segment("s" * 200, 0, 1), "words": words}]})
    assert transcriptions.parse(states.encode(state)) == state


@pytest.mark.parametrize(("sent", "counted"), [(0, 3), (3, 3), (7, 7)])
def test_at_least_the_speakers_that_there_are_are_counted(sent, counted):
    wire = changed((*WORD, "speaker_id"), "cleo", a_state(speaker_count=sent))
    assert parsed(wire).speaker_count == counted


def test_a_speaker_who_has_a_name_counts_without_a_word():
    assert parsed({"speakers": {"ana": "Ana"}}).speaker_count == 1


def test_a_segment_with_an_edited_text_is_edited_and_so_is_the_transcription():
    state = parsed(changed((*SECOND, "edited_text"), ""))
    assert [segment.is_edited for segment in state.segments] == [False, True, False]
    assert state.is_edited
    assert not parsed(a_state()).is_edited


@unhurried
@given(made_up)
def test_what_is_settled_stays_as_it_is(state):
    again = transcriptions.settle(transcriptions.check(state))
    assert again == state
    assert all(one is other for one, other in zip(again.segments, state.segments, strict=True))


# --- Summaries, saves, round trips


def test_a_summary_tells_how_much_there_is():
    assert transcriptions.summarise(parsed(a_state())) == {
        "duration": 5.0, "segments": 3, "words": 6, "speakers": 2,
    }  # fmt: skip
    assert transcriptions.summarise(transcriptions.EMPTY)["duration"] == 0
    assert transcriptions.parse(b"{}") == transcriptions.EMPTY


def test_a_save_is_parted_into_the_state_and_what_is_said_about_it():
    siblings = {"description": "Draft", "change_summary": "Heard again", "version": 7}
    save = {**a_state(), **siblings, "updated_at": {"any": [2**70, {"$x": None}]}}
    save["segments"].reverse()
    state, description, summary = transcriptions.parse_save(json.dumps(save).encode())
    assert (description, summary) == ("Draft", "Heard again")
    assert type(state) is TranscriptionState
    assert state == parsed(a_state())
    with pytest.raises(InvalidState, match="description isn't a known field"):
        transcriptions.parse(b'{"description": "Draft"}')


@unhurried
@given(made_up)
def test_a_state_survives_json_and_mongodb_byte_for_byte(state):
    assert transcriptions.parse(states.encode(state)) == state
    stored = bson.decode(bson.encode(states.to_builtins(state)))
    assert states.encode(states.from_builtins(stored, TranscriptionState)) == states.encode(state)


anything = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@unhurried
@given(st.data())
def test_no_value_anywhere_in_a_state_raises_anything_but_invalid_state(data):
    wire = changed(data.draw(st.sampled_from(list(paths(a_state())))), data.draw(anything))
    try:
        state, _, _ = transcriptions.parse_save(json.dumps(wire).encode())
    except InvalidState as refused:
        assert all(problem.hint for problem in refused.errors)  # noqa: PT017
    else:
        assert transcriptions.parse(states.encode(state)) == state


def paths(node, path=()):
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*path, key))
