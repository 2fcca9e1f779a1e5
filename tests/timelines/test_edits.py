import copy
import json
import math
import re
from fractions import Fraction
from typing import get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from snipix import states
from snipix.refusals import InvalidState
from timelines import edits, samples
from timelines import state as timelines
from timelines.edits import Edit
from timelines.edits.grid import Grid
from timelines.state import Clip, Keyframe, Layer, Marker, TimelineState

# A busy machine is no reason to fail.
unhurried = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))

FRAME = 1 / 30
NTSC = (30_000, 1_001)


def clip(id, start, duration=2.0, **more):
    return Clip(id=id, type=more.pop("type", "video"), start_time=start, duration=duration, **more)


def a_state(**more):
    keys = [Keyframe(id=f"k{at}", time=at / 2, property="opacity", value=at) for at in range(4)]
    picture = [
        clip("one", 0.0, content="Intro", original_start_time=1.0),
        clip("two", 2.0, source_path="/media/b-roll.mov", keyframes=keys),
        clip("three", 5.0, original_start_time=0.0),
    ]
    layers = [
        Layer(id="picture", name="Picture", type="video", clips=picture),
        Layer(id="overlay", type="video", clips=[clip("logo", 1.0), clip("map", 4.0)]),
        Layer(id="titles", type="text", clips=[clip("title", 1.0, type="text")]),
        Layer(id="music", type="audio", is_locked=True, clips=[clip("song", 0.0, type="audio")]),
    ]
    markers = [Marker(id="m1", time=1.0, label="beat"), Marker(id="m2", time=2.0)]
    return TimelineState(**{"layers": layers, "markers": markers, "duration": 7.0, **more})


def decoded(*operations):
    return edits.decode(json.dumps({"edits": operations}).encode())


def edited(state, *operations):
    return edits.apply(state, decoded(*operations))


def problem(*operations, state=None):
    with pytest.raises(InvalidState) as caught:
        edited(state or a_state(), *operations)
    return caught.value.errors[0]


def clips(state):
    return {clip.id: clip for layer in state.layers for clip in layer.clips}


def ids(elements):
    return [element.id for element in elements]


def times(clip):
    return clip.start_time, clip.end_time, clip.duration


# --- What is refused

