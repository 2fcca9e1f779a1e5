import itertools
import json
from random import Random
from time import thread_time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from snipix import states
from timelines import merge as merging
from timelines import orders, samples, trims
from timelines import state as timelines
from timelines.elements import VIEW
from timelines.merge import merge
from timelines.state import TimelineState

# A busy machine is no reason to fail.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def parsed(state):
    return timelines.parse(json.dumps(state).encode())


def a_clip(id, start=0, duration=4, **fields):
    times = {"start_time": start, "duration": duration, "original_start_time": 100}
    return {"id": id, "type": "video", **times, **fields}


def a_state(**fields):
    keyframe = {"id": "k", "time": 1, "property": "opacity", "value": 0.5}
    one = a_clip("one", 10, properties={"volume": 1, "speed": 1}, keyframes=[keyframe])
    layers = [
        {"id": "v", "type": "video", "clips": [one, a_clip("two", 20), a_clip("three", 30)]},
        {"id": "w", "type": "video", "clips": [a_clip("four", 5)]},
    ]
    markers = [{"id": "m", "time": 1, "label": "Intro"}]
    return parsed({"layers": layers, "markers": markers, "duration": 34, **fields})


def edited(state, edit):
    """Change a state as a client does, which edits JSON; `edit` is given the clips by id, too."""
    wire = states.to_builtins(state)
    edit(wire, {clip["id"]: clip for layer in wire["layers"] for clip in layer["clips"]})
    return parsed(wire)


def with_clip(state, id="one", /, **fields):
    return edited(state, lambda wire, clips: clips[id].update(fields))


def times(start, end):
    return {"start_time": start, "end_time": end, "duration": end - start}


def clip_of(merged, id="one"):
    assert merged.conflicts == []
    return next(c for layer in merged.state.layers for c in layer.clips if c.id == id)


def order_of(state, layer=0):
    return [clip.id for clip in state.layers[layer].clips]


def told(merged):
    """What the conflicts say, when there is no state."""
    assert merged.state is None
    return [(c.path, c.kind, c.base, c.theirs, c.mine) for c in merged.conflicts]


def view_of(state):
    return {name: getattr(state, name) for name in VIEW}


def both_ways(base, theirs, mine):
    """Merge, and hold that it makes no difference who comes first."""
    merged, turned = merge(base, theirs, mine), merge(base, mine, theirs)
    sides = [repr((c.kind, c.base, c.mine, c.theirs)) for c in turned.conflicts]
    assert sorted(sides) == sorted(
        repr((c.kind, c.base, c.theirs, c.mine)) for c in merged.conflicts
    )
    if merged.state:
        assert turned.state == replace(merged.state, **view_of(theirs))
    return merged


# --- Fields


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


# --- Elements


def test_a_clip_moved_to_another_layer_here_and_made_louder_there_is_both():
    base = a_state()

    def move(wire, clips):
        wire["layers"][0]["clips"].remove(clips["one"])
        wire["layers"][1]["clips"].append(clips["one"])

    louder = with_clip(base, properties={"volume": 2, "speed": 1})
    merged = both_ways(base, edited(base, move), louder)
    assert clip_of(merged).properties["volume"] == 2
    assert order_of(merged.state, 0) == ["two", "three"]
    assert order_of(merged.state, 1) == ["four", "one"]


def test_a_clip_moved_to_two_layers_is_a_conflict():
    base = a_state(layers=[*states.to_builtins(a_state())["layers"], {"id": "x", "type": "video"}])

    def move_to(layer):
        def move(wire, clips):
            wire["layers"][0]["clips"].remove(clips["one"])
            wire["layers"][layer]["clips"].append(clips["one"])

        return edited(base, move)

    path = 'layers["v"].clips["one"].layer'
    assert told(both_ways(base, move_to(1), move_to(2))) == [(path, "moved", "v", "w", "x")]


def remove_clip(wire, clips):
    wire["layers"][0]["clips"].remove(clips["one"])


def remove_layer(wire, clips):
    del wire["layers"][1]


def test_what_one_side_removed_and_the_other_left_alone_is_gone():
    base = a_state()
    merged = both_ways(base, edited(base, remove_clip), edited(base, remove_layer))
    assert [order_of(merged.state, i) for i in range(len(merged.state.layers))] == [
        ["two", "three"]
    ]


def test_a_clip_removed_here_and_changed_there_is_a_conflict():
    base = a_state()
    mine = with_clip(base, content="Harbour")
    [(path, kind, was, theirs, my)] = told(both_ways(base, edited(base, remove_clip), mine))
    assert (path, kind, theirs) == ('layers["v"].clips["one"]', "removed and changed", None)
    assert (was["content"], my["content"], my["layer"]) == ("", "Harbour", "v")


