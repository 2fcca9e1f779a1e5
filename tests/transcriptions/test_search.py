from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transcriptions.test_state import a_segment, made_up, parsed, unhurried
from transcriptions.alignment import timed
from transcriptions.search import MAX_HITS, search
from transcriptions.texts import parts, pieces


def a_talk(*segments):
    return parsed({"segments": [a_segment(f"s{i}", *one) for i, one in enumerate(segments)]})


TALK = a_talk(
    (0, 4, "Hello there, naïve world!", "ana"),
    (4, 6, "Hello again.", "ana"),
    (6, 8, "Don't say hello—well-known!", "ben"),
)


def found(query, state=TALK, **options):
    return [(hit.start, hit.end, hit.text) for hit in search(state, query, **options).hits]


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("hello", [(0, 1, "Hello"), (4, 5, "Hello"), (22 / 3, 8, "hello—well-known!")]),
        ("HELLO, there", [(0, 2, "Hello there,")]),
        ("naive", [(2, 3, "naïve")]),
        ("NAÏVE  world", [(2, 4, "naïve world!")]),
        ("dont", [(6, 20 / 3, "Don't")]),
        ("don\u2019t say", [(6, 22 / 3, "Don't say")]),
        ("known", [(22 / 3, 8, "hello—well-known!")]),
        ("hell", []),
        ("hello hello", []),
        ("world there", []),
        ("", []),
        ("?!", []),
    ],
)
def test_words_and_phrases_are_found_with_their_times(query, hits):
    assert found(query) == [
        (pytest.approx(start), pytest.approx(end), text) for start, end, text in hits
    ]


def test_a_hit_says_where_it_is_and_what_is_said_around_it():
    (hit,) = search(TALK, "world hello").hits
    assert hit.segment_ids == ["s0", "s1"]
    assert hit.word_ids == ["s0-3", "s1-0"]
    assert hit.speaker_id == "ana"
    assert (hit.start, hit.end) == (3, 5)
    assert (hit.before, hit.text, hit.after) == ("Hello there, naïve", "world! Hello", "again.")


def test_a_phrase_doesnt_run_on_into_what_another_speaker_says():
    assert found("again don't") == []
    assert len(found("again dont", a_talk((0, 1, "again"), (1, 2, "don't")))) == 1


def test_the_last_word_is_met_by_its_beginning_if_that_is_asked_for():
    assert [text for *_, text in found("hello th", prefix=True)] == ["Hello there,"]
    assert [text for *_, text in found("wor", prefix=True)] == ["world!"]
    assert found("orld", prefix=True) == []
    assert found("hell there", prefix=True) == []
    assert found("hello there", prefix=True) == found("hello there")


def test_hits_are_counted_beyond_the_limit():
    state = a_talk((0, 10, "no " * 250))
    assert len(search(state, "no").hits) == MAX_HITS
    assert search(state, "no").more == 150
    assert (len(search(state, "no", limit=3).hits), search(state, "no", limit=3).more) == (3, 247)


def test_hits_dont_overlap_each_other():
    state = a_talk((0, 5, "no no no no no"))
    assert [hit.word_ids for hit in search(state, "no no").hits] == [
        ["s0-0", "s0-1"],
        ["s0-2", "s0-3"],
    ]
    assert len(search(a_talk((0, 1, "no-no")), "no").hits) == 1


def test_segments_without_words_are_searched_by_their_text_at_estimated_times():
    state = parsed(
        {"segments": [{"id": "s", "start_time": 1, "end_time": 8, "text": "One, three"}]}
    )
    (hit,) = search(state, "three").hits
    assert (hit.start, hit.end, hit.word_ids, hit.segment_ids) == (
        pytest.approx(4.111111),
        8,
        [],
        ["s"],
    )


def test_what_somebody_has_edited_is_found_and_not_what_was_recognised():
    segment = {"id": "s", "start_time": 0, "end_time": 1, "text": "wrold", "edited_text": "world"}
    state = parsed({"segments": [segment]})
    assert (len(found("world", state)), len(found("wrold", state))) == (1, 0)


def test_chinese_is_found_within_and_across_its_words():
    words = [
        {"id": t, "text": t, "start": i, "end": i + 1} for i, t in enumerate(["今日", "は天", "気"])
    ]
    segment = {"id": "s", "start_time": 0, "end_time": 3, "text": "今日は天気", "words": words}
    (hit,) = search(parsed({"segments": [segment]}), "天気").hits
    assert (hit.word_ids, hit.text, hit.before) == (["は天", "気"], "は天気", "今日")


def heard(text):
    return [part for piece in pieces(text) for part in parts(piece.text)]


def plainly_found(state, wanted):
    """Where a phrase is, looked for word by word."""
    hits = []
    for _, group in groupby(state.segments, key=lambda segment: segment.speaker_id):
        words = [word for segment in group for word in timed(segment)]
        said = [(part, i) for i, word in enumerate(words) for part in heard(word.text)]
        at = 0
        while at + len(wanted) <= len(said):
            part = said[at : at + len(wanted)]
            if [one for one, _ in part] == wanted:
                first, last = part[0][1], part[-1][1]
                hits.append((words[first].start, [word.text for word in words[first : last + 1]]))
                at += next((k for k, (_, i) in enumerate(said[at:]) if i > last), len(said))
            else:
                at += 1
    return hits


@unhurried
@given(made_up, st.data())
def test_search_finds_what_looking_word_by_word_finds(state, data):
    words = [word.text for segment in state.segments for word in timed(segment)]
    at = data.draw(st.integers(0, len(words)))
    query = " ".join(words[at : at + data.draw(st.integers(1, 3))])
    wanted = heard(query)
    hits = search(state, query, limit=1_000).hits
    expected = plainly_found(state, wanted) if wanted else []
    assert [hit.start for hit in hits] == [start for start, _ in expected]
    assert ["".join(hit.text.split()) for hit in hits] == [
        "".join("".join(t).split()) for _, t in expected
    ]
