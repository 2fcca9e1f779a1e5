"""What each operation does."""

import copy
import json
import re
from typing import get_args

import pytest
from msgspec.structs import replace

from snipix import states
from tests.timelines.edits.given import (
    CLIP,
    FRAME,
    a_state,
    clip,
    clips,
    decoded,
    edited,
    ids,
    problem,
    times,
)
from timelines import state as timelines
from timelines.edits import Edit
from timelines.state import Layer


def examples(type_):
    text = " ".join(type_.__doc__.split())
    return [json.loads(found) for found in re.findall(r"`(\{\"op\".*?\})`", text)]


@pytest.mark.parametrize("type_", get_args(Edit))
def test_every_operation_has_an_example_that_can_be_applied(type_):
    layers = [{"id": f"titles{more}", "type": "text"} for more in ("", "-2")]
    key = {"id": "k1", "time": 0.5, "property": "opacity"}
    text = {"id": "t1", "type": "text", "start_time": 2, "duration": 3, "keyframes": [key]}
    everything = {
        "layers": [{**layers[0], "clips": [text]}, layers[1], {"id": "a", "type": "video"}],
        "markers": [{"id": "m1", "time": 1}],
    }
    assert examples(type_)
    for example in examples(type_):
        state = copy.deepcopy(everything)
        match example["op"]:
            case "add_layer":
                state["layers"] = []
            case "add_marker":
                state["markers"] = []
            case "add_clip":
                state["layers"][0]["clips"] = []
            case "add_keyframe":
                state["layers"][0]["clips"][0]["keyframes"] = []
        before = timelines.parse(json.dumps(state).encode())
        (edit,) = decoded(example).edits
        assert type(edit) is type_
        assert edited(before, example) != before


def test_layers_are_added_moved_changed_and_removed():
    layer = {"id": "new", "type": "text", "clips": [{**CLIP, "type": "text"}]}
    state = edited(
        a_state(),
        {"op": "add_layer", "layer": layer, "index": 1},
        {"op": "add_layer", "layer": {"id": "last", "type": "text"}},
        {"op": "move_layer", "layer": "titles", "index": 0},
        {"op": "change_layer", "layer": "new", "set": {"name": "New", "is_muted": True}},
        {"op": "remove_layer", "layer": "overlay"},
    )
    assert ids(state.layers) == ["titles", "picture", "new", "music", "last"]
    assert (state.layers[2].name, state.layers[2].is_muted) == ("New", True)
    assert "map" not in clips(state)
    assert "new" in clips(state)


def test_a_locked_layer_may_be_unlocked_renamed_and_moved():
    state = edited(
        a_state(),
        {"op": "change_layer", "layer": "music", "set": {"name": "Score"}},
        {"op": "move_layer", "layer": "music", "index": 0},
        {"op": "change_layer", "layer": "music", "set": {"is_locked": False}},
        {"op": "move_clip", "clip": "song", "by": 1},
    )
    assert state.layers[0].name == "Score"
    assert clips(state)["song"].start_time == 1


def test_a_clip_is_added_where_its_start_belongs_and_as_it_was_sent():
    new = {**CLIP, "start_time": 4.123}
    state = edited(a_state(), {"op": "add_clip", "layer": "picture", "clip": new})
    assert ids(state.layers[0].clips) == ["one", "two", "new", "three"]
    assert clips(state)["new"].start_time == 4.123


def test_a_clip_that_moves_in_its_layer_keeps_its_place_in_the_list():
    state = edited(a_state(), {"op": "move_clip", "clip": "one", "to": 9})
    assert ids(state.layers[0].clips) == ["one", "two", "three"]
    assert times(clips(state)["one"]) == (9, 11, 2)


def test_a_clip_that_changes_layers_comes_before_the_first_that_starts_later():
    state = edited(a_state(), {"op": "move_clip", "clip": "one", "by": 3, "layer": "overlay"})
    assert ids(state.layers[0].clips) == ["two", "three"]
    assert ids(state.layers[1].clips) == ["logo", "one", "map"]
    state = edited(state, {"op": "move_clip", "clip": "two", "layer": "overlay"})
    assert ids(state.layers[1].clips) == ["logo", "two", "one", "map"]


def test_edges_are_snapped_to_the_nearest_frame():
    state = edited(
        a_state(),
        {"op": "move_clip", "clip": "one", "to": 10.02},
        {"op": "trim_clip", "clip": "two", "in": 2.49, "out": 3.51},
        {"op": "split_clip", "clip": "three", "at": 5.99, "new_id": "x"},
        {"op": "move_marker", "marker": "m1", "to": 1.02},
        {"op": "add_marker", "marker": {"id": "m", "time": 0.99}},
    )
    assert clips(state)["one"].start_time == 301 / 30
    assert times(clips(state)["two"]) == (2.5, 105 / 30, 1)
    assert times(clips(state)["three"]) == (5, 6, 1)
    assert [marker.time for marker in state.markers] == [31 / 30, 2, 1]


