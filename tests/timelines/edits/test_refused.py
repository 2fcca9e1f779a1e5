"""Edits that are refused say which, which field, why and what to do."""

import json

import pytest
from msgspec.structs import replace

from snipix.refusals import InvalidState
from tests.timelines.edits.given import CLIP, FRAME, a_state, clip, clips, edited, problem
from timelines import edits
from timelines import state as timelines
from timelines.state import Keyframe, Layer, Marker

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


def test_a_marker_that_its_frame_would_put_too_late_is_refused_by_name():
    slow = edited(a_state(), {"op": "change_timeline", "fps_num": 1, "fps_den": 1001})
    for operation, field in (
        ({"op": "add_marker", "marker": {"id": "late", "time": 1e10}}, "marker.time"),
        ({"op": "move_marker", "marker": "m1", "to": 1e10}, "to"),
    ):
        with pytest.raises(InvalidState) as refused:
            edited(slow, operation)
        assert [found.path for found in refused.value.errors] == [f"edits[0].{field}"]
