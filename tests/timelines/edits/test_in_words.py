"""What an edit is called in the history."""

import pytest

from tests.timelines.edits.given import CLIP, FRAME, a_state, decoded
from timelines import edits


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({"op": "move_clip", "clip": "one", "by": 2}, "Moved clip Intro by +2.0 s"),
        ({"op": "move_clip", "clip": "two", "by": -FRAME}, "Moved clip b-roll.mov by -0.033 s"),
        ({"op": "move_clip", "clip": "three", "to": 4.49, "layer": "picture"},
         "Moved clip three to 4.5 s onto layer Picture"),
        ({"op": "trim_clip", "clip": "one", "in": 1, "out": 1.5},
         "Trimmed clip Intro to start at 1.0 s and to end at 1.5 s"),
        ({"op": "split_clip", "clip": "one", "at": 1.4, "new_id": "x"},
         "Split clip Intro at 1.4 s"),
        ({"op": "ripple_delete_clip", "clip": "one"}, "Removed clip Intro and closed the gap"),
        ({"op": "change_clip", "clip": "one", "set": {"content": "x"},
          "properties": {"opacity": 1}}, "Changed clip Intro: content, opacity"),
        ({"op": "change_layer", "layer": "picture", "set": {"is_locked": True}},
         "Changed layer Picture: locked"),
        ({"op": "move_layer", "layer": "titles", "index": 0}, "Moved layer titles to place 1"),
        ({"op": "move_marker", "marker": "m1", "to": 3}, "Moved marker beat to 3.0 s"),
        ({"op": "add_marker", "marker": {"id": "m", "time": 3}}, "Added marker m at 3.0 s"),
        ({"op": "move_keyframe", "clip": "two", "keyframe": "k1", "by": 1},
         "Moved keyframe k1 of clip b-roll.mov by +1.0 s"),
        ({"op": "set_view", "playhead_time": 1}, "Set the view: playhead time"),
        ({"op": "change_timeline", "fps_num": 25}, "Changed the timeline: fps num"),
    ],
)  # fmt: skip
def test_an_edit_is_told_in_words(operation, words):
    assert edits.describe(a_state(), decoded(operation)) == words


def test_the_halves_of_a_split_are_told_by_the_name_of_the_whole():
    split = {"op": "split_clip", "clip": "one", "at": 1, "new_id": "x"}
    told = edits.describe(a_state(), decoded(split, {"op": "remove_clip", "clip": "x"}))
    assert told == "Split clip Intro at 1.0 s; removed clip Intro"


def test_a_long_story_is_cut_and_says_how_much_is_missing():
    moves = [{"op": "move_clip", "clip": "one", "by": 1}] * 1_000
    told = edits.describe(a_state(), decoded(*moves))
    assert len(told) <= 2_000
    shown = told.count("clip Intro")
    assert told.endswith(f"moved clip Intro by +1.0 s and {1_000 - shown} more")


def test_a_name_in_words_is_one_short_line():
    new = {**CLIP, "content": "Two\nlines " + "x" * 1_000}
    told = edits.describe(a_state(), decoded({"op": "add_clip", "layer": "picture", "clip": new}))
    assert told == f"Added clip Two lines {'x' * 29}… at 1.0 s"
