"""Timelines made up from a seed: for the demo, the tests and the benchmarks.

They are what an editor makes: footage cut after footage, overlays and titles above it, music and
sounds beneath; every time lies on a frame. The same seed and number of clips give the same state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

from msgspec.structs import replace

from timelines.state import Clip, Keyframe, Kind, Layer, Marker, TimelineState

RATES = (Fraction(24), Fraction(24_000, 1_001), Fraction(25), Fraction(30), Fraction(60))


class _Track(NamedTuple):
    """A kind of layer: how large its share of the clips is, and how its clips look."""

    name: str
    kind: Kind
    share: int
    seconds: tuple[float, float]
    """How long a clip plays: the shortest and the longest."""
    gap: float
    """Seconds between two clips at most."""
    sources: tuple[str, ...]


_TRACKS = (
    _Track("Main video", "video", 9, (1.5, 12), 0, ("interview-a.mov", "interview-b.mov")),
    _Track("B-roll", "video", 4, (1, 6), 9, ("harbour.mp4", "crane-shot.mp4", "market.mp4")),
    _Track("Overlays", "overlay", 1, (2, 8), 40, ("logo.png", "map.png", "frame.png")),
    _Track("Titles", "text", 2, (2, 5), 25, ()),
    _Track("Music", "audio", 1, (20, 90), 4, ("theme.wav", "quiet-strings.wav")),
    _Track("Sounds", "audio", 3, (0.4, 3), 18, ("gulls.wav", "door.wav", "steps.wav")),
)
_WORDS = ("The harbour at dawn", "Ana Ruiz", "Two days later", "What the tide left", "Épilogue")
_LABELS = ("check colour", "beat", "cut here?", "chapter", "licence missing")
_COLOURS = ("#6366f1", "#f59e0b", "#10b981", "#ef4444")
_EASINGS = ("linear", "ease-in", "ease-out", "ease-in-out")


def timeline(seed: int, clips: int = 200) -> TimelineState:
    """Make up a timeline with so many clips. No warning can be given about it."""
    random = Random(seed)  # noqa: S311 - made up, and the same every time
    rate = random.choice(RATES)
    counts = _shares(clips)
    layers = [
        _layer(random, rate, order, track, count)
        for order, (track, count) in enumerate(zip(_TRACKS, counts, strict=True))
    ]
    end = max((clip.end_time for layer in layers for clip in layer.clips), default=0.0)
    frames = _frame(end, rate)
    return TimelineState(
        layers=layers,
        playhead_time=_seconds(random.randint(0, frames), rate),
        zoom=random.choice((0.5, 1.0, 1.5, 2.0)),
        duration=end,
        markers=list(_markers(random, rate, frames, clips // 20)),
        selected_clips=[clip.id for layer in layers[:1] for clip in layer.clips[:1]],
        fps_num=rate.numerator,
        fps_den=rate.denominator,
        metadata={"editor": "samples", "seed": seed},
    )


def move_clip(state: TimelineState, random: Random) -> TimelineState:
    """Move one clip by up to three seconds into free space, as somebody does who drags it."""
    rate = Fraction(state.fps_num, state.fps_den)
    places = [(i, k) for i, layer in enumerate(state.layers) for k in range(len(layer.clips))]
    for place, index in random.sample(places, len(places)):
        clips = list(state.layers[place].clips)
        if targets := _free_frames(clips, index, rate):
            clips[index] = _moved(clips[index], random.choice(targets), rate)
            layers = list(state.layers)
            layers[place] = replace(layers[place], clips=clips)
            return replace(state, layers=layers)
    raise ValueError("no clip can be moved")


def _free_frames(clips: list[Clip], index: int, rate: Fraction) -> list[int]:
    """Where else a clip of a layer could start, between its neighbours."""
    reach, length = round(3 * rate), _frame(clips[index].duration, rate)
    start = _frame(clips[index].start_time, rate)
    first = _frame(clips[index - 1].end_time, rate) if index else 0
    last = start + reach
    if index + 1 < len(clips):
        last = _frame(clips[index + 1].start_time, rate) - length
    near = range(max(first, start - reach), min(last, start + reach) + 1)
    return [frame for frame in near if frame != start]


def _moved(clip: Clip, target: int, rate: Fraction) -> Clip:
    end = target + _frame(clip.duration, rate)
    return replace(clip, start_time=_seconds(target, rate), end_time=_seconds(end, rate))


def _shares(clips: int) -> list[int]:
    """Part the clips among the tracks, by their shares and without a rest."""
    whole = sum(track.share for track in _TRACKS)
    ends = [clips * share // whole for share in accumulate(track.share for track in _TRACKS)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _layer(random: Random, rate: Fraction, order: int, track: _Track, count: int) -> Layer:
    return Layer(
        id=f"layer-{order + 1}",
        name=track.name,
        type=track.kind,
        clips=list(_clips(random, rate, track, f"layer-{order + 1}", count)),
        order=order,
        is_main_video=order == 0,
        is_locked=track.name == "Music",
        metadata={"height": random.choice((48, 64, 96))},
    )


def _clips(
    random: Random, rate: Fraction, track: _Track, layer_id: str, count: int
) -> Iterator[Clip]:
    at = 0
    for number in range(count):
        at += _frame(random.uniform(0, track.gap), rate)
        length = max(1, _frame(random.uniform(*track.seconds), rate))
        source = random.choice(track.sources) if track.sources else ""
        yield Clip(
            id=f"{layer_id}-clip-{number + 1}",
            type=track.kind,
            start_time=_seconds(at, rate),
            end_time=_seconds(at + length, rate),
            duration=_seconds(length, rate),
            source_path=source and f"/media/demo/{source}",
            content=source or random.choice(_WORDS),
            properties=_properties(random, track.kind),
            keyframes=list(_keyframes(random, rate, track.kind, length)),
            original_start_time=_seconds(random.randint(0, 20_000), rate),
        )
        at += length


def _properties(random: Random, kind: Kind) -> dict[str, Any]:
    if kind == "text":
        place = {"x": random.randint(0, 1_600), "y": random.randint(0, 900)}
        return {"font": "Inter", "size": random.choice((32, 48, 72)), "color": "#fff", **place}
    sound = {"volume": round(random.uniform(0.2, 1), 2), "speed": random.choice((1, 1, 1, 0.5, 2))}
    if kind == "audio":
        return {**sound, "fade_in": 0.5, "fade_out": 1.25}
    crop = {edge: random.randint(0, 40) for edge in ("left", "right", "top", "bottom")}
    return {**sound, "opacity": 1, "easing": "linear", "crop": crop, "effects": []}


def _keyframes(random: Random, rate: Fraction, kind: Kind, length: int) -> Iterator[Keyframe]:
    name = "volume" if kind == "audio" else random.choice(("opacity", "scale", "rotation"))
    for number, at in enumerate(_moments(random, length, random.choice((0, 0, 0, 2, 3)))):
        yield Keyframe(
            id=f"k{number + 1}",
            time=_seconds(at, rate),
            property=name,
            value=round(random.uniform(0, 2), 3),
            easing=random.choice(_EASINGS),
        )


def _markers(random: Random, rate: Fraction, frames: int, count: int) -> Iterator[Marker]:
    for number, at in enumerate(_moments(random, frames, count)):
        yield Marker(
            id=f"marker-{number + 1}",
            time=_seconds(at, rate),
            label=random.choice(_LABELS),
            color=random.choice(_COLOURS),
        )


def _moments(random: Random, frames: int, count: int) -> Sequence[int]:
    """Different frames, in order; fewer than `count` where there aren't so many."""
    return sorted(random.sample(range(frames + 1), min(count, frames + 1)))


def _frame(seconds: float, rate: Fraction) -> int:
    return round(seconds * rate)


def _seconds(frame: int, rate: Fraction) -> float:
    return float(frame / rate)
