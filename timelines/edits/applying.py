"""What each operation does to a timeline."""

from __future__ import annotations

from fractions import Fraction
from functools import singledispatch
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict, replace

from snipix.states import Struct
from timelines import state as states
from timelines.edits import operations as ops
from timelines.edits.checks import (
    check_element,
    check_index,
    check_kind,
    check_one_of,
    check_time,
    refusal,
    span,
    taken,
    too_many,
    unknown,
    words,
)
from timelines.edits.grid import Grid
from timelines.edits.media import keyframes_from, source_time
from timelines.edits.reading import within
from timelines.edits.table import Piece, Table
from timelines.state import (
    MAX_KEYFRAMES,
    MAX_LAYERS,
    MAX_MARKERS,
    MAX_SECONDS,
    MAX_ZOOM,
    Keyframe,
    Marker,
    TimelineState,
)


def apply(state: TimelineState, edits: ops.Edits) -> TimelineState:
    """Return the state with all edits made.

    Raises InvalidState for the first edit that can't be made, with paths as `edits[3].clip`, and
    for a result that can't be kept, with paths of the state. What wasn't edited is the same object
    in both states.
    """
    table = Table(state)
    for index, edit in enumerate(edits.edits):
        with within(f"edits[{index}]"):
            _edit(edit, table)
    result = table.finish()
    states.check(result, kept=state)
    return result


@singledispatch
def _edit(op: ops.Operation, table: Table) -> None:
    raise NotImplementedError(type(op).__name__)


# --- Layers


@_edit.register
def _add_layer(op: ops.AddLayer, table: Table) -> None:
    count = len(table.lanes)
    if count >= MAX_LAYERS:
        raise too_many("layer", MAX_LAYERS, "layers")
    index = count if isinstance(op.index, UnsetType) else op.index
    check_index(index, count)
    table.check_room(len(op.layer.clips), "layer.clips")
    check_element(op.layer, "layer")
    table.add_layer(op.layer, index)


@_edit.register
def _remove_layer(op: ops.RemoveLayer, table: Table) -> None:
    table.remove_lane(table.open_lane(op.layer))


@_edit.register
def _move_layer(op: ops.MoveLayer, table: Table) -> None:
    lane = table.lane(op.layer)
    check_index(op.index, len(table.lanes) - 1)
    table.lanes.remove(lane)
    table.lanes.insert(op.index, lane)


@_edit.register
def _change_layer(op: ops.ChangeLayer, table: Table) -> None:
    lane = table.lane(op.layer)
    lane.layer = replace(lane.layer, **_sent(op.set))


# --- Clips


@_edit.register
def _add_clip(op: ops.AddClip, table: Table) -> None:
    lane = table.open_lane(op.layer)
    table.check_free(op.clip.id, "clip.id")
    check_kind(op.clip, lane.layer, "clip.type")
    table.check_room(1, "clip")
    check_element(op.clip, "clip")
    table.add(op.clip, lane, table.place(lane, op.clip.start_time))


@_edit.register
def _remove_clip(op: ops.RemoveClip, table: Table) -> None:
    table.remove(table.piece(op.clip))


@_edit.register
def _ripple_delete_clip(op: ops.RippleDeleteClip, table: Table) -> None:
    grid = table.grid
    piece, clip = table.settled(op.clip)
    first = piece.start_frame(grid)
    table.remove(piece)
    later = [other for other in table.pieces(piece.lane) if other.start_frame(grid) > first]
    if later:
        stop = grid.exact(clip.start_time) + grid.exact(clip.duration)
        _close_gap(later, first, grid.frame(stop) - first, grid)


def _close_gap(later: list[Piece], first: int, frames: int, grid: Grid) -> None:
    nearest = min(piece.start_frame(grid) for piece in later)
    frames = min(frames, nearest - first)
    # A clip that starts a little before frame n can't be moved up by all of n.
    foremost = min(piece.start(grid) for piece in later if piece.start_frame(grid) == nearest)
    while frames and grid.shift(foremost, -frames) < 0:
        frames -= 1
    for piece in later:
        piece.frames -= frames


@_edit.register
def _move_clip(op: ops.MoveClip, table: Table) -> None:
    piece = table.piece(op.clip)
    if op.by is UNSET and op.to is UNSET and op.layer is UNSET:
        raise refusal("", "moves nothing", "Send `by` or `to`, `layer`, or both.")
    lane = piece.lane if isinstance(op.layer, UnsetType) else table.open_lane(op.layer)
    if lane is not piece.lane:
        check_kind(piece.clip, lane.layer, "layer")
    check_one_of(op)
    if not isinstance(op.by, UnsetType):
        check_time(op.by, "by", -MAX_SECONDS)
        piece.frames += table.grid.frames(op.by)
        _check_place(piece, "by", table.grid)
    elif not isinstance(op.to, UnsetType):
        check_time(op.to, "to")
        _move_to(piece, table.grid.frame(op.to), table.grid)
        _check_place(piece, "to", table.grid)
    if lane is not piece.lane:
        table.change_lane(piece, lane)