CLIP = {"id": "new", "type": "video", "start_time": 1, "duration": 1}
REFUSED = [
    # The operation itself
    ({"op": "moveClip", "clip": "one"}, "op", "isn't a known operation"),
    ({"op": 3}, "op", "isn't a known operation"),
    ({"clip": "one"}, "op", "is missing"),
    ([], "", "must be an object, not an array"),
    ({"op": "remove_clip"}, "clip", "is missing"),
    ({"op": "remove_clip", "clip": ""}, "clip", "must not be empty"),
    ({"op": "remove_clip", "clip": "one", "force": 1}, "force", "isn't a known field"),
    ({"op": "change_layer", "layer": "picture", "set": {"isLocked": True}}, "set.isLocked",
     "isn't a known field"),
    ({"op": "change_layer", "layer": "picture", "set": {"name": None}}, "set.name", "not null"),
    ({"op": "change_layer", "layer": "picture", "set": {"order": 1.5}}, "set.order", "fraction"),
    ({"op": "trim_clip", "clip": "one", "in": "1"}, "in", "must be a number, not a string"),
    ({"op": "add_clip", "layer": "picture", "clip": {**CLIP, "type": "movie"}}, "clip.type",
     "must be one of"),
    ({"op": "add_clip", "layer": "picture", "clip": {**CLIP, "properties": {"a": [2**64]}}},
     "clip.properties.a[0]", "64 bits"),
    ({"op": "change_clip", "clip": "one", "properties": {"$set": 1}}, 'properties["$set"]', "`$`"),
    ({"op": "change_clip", "clip": "one", "set": {"metadata": {"a": {"x\0": 1}}}},
     'set.metadata.a["x\\u0000"]', "NUL"),
    ({"op": "change_clip", "clip": "one", "set": {"content": "\ud83d"}}, "set.content",
     "half of a surrogate pair"),
    ({"op": "change_keyframe", "clip": "two", "keyframe": "k1", "set": {"value": 2**63}},
     "set.value", "64 bits"),
    # Ids
    ({"op": "remove_layer", "layer": "no"}, "layer", "is the id of no layer: no"),
    ({"op": "move_layer", "layer": "no", "index": 0}, "layer", "is the id of no layer"),
    ({"op": "change_layer", "layer": "no", "set": {}}, "layer", "is the id of no layer"),
    ({"op": "add_clip", "layer": "no", "clip": CLIP}, "layer", "is the id of no layer"),
    ({"op": "move_clip", "clip": "one", "layer": "no"}, "layer", "is the id of no layer"),
    ({"op": "move_clip", "clip": "no", "by": 1}, "clip", "is the id of no clip: no"),
    ({"op": "ripple_delete_clip", "clip": "no"}, "clip", "is the id of no clip"),
    ({"op": "add_keyframe", "clip": "no",
      "keyframe": {"id": "k", "time": 0, "property": "x"}}, "clip", "is the id of no clip"),
    ({"op": "remove_keyframe", "clip": "two", "keyframe": "k9"}, "keyframe", "of no keyframe"),
    ({"op": "remove_marker", "marker": "no"}, "marker", "is the id of no marker"),
    ({"op": "add_layer", "layer": {"id": "titles", "type": "text"}}, "layer.id",
     "is a layer's already: titles"),
    ({"op": "add_layer", "layer": {"id": "l", "type": "video", "clips": [{**CLIP, "id": "map"}]}},
     "layer.clips[0].id", "is a clip's already: map"),
    ({"op": "add_layer", "layer": {"id": "l", "type": "video", "clips": [CLIP, CLIP]}},
     "layer.clips[1].id", "is also the id of layer.clips[0]"),
    ({"op": "add_clip", "layer": "overlay", "clip": {**CLIP, "id": "one"}}, "clip.id", "already"),
    ({"op": "split_clip", "clip": "one", "at": 1, "new_id": "two"}, "new_id", "already: two"),
    ({"op": "add_keyframe", "clip": "two",
      "keyframe": {"id": "k1", "time": 0, "property": "x"}}, "keyframe.id", "already: k1"),
    ({"op": "add_marker", "marker": {"id": "m1", "time": 0}}, "marker.id", "already: m1"),
    # Layers
    ({"op": "add_clip", "layer": "titles", "clip": CLIP}, "clip.type",
     "doesn't fit: the clip is video, the layer text"),
    ({"op": "move_clip", "clip": "one", "layer": "titles"}, "layer", "doesn't fit"),
    ({"op": "move_layer", "layer": "titles", "index": 4}, "index", "the last is 3"),
    ({"op": "add_layer", "layer": {"id": "l", "type": "text"}, "index": 5}, "index", "last is 4"),
    ({"op": "move_layer", "layer": "titles", "index": -1}, "index", "must be at least 0"),
    ({"op": "remove_layer", "layer": "music"}, "layer", "is on a locked layer: music"),
    ({"op": "add_clip", "layer": "music", "clip": {**CLIP, "type": "audio"}}, "layer", "locked"),
    *(
        ({"op": op, "clip": "song", **more}, "clip", "is on a locked layer: music")
        for op, more in {
            "remove_clip": {}, "ripple_delete_clip": {}, "move_clip": {"by": 1},
            "trim_clip": {"in": 1}, "split_clip": {"at": 1, "new_id": "x"},
            "change_clip": {"set": {"content": "x"}},
            "add_keyframe": {"keyframe": {"id": "k", "time": 0, "property": "x"}},
            "remove_keyframe": {"keyframe": "k"}, "move_keyframe": {"keyframe": "k", "by": 1},
            "change_keyframe": {"keyframe": "k", "set": {}},
        }.items()
    ),
    # Times
    ({"op": "move_clip", "clip": "one"}, "", "moves nothing"),
    ({"op": "move_clip", "clip": "one", "by": 1, "to": 1}, "to", "can't be sent beside `by`"),
    ({"op": "move_clip", "clip": "two", "by": -2.1}, "by", "would let the clip start at -0.1 s"),
    ({"op": "move_clip", "clip": "one", "by": 1e10}, "by", "would let the clip end at 1e+10 s"),
    ({"op": "move_clip", "clip": "one", "by": -1e300}, "by", "a time is from -10,000,000,000"),
    ({"op": "move_clip", "clip": "one", "to": -1}, "to", "is -1: a time is from 0"),
    ({"op": "trim_clip", "clip": "one"}, "", "trims nothing"),
    ({"op": "trim_clip", "clip": "two", "in": 4}, "in", "which plays from 2 to 4 s"),
    ({"op": "trim_clip", "clip": "two", "out": 2.01}, "out", "leaves nothing of the clip"),
    ({"op": "trim_clip", "clip": "two", "in": -1}, "in", "is -1: a time"),
    ({"op": "trim_clip", "clip": "two", "out": 1e11}, "out", "a time is from 0"),
    ({"op": "trim_clip", "clip": "three", "in": 4.5}, "in", "is 0.5 s before the media begin"),
    ({"op": "split_clip", "clip": "two", "at": 2, "new_id": "x"}, "at", "is no place within"),
    ({"op": "split_clip", "clip": "two", "at": 4.01, "new_id": "x"}, "at", "is no place within"),
    ({"op": "split_clip", "clip": "two", "at": 1e99, "new_id": "x"}, "at", "a time is from 0"),
    ({"op": "change_clip", "clip": "two", "set": {"original_start_time": -1}},
     "set.original_start_time", "is -1"),
    ({"op": "add_clip", "layer": "picture", "clip": {**CLIP, "duration": 0}}, "clip.duration",
     "a clip lasts longer than 0 s"),
    ({"op": "add_clip", "layer": "picture", "clip": {**CLIP, "start_time": -1}},
     "clip.start_time", "can't be negative"),
    ({"op": "add_keyframe", "clip": "two",
      "keyframe": {"id": "k", "time": -1, "property": "x"}}, "keyframe.time", "negative"),
    ({"op": "move_keyframe", "clip": "two", "keyframe": "k1", "by": -1}, "by", "move it to -0.5"),
    ({"op": "move_keyframe", "clip": "two", "keyframe": "k1"}, "", "moves nothing"),
    ({"op": "move_marker", "marker": "m1", "by": -2}, "by", "would move it to -1 s"),
    ({"op": "move_marker", "marker": "m1", "by": 1, "to": 1}, "to", "beside `by`"),
    ({"op": "add_marker", "marker": {"id": "m", "time": -1}}, "marker.time", "negative"),
    ({"op": "set_view", "playhead_time": -1}, "playhead_time", "is -1"),
    ({"op": "set_view", "zoom": 1e7}, "zoom", "a magnification is from 0 to 1,000,000"),
    ({"op": "change_timeline", "duration": -1}, "duration", "is -1"),
    ({"op": "change_timeline", "fps_num": 0}, "fps_num", "must be at least 1"),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "path", "why"), REFUSED)
