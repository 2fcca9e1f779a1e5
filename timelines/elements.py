"""The elements of a timeline by their ids, and when two values are the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from snipix.comparison import path_of
from timelines.state import Clip, Layer, TimelineState

VIEW = ("playhead_time", "zoom", "selected_clips", "is_playing", "is_snapping")
"""Fields of the timeline that are about how it is looked at, not about what it is."""

_bytes = msgspec.json.Encoder(order="deterministic").encode


class Placed(NamedTuple):
    """A clip, and the id of the layer that it is in."""

    layer: str
    clip: Clip


def same(one: Any, other: Any) -> bool:
    """Whether two normalised values are equal as JSON: 1 isn't true, as it is in Python."""
    return one is other or (bool(one == other) and _bytes(one) == _bytes(other))


def clip_path(placed: Placed) -> str:
    return path_of(f"{path_of('layers', placed.layer)}.clips", placed.clip.id)


def layers_of(state: TimelineState) -> dict[str, Layer]:
    """The layers by id, without their clips."""
    return {layer.id: replace(layer, clips=[]) for layer in state.layers}


def clips_of(state: TimelineState) -> dict[str, Placed]:
    """The clips of all layers by id."""
    return {clip.id: Placed(layer.id, clip) for layer in state.layers for clip in layer.clips}


def orders_of(state: TimelineState) -> dict[str, list[str]]:
    """The ids of each layer's clips, in their order."""
    return {layer.id: ids_of(layer.clips) for layer in state.layers}


def ids_of(elements: Iterable[Any]) -> list[str]:
    return [one.id for one in elements]


def end_of(clips: Iterable[Clip]) -> float:
    """Where the last of these clips ends, in seconds."""
    return max((clip.end_time for clip in clips), default=0.0)
