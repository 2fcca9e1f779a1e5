"""Encodings, hostile files, and how long reading takes."""

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.transcriptions.captions_strategies import FRAGMENTS
from transcriptions import captions
from transcriptions.captions import FORMATS, UnreadableCaptions, reading
from transcriptions.state import Segment, TranscriptionState, check

# A busy machine is no reason to fail.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=250)

WHISPER = {
    "language": "en",
    "info": {"language": "en"},
    "segments": [
        {
            "start": 0.0,
            "end": 1.5,
            "text": " Hello there",
            "avg_logprob": -0.2,
            "words": [
                {"word": " Hello", "start": 0.0, "end": 0.7, "probability": 0.9},
                {"word": " there", "start": 0.7, "end": 1.5, "probability": 0.8},
            ],
        }
    ],
}
CPP = {
    "model": {"type": "base"},
    "result": {"language": "en"},
    "transcription": [
        {
            "offsets": {"from": 0, "to": 1500},
            "text": " Hello",
            "tokens": [{"text": " Hel", "offsets": {"from": 0, "to": 700}, "p": 0.5}],
        }
    ],
}
STATE = TranscriptionState(
    segments=[
        Segment(id="a", start_time=0, end_time=1, text="<b>bold</b>\n\n& --> all", speaker_id="x"),
        Segment(id="b", start_time=1, end_time=2, text="שלום 👋", speaker_id="y"),
    ],
    speakers={"x": "Ann"},
)
VALID = {
    "srt": [captions.export(STATE, "srt")],
    "vtt": [
        captions.export(STATE, "vtt"),
        b"WEBVTT\n\nSTYLE\na {}\n\nx\n00:00.000 --> 00:01.000\n",
    ],
    "json": [
        captions.export(STATE, "json"),
        json.dumps(WHISPER).encode(),
        json.dumps(CPP).encode(),
    ],
}


def survives(raw, format):
    """Whether a file is read into something that can be kept, rather than refused."""
    try:
        imported = captions.import_(raw, format)
    except UnreadableCaptions:
        return False
    check(imported.state)
    captions.export(imported.state, "srt")
    captions.export(imported.state, "vtt")
    return True


# --- Encodings


def saved(encoding, mark=b""):
    return mark + "WEBVTT\n\n00:00.000 --> 00:01.000\nOlá, 世界 👋\n".encode(encoding)


@pytest.mark.parametrize(
    "raw",
    [
        saved("utf-8"),
        saved("utf-8-sig"),
        saved("utf-16"),
        saved("utf-16-le", b"\xff\xfe"),
        saved("utf-16-be", b"\xfe\xff"),
    ],
)
def test_utf_8_and_marked_utf_16_are_read(raw):
    assert reading.read(raw, "vtt").cues[0].text == "Olá, 世界 👋"


@pytest.mark.parametrize(
    ("raw", "where", "reason"),
    [
        ("WEBVTT\r\n\r\n00:00.000 --> 00:01.000\r\nOlá".encode("latin-1"), "line 4", "0xE1"),
        (b"\xef\xbb\xbfWEBVTT\n\n\xff", "line 3", "0xFF"),
        (saved("utf-16")[:-1], "line 4", "UTF-16"),
        (saved("utf-16-le"), "", "byte order mark"),
        (saved("utf-32"), "", "UTF-32"),
    ],
)
def test_other_encodings_are_refused_with_what_is_wrong(raw, where, reason):
    with pytest.raises(UnreadableCaptions, match=reason) as caught:
        reading.read(raw, "vtt")
    [error] = caught.value.members["errors"]
    assert error["path"] == where
    assert "UTF-8" in error["hint"]


# --- Hostile files


@pytest.mark.parametrize("format", ["srt", "vtt", "json"])
def test_valid_files_are_read(format):
    assert all(survives(raw, format) for raw in VALID[format])


@pytest.mark.parametrize("format", FORMATS)
@given(raw=st.binary(max_size=200))
@unhurried
def test_random_bytes_are_read_or_refused(format, raw):
    survives(raw, format)
    survives(b"WEBVTT\n\n" + raw, format)


FRAGMENT = st.one_of(
    st.sampled_from([*FRAGMENTS, "[", "]", "{", "}", '"', ":", ",", "null", "-1", "1e400", "NaN"]),
    st.text(max_size=5),
).map(lambda text: text.encode())


@st.composite
def broken(draw, files):
    """A valid file in which a few places were overwritten, cut or filled with something else."""
    raw = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(1, 5))):
        first, last = sorted((draw(st.integers(0, len(raw))), draw(st.integers(0, len(raw)))))
        last = min(last, first + draw(st.integers(0, 20)))
        raw = raw[:first] + draw(st.one_of(FRAGMENT, st.binary(max_size=4))) + raw[last:]
    return raw


