"""The operations that an edit of a timeline is made of. All times are in seconds.

Operations name elements by id and are applied in their order, all or none. They move things by
whole frames of the timeline's rate: what lies off the frames stays off by as much. The edges that
they set (`to`, `in`, `out`, `at`, the time of a marker) are snapped to the nearest frame. What they
add, they add as it is sent, but for a marker's time. The layers that are locked refuse changes of
their clips and keyframes. The timeline's duration grows to the end of every clip that was added,
moved or trimmed, and never shrinks by itself.
"""

import re
from typing import Annotated, Any, TypeAlias

from msgspec import UNSET, Meta, UnsetType, field

from snipix.states import Struct
from timelines.state import (
    MAX_CLIPS,
    MAX_SECONDS,
    METADATA,
    Clip,
    Free,
    Id,
    Keyframe,
    Layer,
    Marker,
    Name,
    Order,
    Rate,
    Seconds,
    Word,
    Zoom,
)

MAX_EDITS = 1_000
_BOUNDS = {"minimum": -MAX_SECONDS, "maximum": MAX_SECONDS}
By = Annotated[
    float | UnsetType,
    Meta(
        description="How far, in seconds: taken as the nearest number of whole frames.",
        extra_json_schema=_BOUNDS,
    ),
]
Index = Annotated[int, Meta(ge=0, description="Place in the list, from 0, once it is there.")]
ClipId = Annotated[Id, Meta(description="Id of a clip.")]
LayerId = Annotated[Id, Meta(description="Id of a layer.")]
KeyframeId = Annotated[Id, Meta(description="Id of one of the clip's keyframes.")]
MarkerId = Annotated[Id, Meta(description="Id of a marker.")]


