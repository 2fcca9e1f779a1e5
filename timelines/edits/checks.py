"""What an operation may not be, and why."""

from __future__ import annotations

from fractions import Fraction

from msgspec import UNSET

from snipix.refusals import InvalidState, Problem
from timelines import state as states
from timelines.edits import operations as ops
from timelines.state import MAX_SECONDS, Clip, Keyframe, Layer, Marker, TimelineState


def refusal(path: str, reason: str, hint: str) -> InvalidState:
    """Why the operation at hand can't be made; `path` is a field of it."""
    return InvalidState([Problem(path, reason, hint)])


def unknown(path: str, what: str, id: str) -> InvalidState:
    return refusal(path, f"is the id of no {what}: {id}", "Load the timeline anew: it may be gone.")


def taken(path: str, what: str, id: str) -> InvalidState:
    return refusal(path, f"is a {what}'s already: {id}", "Give it an id of its own.")


def too_many(path: str, limit: int, of: str) -> InvalidState:
    reason = f"would be one of more than {limit:,} {of}"
    return refusal(path, reason, "Remove others first, or split the timeline into projects.")


def check_unlocked(layer: Layer, path: str) -> None:
    """Refuse a change of what a locked layer holds."""
    if layer.is_locked:
        hint = 'Unlock it first: change_layer with {"is_locked": false}.'
        raise refusal(path, f"is on a locked layer: {layer.id}", hint)


def check_one_of(op: ops.MoveClip | ops.MoveKeyframe | ops.MoveMarker) -> None:
    if op.by is not UNSET and op.to is not UNSET:
        raise refusal("to", "can't be sent beside `by`", "Send one of them.")


def check_time(time: float, path: str, least: float = 0) -> None:
    if not least <= time <= MAX_SECONDS:
        reason = f"is {time:.9g}: a time is from {least:,.0f} to {MAX_SECONDS:,.0f}"
        raise refusal(path, reason, "Send a number of seconds between them.")


def check_index(index: int, last: int) -> None:
    if not 0 <= index <= last:
        reason = f"is no place in the list: the last is {last}"
        raise refusal("index", reason, f"Send at most {last}.")


def check_kind(clip: Clip, layer: Layer, path: str) -> None:
    if clip.type != layer.type:
        reason = f"doesn't fit: the clip is {clip.type}, the layer {layer.type}"
        raise refusal(path, reason, f"Choose a layer of type {clip.type}.")


def check_element(element: Layer | Clip | Keyframe | Marker, path: str) -> None:
    """Refuse what couldn't be kept of a new element, as in a whole state."""
    state, place = _state_of(element)
    try:
        states.check(state)
    except InvalidState as refused:
        problems = [
            Problem(p.path.replace(place, path, 1), p.reason.replace(place, path, 1), p.hint)
            for p in refused.errors
        ]
        raise InvalidState(problems) from None


def _state_of(element: Layer | Clip | Keyframe | Marker) -> tuple[TimelineState, str]:
    """A state that holds but this element, and the element's path there."""
    match element:
        case Layer():
            return TimelineState(layers=[element]), "layers[0]"
        case Marker():
            return TimelineState(markers=[element]), "markers[0]"
        case Clip():
            state, place = _state_of(Layer(id="-", type=element.type, clips=[element]))
            return state, f"{place}.clips[0]"
    clip = Clip(id="-", type="text", start_time=0.0, duration=1.0, keyframes=[element])
    state, place = _state_of(clip)
    return state, f"{place}.keyframes[0]"


def span(start: Fraction, stop: Fraction) -> str:
    return f"plays from {words(start)} to {words(stop)} s"


def words(seconds: float | Fraction) -> str:
    return f"{float(seconds):.9g}"
