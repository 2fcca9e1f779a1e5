"""WebVTT as the W3C's standard reads it."""

from pathlib import Path

import pytest

from transcriptions import captions
from transcriptions.captions import UnreadableCaptions, reading

FILES = Path(__file__).parents[3] / "shared" / "data" / "captions"
PARSING = FILES / "webvtt-wpt" / "file-parsing"

needs_files = pytest.mark.skipif(
    not FILES.is_dir(), reason="the shared test data lie beside the repository, not in it"
)

SECOND = (0, 1_000)

# How many cues the standard's parser finds in each file, and when they are shown if it matters.
COUNTS = {
    "arrows": 6,
    "comment-in-cue-text": 2,
    "header-garbage": 1,
    "header-regions": 9,
    "header-space": 1,
    "header-tab": 1,
    "header-timings": 1,
    "ids": 5,
    "newlines": 4,
    "nulls": 7,
    "regions-edge-case": 4,
    "regions-id": 4,
    "regions-lines": 13,
    "regions-old": 2,
    "regions-regionanchor": 20,
    "regions-scroll": 6,
    "regions-viewportanchor": 20,
    "settings-align": 13,
    "settings-line": 46,
    "settings-multiple": 2,
    "settings-position": 22,
    "settings-region": 9,
    "settings-size": 16,
    "settings-vertical": 8,
    "signature-bom": 0,
    "signature-no-newline": 0,
    "signature-space-no-newline": 0,
    "signature-space": 0,
    "signature-tab-no-newline": 0,
    "signature-tab": 0,
    "signature-timings": 0,
    "stylesheets": 2,
    "timings-60": 2,
    "timings-eof": 0,
    "timings-garbage": 0,
    "timings-negative": 4,
    "timings-omitted-hours": 3,
    "timings-too-long": 2,
    "timings-too-short": 2,
    "whitespace-chars": 3,
}
TIMES = {
    "timings-60": [(0, 216_001_000), (216_000_000, 216_001_000)],
    "timings-negative": [(0, 0), (1_000, 999), (60_000, 59_999), (3_600_000, 3_599_999)],
    "comment-in-cue-text": [SECOND, (1_000, 2_000)],
}
IDS = {
    "ids": [" leading space", "trailing space ", "-- >", "->", " "],
    "newlines": ["cr", "lf", "crlf", "lfcr"],
    "nulls": ["", "\ufffd (null in id)", "\ufffd (null in cue data)", "", "", "", ""],
    "whitespace-chars": ["spaces", "tabs", "form feed"],
}
TEXTS = {
    "comment-in-cue-text": ["NOTE text", "NOTE text\nNOTE text2"],
    "nulls": ["text0", "text1", "\ufffdtext\ufffd2", *(f"text{n}" for n in range(3, 7))],
    "whitespace-chars": ["   text0", "text1", "text2"],
}


def vtt(*blocks):
    return "\n\n".join(["WEBVTT", *blocks]).encode()


def cues(*blocks):
    return reading.read(vtt(*blocks), "vtt").cues


def text(markup):
    [cue] = cues(f"00:00.000 --> 00:01.000\n{markup}")
    return cue.text


def warned(raw):
    return [(warning.path, warning.code) for warning in captions.import_(raw, "vtt").warnings]


# --- The web platform tests


@needs_files
@pytest.mark.parametrize("name", COUNTS)
def test_the_files_of_the_web_platform_tests_are_read_as_the_standard_says(name):
    found = reading.read((PARSING / f"{name}.vtt").read_bytes(), "vtt").cues
    assert len(found) == COUNTS[name]
    if name.startswith(("timings", "whitespace", "nulls")):
        assert "invalid" not in [cue.text for cue in found]
    times = [(cue.start_ms, cue.end_ms) for cue in found]
    if name in TIMES or not name.startswith("header-regions"):
        assert times == TIMES.get(name, [SECOND] * len(found))
    if name in IDS:
        assert [cue.id for cue in found] == IDS[name]
    if name in TEXTS:
        assert [cue.text for cue in found] == TEXTS[name]


@needs_files
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("invalid_timeframe", 6),
        ("invalid_timeframe_in_cue_text", 4),
        ("missing_caption_text", 5),
        ("missing_timeframe", 6),
        ("netflix_chicas_del_cable", 865),
        ("styles", 1),
        ("youtube_dl", 4),
    ],
)
def test_files_of_other_programs_are_read_as_the_standard_says(name, count):
    raw = (FILES / "subtitles" / f"{name}.vtt").read_bytes()
    assert len(reading.read(raw, "vtt").cues) == count


