"""SRT: what is read, and what is refused with its line and reason."""

import pytest

from transcriptions import captions
from transcriptions.captions import CueOptions, UnreadableCaptions, reading
from transcriptions.state import Segment, TranscriptionState

FIRST = "1\n00:00:01,000 --> 00:00:02,500\nOne\n"


def cues(text):
    found = reading.read(text.encode(), "srt").cues
    return [(cue.start_ms, cue.end_ms, cue.text) for cue in found]


def problem(text):
    with pytest.raises(UnreadableCaptions) as caught:
        reading.read(text.encode(), "srt")
    [error] = caught.value.members["errors"]
    assert error["hint"]
    return error["path"], error["reason"]


@pytest.mark.parametrize(
    "text",
    [
        FIRST,
        FIRST.replace("\n", "\r\n"),
        FIRST.replace("\n", "\r"),
        FIRST.rstrip(),
        f"\n \n{FIRST}\n\n\t\n",
        FIRST.removeprefix("1\n"),
        FIRST.replace("00:00:01,000 --> ", "\t0:00:01,000-->"),
        FIRST.replace(",500", ",500  X1:10 X2:20 Y1:30 Y2:40"),
        FIRST.replace("One", "{\\an8}<i>O<font color='red'>ne</FONT></i>"),
        FIRST.replace("1\n", "  17 \n", 1),
    ],
)
def test_usual_ways_to_write_a_cue_are_read(text):
    assert cues(text) == [(1_000, 2_500, "One")]


def test_what_isnt_markup_in_srt_stays_in_the_text():
    text = "5 < 6 & <c.red>, <beat>, {smiles}, &amp;"
    assert cues(FIRST.replace("One", text)) == [(1_000, 2_500, text)]


@pytest.mark.parametrize(
    ("text", "where", "reason"),
    [
        ("some text", "line 1", "neither the number nor the times"),
        ("1", "line 1", "cue 1 has no times"),
        ("1\nsome text", "line 2", "cue 1 has no times"),
        (f"{FIRST}\n2\nTwo\n", "line 6", "cue 2 has no times"),
        (f"{FIRST}\n2\n\nTwo\n", "line 6", "cue 2 has no times"),
        (f"{FIRST}\nTwo, after an empty line\n", "line 5", "neither the number nor the times"),
        (f"{FIRST}2\n00:00:03,000 --> 00:00:04,000\nTwo\n", "line 5", "within a cue's text"),
        (FIRST.replace(",5", ".5"), "line 2", "aren't times"),
        (FIRST.replace(",500", ",5"), "line 2", "aren't times"),
        (FIRST.replace("00:02", "60:02"), "line 2", "aren't times"),
        (FIRST.replace("00:02", "00:00"), "line 2", "ends before it starts"),
        (FIRST.replace("00:00:02", "9999999:00:02"), "line 2", "300 years"),
        (FIRST.replace("One", ""), "line 2", "has no text"),
        (FIRST.replace("One\n", ""), "line 2", "has no text"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nOne", "line 1", "neither the number nor the times"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(text, where, reason):
    path, why = problem(text)
    assert path == where
    assert reason in why


def test_a_webvtt_file_that_is_called_srt_is_told_so():
    with pytest.raises(UnreadableCaptions, match="the format is WebVTT"):
        reading.read(b"WEBVTT\n", "srt")


def test_markup_and_places_that_arent_kept_are_reported_once():
    marked = FIRST.replace("One", "<b>One</b>").replace(",500", ",500 X1:1 Y1:1")
    imported = captions.import_(f"{FIRST}\n{marked}\n{marked}".encode(), "srt")
    assert [(warning.path, warning.code) for warning in imported.warnings] == [
        ("line 6", "dropped-settings"),
        ("line 6", "dropped-markup"),
    ]


def test_a_file_without_cues_is_empty_and_says_so():
    imported = captions.import_(b"\n\n", "srt")
    assert imported.state.segments == []
    assert [warning.code for warning in imported.warnings] == ["no-cues"]


def test_files_are_written_as_players_read_them():
    assert exported("Hello,\nAnn & <Bob>!") == (
        "1\n00:00:01,000 --> 01:01:02,500\nHello,\nAnn & <Bob>!\n\n"
        "2\n01:01:02,500 --> 01:01:02,500\nBye\n"
    )


def test_speakers_are_named_in_the_text_only_if_that_is_asked_for():
    assert "Ann: " not in exported("Hi")
    assert "\nAnn: Hi\n" in exported("Hi", CueOptions(speakers=True))
    assert "Ann" not in exported("Hi", CueOptions(speakers=False))


@pytest.mark.parametrize("text", ["a --> b", "<b>", "{\\an8}", "a\n\nb"])
def test_what_players_would_misread_is_broken_up_invisibly(text):
    written = exported(text).split("\n\n2\n")[0].split("\n", 2)[2]
    assert written != text
    assert written.replace("\u2060", "") == text


def exported(text, options=CueOptions()):  # noqa: B008 - it is frozen
    state = TranscriptionState(
        segments=[
            Segment(id="a", start_time=1, end_time=3662.5, text=text, speaker_id="x"),
            Segment(id="b", start_time=3662.5, end_time=3662.5, text="Bye", speaker_id="x"),
        ],
        speakers={"x": "Ann"},
    )
    return captions.export(state, "srt", options).decode()
