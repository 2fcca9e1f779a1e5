"""Fields, and the times of a clip, that two have changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.timelines.merging.given import a_state, both_ways, clip_of, times, told, with_clip
from timelines import trims
from timelines.merge import merge


def test_what_one_side_changed_is_taken_field_by_field():
    base = a_state()
    theirs = with_clip(base, content="Harbour")
    mine = with_clip(base, source_path="/a.mov", keyframes=[])
    merged = clip_of(both_ways(base, theirs, mine))
    assert (merged.content, merged.source_path, merged.keyframes) == ("Harbour", "/a.mov", [])


def test_properties_are_merged_key_by_key():
    base = a_state()
    theirs = with_clip(base, properties={"volume": 0.5, "speed": 1})
    mine = with_clip(base, properties={"volume": 1, "crop": {"top": 3}})
    assert clip_of(both_ways(base, theirs, mine)).properties == {"volume": 0.5, "crop": {"top": 3}}


def test_a_property_set_differently_by_both_is_a_conflict_with_its_three_values():
    base = a_state()
    theirs = with_clip(base, properties={"volume": 0.5, "speed": 1})
    mine = with_clip(base, properties={"volume": 0.7, "speed": 2})
    path = 'layers["v"].clips["one"].properties.volume'
    assert told(both_ways(base, theirs, mine)) == [(path, "changed", 1, 0.5, 0.7)]


def test_a_property_removed_here_and_changed_there_is_a_conflict():
    base = a_state()
    theirs = with_clip(base, properties={"speed": 1})
    mine = with_clip(base, properties={"volume": 0.7, "speed": 1})
    path = 'layers["v"].clips["one"].properties.volume'
    assert told(both_ways(base, theirs, mine)) == [(path, "removed and changed", 1, None, 0.7)]


def test_true_and_1_are_different_changes():
    base = a_state()
    theirs = with_clip(base, properties={"volume": True, "speed": 1})
    mine = with_clip(base, properties={"volume": 0, "speed": 1})
    assert told(both_ways(base, theirs, mine))[0][2:] == (1, True, 0)


def test_the_same_change_by_both_is_no_conflict():
    base = a_state()
    same = with_clip(base, content="Harbour", **times(3, 9))
    assert both_ways(base, same, with_clip(same)).state == same


def test_the_view_is_mine():
    base = a_state()
    view = {"playhead_time": 3, "zoom": 2, "selected_clips": ["one"], "is_playing": True}
    theirs, mine = a_state(**view), a_state(playhead_time=5, is_snapping=False)
    assert merge(base, theirs, mine).state == mine
    assert merge(base, mine, theirs).state == theirs


def test_numerator_and_denominator_of_the_frame_rate_are_one_value():
    base, ntsc = a_state(), a_state(fps_num=30_000, fps_den=1_001)
    assert both_ways(base, ntsc, base).state == ntsc
    conflicts = told(both_ways(base, ntsc, a_state(fps_num=60)))
    assert conflicts == [
        ("fps_num", "changed", 30, 30_000, 60),
        ("fps_den", "changed", 1, 1_001, 1),
    ]


def test_of_two_durations_the_longer_is_taken():
    merged = both_ways(a_state(), a_state(duration=50), a_state(duration=40))
    assert merged.state.duration == 50


def test_the_duration_holds_the_content_if_it_did_on_both_sides():
    base = a_state(duration=60)
    shorter = replace(base, duration=34)
    longer = with_clip(base, "three", **times(50, 58))
    assert both_ways(base, shorter, longer).state.duration == 58


def test_a_duration_that_never_held_the_content_stays_as_it_is():
    base = a_state(duration=0)
    edit = with_clip(base, "three", **times(50, 58))
    assert both_ways(base, with_clip(base, content="x"), edit).state.duration == 0


# --- The times of a clip


def test_a_clip_moved_here_and_trimmed_at_its_end_there_is_both():
    base = a_state()
    moved, trimmed = with_clip(base, **times(15, 19)), with_clip(base, **times(10, 12))
    clip = clip_of(both_ways(base, moved, trimmed))
    assert (clip.start_time, clip.end_time, clip.duration) == (15, 17, 2)


def test_a_clip_moved_here_and_trimmed_at_its_start_there_is_both():
    base = a_state()
    moved = with_clip(base, **times(15, 19))
    trimmed = with_clip(base, **times(11, 14), original_start_time=101)
    clip = clip_of(both_ways(base, moved, trimmed))
    assert (clip.start_time, clip.end_time, clip.duration) == (16, 19, 3)
    assert clip.original_start_time == 101


def test_a_clip_trimmed_at_one_end_here_and_the_other_there_is_both():
    base = a_state()
    clip = clip_of(
        both_ways(base, with_clip(base, **times(11, 14)), with_clip(base, **times(10, 13)))
    )
    assert (clip.start_time, clip.end_time, clip.duration) == (11, 13, 2)


def test_trims_that_leave_nothing_of_a_clip_are_a_conflict():
    base = a_state()
    theirs, mine = with_clip(base, **times(13, 14)), with_clip(base, **times(10, 12))
    path = 'layers["v"].clips["one"].duration'
    assert told(both_ways(base, theirs, mine)) == [(path, "changed", 4, 1, 2)]


def test_a_clip_moved_to_two_places_is_a_conflict():
    base = a_state()
    theirs, mine = with_clip(base, **times(13, 17)), with_clip(base, **times(20, 24))
    path = 'layers["v"].clips["one"]'
    assert told(both_ways(base, theirs, mine)) == [
        (f"{path}.start_time", "changed", 10, 13, 20),
        (f"{path}.end_time", "changed", 14, 17, 24),
    ]


def test_an_end_worked_out_anew_with_another_rounding_is_no_move():
    base = a_state()
    rounded = with_clip(base, end_time=14.000000001)
    moved = with_clip(base, **times(20, 24))
    assert clip_of(both_ways(base, rounded, moved)).start_time == 20


def test_times_that_contradict_each_other_are_merged_one_by_one():
    base = with_clip(a_state(), end_time=99)
    merged = both_ways(base, with_clip(base, start_time=11), with_clip(base, duration=2))
    clip = clip_of(merged)
    assert (clip.start_time, clip.end_time, clip.duration) == (11, 99, 2)


frames = st.integers(0, 40).map(lambda frame: frame * 1001 / 30_000)


@given(st.tuples(*[st.tuples(frames, frames.filter(bool))] * 3))
def test_combined_times_fit_together(sides):
    base, theirs, mine = ((start, start + length, length) for start, length in sides)
    found = trims.combined(base, theirs, mine)
    assert found == trims.combined(base, mine, theirs)
    if found:
        start, end, duration = found
        assert start >= 0
        assert duration > 0
        assert start + duration == pytest.approx(end, abs=1e-6)