@pytest.mark.parametrize("format", ["srt", "vtt", "json"])
@given(data=st.data())
@unhurried
def test_broken_files_are_read_or_refused(format, data):
    survives(data.draw(broken(VALID[format])), format)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["segments", "words", "text", "$x"]), children, max_size=3
        )
    ),
    max_leaves=8,
)


@st.composite
def spoiled(draw):
    """A recogniser's JSON in which a few values are quite different ones."""
    value = json.loads(json.dumps(draw(st.sampled_from([WHISPER, CPP, [*WHISPER["segments"]]]))))
    for _ in range(draw(st.integers(1, 4))):
        node = value
        while isinstance(node, (dict, list)) and node:
            key = draw(
                st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node)))
            )
            if draw(st.integers(0, 3)) == 0 or not isinstance(node[key], (dict, list)):
                node[key] = draw(VALUES)
                break
            node = node[key]
    return json.dumps(value).encode()


@given(raw=spoiled())
@unhurried
def test_json_of_any_content_is_read_or_refused(raw):
    survives(raw, "json")


MILLION = 1_000_000


@pytest.mark.parametrize(
    ("format", "raw"),
    [
        ("vtt", b"WEBVTT\n\n" + b"-->\n" * (MILLION // 4)),
        ("vtt", b"WEBVTT\n\n" + b"\n" * MILLION),
        ("vtt", b"WEBVTT\n\n" + b"x\n" * (MILLION // 2)),
        ("vtt", b"WEBVTT\n\n" + b"x\n\n" * (MILLION // 3)),
        ("vtt", b"WEBVTT\n\n" + b" " * MILLION + b"-->"),
        ("vtt", b"WEBVTT\n\n" + b"0" * MILLION + b"-->"),
        ("vtt", b"WEBVTT\n\n" + b"00:00.000 --> 00:01.000\n" * (MILLION // 24)),
        ("vtt", b"WEBVTT\n\n00:00.000 --> 00:01.000\n" + b"<" * MILLION),
        ("vtt", b"WEBVTT\n\n00:00.000 --> 00:01.000\n" + b"&" * MILLION),
        ("vtt", b"WEBVTT\n\n00:00.000 --> 00:01.000\n" + b"&lt;" * (MILLION // 4)),
        ("vtt", b"WEBVTT\n\n00:00.000 --> 00:01.000\n&#" + b"1" * MILLION + b";"),
        ("vtt", b"WEBVTT\n\n00:00.000 --> 00:01.000\n" + b"<v " + b" " * MILLION + b">a"),
        ("vtt", b"WEBVTT\n\n00:00.000 --> 00:01.000\n" + b"<v a>" * (MILLION // 5)),
        ("vtt", b"WEBVTT\n\n" + b"00:00.000 --> 00:01.000\n<v a>b\n\n" * 900),
        ("srt", b"1\n" * (MILLION // 2)),
        ("srt", b"1" * MILLION),
        ("srt", b"1\n" + b" " * MILLION + b"-->"),
        ("srt", b"1\n00:00:00,000 --> 00:00:01,000" + b" X1:1" * (MILLION // 5)),
        ("srt", b"1\n00:00:00,000 --> 00:00:01,000\n" + b"<b" * (MILLION // 2)),
        ("srt", b"1\n00:00:00,000 --> 00:00:01,000\n" + b"{\\" * (MILLION // 2)),
        ("srt", b"1\n00:00:00,000 --> 00:00:01,000\n" + "--\u2060".encode() * (MILLION // 5)),
        ("srt", b"1\n00:00:00,000 --> 00:00:01,000\n" + "\u2060".encode() * (MILLION // 3)),
        ("srt", b"1\n00:00:00,000 --> 00:00:01,000\n" + "<\u2060b".encode() * (MILLION // 5)),
        ("json", b"[" * MILLION),
        ("json", b'{"segments":[' + b"{}," * (MILLION // 3)),
        ("json", b'{"segments":[' + b'{"start":0,"end":1,"text":"a"},' * 30_000 + b"{}]}"),
    ],
)
def test_no_file_takes_long(format, raw):
    """What takes longer than in proportion to its length would take minutes here."""
    started = time.process_time()
    survives(raw, format)
    assert time.process_time() - started < 10


def test_plain_text_cant_be_imported():
    with pytest.raises(UnreadableCaptions, match="no times"):
        captions.import_(b"Hello", "txt")