def test_a_refusal_names_the_edit_its_field_the_reason_and_what_to_do(operation, path, why):
    found = problem({"op": "set_view", "zoom": 2}, operation)
    assert found.path == ("edits[1]." if path else "edits[1]") + path
    assert why in found.reason
    assert found.hint


@pytest.mark.parametrize(
    ("body", "path", "why"),
    [
        (b"", "", "isn't valid JSON: it is truncated"),
        (b"[]", "", "must be an object, not an array"),
        (b"{}", "edits", "is missing"),
        (b'{"edits": []}', "edits", "must have at least 1 items"),
        (b'{"edits": [%s]}' % b",".join([b"{}"] * 1001), "edits", "must have at most 1,000 items"),
        (b'{"edits": [{}], "note": ""}', "note", "isn't a known field"),
        (b'{"edits": [{}], "description": 1}', "description", "must be a string"),
        (b'{"edits": [{"op": "move_clip",}]}', "", "isn't valid JSON"),
        (b'{"edits": [{"op": "set_view", "zoom": 1e999}]}', "edits[0].zoom", "too large a number"),
        (b'{"edits": [{"op": "set_view", "zoom": NaN}]}', "edits[0].zoom", "is NaN"),
        (b'{"edits": [{"op": "\xff"}]}', "", "isn't valid UTF-8"),
        (b'{"edits": [%s]}' % (b"[" * 9000 + b"]" * 9000), "", "is nested too deeply"),
    ],
)
def test_a_body_that_holds_no_edits_is_refused(body, path, why):
    with pytest.raises(InvalidState) as caught:
        edits.decode(body)
    assert caught.value.errors[0].path == path
    assert why in caught.value.errors[0].reason


