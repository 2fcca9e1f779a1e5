"""The state of a timeline: what it is made of, and what can't be kept.

All times are in seconds. `parse` reads a state, `parse_save` the body of a save.
"""

from collections.abc import Container, Iterator, Sequence
from typing import Annotated, Any, Literal, TypeVar

from msgspec import UNSET, Meta
from msgspec.structs import force_setattr

from snipix import refusals, states
from snipix.refusals import Problem
from snipix.states import IGNORED, StateWarning, Struct

MAX_LAYERS = 1_000
MAX_CLIPS = 20_000
MAX_KEYFRAMES = 10_000
MAX_MARKERS = 10_000
MAX_SECONDS = 1e10
MAX_ZOOM = 1e6
MAX_ORDER = 2**31 - 1

# Times that are nearer to each other than this, relative to their size, are the same.
TOLERANCE = 1e-6

Id = Annotated[str, Meta(min_length=1, max_length=200)]
Name = Annotated[str, Meta(max_length=1_000)]
Word = Annotated[str, Meta(max_length=200)]
Kind = Literal["video", "audio", "text", "effect", "overlay"]
Free = dict[str, Any]

# The bounds of times are described here and enforced by `check`, which reports all that break them.
Seconds = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_SECONDS})]
# Not held to the bound where it follows from start and duration, which are.
End = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": 2 * MAX_SECONDS})]
Zoom = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_ZOOM})]
Rate = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Order = Annotated[int, Meta(ge=-MAX_ORDER, le=MAX_ORDER)]

# The default of what `__post_init__` sets; nobody ever sees it.
_LATER: Any = UNSET

METADATA = Meta(description="Whatever a client wants to keep here; Snipix doesn't read it.")


class Keyframe(Struct, frozen=True, kw_only=True):
    """A property's value at one moment of a clip."""

    id: Annotated[Id, Meta(description="Unique within the clip.")]
    time: Annotated[Seconds, Meta(description="Seconds from the start of the clip.")]
    property: Annotated[Word, Meta(description="Name of the animated property, as `opacity`.")]
    value: Annotated[Any, Meta(description="The property's value then: any JSON.")] = None
    easing: Annotated[Word | None, Meta(description="How the value changes from here on.")] = None
    metadata: Annotated[Free, METADATA] = {}


class Clip(Struct, frozen=True, kw_only=True):
    """A piece of media, a text or an effect, placed in time."""

    id: Annotated[Id, Meta(description="Unique within the timeline.")]
    type: Annotated[Kind, Meta(description="What the clip shows or does.")]
    start_time: Annotated[Seconds, Meta(description="Where it starts on the timeline, in seconds.")]
    end_time: Annotated[
        End,
        Meta(description="Where it ends on the timeline, in seconds; default: start + duration."),
    ] = _LATER
    duration: Annotated[Seconds, Meta(description="How long it plays, in seconds; more than 0.")]
    source_path: Annotated[str, Meta(max_length=4_096, description="Where the media are.")] = ""
    content: Annotated[str, Meta(max_length=100_000, description="Text, or a title.")] = ""
    properties: Annotated[
        Free, Meta(description="How it is shown or heard: volume, speed, opacity …; any JSON.")
    ] = {}
    keyframes: Annotated[list[Keyframe], Meta(max_length=MAX_KEYFRAMES)] = []
    original_start_time: Annotated[
        Seconds,
        Meta(description="Where it starts in its source, in seconds; default: start_time."),
    ] = _LATER
    metadata: Annotated[Free, METADATA] = {}

    def __post_init__(self) -> None:
        if self.end_time is _LATER:
            force_setattr(self, "end_time", self.start_time + self.duration)
        if self.original_start_time is _LATER:
            force_setattr(self, "original_start_time", self.start_time)


class Layer(Struct, frozen=True, kw_only=True):
    """A track: clips of one kind, above or below those of other layers."""

    id: Annotated[Id, Meta(description="Unique within the timeline.")]
    name: Annotated[Name, Meta(description="For people.")] = ""
    type: Annotated[Kind, Meta(description="What its clips are.")]
    clips: Annotated[list[Clip], Meta(max_length=MAX_CLIPS)] = []
    is_visible: bool = True
    is_locked: bool = False
    is_muted: bool = False
    order: Annotated[Order, Meta(description="Where it is stacked.")] = 0
    is_main_video: Annotated[bool, Meta(description="Whether it holds the project's video.")] = (
        False
    )
    metadata: Annotated[Free, METADATA] = {}


