"""What tests of merges share: a timeline, and how it is edited."""

import json

from hypothesis import HealthCheck, settings
from msgspec.structs import replace

from snipix import states
from timelines import state as timelines
from timelines.elements import VIEW
from timelines.merge import merge

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