def test_a_hint_names_the_operation_that_was_probably_meant():
    assert problem({"op": "moveClip"}).hint == "Did you mean `move_clip`?"


def test_free_values_of_edits_may_be_as_deep_as_those_of_states():
    value = json.loads('{"a":' * 31 + "{}" + "}" * 31)
    state = edited(a_state(), {"op": "change_clip", "clip": "one", "set": {"metadata": value}})
    assert clips(state)["one"].metadata == value
    found = problem({"op": "change_clip", "clip": "one", "set": {"metadata": {"a": value}}})
    assert found.reason == "is nested too deeply"


def test_splits_of_a_large_clip_are_refused_before_they_fill_the_memory():
    large = replace(a_state().layers[0].clips[0], metadata={"a": "x" * 2**22})
    state = a_state(layers=[Layer(id="picture", type="video", clips=[large])])
    splits = [
        {"op": "split_clip", "clip": "one", "at": 2 - FRAME * number, "new_id": f"{number}"}
        for number in range(1, 50)
    ]
    found = problem(*splits, state=state)
    assert (found.path, "copy more than" in found.reason) == ("edits[3].clip", True)


@pytest.mark.parametrize(
    ("limit", "operation", "path"),
    [
        ("MAX_LAYERS", {"op": "add_layer", "layer": {"id": "x", "type": "text"}}, "layer"),
        ("MAX_CLIPS", {"op": "add_clip", "layer": "picture", "clip": CLIP}, "clip"),
        ("MAX_CLIPS", {"op": "split_clip", "clip": "one", "at": 1, "new_id": "x"}, "new_id"),
        ("MAX_MARKERS", {"op": "add_marker", "marker": {"id": "x", "time": 0}}, "marker"),
        ("MAX_KEYFRAMES", {"op": "add_keyframe", "clip": "two",
                           "keyframe": {"id": "x", "time": 0, "property": "x"}}, "keyframe"),
    ],
)  # fmt: skip
def test_edits_dont_make_more_than_a_state_may_hold(limit, operation, path):
    most = getattr(timelines, limit)
    state = a_state()
    match limit:
        case "MAX_LAYERS":
            state = replace(state, layers=[Layer(id=f"{i}", type="text") for i in range(most)])
        case "MAX_CLIPS":
            more = [clip(f"{i}", float(i)) for i in range(most - len(clips(state)))]
            layer = replace(state.layers[0], clips=state.layers[0].clips + more)
            state = replace(state, layers=[layer, *state.layers[1:]])
        case "MAX_MARKERS":
            state = replace(state, markers=[Marker(id=f"{i}", time=0.0) for i in range(most)])
        case "MAX_KEYFRAMES":
            keys = [Keyframe(id=f"{i}", time=0.0, property="x") for i in range(most)]
            layer = Layer(id="picture", type="video", clips=[clip("two", 0.0, keyframes=keys)])
            state = replace(state, layers=[layer])
    found = problem(operation, state=state)
    assert found.path == f"edits[0].{path}"
    assert f"more than {most:,}" in found.reason


# --- What the operations do


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


# --- All or none


def test_edits_are_applied_all_or_none_and_the_state_before_is_never_changed():
    before = a_state()
    copied = copy.deepcopy(before)
    move = {"op": "move_clip", "clip": "one", "by": 1}
    found = problem(move, move, {"op": "remove_marker", "marker": "no"}, state=before)
    assert found.path == "edits[2].marker"
    assert before == copied
    edited(before, move, {"op": "remove_clip", "clip": "two"})
    assert before == copied


RATES = st.sampled_from([(30, 1), (25, 1), (24, 1), (60, 1), NTSC, (24_000, 1_001), (7, 3)])
SECONDS = st.one_of(
    st.floats(-1, 20, allow_nan=False),
    st.integers(-30, 600).map(lambda frame: frame / 30),
    st.sampled_from([0.0, -0.0, 1e-300, 1e10, -1e10, 1e11, 1e300]),
)


def some(strategy):
    """A field that may be left out."""
    return st.one_of(st.just(msgspec.UNSET), strategy)


