"""Transcriptions that files of captions find hard to hold."""

from hypothesis import strategies as st

from transcriptions.state import Segment, TranscriptionState, check, settle

FRAGMENTS = (
    "-->",
    "--\u2060>",
    "--",
    "<b>",
    "</i>",
    "<\u2060b>",
    "<FONT color=red>",
    "<v Bob>",
    "<",
    ">",
    "&",
    "&amp;",
    "&lt",
    "&#10;",
    "&#0;",
    "{\\an8}",
    "{",
    "\\",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\0",
    "\u2060",
    "\u2028",
    "\x85",
    "\ufeff",
    "\x01",
    " ",
    "\t",
    "1",
    "42\n",
    "00:00:01,000 --> 00:00:02,000",
    "00:00.000 --> 00:01.000",
    "WEBVTT",
    "NOTE",
    "STYLE",
    "שלום",
    "مرحبا",
    "👩‍👩‍👧",
    "Hello",
)

texts = st.one_of(
    st.text(max_size=40),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=3)), max_size=12).map("".join),
)
prose = st.lists(
    st.sampled_from(["Yes.", "no,", "I", "haven't", "wondered", "extraordinarily", "港口。", "?!"]),
    max_size=60,
).map(" ".join)
# Files hold ids too, where they can.
odd_ids = st.sampled_from(["", "", "-->", "\n\n", "\r", "\0", "00:00.000 --> 00:01.000", "NOTE"])
names = st.one_of(st.sampled_from(["Ann", "Bob", "A & B", "<Bob>", "-->"]), st.text(max_size=20))


@st.composite
def states(draw, seconds=None, texts=texts):
    """A transcription in its normal form; times in whole ms, unless `seconds` says otherwise."""
    seconds = seconds or st.integers(0, 4 * 3_600_000).map(lambda ms: ms / 1000)
    spans = [sorted(span) for span in draw(st.lists(st.tuples(seconds, seconds), max_size=12))]
    speakers = draw(st.dictionaries(st.sampled_from("abc"), names, max_size=3))
    ends = dict.fromkeys(speakers, 0.0)
    segments = []
    for index, (start, end) in enumerate(sorted(spans)):
        # Nobody may speak twice at once.
        free = [None, *(id for id in speakers if ends[id] <= start)]
        speaker = draw(st.sampled_from(free))
        ends[speaker] = end
        text = draw(texts)
        segments.append(
            Segment(
                id=f"{draw(odd_ids)}~{index:02}",
                start_time=start,
                end_time=end,
                text=text,
                speaker_id=speaker,
            )
        )
    language = draw(st.sampled_from(["en", "pt-BR", "und", "x\n\n00:00.000 --> 00:01.000\nno"]))
    return settle(
        check(TranscriptionState(segments=segments, speakers=speakers, language=language))
    )
