"""Edits are exact to the frame, and nothing drifts."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from snipix import states
from snipix.refusals import InvalidState
from tests.timelines.edits.given import NTSC, RATES, a_state, clip, clips, edited, times, unhurried
from timelines import samples
from timelines.edits.grid import Grid
from timelines.state import Clip, Keyframe, Layer, Marker, TimelineState


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