@needs_files
def test_no_file_of_the_web_platform_tests_is_left_out():
    assert {path.stem for path in PARSING.glob("*.vtt")} == set(COUNTS)


@needs_files
@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_every_shared_file_becomes_a_transcription_or_is_refused_with_a_reason(format):
    refused = {}
    for path in FILES.rglob(f"*.{format}"):
        try:
            state = captions.import_(path.read_bytes(), format).state
        except UnreadableCaptions as error:
            refused[path.name] = error.detail
        else:
            again = captions.import_(captions.export(state, format), format).state
            assert [s.text for s in again.segments] == [s.text for s in state.segments]
    expected = {
        "vtt": {"empty.vtt", "invalid.vtt"},
        "srt": {
            *(f"invalid_format{n}.srt" for n in range(1, 5)),
            "invalid_timeframe.srt",
            "missing_caption_text.srt",
            "missing_timeframe.srt",
        },
    }
    assert set(refused) == expected[format]
    assert all(detail.startswith("Line ") for detail in refused.values())


@needs_files
def test_every_cue_left_out_of_a_file_is_reported_with_its_line():
    raw = (PARSING / "timings-60.vtt").read_bytes()
    expected = [(f"line {line}", "dropped-cue") for line in (3, 6, 9, 12)]
    assert warned(raw) == expected


# --- Files


@pytest.mark.parametrize("first", ["", "webvtt", "WEBVTTX", " WEBVTT", "1", "WEBVTT\u00a0"])
def test_a_file_without_the_signature_is_refused(first):
    with pytest.raises(UnreadableCaptions) as caught:
        reading.read(f"{first}\n\n00:00.000 --> 00:01.000\nHi\n".encode(), "vtt")
    assert (caught.value.status, caught.value.code) == (422, "unreadable-captions")
    assert caught.value.members["errors"][0]["path"] == "line 1"


def found(raw):
    return [(c.start_ms, c.end_ms, c.id, c.text) for c in reading.read(raw, "vtt").cues]


def test_times_right_below_times_begin_another_cue():
    raw = vtt("a\n00:00.000 --> 00:01.000\n00:01.000 --> 00:02.000\none\n00:02.000 --> 00:03.000")
    assert found(raw) == [(0, 1_000, "a", ""), (1_000, 2_000, "", "one"), (2_000, 3_000, "", "")]


def test_a_line_of_the_header_is_no_id():
    assert found(b"WEBVTT\nKind: captions\n00:00.000 --> 00:01.000\none") == [(0, 1_000, "", "one")]


def test_a_time_of_too_many_digits_is_none_at_the_end_either():
    assert found(vtt("00:00.000 --> 00:01.0000\none")) == []
    assert found(vtt("00:00.000-->00:01.000align:start\none")) == [(0, 1_000, "", "one")]


def test_what_the_standard_leaves_out_is_reported_with_its_line():
    raw = vtt(
        "NOTE a comment",
        "STYLE\n::cue { color: red }",
        "1\n00:00:01,000 --> 00:00:02,000\ncommas",
        "00:03.000 --> 00:04.000\nkept",
        "a line without times",
        "00:05.000 --> 00:06.000 line:0\n<i>slanted</i>",
        "00:07.000 --> 00:08.000 line:0\n<i>slanted</i> if 1 <2 and 3> 2",
        "00:09.000 --> 00:10.000\n<v Ann>Hi</v> <v Bob>Ho",
    )
    assert warned(raw) == [
        ("line 9", "dropped-cue"),
        ("line 15", "dropped-text"),
        ("line 17", "dropped-settings"),
        ("line 17", "dropped-markup"),
        ("line 20", "dropped-tag"),
        ("line 23", "several-voices"),
    ]


def test_the_language_is_read_from_the_header_or_a_comment():
    for head in ("WEBVTT\nKind: captions\nLanguage: pt-BR", "WEBVTT\n\nNOTE Language: pt-BR"):
        assert captions.import_(f"{head}\n".encode(), "vtt").state.language == "pt-BR"
    assert captions.import_(vtt("NOTE Language: unclear, ask"), "vtt").state.language == "und"


def test_a_time_that_no_transcription_holds_is_left_out_and_reported():
    assert warned(vtt(f"00:00.000 --> {'9' * 5_000}:00:00.000\nlong")) == [
        ("line 3", "dropped-cue"),
        ("", "no-cues"),
    ]


# --- The text of cues