def _move_to(piece: Piece, frame: int, grid: Grid) -> None:
    if grid.is_frame(piece.start(grid)):
        piece.frames += frame - piece.start_frame(grid)
        return
    clip = piece.settle(grid)
    start = frame / grid.rate
    by = start - grid.exact(clip.start_time)
    end = float(grid.exact(clip.end_time) + by)
    if clip.end_time == clip.start_time + clip.duration:
        end = float(start + grid.exact(clip.duration))
    piece.put(replace(clip, start_time=float(start), end_time=end))


@_edit.register
def _trim_clip(op: ops.TrimClip, table: Table) -> None:
    piece, clip = table.settled(op.clip)
    if op.in_ is UNSET and op.out is UNSET:
        raise refusal("", "trims nothing", "Send `in` or `out`, or both.")
    grid = table.grid
    start = grid.exact(clip.start_time)
    stop = start + grid.exact(clip.duration)
    first = start if isinstance(op.in_, UnsetType) else _snapped(op.in_, "in", grid)
    last = stop if isinstance(op.out, UnsetType) else _snapped(op.out, "out", grid)
    path = "out" if op.in_ is UNSET else "in"
    if last <= first:
        hint = "Keep one frame at least, or remove the clip."
        raise refusal(path, f"leaves nothing of the clip, which {span(start, stop)}", hint)
    original = source_time(clip, first - start, "in", grid)
    piece.put(
        replace(
            clip,
            start_time=float(first),
            end_time=clip.end_time if op.out is UNSET else float(last),
            duration=float(last - first),
            original_start_time=original,
            keyframes=keyframes_from(clip.keyframes, first - start, grid),
        )
    )
    _check_place(piece, path, grid)


@_edit.register
def _split_clip(op: ops.SplitClip, table: Table) -> None:
    grid = table.grid
    piece, clip = table.settled(op.clip)
    table.check_free(op.new_id, "new_id")
    table.check_room(1, "new_id")
    table.check_copy(clip, "clip")
    cut = _snapped(op.at, "at", grid)
    start, duration = grid.exact(clip.start_time), grid.exact(clip.duration)
    length = cut - start
    if not 0 < length < duration:
        reason = f"is no place within the clip, which {span(start, start + duration)}"
        raise refusal("at", reason, "Choose a frame between the two.")
    second = replace(
        clip,
        id=op.new_id,
        start_time=float(cut),
        duration=float(duration - length),
        original_start_time=source_time(clip, length, "at", grid),
        keyframes=keyframes_from(clip.keyframes, length, grid),
    )
    index = table.pieces(piece.lane).index(piece)
    first = [key for key in clip.keyframes if grid.exact(key.time) < length]
    times = {"end_time": float(cut), "duration": float(length)}
    piece.put(replace(clip, keyframes=first, **times))
    table.add(second, piece.lane, index + 1)


@_edit.register
def _change_clip(op: ops.ChangeClip, table: Table) -> None:
    piece, clip = table.settled(op.clip)
    changes = _sent(op.set)
    if "original_start_time" in changes:
        check_time(changes["original_start_time"], "set.original_start_time")
    if op.properties:
        properties = {**clip.properties, **op.properties}
        changes["properties"] = {
            name: value
            for name, value in properties.items()
            if name not in op.properties or value is not None
        }
    piece.put(replace(clip, **changes))


# --- Keyframes


@_edit.register
def _add_keyframe(op: ops.AddKeyframe, table: Table) -> None:
    piece, clip = table.settled(op.clip)
    if any(key.id == op.keyframe.id for key in clip.keyframes):
        raise taken("keyframe.id", "keyframe", op.keyframe.id)
    if len(clip.keyframes) >= MAX_KEYFRAMES:
        raise too_many("keyframe", MAX_KEYFRAMES, "keyframes")
    check_element(op.keyframe, "keyframe")
    piece.put(replace(clip, keyframes=[*clip.keyframes, op.keyframe]))


@_edit.register
def _remove_keyframe(op: ops.RemoveKeyframe, table: Table) -> None:
    piece, index = _keyframe(op, table)
    _put_keyframes(piece, index)