def operations():
    element = st.sampled_from(["one", "two", "three", "logo", "map", "title", "song", "n1", "n2"])
    layer = st.sampled_from(["picture", "overlay", "titles", "music", "n1", "n2"])
    marker, key = st.sampled_from(["m1", "m2", "n1"]), st.sampled_from(["k0", "k1", "k3", "n1"])
    new_clip = st.builds(
        lambda id, start, duration: {**CLIP, "id": id, "start_time": start, "duration": duration},
        element, SECONDS, SECONDS,
    )  # fmt: skip
    index = some(st.integers(-1, 6))
    move = {"by": some(SECONDS), "to": some(SECONDS)}
    fields = {
        "add_layer": {
            "layer": st.fixed_dictionaries(
                {"id": layer, "type": st.just("video"), "clips": st.lists(new_clip, max_size=2)}
            ),
            "index": index,
        },
        "remove_layer": {"layer": layer},
        "move_layer": {"layer": layer, "index": index},
        "change_layer": {
            "layer": layer, "set": st.fixed_dictionaries({"is_locked": st.booleans()}),
        },
        "add_clip": {"layer": layer, "clip": new_clip},
        "remove_clip": {"clip": element},
        "ripple_delete_clip": {"clip": element},
        "move_clip": {"clip": element, **move, "layer": some(layer)},
        "trim_clip": {"clip": element, "in": some(SECONDS), "out": some(SECONDS)},
        "split_clip": {"clip": element, "at": SECONDS, "new_id": element},
        "change_clip": {
            "clip": element, "properties": st.just({"speed": 0.5}),
            "set": st.fixed_dictionaries({"original_start_time": SECONDS}),
        },
        "add_keyframe": {
            "clip": element,
            "keyframe": st.fixed_dictionaries(
                {"id": key, "time": SECONDS, "property": st.just("x")}
            ),
        },
        "remove_keyframe": {"clip": element, "keyframe": key},
        "move_keyframe": {"clip": element, "keyframe": key, **move},
        "change_keyframe": {
            "clip": element, "keyframe": key, "set": st.fixed_dictionaries({"value": SECONDS}),
        },
        "add_marker": {"marker": st.fixed_dictionaries({"id": marker, "time": SECONDS})},
        "remove_marker": {"marker": marker},
        "move_marker": {"marker": marker, **move},
        "change_marker": {"marker": marker, "set": st.just({"label": "x"})},
        "set_view": {"playhead_time": some(SECONDS), "zoom": some(SECONDS)},
        "change_timeline": {
            "fps_num": some(st.integers(1, 60_000)), "fps_den": some(st.integers(1, 1_001)),
            "duration": some(SECONDS),
        },
    }  # fmt: skip
    return st.one_of(
        st.fixed_dictionaries({"op": st.just(op), **more}).map(
            lambda made: {name: v for name, v in made.items() if v is not msgspec.UNSET}
        )
        for op, more in fields.items()
    )


@settings(unhurried, max_examples=300)
@given(st.lists(operations(), min_size=1, max_size=12), RATES)
def test_whatever_is_edited_the_result_is_valid_or_nothing_but_a_refusal(made, rate):
    before = a_state(fps_num=rate[0], fps_den=rate[1])
    copied, state, paths = copy.deepcopy(before), before, []
    for operation in made:
        try:
            read = decoded(operation)
            assert len(edits.describe(state, read)) <= 2_000
            state = edits.apply(state, read)
        except InvalidState as refused:
            paths += [found.path for found in refused.errors]
        assert timelines.parse(states.encode(state)) == state
    assert before == copied
    assert all(path.startswith("edits[0]") for path in paths)


@unhurried
@given(st.lists(operations(), min_size=1, max_size=8))
def test_edits_one_by_one_give_what_they_give_together(made):
    state = a_state()
    try:
        together = edits.apply(state, decoded(*made))
    except InvalidState:
        return
    for operation in made:
        state = edited(state, operation)
    assert timelines.summarise(together).keys() == timelines.summarise(state).keys()
    assert [ids(layer.clips) for layer in together.layers] == [
        ids(layer.clips) for layer in state.layers
    ]
    for one, other in zip(clips(together).values(), clips(state).values(), strict=True):
        assert times(one) == pytest.approx(times(other), abs=1e-5)


