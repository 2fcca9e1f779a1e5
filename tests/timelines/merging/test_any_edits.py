"""Whatever two have edited."""

import itertools
import json
from random import Random
from time import thread_time

from hypothesis import given
from msgspec import UNSET
from msgspec.structs import replace

from snipix import states
from tests.timelines.merging.given import both_ways, unhurried, view_of
from tests.timelines.merging.strategies import threes
from timelines import merge as merging
from timelines import samples
from timelines import state as timelines
from timelines.merge import merge
from timelines.state import TimelineState


def facts(state):
    """A state as facts, each known by what it is about."""
    wire = states.to_builtins(state)
    found = {("duration",): wire["duration"], **free_facts(("metadata",), wire["metadata"])}
    for layer in wire["layers"]:
        found |= element_facts(("layer", layer["id"]), layer, "clips")
        for clip in layer["clips"]:
            at = ("clip", clip["id"])
            found |= element_facts(at, clip, "keyframes") | {(*at, "layer"): layer["id"]}
            for keyframe in clip["keyframes"]:
                found |= element_facts((*at, keyframe["id"]), keyframe)
    for marker in wire["markers"]:
        found |= element_facts(("marker", marker["id"]), marker)
    return {key: json.dumps(value, sort_keys=True) for key, value in found.items()}


def element_facts(at, element, *but):
    found = {}
    for name, value in element.items():
        if name in ("properties", "metadata"):
            found |= free_facts((*at, name), value)
        elif name not in but:
            found[*at, name] = value
    return found


def free_facts(at, value):
    return {(*at, key): value for key, value in value.items()}


def turns(state):
    """Which stands before which, of all lists."""
    lists = {("layers",): state.layers, ("markers",): state.markers}
    lists |= {("clips", layer.id): layer.clips for layer in state.layers}
    lists |= {("keys", c.id): c.keyframes for layer in state.layers for c in layer.clips}
    found = {}
    for name, elements in lists.items():
        for one, other in itertools.combinations([element.id for element in elements], 2):
            found[(name, *sorted((one, other)))] = one < other
    return found


def is_time(key):
    return key == ("duration",) or (len(key) == 3 and key[0] == "clip" and key[2] in merging._TIMES)


@given(threes)
@unhurried
def test_every_change_of_either_side_is_in_the_result_exactly_once(three):
    merged = both_ways(*three)
    if merged.state is None:
        return
    timelines.check(merged.state)
    base, theirs, mine, result = map(facts, (*three, merged.state))
    for key in base | theirs | mine | result:
        if not is_time(key):
            was, *sides = (side.get(key) for side in (base, theirs, mine))
            expected = {side for side in sides if side != was} or {was}
            assert {result.get(key)} == expected, key


@given(threes)
@unhurried
def test_every_turn_of_either_side_is_in_the_result(three):
    merged = both_ways(*three)
    if merged.state:
        was, theirs, mine, result = map(turns, (*three, merged.state))
        for pair in was.keys() & theirs.keys() & mine.keys() & result.keys():
            is_turned = was[pair] in (theirs[pair], mine[pair]) and theirs[pair] != mine[pair]
            expected = not was[pair] if is_turned else theirs[pair]
            assert result[pair] == expected


@given(threes)
@unhurried
def test_where_only_one_side_changed_something_its_state_is_the_result(three):
    base, theirs, mine = three
    assert merge(base, base, mine).state == mine
    assert merge(base, theirs, base).state == replace(theirs, **view_of(base))
    assert merge(base, mine, mine).state == mine
    assert merge(base, replace(mine, **view_of(theirs)), mine).state == mine


@given(threes)
@unhurried
def test_a_conflict_is_about_what_both_have_touched(three):
    for conflict in both_ways(*three).conflicts:
        assert conflict.kind in merging.Kind.__args__
        base, theirs, mine = map(json.dumps, (conflict.base, conflict.theirs, conflict.mine))
        assert theirs != mine or "removed" in conflict.kind
        assert conflict.kind not in ("changed", "moved") or base not in (theirs, mine)
        assert UNSET not in (conflict.base, conflict.theirs, conflict.mine)


@given(threes)
@unhurried
def test_what_both_changed_differently_is_never_dropped(three):
    base, theirs, mine = map(facts, three)
    for key in base | theirs | mine:
        values = [side.get(key) for side in (base, theirs, mine)]
        if len(set(values)) == 3 and not is_time(key):
            assert merge(*three).conflicts


def test_two_thousand_clips_are_merged_in_a_moment():
    base = samples.timeline(1, 2_000)
    theirs, mine = (samples.move_clip(base, Random(seed)) for seed in (1, 2))
    sides = [states.decode(states.encode(side), TimelineState) for side in (base, theirs, mine)]
    start = thread_time()  # of the processor: what else a busy machine does doesn't count
    assert merge(*sides).state
    assert thread_time() - start < 0.5, "it takes 20 ms"