def test_a_layer_removed_here_and_given_a_clip_there_is_a_conflict():
    base = a_state()

    def add(wire, clips):
        wire["layers"][1]["clips"].append(a_clip("new"))

    [(path, kind, was, theirs, mine)] = told(
        both_ways(base, edited(base, remove_layer), edited(base, add))
    )
    assert (path, kind, theirs) == ('layers["w"]', "removed and changed", None)
    assert (was["clips"], mine["clips"]) == (["four"], ["four", "new"])


def test_a_layer_removed_here_and_put_in_order_there_is_a_conflict():
    base = a_state()

    def remove(wire, clips):
        del wire["layers"][0]

    def reorder(wire, clips):
        wire["layers"][0]["clips"].reverse()

    [(path, kind, *_)] = told(both_ways(base, edited(base, remove), edited(base, reorder)))
    assert (path, kind) == ('layers["v"]', "removed and changed")


def test_a_layer_removed_with_a_clip_changed_there_is_one_conflict_about_the_clip():
    base = a_state()
    mine = with_clip(base, "four", content="Harbour")
    [(path, *_)] = told(both_ways(base, edited(base, remove_layer), mine))
    assert path == 'layers["w"].clips["four"]'


def test_what_both_added_is_there_once_if_it_is_the_same():
    base = a_state()

    def add(content):
        def edit(wire, clips):
            wire["layers"][1]["clips"].append(a_clip("new", content=content))

        return edited(base, edit)

    assert both_ways(base, add("x"), add("x")).state == add("x")
    [(path, kind, was, theirs, mine)] = told(both_ways(base, add("x"), add("y")))
    assert (path, kind, was) == ('layers["w"].clips["new"]', "added differently", None)
    assert (theirs["content"], mine["content"]) == ("x", "y")


def test_a_layer_that_both_added_holds_the_clips_of_both():
    base = a_state()

    def add(clip):
        layer = {"id": "new", "type": "text", "clips": [clip]}
        return edited(base, lambda wire, clips: wire["layers"].append(layer))

    merged = both_ways(base, add(a_clip("late", 9)), add(a_clip("soon", 3)))
    assert order_of(merged.state, 2) == ["soon", "late"]


def test_keyframes_and_markers_are_merged_by_id():
    base = a_state()

    def edit_theirs(wire, clips):
        clips["one"]["keyframes"][0]["value"] = 1
        wire["markers"].append({"id": "n", "time": 8})

    def edit_mine(wire, clips):
        clips["one"]["keyframes"][0]["easing"] = "linear"
        clips["one"]["keyframes"].append({"id": "l", "time": 2, "property": "opacity"})
        wire["markers"][0]["color"] = "#fff"

    merged = both_ways(base, edited(base, edit_theirs), edited(base, edit_mine))
    first, second = clip_of(merged).keyframes
    assert (first.value, first.easing, second.id) == (1, "linear", "l")
    assert [(m.id, m.color) for m in merged.state.markers] == [("m", "#fff"), ("n", "")]


# --- Orders


def reordered(state, *ids):
    def edit(wire, clips):
        wire["layers"][0]["clips"] = [clips.get(id, a_clip(id)) for id in ids]

    return edited(state, edit)


def test_the_order_of_the_only_side_that_changed_it_is_taken():
    base = a_state()
    merged = both_ways(base, reordered(base, "three", "one", "two"), with_clip(base, content="x"))
    assert order_of(merged.state) == ["three", "one", "two"]


def test_orders_changed_in_different_places_are_both_kept():
    base = reordered(a_state(), *"abcdef")
    merged = both_ways(base, reordered(base, *"bacdef"), reordered(base, *"abcdfe"))
    assert order_of(merged.state) == [*"bacdfe"]


def test_turns_of_different_pairs_are_both_kept():
    base = reordered(a_state(), *"abc")
    merged = both_ways(base, reordered(base, *"bca"), reordered(base, *"acb"))
    assert order_of(merged.state) == [*"cba"]


def test_orders_that_go_round_in_a_circle_are_a_conflict_with_the_three():
    base = reordered(a_state(), *"abc")
    merged = both_ways(base, reordered(base, *"bac"), reordered(base, *"acb"))
    path = 'layers["v"].clips'
    assert told(merged) == [(path, "reordered", [*"abc"], [*"bac"], [*"acb"])]


def test_what_is_added_stays_behind_its_neighbour():
    base = reordered(a_state(), *"abc")
    merged = both_ways(base, reordered(base, *"axbc"), reordered(base, *"cab"))
    assert order_of(merged.state) == [*"caxb"]


def test_what_both_added_in_different_places_is_a_conflict_of_orders():
    base = reordered(a_state(), *"ab")
    merged = both_ways(base, reordered(base, *"xab"), reordered(base, *"abx"))
    path = 'layers["v"].clips'
    assert told(merged) == [(path, "reordered", [*"ab"], [*"xab"], [*"abx"])]
    merged = both_ways(base, reordered(base, *"xab"), reordered(base, *"xba"))
    assert order_of(merged.state) == [*"xba"]


