"""Two edits of one timeline made into one: a three-way merge by the ids of elements.

`base` is what both sides started from, `theirs` what was saved since, `mine` what is being saved.
Layers, clips, markers and keyframes are known by their ids, wherever they are: a clip that one side
moved to another layer and the other made louder is both. The rules:

- A value that one side changed is taken; both may change it to the same. What both changed to
  different values is a conflict. `properties` and `metadata` are merged by their first level of
  keys, all deeper values as wholes.
- What one side removed is gone, unless the other changed it: a conflict. A layer is changed, too,
  by putting its clips in another order, and by putting a clip into it.
- What both added under one id has to be the same, or is a conflict. A layer that both added holds
  the clips of both.
- Orders are merged pair by pair: see `orders`.
- Start, end and duration of a clip belong together. To move a clip leaves its duration, to trim it
  leaves one of its ends. When the sides leave different ones, each gives what the other left, and
  the third follows: moved here and trimmed there makes a trimmed clip in the new place, and both
  ends may be trimmed at once. Otherwise, if both changed the times, it is a conflict.
- The numerator and the denominator of the frame rate are one value.
- The timeline's duration never conflicts: if both changed it, the longer one is taken, and it grows
  with the content if it held all of it on both sides.
- What belongs to the view (playhead, zoom, selection, playing, snapping) is mine.

But for the view, the result is the same whichever side is called mine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from snipix.refusals import join
from timelines import orders
from timelines.state import MAX_SECONDS, TOLERANCE, Clip, Keyframe, Layer, Marker, TimelineState

Kind: TypeAlias = Literal[
    "changed", "removed and changed", "added differently", "moved", "reordered"
]
T = TypeVar("T")
E = TypeVar("E", Keyframe, Marker)

VIEW = ("playhead_time", "zoom", "selected_clips", "is_playing", "is_snapping")
TIMES = ("start_time", "end_time", "duration")
_RATE = ("fps_num", "fps_den")
_FREE = ("properties", "metadata")
_LAYER = ("name", "type", "is_visible", "is_locked", "is_muted", "order", "is_main_video")
_CLIP = ("type", "source_path", "content", "original_start_time")

_bytes = msgspec.json.Encoder(order="deterministic").encode


class Conflict(msgspec.Struct, frozen=True):
    """What the sides did that can't both be.

    `path` names elements by id, where base has them: `layers["v1"].clips["c7"].duration`. A value
    that isn't there is None; `kind` tells whether it is. Layers are told with the ids of their
    clips, moves by the ids of the layers, orders by the ids in their order.
    """

    path: str
    kind: Kind
    base: Any = None
    theirs: Any = None
    mine: Any = None


class Merged(msgspec.Struct, frozen=True):
    """The state that came of both, or else why there is none."""

    state: TimelineState | None
    conflicts: list[Conflict]


def merge(base: TimelineState, theirs: TimelineState, mine: TimelineState) -> Merged:
    """Merge two edits of one state, all or nothing.

    The states have to be valid. The result has unique ids and times that can be kept; whether it
    holds too much is for `state.check` to say.
    """
    merging = _Merging()
    state = merging.timeline(Three(base, theirs, mine))
    if merging.conflicts:
        return Merged(None, list(merging.conflicts.values()))
    return Merged(state, [])


class Three(NamedTuple, Generic[T]):
    """The same thing of the three sides; UNSET where it isn't there."""

    base: T
    theirs: T
    mine: T

    def get(self, name: str) -> Three[Any]:
        return Three(*(getattr(side, name) for side in self))

    def at(self, key: str) -> Three[Any]:
        return Three(*(side.get(key, UNSET) for side in self))  # type: ignore[attr-defined]

    def of(self, function: Callable[[T], Any]) -> Three[Any]:
        return Three(*map(function, self))


class Placed(NamedTuple):
    """A clip, and the id of the layer that it is in."""

    layer: str
    clip: Clip


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON: 1 isn't true, as it is in Python."""
    return one is other or (bool(one == other) and _bytes(one) == _bytes(other))


def element(path: str, id: str) -> str:
    """Extend a path by the id of an element, as `comparison` does: `layers["v1"]`."""
    return f"{path}[{msgspec.json.encode(id).decode()}]"


def layers_of(state: TimelineState) -> dict[str, Layer]:
    """The layers by id, without their clips."""
    return {layer.id: replace(layer, clips=[]) for layer in state.layers}


def clips_of(state: TimelineState) -> dict[str, Placed]:
    """The clips of all layers by id."""
    return {clip.id: Placed(layer.id, clip) for layer in state.layers for clip in layer.clips}


def orders_of(state: TimelineState) -> dict[str, list[str]]:
    """The ids of each layer's clips, in their order."""
    return {layer.id: _ids(layer.clips) for layer in state.layers}


