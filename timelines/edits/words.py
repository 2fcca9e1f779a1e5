"""Edits in words, for people who read a timeline's history."""

from functools import singledispatch
from itertools import accumulate
from posixpath import basename

from msgspec import UNSET, UnsetType

from snipix.states import Struct
from timelines.edits import operations as ops
from timelines.edits.grid import Grid
from timelines.state import Clip, Layer, Marker, TimelineState

MAX_LENGTH = 2_000
_MAX_NAME = 40


def describe(state: TimelineState, edits: ops.Edits) -> str:
    """Tell what edits do to a state, as "Moved clip Intro by +2.0 s; split clip B-roll at 12.4 s".

    It is cut to 2,000 characters, and then ends with how many more edits there are.
    """
    teller = _Teller(state, edits)
    parts = [_tell(edit, teller) for edit in edits.edits]
    return _joined([parts[0][:1].upper() + parts[0][1:], *parts[1:]])


def _joined(parts: list[str]) -> str:
    whole = "; ".join(parts)
    if len(whole) <= MAX_LENGTH:
        return whole
    room = MAX_LENGTH - len(f" and {len(parts)} more")
    lengths = accumulate(len(part) + len("; ") for part in parts)
    kept = sum(1 for length in lengths if length <= room)
    return f"{'; '.join(parts[:kept])} and {len(parts) - kept} more"


class _Teller:
    """The names of what edits name by id, and the grid that they snap to."""

    def __init__(self, state: TimelineState, edits: ops.Edits) -> None:
        self.rate = (state.fps_num, state.fps_den)
        ids = (getattr(edit, "clip", None) for edit in edits.edits)
        wanted = {id for id in ids if isinstance(id, str)}
        self.clips = {
            clip.id: _clip_name(clip)
            for layer in state.layers
            for clip in layer.clips
            if clip.id in wanted
        }
        self.layers = {layer.id: _layer_name(layer) for layer in state.layers}
        self.markers = {marker.id: _marker_name(marker) for marker in state.markers}

    def clip(self, id: str) -> str:
        return f"clip {self.clips.get(id) or _short(id)}"

    def layer(self, id: str) -> str:
        return f"layer {self.layers.get(id) or _short(id)}"

    def marker(self, id: str) -> str:
        return f"marker {self.markers.get(id) or _short(id)}"

    def where(self, op: ops.MoveClip | ops.MoveKeyframe | ops.MoveMarker) -> str:
        """How far something is moved, or where to."""
        if not isinstance(op.by, UnsetType):
            frames = Grid(*self.rate).frames(op.by)
            return f" by {_seconds(frames * self.rate[1] / self.rate[0], '+')}"
        return self.at("to", op.to)

    def at(self, preposition: str, time: float | UnsetType) -> str:
        """A time, where it is snapped to."""
        if isinstance(time, UnsetType):
            return ""
        grid = Grid(*self.rate)
        return f" {preposition} {_seconds(grid.time(grid.frame(time)))}"


@singledispatch
def _tell(op: ops.Operation, teller: _Teller) -> str:
    raise NotImplementedError(type(op).__name__)


# --- Layers


@_tell.register
def _add_layer(op: ops.AddLayer, teller: _Teller) -> str:
    teller.layers[op.layer.id] = _layer_name(op.layer)
    teller.clips.update((clip.id, _clip_name(clip)) for clip in op.layer.clips)
    return f"added {teller.layer(op.layer.id)}"


@_tell.register
def _remove_layer(op: ops.RemoveLayer, teller: _Teller) -> str:
    return f"removed {teller.layer(op.layer)}"


@_tell.register
def _move_layer(op: ops.MoveLayer, teller: _Teller) -> str:
    return f"moved {teller.layer(op.layer)} to place {op.index + 1}"


@_tell.register
def _change_layer(op: ops.ChangeLayer, teller: _Teller) -> str:
    told = f"changed {teller.layer(op.layer)}: {_changes(op.set)}"
    if not isinstance(op.set.name, UnsetType):
        teller.layers[op.layer] = _short(op.set.name)
    return told


# --- Clips


@_tell.register
def _add_clip(op: ops.AddClip, teller: _Teller) -> str:
    teller.clips[op.clip.id] = _clip_name(op.clip)
    return f"added {teller.clip(op.clip.id)} at {_seconds(op.clip.start_time)}"


@_tell.register
def _remove_clip(op: ops.RemoveClip, teller: _Teller) -> str:
    return f"removed {teller.clip(op.clip)}"


@_tell.register
def _ripple_delete_clip(op: ops.RippleDeleteClip, teller: _Teller) -> str:
    return f"removed {teller.clip(op.clip)} and closed the gap"