@pytest.mark.parametrize(
    ("markup", "plain"),
    [
        ("<b>bold</b> <i.loud>and</i> <c.red.big>red</c>", "bold and red"),
        ("<v Ann>Hello</v>", "Hello"),
        ("Now <00:00.500>then", "Now then"),
        ("<ruby>left<rt>right</rt></ruby>", "leftright"),
        ("<lang pt>Olá</lang>", "Olá"),
        ("a <", "a "),
        ("a < b, so it is a tag\nto the end", "a "),
        ("a > b", "a > b"),
        ("&lt;b&gt; &amp;lt; &quot;&nbsp;&lrm;", '<b> &lt; "\u00a0\u200e'),
        ("&#65;&#x42;&#x1F600;&#10;", "AB😀\n"),
        ("&#0;&#xD800;&#99999999999;", "\ufffd\ufffd\ufffd"),
        ("&#1;&#000000000000065;", "\x01A"),
        ("&unknown; & &; &#; &#x;", "&unknown; & &; &#; &#x;"),
        ("&am<b>p;</b>", "&amp;"),
    ],
)
def test_markup_is_taken_off_as_the_standard_says(markup, plain):
    assert text(markup) == plain


def test_a_number_of_very_many_digits_is_no_character():
    assert text(f"&#{'1' * 10_000};&#x{'0' * 10_000}41;") == "\ufffdA"


@pytest.mark.parametrize(
    ("markup", "name"),
    [
        ("<v Ann>Hi", "Ann"),
        ("<v.loud.first Ann  Lee >Hi</v>", "Ann Lee"),
        ("<v\tAnn &amp; Bob>Hi", "Ann & Bob"),
        ("<v>Hi</v>", None),
        ("<v >Hi</v>", None),
        ("<video Ann>Hi", None),
        ("<v Ann>Hi</v> <v Ann>again</v>", "Ann"),
        ("<v Ann>Hi</v> <v Bob>Ho</v>", None),
    ],
)
def test_a_voice_says_who_speaks(markup, name):
    [cue] = cues(f"00:00.000 --> 00:01.000\n{markup}")
    assert cue.speaker == name


# --- As a transcription


def spoken(*cues):
    blocks = [f"00:{a:02}.000 --> 00:{b:02}.000\n<v {name}>text" for a, b, name in cues]
    imported = captions.import_(vtt(*blocks), "vtt")
    ids = [segment.speaker_id for segment in imported.state.segments]
    return ids, imported.state.speakers, [warning.code for warning in imported.warnings]


def test_voices_become_speakers():
    ids, names, warnings = spoken((0, 1, "Ann"), (1, 2, "Bob"), (2, 3, "Ann"))
    assert ids == ["speaker-1", "speaker-2", "speaker-1"]
    assert (names, warnings) == ({"speaker-1": "Ann", "speaker-2": "Bob"}, [])


def test_a_voice_that_overlaps_itself_becomes_two_speakers_of_one_name():
    ids, names, warnings = spoken(
        (0, 10, "Ann"), (5, 6, "Ann"), (7, 8, "Ann"), (11, 12, "Ann"), (12, 13, "Ann")
    )
    assert ids == ["speaker-1", "speaker-2", "speaker-2", "speaker-1", "speaker-1"]
    assert (names, warnings) == (dict.fromkeys(names, "Ann"), ["overlapping-voice"])


def test_a_cue_that_ends_before_it_starts_is_kept_without_length():
    imported = captions.import_(vtt("00:02.000 --> 00:01.000\nback"), "vtt")
    [segment] = imported.state.segments
    assert (segment.start_time, segment.end_time, segment.text) == (2.0, 2.0, "back")
    assert [warning.code for warning in imported.warnings] == ["never-shown"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (vtt(*["00:00.000 --> 00:01.000\n."] * 50_001), "more than the 50,000"),
        (vtt("00:00.000 --> 00:01.000\n" + "a" * 20_001), "20,001 characters"),
        (vtt(*["no times"] * 50_001), "50,000 things"),
        (vtt(f"00:00.000 --> 00:01.000\n<v {'a' * 201}>Hi"), "200 characters"),
        (vtt(*[f"00:00.000 --> 00:01.000\n<v {n}>Hi" for n in range(1_001)]), "1,000 speakers"),
    ],
    ids=["cues", "text", "warnings", "name", "speakers"],
)
def test_more_than_a_transcription_holds_is_refused(raw, reason):
    with pytest.raises(UnreadableCaptions, match=reason):
        captions.import_(raw, "vtt")
