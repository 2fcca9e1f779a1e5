"""What is exported and imported again keeps every cue's time and text."""

import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.transcriptions.captions_strategies import FRAGMENTS, states, texts
from transcriptions import captions
from transcriptions.captions import CueOptions, cues
from transcriptions.state import Segment, TranscriptionState

# A busy machine is no reason to fail.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)

LIMITS = {
    "vtt": lambda text: text.replace("\0", "\ufffd"),
    "srt": lambda text: re.sub("\r\n?", "\n", text).replace("\0", "\ufffd"),
}
"""What a format can't hold, and what it becomes."""


def again(state, format):
    return captions.import_(captions.export(state, format), format).state


def timed(state):
    """When each segment is shown, in ms."""
    return [(round(s.start_time * 1000), round(s.end_time * 1000)) for s in state.segments]


def shown(state):
    return [segment.shown for segment in state.segments]


def said_by(state):
    """Names as WebVTT holds them: on one line, and not empty."""
    names = (state.speakers.get(s.speaker_id or "") or s.speaker_id or "" for s in state.segments)
    return [re.sub("[ \t\n\f\r]+", " ", name).strip(" ") for name in names]


@pytest.mark.parametrize("format", ["srt", "vtt"])
@given(state=states())
@unhurried
def test_every_time_and_text_is_read_again(format, state):
    read = again(state, format)
    assert timed(read) == timed(state)
    assert shown(read) == [LIMITS[format](text) for text in shown(state)]


@pytest.mark.parametrize("format", ["srt", "vtt"])
@given(text=texts)
@example(text="".join(FRAGMENTS))
@example(text="\n\n".join(FRAGMENTS))
@unhurried
def test_every_text_is_read_again(format, text):
    state = one_segment(text)
    assert shown(again(state, format)) == [LIMITS[format](text)]


@pytest.mark.parametrize("format", ["srt", "vtt"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n\n",
        "a\n\nb",
        "\nfirst and last lines are empty\n",
        " \n\t\n ",
        "3\n00:00:01,000 --> 00:00:02,000\nnot a cue",
        "1 < 2 && 2 > 1",
        "<i>slanted</i>, <I>too</I>, <c.red>red</c>, <font color='a'>b</font>",
        "{\\an8}above",
        "&lt;b&gt; &amp;amp; &nbsp; &copy &#60; &#x3c;",
        "42",
        "2001: A Space Odyssey",
        "\u202eright to left\u202c שלום עולם",
        "👩‍👩‍👧 👋🏽 🇵🇹",
        "--> <-- --\u2060> --\u2060\u2060>",
        "\u2060",
        "\u2060\n\u2060\u2060",
        "NOTE this is no comment",
        "STYLE\nREGION\nWEBVTT",
        "\ufeff",
    ],
)
def test_texts_that_look_like_something_else_are_read_again(format, text):
    assert shown(again(one_segment(text), format)) == [text]


def test_line_breaks_of_other_systems_stay_in_webvtt_and_become_plain_ones_in_srt():
    state = one_segment("a\r\nb\rc")
    assert shown(again(state, "vtt")) == ["a\r\nb\rc"]
    assert shown(again(state, "srt")) == ["a\nb\nc"]


@given(state=states())
@unhurried
def test_webvtt_keeps_who_speaks_and_in_which_language(state):
    read = again(state, "vtt")
    assert said_by(read) == [name.replace("\0", "\ufffd") for name in said_by(state)]
    assert read.language == (state.language if len(state.language) < 6 else "und")


@given(state=states(st.floats(0, 1e10)))
@unhurried
def test_any_time_is_kept_to_the_millisecond(state):
    for format in ("srt", "vtt"):
        assert sorted(timed(again(state, format))) == sorted(timed(state))


@given(state=states())
@unhurried
def test_json_keeps_everything(state):
    assert again(state, "json") == state


@given(state=states(), width=st.integers(10, 60), named=st.sampled_from([None, True, False]))
@unhurried
def test_what_the_rules_make_of_a_transcription_is_read_again(state, width, named):
    options = CueOptions(cues="subtitles", max_chars_per_line=width, speakers=named)
    for format in ("srt", "vtt"):
        made = cues.of_state(state, options, names_in_text=format == "srt" and named is True)
        read = captions.import_(captions.export(state, format, options), format).state
        assert timed(read) == sorted((cue.start_ms, cue.end_ms) for cue in made)
        assert sorted(shown(read)) == sorted(LIMITS[format](cue.text) for cue in made)


def test_cues_of_the_same_times_stay_in_their_order():
    blocks = "".join(f"\n00:01.000 --> 00:02.000\ncue {n}\n" for n in range(25))
    state = captions.import_(f"WEBVTT\n{blocks}".encode(), "vtt").state
    assert shown(state) == [f"cue {n}" for n in range(25)]
    assert shown(again(state, "srt")) == shown(state)


def one_segment(text):
    return TranscriptionState(segments=[Segment(id="x", start_time=1, end_time=2, text=text)])