def test_what_was_off_the_frames_stays_off_by_as_much():
    state = a_state(layers=[Layer(id="a", type="video", clips=[clip("c", 1.017, 2.005)])])
    moved = clips(edited(state, {"op": "move_clip", "clip": "c", "by": 0.99}))["c"]
    assert times(moved) == (2.017, 4.022, 2.005)


def test_a_clip_whose_end_isnt_start_plus_duration_keeps_the_difference():
    state = a_state(layers=[Layer(id="a", type="video", clips=[clip("c", 1.0, end_time=5.5)])])
    for move in ({"by": 1}, {"to": 2}):
        assert times(clips(edited(state, {"op": "move_clip", "clip": "c", **move}))["c"]) == (
            2, 6.5, 2,
        )  # fmt: skip
    off = replace(state.layers[0].clips[0], start_time=0.99)
    state = a_state(layers=[Layer(id="a", type="video", clips=[off])])
    moved = clips(edited(state, {"op": "move_clip", "clip": "c", "to": 2}))["c"]
    assert times(moved) == (2, 6.51, 2)


def test_trimming_the_in_point_moves_the_source_and_keeps_keyframes_in_time():
    state = edited(a_state(), {"op": "trim_clip", "clip": "two", "in": 2.7})
    trimmed = clips(state)["two"]
    assert times(trimmed) == (2.7, 4, 39 / 30)
    assert trimmed.original_start_time == 2.7
    assert [(key.id, key.time) for key in trimmed.keyframes] == [("k2", 0.3), ("k3", 0.8)]


def test_a_clip_can_be_drawn_out_as_far_as_its_media_begin():
    state = edited(
        a_state(),
        {"op": "move_clip", "clip": "one", "to": 5},
        {"op": "trim_clip", "clip": "one", "in": 4},
    )
    assert clips(state)["one"].original_start_time == 0
    assert problem({"op": "trim_clip", "clip": "one", "in": 3.9}, state=state).hint == (
        "Trim to 4 s or later."
    )


def test_texts_can_be_drawn_out_without_end():
    move = {"op": "move_clip", "clip": "title", "to": 9}
    state = edited(a_state(), move, {"op": "trim_clip", "clip": "title", "in": 0})
    assert times(clips(state)["title"]) == (0, 11, 11)
    assert clips(state)["title"].original_start_time == 0


def test_a_clip_at_double_speed_uses_up_its_source_twice_as_fast():
    speed = {"op": "change_clip", "clip": "one", "properties": {"speed": 2}}
    split = {"op": "split_clip", "clip": "one", "at": 0.5, "new_id": "x"}
    assert clips(edited(a_state(), speed, split))["x"].original_start_time == 2


def test_a_split_parts_durations_keyframes_and_source():
    state = edited(a_state(), {"op": "split_clip", "clip": "two", "at": 3, "new_id": "half"})
    one, two = clips(state)["two"], clips(state)["half"]
    assert ids(state.layers[0].clips) == ["one", "two", "half", "three"]
    assert (times(one), times(two)) == ((2, 3, 1), (3, 4, 1))
    assert [(key.id, key.time) for key in one.keyframes] == [("k0", 0), ("k1", 0.5)]
    assert [(key.id, key.time) for key in two.keyframes] == [("k2", 0), ("k3", 0.5)]
    assert (one.original_start_time, two.original_start_time) == (2, 3)
    assert two.source_path == one.source_path


def test_a_ripple_delete_closes_the_gap_of_its_own_layer_only():
    state = edited(a_state(), {"op": "ripple_delete_clip", "clip": "one"})
    assert [(c.id, c.start_time) for c in state.layers[0].clips] == [("two", 0), ("three", 3)]
    assert state.layers[1:] == a_state().layers[1:]
    assert state.duration == 7


def test_a_ripple_delete_of_an_overlapped_clip_moves_nothing_in_front_of_it():
    overlapping = [clip("a", 0.0, 5.0), clip("b", 4.5, 4.5), clip("c", 8.5), clip("d", 11.0)]
    state = a_state(layers=[Layer(id="a", type="video", clips=overlapping)])
    state = edited(state, {"op": "ripple_delete_clip", "clip": "b"})
    assert [(c.id, c.start_time) for c in state.layers[0].clips] == [
        ("a", 0), ("c", 4.5), ("d", 7),
    ]  # fmt: skip


def test_a_ripple_delete_never_moves_a_clip_before_the_beginning():
    state = a_state(layers=[Layer(id="a", type="video", clips=[clip("a", 0.0), clip("b", 1.99)])])
    state = edited(state, {"op": "ripple_delete_clip", "clip": "a"})
    assert clips(state)["b"].start_time == pytest.approx(1.99 - 59 / 30)