@_tell.register
def _move_clip(op: ops.MoveClip, teller: _Teller) -> str:
    layer = "" if isinstance(op.layer, UnsetType) else f" onto {teller.layer(op.layer)}"
    return f"moved {teller.clip(op.clip)}{teller.where(op)}{layer}"


@_tell.register
def _trim_clip(op: ops.TrimClip, teller: _Teller) -> str:
    edges = (teller.at("to start at", op.in_), teller.at("to end at", op.out))
    return f"trimmed {teller.clip(op.clip)}{' and'.join(edge for edge in edges if edge)}"


@_tell.register
def _split_clip(op: ops.SplitClip, teller: _Teller) -> str:
    if name := teller.clips.get(op.clip):
        teller.clips[op.new_id] = name
    return f"split {teller.clip(op.clip)}{teller.at('at', op.at)}"


@_tell.register
def _change_clip(op: ops.ChangeClip, teller: _Teller) -> str:
    names = [*_names(op.set), *op.properties]
    told = f"changed {teller.clip(op.clip)}: {_list(names)}"
    if not isinstance(op.set.content, UnsetType) and op.set.content:
        teller.clips[op.clip] = _short(op.set.content)
    return told


# --- Keyframes


@_tell.register
def _add_keyframe(op: ops.AddKeyframe, teller: _Teller) -> str:
    key = op.keyframe
    where = f"at {_seconds(key.time)} of {teller.clip(op.clip)}"
    return f"added a keyframe of {_short(key.property)} {where}"


@_tell.register
def _remove_keyframe(op: ops.RemoveKeyframe, teller: _Teller) -> str:
    return f"removed keyframe {_short(op.keyframe)} of {teller.clip(op.clip)}"


@_tell.register
def _move_keyframe(op: ops.MoveKeyframe, teller: _Teller) -> str:
    return f"moved keyframe {_short(op.keyframe)} of {teller.clip(op.clip)}{teller.where(op)}"


@_tell.register
def _change_keyframe(op: ops.ChangeKeyframe, teller: _Teller) -> str:
    what = f"keyframe {_short(op.keyframe)} of {teller.clip(op.clip)}"
    return f"changed {what}: {_changes(op.set)}"


# --- Markers


@_tell.register
def _add_marker(op: ops.AddMarker, teller: _Teller) -> str:
    teller.markers[op.marker.id] = _marker_name(op.marker)
    return f"added {teller.marker(op.marker.id)}{teller.at('at', op.marker.time)}"


@_tell.register
def _remove_marker(op: ops.RemoveMarker, teller: _Teller) -> str:
    return f"removed {teller.marker(op.marker)}"


@_tell.register
def _move_marker(op: ops.MoveMarker, teller: _Teller) -> str:
    return f"moved {teller.marker(op.marker)}{teller.where(op)}"


@_tell.register
def _change_marker(op: ops.ChangeMarker, teller: _Teller) -> str:
    return f"changed {teller.marker(op.marker)}: {_changes(op.set)}"


# --- The timeline


@_tell.register
def _set_view(op: ops.SetView, teller: _Teller) -> str:
    return f"set the view: {_changes(op)}"


@_tell.register
def _change_timeline(op: ops.ChangeTimeline, teller: _Teller) -> str:
    num, den = teller.rate
    teller.rate = (
        num if isinstance(op.fps_num, UnsetType) else op.fps_num,
        den if isinstance(op.fps_den, UnsetType) else op.fps_den,
    )
    return f"changed the timeline: {_changes(op)}"


# --- Names and numbers


def _clip_name(clip: Clip) -> str:
    return _short(clip.content) or _short(basename(clip.source_path)) or _short(clip.id)


def _layer_name(layer: Layer) -> str:
    return _short(layer.name) or _short(layer.id)


def _marker_name(marker: Marker) -> str:
    return _short(marker.label) or _short(marker.id)


def _short(text: str) -> str:
    """One line of a text, and not too much of it."""
    line = " ".join(text[: 10 * _MAX_NAME].split())
    return line if len(line) <= _MAX_NAME else f"{line[: _MAX_NAME - 1]}…"


def _names(changes: Struct) -> list[str]:
    return [name for name in changes.__struct_fields__ if getattr(changes, name) is not UNSET]


def _changes(changes: Struct) -> str:
    return _list(_names(changes))


def _list(names: list[str]) -> str:
    shown = [_short(name).removeprefix("is_").replace("_", " ") for name in names[:6]]
    more = [f"{len(names) - 6} more"] if len(names) > 6 else []
    return ", ".join([*shown, *more]) or "nothing"


def _seconds(time: float, sign: str = "") -> str:
    """A time with one to three decimals, as `12.4 s`."""
    digits = f"{time:{sign}.3f}".rstrip("0")
    return f"{digits}0 s" if digits.endswith(".") else f"{digits} s"
