"""What differs between two timelines, in words of editing for people.

    clip Intro: start 4.0 → 6.0 s
    added marker Chapter 2 at 12.0 s
    removed layer Titles (3 clips)

The view isn't told: where the playhead stands is no edit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from snipix.comparison import differences
from timelines import orders, trims
from timelines.elements import Placed, clips_of, ids_of, layers_of, orders_of, same
from timelines.state import Clip, Keyframe, Layer, Marker, TimelineState

MAX_LINES = 50
MAX_PARTS = 6
MAX_NAME = 40
MIN_TOGETHER = 3

_FLAGS = {
    "is_visible": ("shown", "hidden"),
    "is_locked": ("locked", "unlocked"),
    "is_muted": ("muted", "unmuted"),
    "is_main_video": ("made the main video", "no longer the main video"),
}
_SECONDS = {
    "start_time": "start",
    "duration": "duration",
    "end_time": "end",
    "original_start_time": "source start",
    "time": "time",
}


def words(before: TimelineState, after: TimelineState) -> list[str]:
    """Tell every element that differs in a line; a last one counts what is left out."""
    lines = list(_lines(before, after))
    if more := len(lines) - MAX_LINES + 1:
        return lines if more <= 1 else [*lines[: MAX_LINES - 1], f"and {more:,} more changes"]
    return lines


def _lines(before: TimelineState, after: TimelineState) -> Iterator[str]:
    if parts := list(_of_timeline(before, after)):
        yield _joined("timeline", parts)
    yield from _layers(before, after)
    yield from _clips(before, after)
    yield from _markers(before, after)


def _of_timeline(before: TimelineState, after: TimelineState) -> Iterator[str]:
    if before.duration != after.duration:
        yield _seconds("duration", before.duration, after.duration)
    if _rate(before) != _rate(after):
        yield f"{_rate(before)} → {_rate(after)} frames per second"
    if orders.is_changed(ids_of(before.layers), ids_of(after.layers)):
        yield "layers in another order"
    yield from _free(before.metadata, after.metadata, "metadata ")


# --- Layers


def _layers(before: TimelineState, after: TimelineState) -> Iterator[str]:
    was, now = layers_of(before), layers_of(after)
    old, new = orders_of(before), orders_of(after)
    gone, come = (Counter(clip.layer for clip in side) for side in _apart(before, after))
    for id in was:
        if id not in now:
            yield f"removed layer {layer_name(was[id])}{_clip_count(gone[id])}"
    for id, layer in now.items():
        if id not in was:
            yield f"added layer {layer_name(layer)}{_clip_count(come[id])}"
            continue
        parts = list(_of_layer(was[id], layer))
        if orders.is_changed(old[id], new[id]):
            parts.append("clips in another order")
        if parts:
            yield _joined(f"layer {layer_name(was[id])}", parts)


def _of_layer(was: Layer, now: Layer) -> Iterator[str]:
    for name in ("name", "type", "order"):
        yield from _changed(name, getattr(was, name), getattr(now, name))
    for name, (yes, no) in _FLAGS.items():
        if getattr(was, name) != getattr(now, name):
            yield yes if getattr(now, name) else no
    yield from _free(was.metadata, now.metadata, "metadata ")


def _apart(before: TimelineState, after: TimelineState) -> tuple[list[Placed], list[Placed]]:
    """The clips that only one of the states has."""
    was, now = clips_of(before), clips_of(after)
    gone = [placed for id, placed in was.items() if id not in now]
    return gone, [placed for id, placed in now.items() if id not in was]


def _clip_count(count: int) -> str:
    return f" ({count:,} clip{'s' * (count != 1)})" if count else ""


# --- Clips


def _clips(before: TimelineState, after: TimelineState) -> Iterator[str]:
    """Clips that came or went with their layer are counted there."""
    was, now = layers_of(before), layers_of(after)
    gone, come = _apart(before, after)
    for layer, clip in gone:
        if layer in now:
            yield f"removed clip {clip_name(clip)} from layer {layer_name(was[layer])}"
    for layer, clip in come:
        if layer in was:
            where = f"layer {layer_name(now[layer])} at {_number(clip.start_time)} s"
            yield f"added clip {clip_name(clip)} to {where}"
    yield from _stayed(clips_of(before), clips_of(after), was, now)


def _stayed(
    before: Mapping[str, Placed],
    after: Mapping[str, Placed],
    was: Mapping[str, Layer],
    now: Mapping[str, Layer],
) -> Iterator[str]:
    """Tell clips together that went the same way, as after a ripple."""
    changed = {
        id: (old, after[id])
        for id, old in before.items()
        if id in after and not same(old, after[id])
    }
    ways = {id: _way(*pair) for id, pair in changed.items()}
    counts = Counter(way for way in ways.values() if way)
    for way, count in counts.items():
        if count >= MIN_TOGETHER:
            yield f"moved {count:,} clips by {'+' * (way > 0)}{_number(way)} s"
    for id, pair in changed.items():
        if counts[ways[id]] < MIN_TOGETHER:
            yield from _of_placed(*pair, was, now)


def _way(old: Placed, new: Placed) -> float:
    """How far a clip was moved in time, if nothing else has changed; or else 0."""
    way = round(new.clip.start_time - old.clip.start_time, 6)
    times = {"start_time": new.clip.start_time, "end_time": new.clip.end_time}
    fits = trims.is_near(new.clip.start_time + new.clip.duration, new.clip.end_time)
    is_moved = way and fits and same(Placed(old.layer, replace(old.clip, **times)), new)
    return way if is_moved else 0.0


def _of_placed(
    old: Placed, new: Placed, was: Mapping[str, Layer], now: Mapping[str, Layer]
) -> Iterator[str]:
    name = clip_name(old.clip)
    if old.layer != new.layer:
        left, reached = layer_name(was[old.layer]), layer_name(now[new.layer])
        yield f"moved clip {name} from layer {left} to {reached}"
    if parts := list(_of_clip(old.clip, new.clip)):
        yield _joined(f"clip {name}", parts)


def _of_clip(was: Clip, now: Clip) -> Iterator[str]:
    yield from _of_times(was, now)
    yield from _changed("type", was.type, now.type)
    yield from _changed("content", was.content, now.content)
    yield from _changed("source", was.source_path, now.source_path)
    yield from _free(was.properties, now.properties)
    yield from _keyframes(was.keyframes, now.keyframes)
    yield from _free(was.metadata, now.metadata, "metadata ")


def _of_times(was: Clip, now: Clip) -> Iterator[str]:
    """Tell start and duration; the end only where it doesn't follow from these."""
    names = ["start_time", "duration", "original_start_time"]
    follows = trims.is_near(now.start_time + now.duration, now.end_time)
    if not follows or (was.start_time, was.duration) == (now.start_time, now.duration):
        names.insert(2, "end_time")
    for name in names:
        if getattr(was, name) != getattr(now, name):
            yield _seconds(_SECONDS[name], getattr(was, name), getattr(now, name))