def test_properties_are_set_and_removed_one_by_one():
    change = {"op": "change_clip", "clip": "one"}
    state = edited(
        a_state(),
        {**change, "properties": {"opacity": 1.0, "crop": {"left": 1}, "speed": 2}},
        {**change, "properties": {"speed": None, "never": None}, "set": {"content": "Outro"}},
    )
    assert clips(state)["one"].properties == {"opacity": 1, "crop": {"left": 1}}
    assert clips(state)["one"].content == "Outro"


def test_keyframes_are_added_moved_changed_and_removed():
    this = {"clip": "two", "keyframe": "k1"}
    new = {"id": "k", "time": 0.123, "property": "scale"}
    state = edited(
        a_state(),
        {"op": "add_keyframe", "clip": "two", "keyframe": new},
        {"op": "move_keyframe", **this, "by": FRAME},
        {"op": "change_keyframe", **this, "set": {"value": None, "easing": "linear"}},
        {"op": "remove_keyframe", "clip": "two", "keyframe": "k2"},
        {"op": "move_keyframe", "clip": "two", "keyframe": "k3", "to": 1.01},
    )
    keys = clips(state)["two"].keyframes
    assert [(key.id, key.time) for key in keys] == [
        ("k0", 0), ("k1", 16 / 30), ("k3", 1), ("k", 0.123),
    ]  # fmt: skip
    assert (keys[1].value, keys[1].easing) == (None, "linear")


def test_markers_are_added_moved_changed_and_removed():
    state = edited(
        a_state(),
        {"op": "add_marker", "marker": {"id": "m3", "time": 3}},
        {"op": "move_marker", "marker": "m1", "by": 1.5},
        {"op": "change_marker", "marker": "m1", "set": {"label": "drop", "color": "red"}},
        {"op": "remove_marker", "marker": "m2"},
    )
    assert [(m.id, m.time, m.label) for m in state.markers] == [("m1", 2.5, "drop"), ("m3", 3, "")]


def test_the_view_and_the_timeline_are_set():
    state = edited(
        a_state(),
        {"op": "set_view", "playhead_time": 1.234, "selected_clips": ["one"], "is_playing": True},
        {"op": "change_timeline", "fps_num": 25, "metadata": {"a": 1.0}},
    )
    assert (state.playhead_time, state.selected_clips, state.is_playing) == (1.234, ["one"], True)
    assert (state.fps_num, state.fps_den, state.metadata) == (25, 1, {"a": 1})


def test_operations_count_in_frames_of_the_rate_at_their_time():
    move = {"op": "move_clip", "clip": "one", "by": FRAME}
    state = edited(a_state(), move, {"op": "change_timeline", "fps_num": 25}, move)
    assert clips(state)["one"].start_time == pytest.approx(1 / 30 + 1 / 25)


def test_the_duration_grows_to_the_end_of_what_was_placed_and_never_shrinks():
    assert edited(a_state(), {"op": "move_clip", "clip": "one", "to": 8}).duration == 10
    assert edited(a_state(), {"op": "remove_clip", "clip": "three"}).duration == 7
    assert edited(a_state(duration=0.0), {"op": "set_view", "zoom": 2}).duration == 0
    change = {"op": "change_clip", "clip": "one", "set": {"content": "x"}}
    assert edited(a_state(duration=0.0), change).duration == 0
    layer = {"id": "x", "type": "video", "clips": [{**CLIP, "start_time": 20}]}
    assert edited(a_state(), {"op": "add_layer", "layer": layer}).duration == 21
    there = {"op": "move_clip", "clip": "one", "by": 8}
    assert edited(a_state(), there, {**there, "by": -8}).duration == 7


def test_what_no_edit_touched_is_the_same_object():
    before = a_state()
    after = edited(before, {"op": "move_clip", "clip": "one", "by": 9})
    assert all(a is b for a, b in zip(before.layers[1:], after.layers[1:], strict=True))
    assert after.layers[0].clips[1] is before.layers[0].clips[1]
    assert after.markers is before.markers


def test_negative_zero_is_kept_as_zero():
    state = edited(
        a_state(),
        {"op": "move_clip", "clip": "one", "to": -0.0},
        {"op": "set_view", "playhead_time": -0.0},
        {"op": "add_clip", "layer": "picture", "clip": {**CLIP, "start_time": -0.0}},
    )
    assert b"-0" not in states.encode(state)


def test_a_clip_cant_begin_later_in_its_source_than_a_time_may_be():
    slip = {"op": "change_clip", "clip": "one", "set": {"original_start_time": 1e10}}
    for cut in ({"op": "trim_clip", "in": 1}, {"op": "split_clip", "at": 1, "new_id": "x"}):
        found = problem(slip, {"clip": "one", **cut})
        assert found.path == ("edits[1].in" if "in" in cut else "edits[1].at")
        assert "of its source" in found.reason
