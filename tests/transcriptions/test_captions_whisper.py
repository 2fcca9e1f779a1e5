"""The JSON of Whisper's implementations, as they write it."""

import json
from math import exp

import pytest

from transcriptions import captions
from transcriptions.captions import UnreadableCaptions
from transcriptions.state import Segment, TranscriptionState


def imported(value):
    return captions.import_(json.dumps(value).encode(), "json")


def segment(start, end, text, words=None, **more):
    return {
        "id": 0,
        "seek": 0,
        "start": start,
        "end": end,
        "text": text,
        "tokens": [50364, 2425],
        "temperature": 0.0,
        "avg_logprob": -0.25,
        "compression_ratio": 0.9,
        "no_speech_prob": 0.01,
        **({} if words is None else {"words": words}),
        **more,
    }


def word(text, start, end, probability=0.9):
    return {"word": text, "start": start, "end": end, "probability": probability}


HELLO = [word(" Hello,", 0.0, 0.5, 0.75), word(" you.", 0.5, 1.2)]
OPENAI = {
    "text": " Hello, you. Bye.",
    "segments": [segment(0.0, 1.2, " Hello, you.", HELLO), segment(2.0, 2.5, " Bye.", [])],
    "language": "en",
}


def heard(state):
    return [(s.id, s.start_time, s.end_time, s.text) for s in state.segments]


def timed(segment):
    return [(word.text, word.start, word.end) for word in segment.words]


# --- openai-whisper and faster-whisper


def test_openai_whisper_is_read():
    state = imported(OPENAI).state
    assert heard(state) == [("s1", 0.0, 1.2, "Hello, you."), ("s2", 2.0, 2.5, "Bye.")]
    first = state.segments[0]
    assert timed(first) == [("Hello,", 0.0, 0.5), ("you.", 0.5, 1.2)]
    assert [word.id for word in first.words] == ["s1~0", "s1~1"]
    assert (first.words[0].confidence, first.confidence) == (0.75, exp(-0.25))
    assert (state.language, state.is_complete) == ("en", True)
    assert state.confidence_score == pytest.approx(exp(-0.25))


@pytest.mark.parametrize(
    "dump",
    [
        lambda segments: segments,
        lambda segments: {"segments": segments, "language": "en"},
        lambda segments: {"segments": segments, "info": {"language": "en", "duration": 2.5}},
    ],
)
def test_faster_whisper_is_read_however_it_was_dumped(dump):
    segments = [segment(0.0, 1.2, " Hello, you.", HELLO), segment(2.0, 2.5, " Bye.", words=None)]
    segments[1]["words"] = None
    state = imported(dump(segments)).state
    assert heard(state) == heard(imported(OPENAI).state)
    assert state.language == ("und" if dump(segments) is segments else "en")


def test_segments_are_put_in_order():
    parts = [segment(5, 6, "late"), segment(0, 1, "early"), segment(3, 3, " ")]
    assert heard(imported(parts).state) == [("s1", 0.0, 1.0, "early"), ("s2", 5.0, 6.0, "late")]


def test_words_outside_their_segment_are_moved_to_its_edge():
    words = [word(" a", 0.98, 1.3), word(" b", 1.2, 1.1), word(" c", 1.9, 2.02)]
    [read] = imported([segment(1.0, 2.0, " a b c", words)]).state.segments
    assert (read.start_time, read.end_time) == (1.0, 2.0)
    assert timed(read) == [("a", 1.0, 1.3), ("b", 1.2, 1.2), ("c", 1.9, 2.0)]


def test_words_that_dont_make_up_the_text_are_left_out():
    words = [word(" Hello", 0, 1), word("�", 1, 2)]
    read = imported([segment(0, 2, " Hello 世", words)])
    assert read.state.segments[0].words == []
    assert [(w.path, w.code) for w in read.warnings] == [("s1", "dropped-words")]


def test_a_segment_that_ends_before_it_starts_is_kept_without_length():
    read = imported([segment(2.0, 1.0, "odd"), segment(-0.02, 1.0, "early")])
    assert heard(read.state) == [("s1", 0.0, 1.0, "early"), ("s2", 2.0, 2.0, "odd")]
    assert [(w.path, w.code) for w in read.warnings] == [("s2", "never-shown")]


def test_confidence_never_leaves_its_bounds():
    words = [word(" a", 0, 1, 1.00001)]
    parts = [segment(0, 1, "a", words, avg_logprob=0.1), segment(1, 2, "b", avg_logprob=-1e308)]
    first, second = imported(parts).state.segments
    assert (first.confidence, first.words[0].confidence, second.confidence) == (1.0, 1.0, 0.0)


# --- whisper.cpp