def test_layers_are_ordered_like_clips():
    base = a_state()

    def turn(wire, clips):
        wire["layers"].reverse()

    def add(wire, clips):
        wire["layers"].insert(1, {"id": "x", "type": "text"})

    merged = both_ways(base, edited(base, turn), edited(base, add))
    assert [layer.id for layer in merged.state.layers] == ["w", "v", "x"]


def test_the_orders_of_as_many_clips_as_there_may_be_are_merged():
    base = [str(number) for number in range(5_000)]
    theirs, mine = [*base[:2_400][::-1], *base[2_400:]], [*base[:2_600], *base[2_600:][::-1]]
    merged = orders.merged(base, theirs, mine, set(base), key=str)
    assert merged == [*base[:2_400][::-1], *base[2_400:2_600], *base[2_600:][::-1]]


# --- Any edits

IDS = st.sampled_from("abcd")
SMALL = st.integers(0, 3)
FREE = st.dictionaries(st.sampled_from("pq"), st.sampled_from([0, 1, True, None, [1]]), max_size=2)
TEXT = st.sampled_from(["", "x", "y"])


def unique(elements, most=3):
    return st.lists(elements, max_size=most, unique_by=lambda element: element["id"])


keyframes = st.fixed_dictionaries(
    {"id": IDS, "time": SMALL, "property": TEXT, "value": SMALL, "metadata": FREE}
)
clips = st.fixed_dictionaries(
    {
        "id": IDS,
        "type": st.just("video"),
        "start_time": SMALL,
        "duration": SMALL.map(lambda number: number + 1),
        "original_start_time": SMALL,
        "content": TEXT,
        "properties": FREE,
        "keyframes": unique(keyframes, 2),
    }
)
bare_layers = st.fixed_dictionaries(
    {"id": st.sampled_from("vwx"), "type": st.just("video"), "name": TEXT, "order": SMALL}
)
markers = st.fixed_dictionaries({"id": IDS, "time": SMALL, "label": TEXT})


@st.composite
def any_states(draw):
    layers = [{**layer, "clips": []} for layer in draw(unique(bare_layers))]
    for clip in draw(unique(clips, 4)) if layers else []:
        draw(st.sampled_from(layers))["clips"].append(clip)
    fields = {"duration": draw(SMALL), "playhead_time": draw(SMALL), "metadata": draw(FREE)}
    return {"layers": layers, "markers": draw(unique(markers)), **fields}


def edit_somewhere(draw, wire, donor):
    """Change one thing, to what another state has there, if it is about values."""
    layers, others = wire["layers"], donor["layers"]
    held = [(layer["clips"], clip) for layer in layers for clip in layer["clips"]]
    new = [clip for layer in others for clip in layer["clips"]]
    kind = draw(st.integers(0, 8))
    if kind == 0 and held:
        home, clip = draw(st.sampled_from(held))
        home.remove(clip)
        draw(st.sampled_from(layers))["clips"].insert(draw(SMALL), clip)
    elif kind == 1 and held:
        home, clip = draw(st.sampled_from(held))
        home.remove(clip)
    elif kind == 2 and layers:
        taken = {clip["id"] for _, clip in held}
        fresh = [clip for clip in new if clip["id"] not in taken]
        draw(st.sampled_from(layers))["clips"][0:0] = fresh[:1]
    elif kind == 3 and held and new:
        clip, other = draw(st.sampled_from(held))[1], draw(st.sampled_from(new))
        name = draw(st.sampled_from(sorted(set(other) - {"id"})))
        clip[name] = other[name]
        if name in ("start_time", "duration"):
            clip.pop("end_time", None)
    elif kind == 4:
        wire["layers"] = draw(st.permutations(layers))
    elif kind == 5 and layers:
        layer = draw(st.sampled_from(layers))
        layer["clips"] = draw(st.permutations(layer["clips"]))
    elif kind == 6 and layers:
        layers.remove(draw(st.sampled_from(layers)))
    elif kind == 7:
        taken = {layer["id"] for layer in layers}
        layers += [{**layer, "clips": []} for layer in others if layer["id"] not in taken][:1]
    else:
        name = draw(st.sampled_from(["markers", "metadata", "duration", "playhead_time"]))
        wire[name] = donor[name]


@st.composite
def any_edits(draw):
    """A base and two edits of it, of a few changes each."""
    wire, donor = draw(any_states()), draw(any_states())
    sides = [json.loads(json.dumps(wire)) for _ in range(2)]
    for side in sides:
        for _ in range(draw(st.integers(0, 3))):
            edit_somewhere(draw, side, json.loads(json.dumps(donor)))
    return tuple(map(parsed, (wire, *sides)))


strangers = st.tuples(*[any_states().map(parsed)] * 3)
threes = st.one_of(any_edits(), any_edits(), strangers)


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
