"""What of its media and its keyframes a clip keeps when its start changes."""

from fractions import Fraction

from msgspec.structs import replace

from timelines.edits.checks import refusal, words
from timelines.edits.grid import Grid
from timelines.state import MAX_SECONDS, Clip, Keyframe


def source_time(clip: Clip, later: Fraction, path: str, grid: Grid) -> float:
    """Where in its source a clip is, so many seconds after its start.

    Media have a beginning, texts and effects have none. Raises InvalidState beyond what there is.
    """
    time = grid.add(clip.original_start_time, later * _speed(clip))
    if time < 0 and clip.type in ("text", "effect"):
        return 0.0
    if time < 0:
        earliest = grid.exact(clip.original_start_time) / -_speed(clip)
        start = grid.exact(clip.start_time)
        reason = f"is {words(earliest - later)} s before the media begin"
        raise refusal(path, reason, f"Trim to {words(start + earliest)} s or later.")
    if time > MAX_SECONDS:
        reason = f"would be at {words(time)} s of its source"
        raise refusal(path, reason, f"Stay within {MAX_SECONDS:,.0f} s.")
    return time


def _speed(clip: Clip) -> Fraction:
    """How many seconds of the source a clip plays in one."""
    speed = clip.properties.get("speed")
    if isinstance(speed, int | float) and not isinstance(speed, bool) and 1e-3 <= speed <= 1e3:
        return Fraction(str(speed))
    return Fraction(1)


def keyframes_from(keyframes: list[Keyframe], length: Fraction, grid: Grid) -> list[Keyframe]:
    """The keyframes from a moment of the clip on, with times that count from there."""
    if not keyframes or not length:
        return keyframes
    return [
        replace(key, time=grid.add(key.time, -length))
        for key in keyframes
        if grid.exact(key.time) >= length
    ]