def _keyframes(before: list[Keyframe], after: list[Keyframe]) -> Iterator[str]:
    was, now = ({one.id: one for one in side} for side in (before, after))
    for id, keyframe in was.items():
        if id not in now:
            yield f"removed {_keyframe(keyframe)}"
    for id, keyframe in now.items():
        if id not in was:
            yield f"added {_keyframe(keyframe)}"
        elif not same(was[id], keyframe):
            parts = _of_fields(was[id], keyframe)
            yield f"{_keyframe(was[id])}: {' and '.join(parts)}"
    if orders.is_changed(list(was), list(now)):
        yield "keyframes in another order"


def _keyframe(keyframe: Keyframe) -> str:
    return f"keyframe {_short(keyframe.property)} at {_number(keyframe.time)} s"


# --- Markers


def _markers(before: TimelineState, after: TimelineState) -> Iterator[str]:
    was, now = ({one.id: one for one in side.markers} for side in (before, after))
    for id, marker in was.items():
        if id not in now:
            yield f"removed marker {marker_name(marker)} at {_number(marker.time)} s"
    for id, marker in now.items():
        if id not in was:
            yield f"added marker {marker_name(marker)} at {_number(marker.time)} s"
        elif not same(was[id], marker):
            yield _joined(f"marker {marker_name(was[id])}", _of_fields(was[id], marker))
    if orders.is_changed(list(was), list(now)):
        yield "markers in another order"


# --- Names


def clip_name(clip: Clip) -> str:
    """What people call a clip: its text or title, its file, or else its id."""
    return _short(clip.content) or _short(clip.source_path.rpartition("/")[2]) or _short(clip.id)


def layer_name(layer: Layer) -> str:
    return _short(layer.name) or _short(layer.id)


def marker_name(marker: Marker) -> str:
    return _short(marker.label) or _short(marker.id)


def _short(text: str) -> str:
    """Bring a text into one short line."""
    line = " ".join(text[: 10 * MAX_NAME].split())
    line = "".join(char if char.isprintable() else "�" for char in line)
    return line if len(line) <= MAX_NAME else f"{line[: MAX_NAME - 1].rstrip()}…"


# --- Values


def _of_fields(was: Keyframe | Marker, now: Keyframe | Marker) -> list[str]:
    """Tell the fields of a small element."""
    parts: list[str] = []
    for name in was.__struct_fields__:
        old, new = getattr(was, name), getattr(now, name)
        if name == "time" and old != new:
            parts.append(_seconds("time", old, new))
        elif name == "metadata":
            parts += _free(old, new, "metadata ")
        elif name != "time":
            parts += _changed(name, old, new)
    return parts


def _changed(name: str, old: Any, new: Any) -> Iterator[str]:
    if not same(old, new):
        yield f"{name} {_value(old)} → {_value(new)}"


def _free(before: Mapping[str, Any], after: Mapping[str, Any], what: str = "") -> Iterator[str]:
    """Tell the keys that differ, deeper ones by their path: `crop.top`."""
    if same(before, after):
        return
    for found in differences(before, after):
        name = what + _short(found.path)
        if found.kind in ("added", "removed"):
            verb = "set to" if found.kind == "added" else "removed, was"
            yield f"{name} {verb} {_value(found.after if verb == 'set to' else found.before)}"
        else:
            yield f"{name} {_value(found.before)} → {_value(found.after)}"


def _seconds(name: str, old: float, new: float) -> str:
    """Tell a time's change with as many decimals as it takes to see it."""
    return f"{name} {_number(old, new)} → {_number(new, old)} s"


def _number(value: float, other: float | None = None) -> str:
    digits = 3 if other is None or round(value, 3) != round(other, 3) else 9
    text = f"{value:.{digits}f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _short(value) or "nothing"
    return _short(msgspec.json.encode(value).decode())


def _rate(state: TimelineState) -> str:
    return f"{state.fps_num}/{state.fps_den}" if state.fps_den != 1 else str(state.fps_num)


def _joined(what: str, parts: list[str]) -> str:
    more = len(parts) - MAX_PARTS
    told = parts if more <= 0 else [*parts[:MAX_PARTS], f"and {more:,} more"]
    return f"{what}: {', '.join(told)}"