def _tag(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


class Operation(Struct, frozen=True, kw_only=True, tag_field="op", tag=_tag):
    """One operation; `op` names it."""


# --- Layers


class AddLayer(Operation, frozen=True, kw_only=True):
    """Add a layer, with its clips if it has some: at the place `index`, or else as the last.

    Example: `{"op": "add_layer", "layer": {"id": "titles", "type": "text"}, "index": 0}`
    """

    layer: Layer
    index: Index | UnsetType = UNSET


class RemoveLayer(Operation, frozen=True, kw_only=True):
    """Remove a layer and all its clips.

    Example: `{"op": "remove_layer", "layer": "titles"}`
    """

    layer: LayerId


class MoveLayer(Operation, frozen=True, kw_only=True):
    """Move a layer to another place in the list of layers; its `order` stays what it is.

    Example: `{"op": "move_layer", "layer": "titles", "index": 2}`
    """

    layer: LayerId
    index: Index


class LayerChanges(Struct, frozen=True, kw_only=True):
    """What becomes of a layer; what isn't sent stays."""

    name: Name | UnsetType = UNSET
    is_visible: bool | UnsetType = UNSET
    is_locked: bool | UnsetType = UNSET
    is_muted: bool | UnsetType = UNSET
    is_main_video: bool | UnsetType = UNSET
    order: Order | UnsetType = UNSET
    metadata: Annotated[Free | UnsetType, METADATA] = UNSET


class ChangeLayer(Operation, frozen=True, kw_only=True):
    """Change what a layer is called and how it behaves; a locked one too.

    Example: `{"op": "change_layer", "layer": "titles", "set": {"is_locked": true}}`
    """

    layer: LayerId
    set: LayerChanges


# --- Clips


class AddClip(Operation, frozen=True, kw_only=True):
    """Add a clip to a layer of its kind, in front of the first clip there that starts later.

    Example: `{"op": "add_clip", "layer": "titles",
    "clip": {"id": "t1", "type": "text", "start_time": 2, "duration": 3, "content": "Hello"}}`
    """

    layer: LayerId
    clip: Clip


class RemoveClip(Operation, frozen=True, kw_only=True):
    """Remove a clip; its place stays empty.

    Example: `{"op": "remove_clip", "clip": "t1"}`
    """

    clip: ClipId


class RippleDeleteClip(Operation, frozen=True, kw_only=True):
    """Remove a clip and close the gap: later clips of its layer move up, all equally.

    They move by the clip's length in whole frames; by less where they overlapped it, so that none
    starts in front of the place where the clip started.

    Example: `{"op": "ripple_delete_clip", "clip": "t1"}`
    """

    clip: ClipId


class MoveClip(Operation, frozen=True, kw_only=True):
    """Move a clip in time (by `by`, or so that it starts at `to`), to another layer, or both.

    It keeps its duration and its part of the source. In its own layer's list it stays where it is;
    in another's it comes in front of the first clip that starts later.

    Examples: `{"op": "move_clip", "clip": "t1", "by": -0.5}`,
    `{"op": "move_clip", "clip": "t1", "to": 12, "layer": "titles-2"}`
    """

    clip: ClipId
    by: By = UNSET
    to: Annotated[Seconds | UnsetType, Meta(description="Where it starts then, in seconds.")] = (
        UNSET
    )
    layer: Annotated[LayerId | UnsetType, Meta(description="Id of a layer of its kind.")] = UNSET


class TrimClip(Operation, frozen=True, kw_only=True):
    """Set where a clip starts (`in`) or ends (`out`) on the timeline, or both.

    What is seen or heard at any moment stays: with the in point, `original_start_time` moves along
    (`properties.speed` times as far, if that is a number above 0), and keyframes stay where they
    are in time. There are no media in front of an `original_start_time` of 0; only texts and
    effects may be drawn out beyond it. Keyframes in front of the in point are removed; those
    behind the out point are kept.

    Example: `{"op": "trim_clip", "clip": "t1", "in": 2.5, "out": 4}`
    """

    clip: ClipId
    in_: Annotated[
        Seconds | UnsetType, Meta(description="The new start on the timeline, in seconds.")
    ] = field(default=UNSET, name="in")
    out: Annotated[
        Seconds | UnsetType, Meta(description="The new end on the timeline, in seconds.")
    ] = UNSET


class SplitClip(Operation, frozen=True, kw_only=True):
    """Part a clip in two; the durations of both add up to what it was.

    The first half keeps the id. The second comes behind it in the list, and starts in the source
    where the first ends, as for a trimmed in point. Every keyframe goes to its half, with its id,
    one at the cut to the second; times count from the start of the half.

    Example: `{"op": "split_clip", "clip": "t1", "at": 3.2, "new_id": "t1b"}`
    """

    clip: ClipId
    at: Annotated[Seconds, Meta(description="Where to cut, in seconds of the timeline.")]
    new_id: Annotated[Id, Meta(description="Id of the second half.")]


class ClipChanges(Struct, frozen=True, kw_only=True):
    """What becomes of a clip; what isn't sent stays."""

    source_path: Annotated[str, Meta(max_length=4_096)] | UnsetType = UNSET
    content: Annotated[str, Meta(max_length=100_000)] | UnsetType = UNSET
    original_start_time: Annotated[
        Seconds | UnsetType,
        Meta(description="Slips it: where it starts in its source, in seconds. Isn't snapped."),
    ] = UNSET
    metadata: Annotated[Free | UnsetType, METADATA] = UNSET


class ChangeClip(Operation, frozen=True, kw_only=True):
    """Change what a clip shows and how.

    Example: `{"op": "change_clip", "clip": "t1", "set": {"content": "Bye"},
    "properties": {"opacity": 0.5, "crop": null}}`
    """

    clip: ClipId
    set: ClipChanges = ClipChanges()
    properties: Annotated[
        Free, Meta(description="Properties to set, by name; null removes one. Others stay.")
    ] = {}


# --- Keyframes


class AddKeyframe(Operation, frozen=True, kw_only=True):
    """Add a keyframe to a clip, as the last of its list.

    Example: `{"op": "add_keyframe", "clip": "t1",
    "keyframe": {"id": "k1", "time": 0.5, "property": "opacity", "value": 1}}`
    """

    clip: ClipId
    keyframe: Keyframe


class RemoveKeyframe(Operation, frozen=True, kw_only=True):
    """Remove a keyframe of a clip.

    Example: `{"op": "remove_keyframe", "clip": "t1", "keyframe": "k1"}`
    """

    clip: ClipId
    keyframe: KeyframeId


class MoveKeyframe(Operation, frozen=True, kw_only=True):
    """Move a keyframe by `by`, or to `to`: seconds from the start of its clip.

    Example: `{"op": "move_keyframe", "clip": "t1", "keyframe": "k1", "by": 0.2}`
    """

    clip: ClipId
    keyframe: KeyframeId
    by: By = UNSET
    to: Annotated[
        Seconds | UnsetType, Meta(description="In seconds, from the start of the clip.")
    ] = UNSET


class KeyframeChanges(Struct, frozen=True, kw_only=True):
    """What becomes of a keyframe; what isn't sent stays."""

    property: Word | UnsetType = UNSET
    value: Annotated[Any, Meta(description="Any JSON; null is a value too.")] = UNSET
    easing: Word | UnsetType | None = UNSET
    metadata: Annotated[Free | UnsetType, METADATA] = UNSET


class ChangeKeyframe(Operation, frozen=True, kw_only=True):
    """Change a keyframe's value, its property or how it eases.

    Example: `{"op": "change_keyframe", "clip": "t1", "keyframe": "k1", "set": {"value": 0.2}}`
    """

    clip: ClipId
    keyframe: KeyframeId
    set: KeyframeChanges


# --- Markers


class AddMarker(Operation, frozen=True, kw_only=True):
    """Add a marker, as the last of the list; its time is snapped.

    Example: `{"op": "add_marker", "marker": {"id": "m1", "time": 12.4, "label": "beat"}}`
    """

    marker: Marker


class RemoveMarker(Operation, frozen=True, kw_only=True):
    """Remove a marker.

    Example: `{"op": "remove_marker", "marker": "m1"}`
    """

    marker: MarkerId


class MoveMarker(Operation, frozen=True, kw_only=True):
    """Move a marker by `by`, or to `to`, in seconds.

    Example: `{"op": "move_marker", "marker": "m1", "to": 13}`
    """

    marker: MarkerId
    by: By = UNSET
    to: Annotated[Seconds | UnsetType, Meta(description="Where it is then, in seconds.")] = UNSET


class MarkerChanges(Struct, frozen=True, kw_only=True):
    """What becomes of a marker; what isn't sent stays."""

    label: Name | UnsetType = UNSET
    color: Word | UnsetType = UNSET
    metadata: Annotated[Free | UnsetType, METADATA] = UNSET


class ChangeMarker(Operation, frozen=True, kw_only=True):
    """Change a marker's label or colour.

    Example: `{"op": "change_marker", "marker": "m1", "set": {"label": "drop"}}`
    """

    marker: MarkerId
    set: MarkerChanges


# --- The timeline


class SetView(Operation, frozen=True, kw_only=True):
    """Set what an editor shows; what isn't sent stays. Nothing is snapped.

    Example: `{"op": "set_view", "playhead_time": 3.5, "selected_clips": ["t1"]}`
    """

    playhead_time: Annotated[Seconds | UnsetType, Meta(description="In seconds.")] = UNSET
    zoom: Annotated[Zoom | UnsetType, Meta(description="Magnification of the time axis.")] = UNSET
    selected_clips: Annotated[list[Id], Meta(max_length=MAX_CLIPS)] | UnsetType = UNSET
    is_playing: bool | UnsetType = UNSET
    is_snapping: bool | UnsetType = UNSET


class ChangeTimeline(Operation, frozen=True, kw_only=True):
    """Change the timeline's rate, duration or metadata; nothing moves, what isn't sent stays.

    Operations behind this one count in frames of the new rate.

    Example: `{"op": "change_timeline", "fps_num": 30000, "fps_den": 1001}`
    """

    fps_num: Annotated[Rate | UnsetType, Meta(description="Frames per second: numerator.")] = UNSET
    fps_den: Annotated[Rate | UnsetType, Meta(description="Frames per second: denominator.")] = (
        UNSET
    )
    duration: Annotated[
        Seconds | UnsetType,
        Meta(description="In seconds; at least to the end of each clip that these edits place."),
    ] = UNSET
    metadata: Annotated[Free | UnsetType, METADATA] = UNSET


Edit: TypeAlias = (
    AddLayer
    | RemoveLayer
    | MoveLayer
    | ChangeLayer
    | AddClip
    | RemoveClip
    | RippleDeleteClip
    | MoveClip
    | TrimClip
    | SplitClip
    | ChangeClip
    | AddKeyframe
    | RemoveKeyframe
    | MoveKeyframe
    | ChangeKeyframe
    | AddMarker
    | RemoveMarker
    | MoveMarker
    | ChangeMarker
    | SetView
    | ChangeTimeline
)


class Edits(Struct, frozen=True, kw_only=True):
    """Edits of a timeline, in the order in which they are applied: all of them, or none."""

    edits: Annotated[list[Edit], Meta(min_length=1, max_length=MAX_EDITS)]
    description: Annotated[str, Meta(max_length=500, description="Name of this version.")] = ""
