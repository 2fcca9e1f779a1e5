"""Any timeline, and any edits of it on two sides."""

import json

from hypothesis import strategies as st

from tests.timelines.merging.given import parsed

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