# --- Exact to the frame


@unhurried
@given(RATES, st.integers(0, 100_000), st.integers(2, 5_000), st.data())
def test_the_durations_of_a_split_add_up_exactly_to_the_frame(rate, start, length, data):
    grid = Grid(*rate)
    whole = clip("c", grid.time(start), grid.time(length), end_time=grid.time(start + length))
    cut = data.draw(st.integers(1, length - 1))
    state = a_state(
        layers=[Layer(id="a", type="video", clips=[whole])], fps_num=rate[0], fps_den=rate[1]
    )
    split = {"op": "split_clip", "clip": "c", "at": grid.time(start + cut), "new_id": "d"}
    one, two = edited(state, split).layers[0].clips
    assert times(one) == (grid.time(start), grid.time(start + cut), grid.time(cut))
    assert times(two) == (grid.time(start + cut), whole.end_time, grid.time(length - cut))


@unhurried
@given(RATES, st.floats(0, 1e4), st.floats(0.2, 1e4), st.floats(0, 1))
def test_the_durations_of_a_split_off_the_frames_add_up_too(rate, start, duration, part):
    whole = clip("c", start, duration)
    state = a_state(
        layers=[Layer(id="a", type="video", clips=[whole])], fps_num=rate[0], fps_den=rate[1]
    )
    split = {"op": "split_clip", "clip": "c", "at": start + duration * part, "new_id": "d"}
    try:
        one, two = edited(state, split).layers[0].clips
    except InvalidState as refused:
        assert refused.errors[0].path == "edits[0].at"  # noqa: PT017 - the only way out
        return
    assert one.duration + two.duration == pytest.approx(duration, abs=1e-11)
    assert two.start_time == one.end_time == Grid(*rate).time(Grid(*rate).frame(one.end_time))
    assert two.end_time == whole.end_time


@unhurried
@given(RATES, st.lists(st.tuples(st.integers(0, 50), st.integers(1, 300)), min_size=2), st.data())
def test_a_ripple_delete_keeps_durations_and_gaps_exact_to_the_frame(rate, made, data):
    grid, at, row = Grid(*rate), 0, []
    for number, (gap, length) in enumerate(made):
        edges = {"start_time": grid.time(at + gap), "end_time": grid.time(at + gap + length)}
        row.append(Clip(id=f"{number}", type="video", duration=grid.time(length), **edges))
        at += gap + length
    state = a_state(
        layers=[Layer(id="a", type="video", clips=row)], fps_num=rate[0], fps_den=rate[1]
    )
    gone = data.draw(st.integers(0, len(row) - 1))
    left = edited(state, {"op": "ripple_delete_clip", "clip": f"{gone}"}).layers[0].clips
    assert left[:gone] == row[:gone]
    for old, new in zip(row[gone + 1 :], left[gone:], strict=True):
        up = made[gone][1]
        assert new.start_time == grid.time(grid.frame(old.start_time) - up)
        assert new.end_time == grid.time(grid.frame(old.end_time) - up)
        assert new.duration == old.duration


# --- No drift


def a_thousand_moves(state, by, *, at_once):
    """Move a clip, a keyframe and a marker a thousand times; `by` tells how far, each time."""
    every = [
        [
            {"op": "move_clip", "clip": "c", "by": step},
            {"op": "move_keyframe", "clip": "c", "keyframe": "k", "by": step},
            {"op": "move_marker", "marker": "m", "by": step},
        ]
        for step in by
    ]
    if at_once:
        for kind in range(3):
            state = edited(state, *(moves[kind] for moves in every))
        return state
    for moves in every:
        state = edited(state, *moves)
    return state


def one_clip(start, rate, duration=2.0):
    key, marker = Keyframe(id="k", time=start, property="x"), Marker(id="m", time=start)
    layer = Layer(id="a", type="video", clips=[clip("c", start, duration, keyframes=[key])])
    return TimelineState(
        layers=[layer], markers=[marker], fps_num=rate[0], fps_den=rate[1], duration=1e6
    )


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("start", [0.0, 1 / 30, 4.017, 0.1, 59.999999, 3600.1, 86_399.5])
@pytest.mark.parametrize("rate", [(30, 1), NTSC])
def test_a_thousand_moves_forth_and_back_give_the_first_state_bit_for_bit(rate, start, at_once):
    first = one_clip(start, rate)
    step = rate[1] / rate[0]
    for by in ([step, -step] * 500, [step] * 500 + [-step] * 500):
        assert states.encode(a_thousand_moves(first, by, at_once=at_once)) == states.encode(first)


