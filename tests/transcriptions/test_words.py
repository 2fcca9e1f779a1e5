import pytest

from tests.transcriptions.test_edits import STATE
from tests.transcriptions.test_state import a_segment, a_state, parsed
from transcriptions import edits
from transcriptions.words import MAX_LINES, words


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"edited_text": "how were you?"}, "“how are you?” → “how were you?”"),
        ({"edited_text": "h" * 50}, f"“how are you?” → “{'h' * 39}…”"),
        ({"start_time": 2.25, "end_time": 4.25}, "moved by +0.25 s"),
        ({"end_time": 5}, "end 4.0 → 5.0 s"),
        ({"speaker_id": None}, "speaker Ana → nobody"),
        ({"confidence": 0.5}, "confidence nothing → 0.5"),
        ({"metadata": {"a": True}}, "metadata a set to true"),
        ({"words": []}, "3 words changed"),
        ({"edited_text": "how are you?"}, "edited"),
        ({"is_edited": True}, "edited"),
        ({"text": "", "speaker_id": None}, "“how are you?” → nothing, speaker Ana → nobody"),
    ],
)
def test_an_edit_of_a_segment_is_told_in_words(changes, line):
    result = edits.edit_segment(STATE, "s2", changes)
    assert result.summary == f"edited segment s2: {line}"
    assert words(STATE, result.state) == [f"segment s2: {line}"]


def test_of_a_long_text_what_was_changed_is_told():
    text = " ".join(f"word{i}" for i in range(50))
    state = parsed({"segments": [a_segment("s", 0, 50, text)]})
    result = edits.edit_segment(state, "s", {"edited_text": text.replace("word25", "other")})
    assert result.summary == (
        "edited segment s: “…rd23 word24 word25 word26 word…” → “…rd23 word24 other word26 word…”"
    )


def test_a_split_and_a_merge_are_told():
    split = edits.split_segment(STATE, "s2", "s2-2")
    assert split.summary == "split segment s2 at 3.333 s"
    assert words(STATE, split.state)[0] == "added segment s2~2 at 3.333 s: “you?”"
    assert edits.merge_segments(STATE, ["s1", "s2"]).summary == "merged segments s1 and s2"


def test_many_changes_of_one_kind_are_told_together():
    wire = a_state()
    more = {"segments": wire["segments"] + [a_segment(f"n{i}", 9 + i, 10 + i) for i in range(9)]}
    later = parsed({**wire, **more})
    assert words(STATE, later) == ["added 9 segments from 9.0 to 18.0 s"]
    assert words(later, STATE) == ["removed 9 segments from 9.0 to 18.0 s"]
    moved = later
    for i in reversed(range(9)):
        times = {"start_time": 9.5 + i, "end_time": 10.5 + i}
        moved = edits.edit_segment(moved, f"n{i}", times).state
    assert words(later, moved) == ["9 segments: moved by +0.5 s"]


def test_what_differs_of_the_whole_is_told():
    wire = a_state(language="de", metadata={"a": 1}, speakers={"ana": "Anna", "cleo": "Cleo"})
    assert words(STATE, parsed(wire)) == [
        "transcription: language en → de, speaker count 2 → 3, metadata a set to 1",
        "speaker Ana renamed “Anna”",
        "speaker Ben lost the name",
        "speaker cleo named “Cleo”",
    ]
    assert words(STATE, STATE) == []


def test_very_many_changes_are_cut_and_counted():
    wire = {"segments": [a_segment(f"s{i}", i, i + 1, f"word{i}") for i in range(60)]}
    after = {"segments": [a_segment(f"s{i}", i, i + 1, f"other{i}") for i in range(60)]}
    lines = words(parsed(wire), parsed(after))
    assert len(lines) == MAX_LINES
    assert lines[-1] == "and 11 more changes"
