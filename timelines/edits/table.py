"""The cutting table: a timeline while it is edited.

A state is never changed in place. What an operation touches is laid out here, found by its id, and
put together again at the end; layers that nothing touched stay the very same objects. Moves by
whole frames are only counted until then, so that any number of them, forth and back, is exact.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from msgspec.structs import replace

from snipix import states
from timelines.edits.checks import check_unlocked, refusal, taken, too_many, unknown
from timelines.edits.grid import Grid
from timelines.state import MAX_CLIPS, MAX_SECONDS, TOLERANCE, Clip, Layer, Marker, TimelineState


class Piece:
    """A clip on the table."""

    __slots__ = ("_frame", "before", "clip", "frames", "lane")

    def __init__(self, clip: Clip, lane: Lane, before: Clip | None) -> None:
        self.clip, self.lane = clip, lane
        self.before = before
        """The clip as it was before all edits; None for one that they added."""
        self.frames = 0
        """How far it was moved, in frames, without its times having been written anew."""
        self._frame: int | None = None

    def start(self, grid: Grid) -> float:
        """Where it starts on the timeline now, in seconds."""
        start = self.clip.start_time
        return grid.shift(start, self.frames) if self.frames else start

    def end(self, grid: Grid) -> float:
        """Where it ends on the timeline now, in seconds."""
        end = self.clip.end_time
        return grid.shift(end, self.frames) if self.frames else end

    def start_frame(self, grid: Grid) -> int:
        """The frame that is nearest to its start."""
        if self._frame is None:
            self._frame = grid.frame(self.clip.start_time)
        return self._frame + self.frames

    def settle(self, grid: Grid) -> Clip:
        """Write its times anew, if it was moved."""
        if self.frames:
            times = {"start_time": self.start(grid), "end_time": self.end(grid)}
            self.put(replace(self.clip, **times))
        return self.clip

    def put(self, clip: Clip) -> None:
        """Put another clip in its place."""
        self.clip, self.frames, self._frame = clip, 0, None


class Lane:
    """A layer on the table; its clips are laid out when one of them is asked for."""

    __slots__ = ("layer", "pieces")

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.pieces: list[Piece] | None = None

    def settle(self, grid: Grid) -> Layer:
        """Return the layer as it is now: the same object, if nothing of it changed."""
        if self.pieces is None:
            return self.layer
        clips = [piece.settle(grid) for piece in self.pieces]
        old = self.layer.clips
        if len(clips) != len(old) or any(a is not b for a, b in zip(clips, old, strict=True)):
            self.layer = replace(self.layer, clips=clips)
        return self.layer


class Table:
    """A timeline laid out to be edited; `finish` returns the new state."""

    def __init__(self, state: TimelineState) -> None:
        self._state = state
        self.grid = Grid(state.fps_num, state.fps_den)
        self.lanes = [Lane(layer) for layer in state.layers]
        self._lanes = {lane.layer.id: lane for lane in self.lanes}
        self._lane_of = {clip.id: lane for lane in self.lanes for clip in lane.layer.clips}
        self._pieces: dict[str, Piece] = {}
        self._markers: dict[str, Marker] | None = None
        self._fields: dict[str, Any] = {}
        self._copied = 0

    # --- Layers

    def lane(self, id: str, path: str = "layer") -> Lane:
        """Find a layer; raises InvalidState for an unknown id."""
        if lane := self._lanes.get(id):
            return lane
        raise unknown(path, "layer", id)

    def open_lane(self, id: str, path: str = "layer") -> Lane:
        """Find a layer whose content may be changed."""
        lane = self.lane(id, path)
        check_unlocked(lane.layer, path)
        return lane

    def add_layer(self, layer: Layer, index: int) -> None:
        if layer.id in self._lanes:
            raise taken("layer.id", "layer", layer.id)
        for number, clip in enumerate(layer.clips):
            self.check_free(clip.id, f"layer.clips[{number}].id")
        lane = Lane(layer)
        self.lanes.insert(index, lane)
        self._lanes[layer.id] = lane
        self._lane_of.update((clip.id, lane) for clip in layer.clips)
        # They are laid out at once: how far they reach counts for the duration.
        lane.pieces = [Piece(clip, lane, None) for clip in layer.clips]
        self._pieces.update((piece.clip.id, piece) for piece in lane.pieces)

    def remove_lane(self, lane: Lane) -> None:
        for piece in self.pieces(lane):
            del self._pieces[piece.clip.id], self._lane_of[piece.clip.id]
        self.lanes.remove(lane)
        del self._lanes[lane.layer.id]

    # --- Clips

    def pieces(self, lane: Lane) -> list[Piece]:
        """Lay out the clips of a layer, in their order."""
        if lane.pieces is None:
            lane.pieces = [Piece(clip, lane, clip) for clip in lane.layer.clips]
            self._pieces.update((piece.clip.id, piece) for piece in lane.pieces)
        return lane.pieces

    def piece(self, id: str) -> Piece:
        """Find a clip that may be changed; raises InvalidState, also if its layer is locked."""
        lane = self._lane_of.get(id)
        if lane is None:
            raise unknown("clip", "clip", id)
        check_unlocked(lane.layer, "clip")
        self.pieces(lane)
        return self._pieces[id]

    def settled(self, id: str) -> tuple[Piece, Clip]:
        """Find a clip that may be changed, with its times written anew."""
        piece = self.piece(id)
        return piece, piece.settle(self.grid)

    def add(self, clip: Clip, lane: Lane, index: int) -> None:
        """Add a clip at a place in a layer's list."""
        piece = Piece(clip, lane, None)
        self.pieces(lane).insert(index, piece)
        self._pieces[clip.id] = piece
        self._lane_of[clip.id] = lane

    def remove(self, piece: Piece) -> None:
        self.pieces(piece.lane).remove(piece)
        del self._pieces[piece.clip.id], self._lane_of[piece.clip.id]

    def change_lane(self, piece: Piece, lane: Lane) -> None:
        """Move a clip to another layer, to the place that its start gives."""
        self.pieces(piece.lane).remove(piece)
        self.pieces(lane).insert(self.place(lane, piece.start(self.grid)), piece)
        piece.lane = self._lane_of[piece.clip.id] = lane

    def place(self, lane: Lane, start: float) -> int:
        """Where in a layer's list a clip belongs: before the first one that starts later."""
        pieces = self.pieces(lane)
        later = (i for i, other in enumerate(pieces) if other.start(self.grid) > start)
        return next(later, len(pieces))

    def check_free(self, id: str, path: str) -> None:
        """Refuse the id of a clip that is there already."""
        if id in self._lane_of:
            raise taken(path, "clip", id)

    def check_room(self, clips: int, path: str) -> None:
        """Refuse more clips than a timeline may hold."""
        if len(self._lane_of) + clips > MAX_CLIPS:
            raise too_many(path, MAX_CLIPS, "clips")

    def check_copy(self, clip: Clip, path: str) -> None:
        """Refuse edits that copy more than a timeline may hold: of what is large, some would."""
        self._copied += len(states.encode(clip))
        if self._copied > settings.MAX_STATE_BYTES:
            reason = f"makes these edits copy more than {settings.MAX_STATE_BYTES:,} bytes"
            raise refusal(path, reason, "Keep what is large in a file, and its address here.")

    # --- Everything else

    @property
    def markers(self) -> dict[str, Marker]:
        """The markers by id, in their order; to be changed in place."""
        if self._markers is None:
            self._markers = {marker.id: marker for marker in self._state.markers}
        return self._markers

    def set_fields(self, fields: dict[str, Any]) -> None:
        """Set fields of the timeline itself."""
        for lane in self.lanes if {"fps_num", "fps_den"} & fields.keys() else ():
            lane.settle(self.grid)  # what was moved so far was moved by frames of the old rate
            for piece in lane.pieces or ():
                piece.put(piece.clip)
        self._fields.update(fields)
        rate = {"fps_num": self._state.fps_num, "fps_den": self._state.fps_den} | self._fields
        self.grid = Grid(rate["fps_num"], rate["fps_den"])

    def finish(self) -> TimelineState:
        """Put the timeline together again."""
        fields = dict(self._fields)
        layers = [lane.settle(self.grid) for lane in self.lanes]
        old = self._state.layers
        if len(layers) != len(old) or any(a is not b for a, b in zip(layers, old, strict=True)):
            fields["layers"] = layers
        if self._markers is not None:
            fields["markers"] = list(self._markers.values())
        duration = fields.get("duration", self._state.duration)
        fields["duration"] = max([duration, *self._new_ends()])
        return replace(self._state, **fields)

    def _new_ends(self) -> list[float]:
        """Where the clips end whose times were changed, in seconds."""
        return [
            min(stop(piece.clip), MAX_SECONDS)
            for lane in self.lanes
            for piece in lane.pieces or ()
            if piece.clip is not piece.before and has_other_times(piece.clip, piece.before)
        ]


def has_other_times(clip: Clip, before: Clip | None) -> bool:
    """Whether a clip's place in time isn't what it was; so for a new one."""
    if before is None:
        return True
    names = ("start_time", "end_time", "duration")
    return any(getattr(clip, name) != getattr(before, name) for name in names)


def stop(clip: Clip) -> float:
    """Where a clip ends, in seconds: the later, where its end isn't start and duration."""
    stop = clip.start_time + clip.duration
    if abs(stop - clip.end_time) <= TOLERANCE * max(1.0, stop):
        return clip.end_time
    return max(stop, clip.end_time)