class Marker(Struct, frozen=True, kw_only=True):
    """A named moment of the timeline."""

    id: Annotated[Id, Meta(description="Unique among the timeline's markers.")]
    time: Annotated[Seconds, Meta(description="Seconds from the start of the timeline.")]
    label: Annotated[Name, Meta(description="For people.")] = ""
    color: Annotated[Word, Meta(description="A CSS colour, as `#6366f1`.")] = ""
    metadata: Annotated[Free, METADATA] = {}


class TimelineState(Struct, frozen=True, kw_only=True):
    """Everything that an editor shows of a timeline.

    The frame rate is the fraction fps_num / fps_den, so that 24000/1001 stays exact.
    """

    layers: Annotated[list[Layer], Meta(max_length=MAX_LAYERS)] = []
    playhead_time: Annotated[Seconds, Meta(description="In seconds.")] = 0.0
    zoom: Annotated[Zoom, Meta(description="Magnification of the time axis.")] = 1.0
    duration: Annotated[Seconds, Meta(description="Of the whole timeline, in seconds.")] = 0.0
    markers: Annotated[list[Marker], Meta(max_length=MAX_MARKERS)] = []
    selected_clips: Annotated[
        list[Id],
        Meta(max_length=MAX_CLIPS, description="Ids of clips; ids of no clip do no harm."),
    ] = []
    is_playing: bool = False
    is_snapping: bool = True
    fps_num: Annotated[Rate, Meta(description="Frames per second: the numerator.")] = 30
    fps_den: Annotated[Rate, Meta(description="Frames per second: the denominator.")] = 1
    metadata: Annotated[Free, METADATA] = {}


class Save(TimelineState, frozen=True, kw_only=True):
    """The body of a save: the state, and beside it what the history says about the save."""

    description: Annotated[str, Meta(max_length=500, description="Name of this version.")] = ""
    change_summary: Annotated[str, Meta(max_length=2_000, description="What was changed.")] = ""
    version: Annotated[Any, IGNORED, Meta(description="Ignored; answers hold it.")] = None
    updated_at: Annotated[Any, IGNORED, Meta(description="Ignored; answers hold it.")] = None


EMPTY = TimelineState()


def parse(raw: bytes) -> TimelineState:
    """Read a state from JSON; raises InvalidState with the paths of everything that is wrong."""
    return check(states.decode(raw, TimelineState))


def parse_save(raw: bytes) -> tuple[TimelineState, str, str]:
    """Read the body of a save: the state alone, the description and the summary of changes."""
    return split(check(states.decode(raw, Save)))


def split(save: Save) -> tuple[TimelineState, str, str]:
    """Part a save into the state alone, the description and the summary of changes."""
    fields = {name: getattr(save, name) for name in TimelineState.__struct_fields__}
    return TimelineState(**fields), save.description, save.change_summary


def warnings(state: TimelineState) -> list[StateWarning]:
    """List what is odd in a state and kept all the same, since older clients produce it."""
    return states.listed(_warnings(state))


def summarise(state: TimelineState) -> dict[str, float | int]:
    """Tell the size of a timeline: its duration in seconds, and how much it holds."""
    return {
        "duration": state.duration,
        "layers": len(state.layers),
        "clips": sum(len(layer.clips) for layer in state.layers),
        "markers": len(state.markers),
    }


# --- What is refused

T = TypeVar("T", bound=TimelineState)
E = TypeVar("E", Layer, Clip, Keyframe, Marker)


def check(state: T, kept: TimelineState | None = None) -> T:
    """Return a state that can be kept; raises InvalidState for one that can't.

    A clip that is the very same in `kept`, which was checked before, isn't looked at again.
    """
    known = {id(clip) for layer in kept.layers for clip in layer.clips} if kept else set()
    refusals.refuse(_problems(state, known))
    return state


def _problems(state: TimelineState, known: Container[int]) -> Iterator[Problem]:
    count = sum(len(layer.clips) for layer in state.layers)
    if count > MAX_CLIPS:
        reason = f"hold {count:,} clips, more than {MAX_CLIPS:,}"
        yield Problem("layers", reason, "Split the timeline into several projects.")
        return
    layers, clips, markers = list(_layers(state)), list(_clips(state)), list(_markers(state))
    yield from _bad_times("", state, "playhead_time", "duration")
    yield from _bad_range("zoom", state.zoom, MAX_ZOOM, "a magnification")
    yield from _repeated(layers)
    for path, clip in clips:
        if id(clip) not in known:
            yield from _clip_problems(path, clip)
    yield from _repeated(clips)
    for path, marker in markers:
        yield from _bad_times(path, marker, "time")
    yield from _repeated(markers)


