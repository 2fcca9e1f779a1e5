"""What was changed since, and which of one's own changes touch the same elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from snipix import states
from snipix.comparison import differences, path_of
from timelines import orders
from timelines.elements import (
    VIEW,
    Placed,
    clip_path,
    clips_of,
    ids_of,
    layers_of,
    orders_of,
    same,
)
from timelines.state import Layer, Marker, TimelineState

T = TypeVar("T")

# What isn't compared as a part of the timeline: elements, and the view.
_APART = {"layers", "markers", *VIEW}


class Touched(msgspec.Struct, frozen=True):
    """An element that theirs changed.

    `element` is its path, empty for the timeline itself. `theirs` and `mine` are what the sides
    changed of it: paths within it, as `properties.volume` or `keyframes["k1"].value`; `layer` for a
    clip that was moved to another; `clips`, `layers` or `markers` for those put in another order;
    or `added` or `removed` alone. `overlaps` tells whether mine touches it at all.
    """

    element: str
    theirs: list[str]
    mine: list[str]
    overlaps: bool


def report(base: TimelineState, theirs: TimelineState, mine: TimelineState) -> list[Touched]:
    """List the elements that theirs changed since base, and what mine changed of them.

    What belongs to the view isn't told.
    """
    since, own = touched(base, theirs), touched(base, mine)
    return [Touched(path, fields, own.get(path, []), path in own) for path, fields in since.items()]


def touched(base: TimelineState, other: TimelineState) -> dict[str, list[str]]:
    """What differs, by the path of the element: where base has it, or else the other."""
    before, after = orders_of(base), orders_of(other)

    def layer_fields(was: Layer, now: Layer) -> list[str]:
        turned = orders.is_changed(before[was.id], after[was.id])
        return _fields(was, now) + ["clips"] * turned

    found = {"": _timeline_fields(base, other)}
    found |= _of(layers_of(base), layers_of(other), _layer_path, layer_fields)
    found |= _of(clips_of(base), clips_of(other), clip_path, _clip_fields)
    found |= _of(_markers_of(base), _markers_of(other), _marker_path, _fields)
    return {path: fields for path, fields in found.items() if fields}


def _of(
    before: Mapping[str, T],
    after: Mapping[str, T],
    path: Callable[[T], str],
    fields: Callable[[T, T], list[str]],
) -> dict[str, list[str]]:
    found = {}
    for id, was in before.items():
        found[path(was)] = fields(was, after[id]) if id in after else ["removed"]
    return found | {path(now): ["added"] for id, now in after.items() if id not in before}


def _timeline_fields(base: TimelineState, other: TimelineState) -> list[str]:
    was, now = (
        {name: getattr(state, name) for name in state.__struct_fields__ if name not in _APART}
        for state in (base, other)
    )
    found = [difference.path for difference in differences(was, now)]
    for name in ("layers", "markers"):
        if orders.is_changed(ids_of(getattr(base, name)), ids_of(getattr(other, name))):
            found.append(name)
    return found


def _clip_fields(was: Placed, now: Placed) -> list[str]:
    return _fields(was.clip, now.clip) + ["layer"] * (was.layer != now.layer)


def _fields(was: states.Struct, now: states.Struct) -> list[str]:
    if same(was, now):
        return []
    found = differences(states.to_builtins(was), states.to_builtins(now))
    return [difference.path for difference in found]


def _layer_path(layer: Layer) -> str:
    return path_of("layers", layer.id)


def _marker_path(marker: Marker) -> str:
    return path_of("markers", marker.id)


def _markers_of(state: TimelineState) -> dict[str, Marker]:
    return {marker.id: marker for marker in state.markers}