@_edit.register
def _move_keyframe(op: ops.MoveKeyframe, table: Table) -> None:
    piece, index = _keyframe(op, table)
    key = piece.clip.keyframes[index]
    _put_keyframes(piece, index, replace(key, time=_moved(key.time, op, table.grid)))


@_edit.register
def _change_keyframe(op: ops.ChangeKeyframe, table: Table) -> None:
    piece, index = _keyframe(op, table)
    _put_keyframes(piece, index, replace(piece.clip.keyframes[index], **_sent(op.set)))


def _keyframe(
    op: ops.RemoveKeyframe | ops.MoveKeyframe | ops.ChangeKeyframe, table: Table
) -> tuple[Piece, int]:
    """Find a keyframe that may be changed: its clip, and its place in the clip's list."""
    piece, clip = table.settled(op.clip)
    for index, key in enumerate(clip.keyframes):
        if key.id == op.keyframe:
            return piece, index
    raise unknown("keyframe", "keyframe of this clip", op.keyframe)


def _put_keyframes(piece: Piece, index: int, *keyframes: Keyframe) -> None:
    """Put so many keyframes in the place of one."""
    changed = list(piece.clip.keyframes)
    changed[index : index + 1] = keyframes
    piece.put(replace(piece.clip, keyframes=changed))


# --- Markers


@_edit.register
def _add_marker(op: ops.AddMarker, table: Table) -> None:
    marker = op.marker
    if marker.id in table.markers:
        raise taken("marker.id", "marker", marker.id)
    if len(table.markers) >= MAX_MARKERS:
        raise too_many("marker", MAX_MARKERS, "markers")
    check_element(marker, "marker")
    time = _snapped(marker.time, "marker.time", table.grid)
    table.markers[marker.id] = replace(marker, time=float(time))


@_edit.register
def _remove_marker(op: ops.RemoveMarker, table: Table) -> None:
    _marker(op.marker, table)
    del table.markers[op.marker]


@_edit.register
def _move_marker(op: ops.MoveMarker, table: Table) -> None:
    marker = _marker(op.marker, table)
    table.markers[op.marker] = replace(marker, time=_moved(marker.time, op, table.grid))


@_edit.register
def _change_marker(op: ops.ChangeMarker, table: Table) -> None:
    table.markers[op.marker] = replace(_marker(op.marker, table), **_sent(op.set))


def _marker(id: str, table: Table) -> Marker:
    if marker := table.markers.get(id):
        return marker
    raise unknown("marker", "marker", id)


# --- The timeline


@_edit.register
def _set_view(op: ops.SetView, table: Table) -> None:
    fields = _sent(op)
    if "playhead_time" in fields:
        check_time(fields["playhead_time"], "playhead_time")
    if "zoom" in fields and not 0 <= fields["zoom"] <= MAX_ZOOM:
        reason = f"is {fields['zoom']:.9g}: a magnification is from 0 to {MAX_ZOOM:,.0f}"
        raise refusal("zoom", reason, "Send a number between them.")
    table.set_fields(fields)


@_edit.register
def _change_timeline(op: ops.ChangeTimeline, table: Table) -> None:
    fields = _sent(op)
    if "duration" in fields:
        check_time(fields["duration"], "duration")
    table.set_fields(fields)


# --- What all of them share


def _sent(changes: Struct) -> dict[str, Any]:
    """The fields that were sent."""
    return {name: value for name, value in asdict(changes).items() if value is not UNSET}


def _snapped(time: float, path: str, grid: Grid) -> Fraction:
    """The exact time of the nearest frame, for a time that was sent."""
    check_time(time, path)
    snapped = grid.frame(time) / grid.rate
    check_time(float(snapped), path)  # the next frame of a slow rate may be too late
    return snapped


def _moved(time: float, op: ops.MoveKeyframe | ops.MoveMarker, grid: Grid) -> float:
    """Where a keyframe or a marker is after it was moved."""
    check_one_of(op)
    if not isinstance(op.to, UnsetType):
        return float(_snapped(op.to, "to", grid))
    if isinstance(op.by, UnsetType):
        raise refusal("", "moves nothing", "Send `by` or `to`.")
    check_time(op.by, "by", -MAX_SECONDS)
    moved = grid.shift(time, grid.frames(op.by))
    if not 0 <= moved <= MAX_SECONDS:
        raise refusal("by", f"would move it to {words(moved)} s", "Move it less far.")
    return moved


def _check_place(piece: Piece, path: str, grid: Grid) -> None:
    """Refuse times of a clip that can't be kept."""
    for verb, time in (("start", piece.start(grid)), ("end", piece.end(grid))):
        if not 0 <= time <= MAX_SECONDS:
            reason = f"would let the clip {verb} at {words(time)} s"
            raise refusal(path, reason, "Move it less far.")
