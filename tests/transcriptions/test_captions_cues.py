"""How a transcription becomes cues, and what files of them look like."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.transcriptions.captions_strategies import prose, states
from tests.transcriptions.captions_strategies import texts as odd_texts
from transcriptions import captions
from transcriptions.captions import CueOptions, cues
from transcriptions.state import Segment, TranscriptionState, Word

# A busy machine is no reason to fail.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
texts_of_any_kind = st.one_of(prose, odd_texts)
SUBTITLES = CueOptions(cues="subtitles")


def spoken(*parts, id="a", start=0.0, speaker=None):
    """A segment of words and pauses: a number is a pause; a word lasts 0.3 s."""
    words, time = [], start
    for part in parts:
        if isinstance(part, str):
            for text in part.split():
                words.append(Word(text=text, start=round(time, 3), end=round(time + 0.3, 3)))
                time += 0.3
        else:
            time += part
    return Segment(
        id=id,
        start_time=start,
        end_time=round(time, 3),
        text=" ".join(word.text for word in words),
        words=words,
        speaker_id=speaker,
    )


def unspoken(text, start=0.0, end=10.0):
    return Segment(id="a", start_time=start, end_time=end, text=text)


def subtitles(*segments, **options):
    state = TranscriptionState(segments=list(segments), speakers={"x": "Ann", "y": "Bob"})
    return cues.of_state(state, CueOptions(cues="subtitles", **options))


def texts(*segments, **options):
    return [cue.text for cue in subtitles(*segments, **options)]


# --- Exactly


def test_by_default_cues_are_the_segments_as_they_are():
    state = TranscriptionState(
        segments=[
            Segment(id="b", start_time=1.0004, end_time=3, text="old", edited_text="new\n\n text"),
            Segment(id="a", start_time=0, end_time=100, text="long " * 100, speaker_id="x"),
        ],
        speakers={"x": "Ann"},
    )
    assert cues.of_state(state, CueOptions()) == [
        cues.Cue(start_ms=0, end_ms=100_000, text="long " * 100, speaker="Ann", id="a"),
        cues.Cue(start_ms=1_000, end_ms=3_000, text="new\n\n text", id="b"),
    ]


# --- By the rules


@given(
    state=states(texts=texts_of_any_kind),
    width=st.integers(10, 60),
    lines=st.integers(1, 3),
    most=st.integers(1_000, 10_000),
    gap=st.integers(0, 500),
)
@unhurried
def test_subtitles_keep_the_rules_and_lose_no_text(state, width, lines, most, gap):
    options = CueOptions(
        cues="subtitles",
        max_chars_per_line=width,
        max_lines=lines,
        max_duration_ms=most,
        min_gap_ms=gap,
    )
    made = cues.of_state(state, options)
    for cue in made:
        shown = cue.text.split("\n")
        assert len(shown) <= lines
        assert all(0 < len(line) <= width for line in shown)
        assert 0 < cue.end_ms - cue.start_ms <= most
    assert [cue.start_ms for cue in made] == sorted(cue.start_ms for cue in made)
    for segment in state.segments:
        own = [cue for cue in made if cue.id in (segment.id, f"{segment.id}-{numbered(cue)}")]
        assert unspaced(*(cue.text for cue in own)) == unspaced(segment.shown)


def numbered(cue):
    return cue.id.rpartition("-")[2]


def unspaced(*texts):
    return "".join("".join(text.split()) for text in texts)


@given(
    lengths=st.lists(st.tuples(st.integers(1, 12), st.floats(0, 3)), min_size=1, max_size=60),
    gap=st.integers(0, 500),
)
@unhurried
def test_subtitles_of_one_speaker_are_never_shown_together(lengths, gap):
    parts = [part for length, pause in lengths for part in ("w" * length, pause)]
    made = subtitles(spoken(*parts), min_gap_ms=gap)
    for cue, following in pairwise(made):
        assert cue.end_ms <= following.start_ms


def test_a_short_text_stays_one_cue_on_one_line():
    assert texts(spoken("Hello there, how are you?")) == ["Hello there, how are you?"]


def test_a_text_of_two_lines_is_broken_into_lines_about_equally_long():
    text = "We went down to the old harbour and looked at all of the boats"
    assert texts(spoken(text)) == [
        "We went down to the old harbour\nand looked at all of the boats"
    ]


def test_lines_are_broken_after_a_clause_if_that_is_near_the_middle():
    text = "When we had reached the old harbour, the boats were all gone"
    assert texts(spoken(text)) == ["When we had reached the old harbour,\nthe boats were all gone"]


def test_lines_arent_broken_where_the_rest_wouldnt_fit():
    text = "Well, yes, I do. We went down to the harbour and looked at all of the boats"
    [shown] = texts(spoken(text))
    assert [len(line) for line in shown.split("\n")] == [36, 38]


def test_a_long_text_is_split_after_its_sentences():
    one = "This is the first of two sentences that follow each other."
    two = "And this one is the second sentence which is a lot longer than the first one was"
    assert [text.replace("\n", " ") for text in texts(spoken(one, two))] == [one, two]


def test_a_long_text_without_sentences_is_split_at_a_pause():
    one = "so we went on and on until somebody said"
    two = "well what about a break because it has been a very long day for us all"
    assert [t.replace("\n", " ") for t in texts(spoken(one, 1.5, two))] == [one, two]


def test_pieces_are_shown_when_their_words_are_spoken():
    one = "This is the first of two long sentences that follow each other."
    two = "And this one is the second sentence, which is about as long."
    first, second = subtitles(spoken(one, 2.0, two))
    assert (first.start_ms, first.end_ms) == (0, 12 * 300)
    assert (second.start_ms, second.end_ms) == (12 * 300 + 2_000, 24 * 300 + 2_000)


def test_without_words_time_is_shared_by_characters():
    text = "a" * 30 + " " + "b" * 30 + ". " + "C" * 30 + " " + "d" * 29
    first, second = subtitles(unspoken(text, 10, 22), min_gap_ms=0)
    assert first.text == "a" * 30 + "\n" + "b" * 30 + "."
    assert (first.start_ms, second.start_ms, second.end_ms) == (10_000, 16_100, 22_000)


def test_words_of_another_text_dont_matter():
    segment = msgspec.structs.replace(spoken("one two three"), edited_text="quite another text")
    [cue] = subtitles(segment)
    assert (cue.text, cue.start_ms, cue.end_ms) == ("quite another text", 0, 900)


def test_a_text_in_a_script_without_spaces_is_split_between_characters():
    text = "我们去了港口,看了所有的船。" * 8
    made = texts(unspoken(text), max_chars_per_line=16)
    assert "".join(made).replace("\n", "") == text
    assert all(len(line) <= 16 for cue in made for line in cue.split("\n"))
    assert not any(line[0] in ",。" for cue in made for line in cue.split("\n"))


def test_a_family_isnt_torn_apart():
    family = "👩\u200d👩\u200d👧"
    made = texts(unspoken(family * 23 + "!"))
    assert "".join(made).replace("\n", "") == family * 23 + "!"
    assert all(line.startswith("👩") for cue in made for line in cue.split("\n"))


def test_slow_words_stay_together_and_are_shown_as_long_as_is_allowed():
    [cue] = subtitles(unspoken("(thunder rolls)", 0, 60))
    assert (cue.start_ms, cue.end_ms) == (0, 7_000)


def test_a_cue_stays_until_it_can_be_read():
    one, two = "x" * 40, "Bye"
    first, second = subtitles(unspoken(one, 0, 0.5), unspoken(two, 5, 5.1))
    assert (first.start_ms, first.end_ms) == (0, 2_000)  # 40 characters, 20 in a second
    assert (second.start_ms, second.end_ms) == (5_000, 5_833)


def test_a_cue_ends_a_little_before_the_next():
    first, second = subtitles(unspoken("x" * 40, 0, 0.5), unspoken("Bye", 1, 2))
    assert (first.end_ms, second.start_ms) == (917, 1_000)


def test_who_speaks_at_once_is_shown_at_once():
    ann, bob = spoken("Hello you there", speaker="x"), spoken("Hi", start=0.2, speaker="y", id="b")
    first, second = subtitles(ann, bob)
    assert (first.speaker, first.end_ms) == ("Ann", 900)
    assert (second.speaker, second.start_ms) == ("Bob", 200)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"max_lines": 0}, "max_lines"),
        ({"max_chars_per_line": 1}, "max_chars_per_line"),
        ({"max_duration_ms": 1_000, "min_duration_ms": 2_000}, "min_duration_ms"),
        ({"cues": "best"}, "cues"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, path):
    with pytest.raises(msgspec.ValidationError, match=path):
        msgspec.convert(options, CueOptions)


def test_options_may_come_as_texts_from_a_query():
    options = msgspec.convert({"max_lines": "3", "speakers": "false"}, CueOptions, strict=False)
    assert (options.max_lines, options.speakers) == (3, False)


# --- Files

TALK = TranscriptionState(
    segments=[
        spoken("Hello <you> & all.", speaker="x", id="a"),
        spoken("How are you?", speaker="x", id="b", start=2),
        spoken("Fine.", speaker="y", id="c", start=3),
        spoken("Later.", speaker="y", id="d", start=30),
        spoken("(music)", id="e", start=31),
    ],
    speakers={"x": "Ann & co", "y": "Bob"},
    language="en-GB",
)


def test_webvtt_names_speakers_in_voice_spans_and_the_language_in_a_note():
    assert (
        captions.export(TALK, "vtt")
        .decode()
        .startswith(
            "WEBVTT\n\nNOTE Language: en-GB\n\n"
            "a\n00:00:00.000 --> 00:00:01.200\n<v Ann &amp; co>Hello &lt;you&gt; &amp; all.\n\n"
            "b\n00:00:02.000 --> 00:00:02.900\n<v Ann &amp; co>How are you?\n\n"
        )
    )
    assert "<v" not in captions.export(TALK, "vtt", CueOptions(speakers=False)).decode()


def test_plain_text_has_a_paragraph_for_every_turn_and_after_pauses():
    assert captions.export(TALK, "txt").decode() == (
        "Ann & co: Hello <you> & all. How are you?\n\nBob: Fine.\n\nBob: Later.\n\n(music)\n"
    )
    assert captions.export(TALK, "txt", CueOptions(speakers=False)).decode() == (
        "Hello <you> & all. How are you? Fine.\n\nLater. (music)\n"
    )


def test_srt_names_a_speaker_where_another_begins_if_asked():
    raw = captions.export(TALK, "srt", CueOptions(cues="subtitles", speakers=True)).decode()
    assert [line for line in raw.split("\n") if ":" in line and "-->" not in line] == [
        "Ann & co: Hello <you> & all.",
        "Bob: Fine.",
    ]


@pytest.mark.parametrize(("format", "raw"), [("srt", ""), ("vtt", "WEBVTT\n"), ("txt", "")])
def test_a_transcription_without_segments_is_a_file_without_cues(format, raw):
    empty = TranscriptionState(language="und")
    assert captions.export(empty, format).decode() == raw
    assert captions.export(empty, format, SUBTITLES).decode() == raw
