"""What tests of edits share: a timeline, and how it is edited."""

import json

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from snipix.refusals import InvalidState
from timelines import edits
from timelines.state import Clip, Keyframe, Layer, Marker, TimelineState

# A busy machine is no reason to fail.
unhurried = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))

FRAME = 1 / 30
NTSC = (30_000, 1_001)
RATES = st.sampled_from([(30, 1), (25, 1), (24, 1), (60, 1), NTSC, (24_000, 1_001), (7, 3)])
CLIP = {"id": "new", "type": "video", "start_time": 1, "duration": 1}


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