def _ids(elements: Iterable[Any]) -> list[str]:
    return [one.id for one in elements]


def _by_id(elements: Iterable[E]) -> dict[str, E]:
    return {one.id: one for one in elements}


class _Undecided(Exception):
    """Both sides have changed it."""


def _decided(three: Three[T]) -> T:
    """Take the side that changed something, if not both did."""
    base, theirs, mine = three
    if same(base, theirs) or same(theirs, mine):
        return mine
    if same(base, mine):
        return theirs
    raise _Undecided


class _Merging:
    """One merge, and the conflicts that it has met."""

    def __init__(self) -> None:
        self.conflicts: dict[str, Conflict] = {}

    def timeline(self, three: Three[TimelineState]) -> TimelineState:
        layers = self.elements("layers", three.of(layers_of), self.layer)
        clips = self.clips(three.of(clips_of))
        members: dict[str, dict[str, Clip]] = {id: {} for id in layers}
        for id, placed in clips.items():
            members.setdefault(placed.layer, {})[id] = placed.clip
        self.keep_layers(three, layers, members)
        end = max((placed.clip.end_time for placed in clips.values()), default=0.0)
        return replace(
            three.mine,
            layers=self.ordered_layers(three, layers, members),
            markers=self.listed("markers", three.get("markers"), self.marker),
            duration=_duration(three, end),
            **self.rate(three),
            **self.free("", three, "metadata"),
        )

    # --- Values

    def value(self, path: str, three: Three[Any], kind: Kind = "changed") -> Any:
        try:
            return _decided(three)
        except _Undecided:
            self.refuse(path, three, kind)
            return three.mine

    def values(self, path: str, three: Three[Any], names: Iterable[str]) -> dict[str, Any]:
        return {name: self.value(join(path, name), three.get(name)) for name in names}

    def free(self, path: str, three: Three[Any], *names: str) -> dict[str, Any]:
        return {name: self.keys(join(path, name), three.get(name)) for name in names}

    def keys(self, path: str, three: Three[dict[str, Any]]) -> dict[str, Any]:
        try:
            return _decided(three)
        except _Undecided:
            keys = dict.fromkeys(chain(three.mine, three.theirs))
            values = {key: self.value(join(path, key), three.at(key)) for key in keys}
            return {key: value for key, value in values.items() if value is not UNSET}

    def refuse(self, path: str, three: Three[Any], kind: Kind = "changed") -> None:
        if three.base is UNSET:
            kind = "added differently"
        elif UNSET in three:
            kind = "removed and changed"
        values = (None if side is UNSET else msgspec.to_builtins(side) for side in three)
        self.conflicts.setdefault(path, Conflict(path, kind, *values))

    # --- Elements

    def elements(
        self,
        path: str,
        three: Three[Mapping[str, T]],
        both: Callable[[str, Three[T]], T],
    ) -> dict[str, T]:
        """Merge elements by id; `both` merges one that both sides changed."""
        result = {}
        for id in dict.fromkeys(chain(three.mine, three.theirs)):
            found = three.at(id)
            try:
                merged = _decided(found)
            except _Undecided:
                merged = self.undecided(element(path, id), found, both)
            if merged is not UNSET:
                result[id] = merged
        return result

    def undecided(self, path: str, three: Three[T], both: Callable[[str, Three[T]], T]) -> Any:
        if UNSET in three:
            self.refuse(path, three)
            return UNSET
        return both(path, three)

    def layer(self, path: str, three: Three[Layer]) -> Layer:
        values = self.values(path, three, _LAYER)
        return replace(three.mine, **values, **self.free(path, three, "metadata"))

    def marker(self, path: str, three: Three[Marker]) -> Marker:
        values = self.values(path, three, ("time", "label", "color"))
        return replace(three.mine, **values, **self.free(path, three, "metadata"))

    def keyframe(self, path: str, three: Three[Keyframe]) -> Keyframe:
        values = self.values(path, three, ("time", "property", "value", "easing"))
        return replace(three.mine, **values, **self.free(path, three, "metadata"))

    def clips(self, three: Three[dict[str, Placed]]) -> dict[str, Placed]:
        def both(path: str, found: Three[Placed]) -> Placed:
            return self.clip(_place(found, path), found)

        return self.elements("clips", three, both)

    def clip(self, path: str, three: Three[Placed]) -> Placed:
        layer = self.value(join(path, "layer"), three.get("layer"), "moved")
        clips: Three[Clip] = three.get("clip")
        keyframes = self.listed(join(path, "keyframes"), clips.get("keyframes"), self.keyframe)
        values = self.values(path, clips, _CLIP) | self.free(path, clips, *_FREE)
        return Placed(layer, replace(clips.mine, keyframes=keyframes, **values))
