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

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from snipix import states
from snipix.comparison import path_of
from snipix.refusals import join
from timelines import orders, trims
from timelines.elements import (
    Placed,
    clip_path,
    clips_of,
    end_of,
    ids_of,
    layers_of,
    orders_of,
    same,
)
from timelines.state import Clip, Keyframe, Layer, Marker, TimelineState

Kind: TypeAlias = Literal[
    "changed", "removed and changed", "added differently", "moved", "reordered"
]
T = TypeVar("T")
E = TypeVar("E", Keyframe, Marker)

_TIMES = ("start_time", "end_time", "duration")
_RATE = ("fps_num", "fps_den")
_LAYER = ("name", "type", "is_visible", "is_locked", "is_muted", "order", "is_main_video")
_CLIP = ("type", "source_path", "content", "original_start_time")
_MARKER = ("time", "label", "color")
_KEYFRAME = ("time", "property", "value", "easing")


class Conflict(msgspec.Struct, frozen=True):
    """What the sides did that can't both be.

    `path` names elements by id, where base has them: `layers["v1"].clips["c7"].duration`. A value
    that isn't there is None; `kind` tells whether it is. Clips are told with the id of their
    `layer`, layers with the ids of their clips, moves by the ids of the layers, orders by the ids
    in their order.
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
    merging = _Merging(Three(base, theirs, mine))
    state = merging.timeline()
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
        """Take an entry of three mappings."""
        return Three(*(side.get(key, UNSET) for side in self))  # type: ignore[attr-defined]

    def of(self, function: Callable[[T], Any]) -> Three[Any]:
        return Three(*map(function, self))


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

    def __init__(self, three: Three[TimelineState]) -> None:
        self.three = three
        self.orders: Three[dict[str, list[str]]] = three.of(orders_of)
        self.conflicts: dict[str, Conflict] = {}

    def timeline(self) -> TimelineState:
        layers = self.elements(self.three.of(layers_of), _layer_path, self.layer)
        clips = self.elements(self.three.of(clips_of), _clip_path, self.clip)
        members: dict[str, dict[str, Clip]] = {id: {} for id in layers}
        for id, placed in clips.items():
            members.setdefault(placed.layer, {})[id] = placed.clip
        self.miss_layers(members.keys() - layers.keys())
        return replace(
            self.three.mine,
            layers=self.ordered_layers(layers, members),
            markers=self.listed("markers", self.three.get("markers"), self.marker),
            duration=_duration(self.three, end_of(placed.clip for placed in clips.values())),
            **self.rate(),
            **self.free("", self.three, "metadata"),
        )

    def miss_layers(self, missed: Iterable[str]) -> None:
        """Refuse to remove layers that a clip was put into, or whose clips were put in order."""
        was, *sides = self.orders
        reordered = (
            id
            for id in was
            if any(id not in side for side in sides)
            and any(orders.is_changed(was[id], side[id]) for side in sides if id in side)
        )
        layers: Three[dict[str, Layer]] = self.three.of(layers_of)
        for id in (*missed, *reordered):
            self.refuse(path_of("layers", id), layers.at(id))

    # --- Values

    def value(self, path: str, three: Three[Any], kind: Kind = "changed") -> Any:
        try:
            return _decided(three)
        except _Undecided:
            self.refuse(path, three, kind)
            return three.mine

    def values(self, path: str, three: Three[Any], *names: str) -> dict[str, Any]:
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

    def rate(self) -> dict[str, Any]:
        rates: Three[tuple[int, int]] = self.three.of(lambda state: (state.fps_num, state.fps_den))
        try:
            rate = _decided(rates)
            return dict(zip(_RATE, rate, strict=True))
        except _Undecided:
            for name in _RATE:
                self.refuse(name, self.three.get(name))
            return {}

    def times(self, path: str, three: Three[Clip]) -> dict[str, Any]:
        times: Three[trims.Times] = three.of(
            lambda clip: tuple(getattr(clip, name) for name in _TIMES)
        )
        try:
            found = _decided(times)
        except _Undecided:
            combined = trims.combined(*times)
            if combined is None:
                return self.values(path, three, *_TIMES)
            found = combined
        return dict(zip(_TIMES, found, strict=True))

    def refuse(self, path: str, three: Three[Any], kind: Kind = "changed") -> None:
        if three.base is UNSET:
            kind = "added differently"
        elif UNSET in three:
            kind = "removed and changed"
        values = (_told(side, order) for side, order in zip(three, self.orders, strict=True))
        self.conflicts.setdefault(path, Conflict(path, kind, *values))

    # --- Elements

    def elements(
        self,
        three: Three[dict[str, T]],
        path: Callable[[str, Three[T]], str],
        both: Callable[[str, Three[T]], T],
    ) -> dict[str, T]:
        """Merge elements by id; `both` merges one that both sides changed."""
        result = {}
        for id in dict.fromkeys(chain(three.mine, three.theirs)):
            found: Three[T] = three.at(id)
            try:
                merged: Any = _decided(found)
            except _Undecided:
                merged = self.undecided(path(id, found), found, both)
            if merged is not UNSET:
                result[id] = merged
        return result

    def undecided(self, path: str, three: Three[T], both: Callable[[str, Three[T]], T]) -> Any:
        if UNSET in three:
            self.refuse(path, three)
            return UNSET
        return both(path, three)

    def layer(self, path: str, three: Three[Layer]) -> Layer:
        values = self.values(path, three, *_LAYER) | self.free(path, three, "metadata")
        return replace(three.mine, **values)

    def marker(self, path: str, three: Three[Marker]) -> Marker:
        values = self.values(path, three, *_MARKER) | self.free(path, three, "metadata")
        return replace(three.mine, **values)

    def keyframe(self, path: str, three: Three[Keyframe]) -> Keyframe:
        values = self.values(path, three, *_KEYFRAME) | self.free(path, three, "metadata")
        return replace(three.mine, **values)

    def clip(self, path: str, three: Three[Placed]) -> Any:
        """Merge a clip that both changed; UNSET if they moved it to different layers."""
        layer = self.value(join(path, "layer"), three.get("layer"), "moved")
        clips: Three[Clip] = three.get("clip")
        keyframes = self.listed(join(path, "keyframes"), clips.get("keyframes"), self.keyframe)
        values = self.values(path, clips, *_CLIP) | self.times(path, clips)
        values |= self.free(path, clips, "properties", "metadata")
        if join(path, "layer") in self.conflicts:
            return UNSET
        return Placed(layer, replace(clips.mine, keyframes=keyframes, **values))

    # --- Orders

    def listed(
        self, path: str, three: Three[list[E]], both: Callable[[str, Three[E]], E]
    ) -> list[E]:
        """Merge a list of elements that have a time."""
        try:
            return _decided(three)
        except _Undecided:
            by_id: Three[dict[str, E]] = three.of(lambda side: {one.id: one for one in side})
            found = self.elements(by_id, lambda id, _: path_of(path, id), both)
            ids = self.order(path, three.of(ids_of), found, lambda id: (found[id].time, id))
            return [found[id] for id in ids]

    def ordered_layers(
        self, layers: dict[str, Layer], members: dict[str, dict[str, Clip]]
    ) -> list[Layer]:
        lists: Three[list[str]] = self.three.of(lambda state: ids_of(state.layers))
        ids = self.order("layers", lists, layers, lambda id: (layers[id].order, id))
        return [replace(layers[id], clips=self.ordered_clips(id, members[id])) for id in ids]

    def ordered_clips(self, layer: str, clips: dict[str, Clip]) -> list[Clip]:
        path = join(path_of("layers", layer), "clips")
        lists: Three[list[str]] = self.orders.of(lambda order: order.get(layer, []))
        ids = self.order(path, lists, clips, lambda id: (clips[id].start_time, id))
        return [clips[id] for id in ids]

    def order(
        self, path: str, three: Three[list[str]], stays: Iterable[str], key: orders.Key
    ) -> Iterable[str]:
        try:
            return orders.merged(*three, set(stays), key)
        except orders.OrdersConflict:
            self.refuse(path, three, "reordered")
            return stays


def _layer_path(id: str, three: Three[Layer]) -> str:
    return path_of("layers", id)


def _clip_path(id: str, three: Three[Placed]) -> str:
    sides = (three.base, three.mine, three.theirs)
    return clip_path(next(side for side in sides if isinstance(side, Placed)))


def _told(value: Any, order: dict[str, list[str]]) -> Any:
    """Tell one of a conflict's values as JSON."""
    match value:
        case Placed(layer=layer, clip=clip):
            return {**states.to_builtins(clip), "layer": layer}
        case Layer(id=id):
            return {**states.to_builtins(value), "clips": order[id]}
    return None if value is UNSET else msgspec.to_builtins(value)


def _duration(three: Three[TimelineState], end: float) -> float:
    """Take the changed or the longer; and the content's, if both sides held all of theirs."""
    durations: Three[float] = three.get("duration")
    try:
        duration = _decided(durations)
    except _Undecided:
        duration = max(durations.theirs, durations.mine)
    sides = (three.theirs, three.mine)
    held = all(side.duration >= _end(side) for side in sides)
    return max(duration, end) if held else duration


def _end(state: TimelineState) -> float:
    return max((end_of(layer.clips) for layer in state.layers), default=0.0)