def _clip_problems(path: str, clip: Clip) -> Iterator[Problem]:
    """Times that follow from others, as when they weren't sent, aren't reported again."""
    yield from _bad_times(path, clip, "start_time")
    if clip.end_time != clip.start_time + clip.duration:
        yield from _bad_times(path, clip, "end_time")
    if clip.original_start_time != clip.start_time:
        yield from _bad_times(path, clip, "original_start_time")
    if not 0 < clip.duration <= MAX_SECONDS:
        if clip.duration <= 0:
            hint = "Give it a duration above 0, or leave the clip out."
            yield Problem(
                f"{path}.duration", f"is {clip.duration:.9g}: a clip lasts longer than 0 s", hint
            )
        else:
            yield from _bad_range(f"{path}.duration", clip.duration, MAX_SECONDS, "a time")
    if clip.keyframes:
        keyframes = [(f"{path}.keyframes[{i}]", key) for i, key in enumerate(clip.keyframes)]
        for at, keyframe in keyframes:
            yield from _bad_times(at, keyframe, "time")
        yield from _repeated(keyframes)


def _bad_times(path: str, element: Struct, *names: str) -> Iterator[Problem]:
    for name in names:
        value = getattr(element, name)
        if not 0 <= value <= MAX_SECONDS:
            yield from _bad_range(refusals.join(path, name), value, MAX_SECONDS, "a time")


def _bad_range(path: str, value: float, most: float, what: str) -> Iterator[Problem]:
    if value < 0:
        yield Problem(path, f"is {value:.9g}: {what} can't be negative", "Send 0 or more.")
    elif not value <= most:
        reason = f"is {value:.9g}: {what} must be finite, and at most {most:,.0f}"
        yield Problem(path, reason, "Send a smaller number.")


def _repeated(elements: Sequence[tuple[str, E]]) -> Iterator[Problem]:
    if len({element.id for _, element in elements}) == len(elements):
        return
    first: dict[str, str] = {}
    for path, element in elements:
        other = first.setdefault(element.id, path)
        if other != path:
            yield Problem(f"{path}.id", f"is also the id of {other}", "Give each an id of its own.")


def _layers(state: TimelineState) -> Iterator[tuple[str, Layer]]:
    return ((f"layers[{i}]", layer) for i, layer in enumerate(state.layers))


def _clips(state: TimelineState) -> Iterator[tuple[str, Clip]]:
    for path, layer in _layers(state):
        for index, clip in enumerate(layer.clips):
            yield f"{path}.clips[{index}]", clip


def _markers(state: TimelineState) -> Iterator[tuple[str, Marker]]:
    return ((f"markers[{i}]", marker) for i, marker in enumerate(state.markers))


# --- What is kept, and reported


def _warnings(state: TimelineState) -> Iterator[StateWarning]:
    for path, clip in _clips(state):
        stop = clip.start_time + clip.duration
        if clip.end_time == stop and not clip.keyframes:
            continue
        if _is_later(clip.end_time, stop) or _is_later(stop, clip.end_time):
            message = f"Ends at {clip.end_time:.9g} s, but start and duration make {stop:.9g} s."
            yield StateWarning(f"{path}.end_time", "end-mismatch", message)
        for index, keyframe in enumerate(clip.keyframes):
            if _is_later(keyframe.time, clip.duration):
                message = f"Is at {keyframe.time:.9g} s of a clip of {clip.duration:.9g} s."
                yield StateWarning(f"{path}.keyframes[{index}].time", "keyframe-outside", message)
    for path, layer in _layers(state):
        yield from _overlaps(path, layer.clips)


def _overlaps(path: str, clips: list[Clip]) -> Iterator[StateWarning]:
    """Compare each clip, by start, with the one before it that plays longest.

    A clip's end is its start and duration here: the end that a split leaves behind is another
    warning.
    """
    longest, until = 0, 0.0
    for index in sorted(range(len(clips)), key=lambda i: clips[i].start_time):
        clip = clips[index]
        if until > clip.start_time and _is_later(until, clip.start_time):
            message = f"Starts at {clip.start_time:.9g} s, before clips[{longest}] of the same "
            message += f"layer ends at {until:.9g} s."
            yield StateWarning(f"{path}.clips[{index}]", "overlap", message)
        stop = clip.start_time + clip.duration
        if stop > until:
            longest, until = index, stop


def _is_later(one: float, other: float) -> bool:
    return one - other > TOLERANCE * max(1.0, other)
