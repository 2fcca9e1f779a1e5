"""Edits are applied all or none, whatever they are."""

import copy

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snipix import states
from snipix.refusals import InvalidState
from tests.timelines.edits.given import (
    CLIP,
    RATES,
    a_state,
    clips,
    decoded,
    edited,
    ids,
    problem,
    times,
    unhurried,
)
from timelines import edits
from timelines import state as timelines


def test_edits_are_applied_all_or_none_and_the_state_before_is_never_changed():
    before = a_state()
    copied = copy.deepcopy(before)
    move = {"op": "move_clip", "clip": "one", "by": 1}
    found = problem(move, move, {"op": "remove_marker", "marker": "no"}, state=before)
    assert found.path == "edits[2].marker"
    assert before == copied
    edited(before, move, {"op": "remove_clip", "clip": "two"})
    assert before == copied


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
