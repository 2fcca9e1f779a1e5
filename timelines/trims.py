"""Merging the times of one clip: its start, its end and its duration."""

from __future__ import annotations

from typing import TypeAlias

from timelines.state import MAX_SECONDS, TOLERANCE

Times: TypeAlias = tuple[float, float, float]
"""Start, end and duration, in seconds."""


def combined(base: Times, theirs: Times, mine: Times) -> Times | None:
    """Combine two edits of a clip's times; None if they exclude each other.

    To move a clip leaves its duration, to trim it leaves one of its ends. If the sides left
    different ones, each gives what the other left, and the third follows. What is equal but for
    rounding is left.
    """
    if not all(is_near(start + length, end) for start, end, length in (base, theirs, mine)):
        return None
    by_theirs, by_mine = _left(base, theirs), _left(base, mine)
    if len(by_theirs) > 1:
        return max(theirs, mine) if len(by_mine) > 1 else mine
    if len(by_mine) > 1:
        return theirs
    if by_theirs == by_mine or not (by_theirs and by_mine):
        return None
    return _followed({by_theirs[0]: mine[by_theirs[0]], by_mine[0]: theirs[by_mine[0]]})


def _left(base: Times, side: Times) -> list[int]:
    return [place for place in range(3) if is_near(side[place], base[place])]


def _followed(known: dict[int, float]) -> Times | None:
    """Work out the third of start, end and duration."""
    if 0 not in known:
        known[0] = known[1] - known[2]
        known[0] = 0.0 if is_near(known[0], 0) else known[0]
    elif 1 not in known:
        known[1] = known[0] + known[2]
    else:
        known[2] = known[1] - known[0]
    is_valid = known[0] >= 0 and known[1] <= MAX_SECONDS and known[2] > TOLERANCE
    return (known[0], known[1], known[2]) if is_valid else None


def is_near(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * max(1.0, abs(other))
