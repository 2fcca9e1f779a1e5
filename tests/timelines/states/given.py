"""What tests of states share: a timeline, and how it is sent."""

import copy
import json

import pytest
from hypothesis import HealthCheck, settings

from snipix.refusals import InvalidState
from timelines import state as timelines

# A busy machine is no reason to fail.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

FIRST = ("layers", 0, "clips", 0)
SECOND = ("layers", 0, "clips", 1)


def a_state():
    return {
        "layers": [
            {"id": "picture", "type": "video", "clips": [a_clip("one", 0), a_clip("two", 2)]},
            {"id": "sound", "type": "audio"},
        ],
        "markers": [{"id": "intro", "time": 0.5}, {"id": "end", "time": 4}],
    }


def a_clip(id_, start):
    keyframe = {"id": "k", "time": 1, "property": "opacity", "value": 0.5}
    times = {"start_time": start, "duration": 2}
    return {"id": id_, "type": "video", **times, "keyframes": [keyframe]}


def changed(path, value, state=None):
    """Return a valid state in which one value is another."""
    root = node = copy.deepcopy(state or a_state())
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return root


def parsed(state):
    return timelines.parse(json.dumps(state).encode())


def problems(raw):
    with pytest.raises(InvalidState) as caught:
        timelines.parse_save(raw)
    return caught.value.errors


def assert_holds(answer, sent):
    """Check that all that was sent is in the answer, and equal."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            assert_holds(answer[key], value)
    elif isinstance(sent, list):
        assert len(answer) == len(sent)
        for item, value in zip(answer, sent, strict=True):
            assert_holds(item, value)
    else:
        assert answer == sent
        assert isinstance(answer, bool) == isinstance(sent, bool)