@settings(unhurried, max_examples=25)
@given(st.floats(0, 1e5), st.floats(0.01, 1e3), st.sampled_from([(30, 1), NTSC]), st.randoms())
def test_moves_in_one_request_that_cancel_out_give_any_first_state_back(
    start, duration, rate, random
):
    first = one_clip(start, rate, duration)
    step = rate[1] / rate[0]
    steps = [step * random.randint(0, 40) for _ in range(20)]
    moves = [{"op": "move_clip", "clip": "c", "by": by} for by in steps + [-by for by in steps]]
    assert states.encode(edited(first, *moves)) == states.encode(first)


@unhurried
@given(
    RATES, st.integers(0, 10**12), st.lists(st.integers(0, 10**6), max_size=20),
)  # fmt: skip
def test_a_time_of_six_decimals_comes_back_from_everywhere(rate, microseconds, frames):
    grid, first = Grid(*rate), microseconds / 10**6
    time = first
    for count in frames:
        time = grid.shift(time, count)
    for count in frames:
        time = grid.shift(time, -count)
    assert time == first


@unhurried
@given(RATES, st.floats(0, 1e6), st.lists(st.integers(0, 10_000), min_size=1, max_size=50))
def test_any_other_time_comes_back_as_near_as_floats_are_and_never_drifts(rate, first, frames):
    grid = Grid(*rate)

    def there_and_back(time):
        for count in frames:
            time = grid.shift(time, count)
        for count in frames:
            time = grid.shift(time, -count)
        return time

    once = there_and_back(first)
    assert once == pytest.approx(first, abs=1e-8)
    for _ in range(5):
        assert there_and_back(once) == once


@pytest.mark.parametrize("rate", [(30, 1), NTSC])
def test_roundings_of_a_thousand_single_frames_dont_add_up(rate):
    grid = Grid(*rate)
    for first in (3.141592653589793, 0.7071067811865476, 61.80339887498949):
        time, rounds = first, []
        for _ in range(4):
            for frames in [1] * 1_000 + [-1] * 1_000:
                time = grid.shift(time, frames)
            rounds.append(time)
        assert set(rounds) == {rounds[0]}
        assert abs(time - first) <= math.ulp(first + 1_000 / grid.rate)


@unhurried
@given(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1), st.floats(0, 1e10))
def test_the_exact_number_that_a_float_stands_for_has_that_float(num, den, time):
    grid = Grid(num, den)
    assert float(grid.exact(time)) == time
    assert abs(grid.exact(time) - Fraction(time)) <= Fraction(time) / 2**52
    assert abs(grid.frame(time) - Fraction(time) * Fraction(num, den)) <= Fraction(1, 2)


@settings(unhurried, max_examples=15)
@given(st.integers(0, 1_000), st.randoms())
def test_made_up_timelines_can_be_moved_by_edits_as_they_are_by_hand(seed, random):
    before = samples.timeline(seed, clips=40)
    after = samples.move_clip(before, random)
    old = clips(before)
    (moved,) = (new for new in clips(after).values() if new != old[new.id])
    before = replace(before, layers=[replace(layer, is_locked=False) for layer in before.layers])
    by_hand = edited(before, {"op": "move_clip", "clip": moved.id, "to": moved.start_time})
    assert clips(by_hand)[moved.id] == moved


# --- In words


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


def test_a_marker_that_its_frame_would_put_too_late_is_refused_by_name():
    slow = edited(a_state(), {"op": "change_timeline", "fps_num": 1, "fps_den": 1001})
    for operation, field in (
        ({"op": "add_marker", "marker": {"id": "late", "time": 1e10}}, "marker.time"),
        ({"op": "move_marker", "marker": "m1", "to": 1e10}, "to"),
    ):
        with pytest.raises(InvalidState) as refused:
            edited(slow, operation)
        assert [found.path for found in refused.value.errors] == [f"edits[0].{field}"]