def offsets(start, end):
    return {"timestamps": {"from": "", "to": ""}, "offsets": {"from": start, "to": end}}


def token(text, start, end, p=0.5):
    return {"text": text, **offsets(start, end), "id": 1, "p": p, "t_dtw": -1}


def cpp(text, tokens=None, language="en"):
    line = {**offsets(0, 2_500), "text": text}
    return {
        "systeminfo": "AVX = 1",
        "model": {"type": "base", "multilingual": True},
        "params": {"model": "models/ggml-base.bin", "language": "auto"},
        "result": {"language": language},
        "transcription": [line if tokens is None else {**line, "tokens": tokens}],
    }


def test_whisper_cpp_is_read():
    state = imported(cpp(" Good morning.")).state
    assert heard(state) == [("s1", 0.0, 2.5, "Good morning.")]
    assert (state.language, state.model_used) == ("en", "base")
    assert state.segments[0].confidence is None


def test_tokens_of_whisper_cpp_are_put_together_to_words():
    tokens = [
        token("[_BEG_]", 0, 0),
        token(" Good", 0, 800),
        token(" mor", 900, 1_500, 0.25),
        token("ning", 1_500, 2_000, 1.0),
        token(".", 2_000, 2_500, 0.5),
        token("[_TT_125]", 2_500, 2_500),
    ]
    [read] = imported(cpp(" Good morning.", tokens)).state.segments
    assert timed(read) == [("Good", 0.0, 0.8), ("morning.", 0.9, 2.5)]
    assert read.words[1].confidence == pytest.approx((0.25 * 1.0 * 0.5) ** (1 / 3))
    assert read.confidence == pytest.approx((0.5 * 0.25 * 1.0 * 0.5) ** (1 / 4))


def test_tokens_are_words_in_languages_without_spaces():
    tokens = [token("世", 0, 1_000), token("界", 1_000, 2_000)]
    [read] = imported(cpp("世界", tokens, "zh")).state.segments
    assert timed(read) == [("世", 0.0, 1.0), ("界", 1.0, 2.0)]


def test_half_a_character_in_a_token_costs_the_words_and_not_the_text():
    value = cpp("世", [token("first", 0, 1_000), token("second", 1_000, 2_000)], "zh")
    raw = json.dumps(value, ensure_ascii=False).encode()
    raw = raw.replace(b"first", b"\xe4\xb8").replace(b"second", b"\x96")
    read = captions.import_(raw, "json")
    assert heard(read.state) == [("s1", 0.0, 2.5, "世")]
    assert read.state.segments[0].words == []
    assert [w.code for w in read.warnings] == ["dropped-words"]


def test_a_text_that_isnt_utf_8_is_refused():
    raw = json.dumps(OPENAI).replace("Bye", "Olá").encode("latin-1")
    with pytest.raises(UnreadableCaptions, match="0xE1"):
        captions.import_(raw, "json")


# --- Our own, and what is refused


def test_our_own_json_is_told_apart():
    state = TranscriptionState(segments=[Segment(id="x", start_time=1, end_time=2, text="Hi")])
    for kept in (state, TranscriptionState()):
        assert captions.import_(captions.export(kept, "json"), "json").state == kept


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ({}, "", "not of a transcription"),
        ("text", "", "not of a transcription"),
        ({"segments": 1}, "", "not of a transcription"),
        ({"segments": [{"start": 0, "end": 1}]}, "segments[0].text", "missing"),
        ([{"start": 0, "text": "a"}], "[0].end", "missing"),
        ([segment(0, "1", "a")], "[0].end", "must be a number"),
        ([segment(0, 1e300, "a")], "[0].end", "at most"),
        ([segment(0, 1, "a" * 20_001)], "[0].text", "20,000 characters"),
        ([segment(0, 1, "a", [word("a", 0, None)])], "[0].words[0].end", "must be a number"),
        ({"transcription": [{"text": "a", "offsets": {}}]}, "transcription[0].offsets.from", "mis"),
        ({"segments": [{"id": "x", "start_time": 1}]}, "segments[0].end_time", "missing"),
        ({"segments": [{"id": "x", "start_time": 2, "end_time": 1}]}, "segments[0].end_time", "1"),
        ([segment(0, 1, "a")] * 50_001, "segments", "50,001"),
    ],
)
def test_other_json_is_refused_with_its_path(value, path, reason):
    with pytest.raises(UnreadableCaptions, match=reason) as caught:
        imported(value)
    [error] = caught.value.members["errors"]
    assert (error["path"], caught.value.status) == (path, 422)
    assert error["hint"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[NaN]", b"\xff\xfe", b'"\\ud800"', b"[" * 100_000])
def test_what_isnt_json_is_refused(raw):
    with pytest.raises(UnreadableCaptions):
        captions.import_(raw, "json")
