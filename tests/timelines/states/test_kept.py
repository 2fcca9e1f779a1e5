"""What of a state is kept, reported, filled in and summed up."""

import json

import pytest

from snipix import openapi, states
from snipix.refusals import InvalidState
from tests.timelines.states.given import FIRST, SECOND, a_clip, a_state, changed, parsed
from timelines import state as timelines
from timelines.state import TimelineState


def test_a_sound_state_has_no_warnings():
    assert timelines.warnings(parsed(a_state())) == []


@pytest.mark.parametrize("end", [1, 5])
def test_an_end_that_isnt_start_plus_duration_is_kept_and_reported(end):
    state = parsed(changed((*FIRST, "end_time"), end))
    (warning,) = timelines.warnings(state)
    assert state.layers[0].clips[0].end_time == end
    assert (warning.path, warning.code) == ("layers[0].clips[0].end_time", "end-mismatch")
    assert warning.message == f"Ends at {end} s, but start and duration make 2 s."


def test_clips_that_overlap_are_reported_whatever_their_order_in_the_layer():
    starts = [9, 1.5, 0, 4, 6.5]
    clips = [a_clip(f"c{i}", start) for i, start in enumerate(starts)]
    clips[3]["duration"] = 4
    found = timelines.warnings(parsed(changed(("layers", 0, "clips"), clips)))
    assert [(w.path, w.code) for w in found] == [
        ("layers[0].clips[1]", "overlap"),
        ("layers[0].clips[4]", "overlap"),
    ]
    assert found[1].message == ("Starts at 6.5 s, before clips[3] of the same layer ends at 8 s.")


def test_a_clip_overlaps_a_long_one_also_after_a_short_one():
    clips = [{**a_clip("a", 0), "duration": 10}, a_clip("b", 1), a_clip("c", 5)]
    found = timelines.warnings(parsed(changed(("layers", 0, "clips"), clips)))
    assert [w.path for w in found] == ["layers[0].clips[1]", "layers[0].clips[2]"]
    assert "before clips[0] of the same layer ends at 10 s" in found[1].message


def test_clips_that_meet_within_a_microsecond_dont_overlap():
    clips = [a_clip("a", 0), a_clip("b", 1.9999995)]
    assert timelines.warnings(parsed(changed(("layers", 0, "clips"), clips))) == []


def test_clips_of_different_layers_may_play_at_once():
    assert timelines.warnings(parsed(changed(("layers", 1, "clips"), [a_clip("c", 0)]))) == []


def test_a_keyframe_after_its_clip_is_kept_and_reported():
    (warning,) = timelines.warnings(parsed(changed((*SECOND, "keyframes", 0, "time"), 3)))
    assert warning.path == "layers[0].clips[1].keyframes[0].time"
    assert warning.code == "keyframe-outside"


def test_very_many_warnings_are_cut_and_counted():
    clips = [a_clip(f"c{i}", 1) for i in range(502)]
    found = timelines.warnings(parsed(changed(("layers", 0, "clips"), clips)))
    assert len(found) == states.MAX_WARNINGS + 1
    assert found[-1].message == "There are 501 warnings; these are the first 100."


def test_a_selection_of_clips_that_dont_exist_is_kept_silently():
    state = parsed({"selected_clips": ["gone"]})
    assert state.selected_clips == ["gone"]
    assert timelines.warnings(state) == []


# --- Defaults, summaries, saves


def test_what_isnt_sent_gets_the_older_clients_defaults():
    state = parsed(a_state())
    clip = state.layers[0].clips[1]
    assert (clip.end_time, clip.original_start_time) == (4.0, 2.0)
    assert (clip.source_path, clip.content, clip.properties, clip.metadata) == ("", "", {}, {})
    assert (state.zoom, state.is_snapping, state.is_playing) == (1.0, True, False)
    assert (state.fps_num, state.fps_den) == (30, 1)
    assert (state.layers[1].is_visible, state.layers[1].order) == (True, 0)


def test_an_empty_body_is_the_empty_state():
    assert timelines.parse(b"{}") == timelines.EMPTY
    assert timelines.summarise(timelines.EMPTY) == {
        "duration": 0.0,
        "layers": 0,
        "clips": 0,
        "markers": 0,
    }


def test_a_summary_counts():
    summary = timelines.summarise(parsed({**a_state(), "duration": 4}))
    assert summary == {"duration": 4.0, "layers": 2, "clips": 2, "markers": 2}


def test_a_save_is_parted_into_the_state_and_what_is_said_about_it():
    siblings = {"description": "Cut", "change_summary": "Shorter", "version": 7}
    save = {**a_state(), **siblings, "updated_at": {"any": ["json", 2**70, {"$x": None}]}}
    state, description, summary = timelines.parse_save(json.dumps(save).encode())
    assert (description, summary) == ("Cut", "Shorter")
    assert type(state) is TimelineState
    assert states.encode(state) == states.encode(parsed(a_state()))


def test_a_bare_state_doesnt_take_the_siblings_of_a_save():
    with pytest.raises(InvalidState, match="description isn't a known field"):
        timelines.parse(b'{"description": "Cut"}')


def test_a_state_isnt_changed_in_place():
    with pytest.raises(AttributeError):
        timelines.EMPTY.zoom = 2.0


# --- The schema


def test_the_schema_is_fit_for_openapi():
    schema, components = openapi.struct(timelines.Save), openapi.components
    assert schema == {"$ref": "#/components/schemas/Save"}
    assert set(components) >= {"Save", "Layer", "Clip", "Keyframe", "Marker"}
    assert all(components[name]["description"] for name in ("Save", "Layer", "Clip", "Marker"))
    assert components["Clip"]["required"] == ["id", "type", "start_time", "duration"]
    assert components["Clip"]["properties"]["start_time"]["minimum"] == 0
    assert components["Clip"]["additionalProperties"] is False


def test_a_field_of_a_kind_that_nobody_normalises_is_a_mistake_of_ours():
    class Odd(states.Struct, frozen=True, kw_only=True):
        numbers: list[float] = []

    with pytest.raises(TypeError, match="can't have a field of this type yet"):
        states.decode(b"{}", Odd)
