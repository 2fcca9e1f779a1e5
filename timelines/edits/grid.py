"""Times on the frames of a timeline, without drift.

A float can't hold most frames: 1/30 s has no end in binary. So a time isn't added to; it is read as
the exact number that was meant, moved in whole numbers, and rounded once.
"""

from fractions import Fraction
from math import lcm

_MICROSECONDS = 10**6
# With so many ticks in a second, or since the start, a float no longer tells one from the next.
_MOST_TICKS_PER_SECOND = 10**10
_MOST_TICKS = 2**50


class Grid:
    """The frames of a rate of `num / den` frames per second, and the ticks between them.

    Every frame and every microsecond is a tick, so that a time of up to six decimals is one, on
    a frame or not: moved by frames, it stays off by as much, wherever it goes. Any other float
    keeps its distance to its frame's float. Where floats are coarser that distance is rounded, and
    comes back less exact by at most what two floats differ by there; such errors don't add up.
    """

    def __init__(self, num: int, den: int) -> None:
        self._num, self._den = num, den
        ticks = lcm(num, _MICROSECONDS)
        self._ticks = ticks if ticks <= _MOST_TICKS_PER_SECOND else num
        self._ticks_per_frame = den * self._ticks // num
        self.rate = Fraction(num, den)

    def time(self, frame: int) -> float:
        """The time of a frame, in seconds: the float that is nearest to it."""
        return frame * self._den / self._num

    def frame(self, time: float | Fraction) -> int:
        """The frame that is nearest to a time in seconds; of two, the later."""
        over, under = time.as_integer_ratio()
        whole = under * self._den
        return (2 * over * self._num + whole) // (2 * whole)

    def frames(self, seconds: float) -> int:
        """The number of frames that is nearest to a length, which may be negative, in seconds."""
        return self.frame(seconds) if seconds >= 0 else -self.frame(-seconds)

    def is_frame(self, time: float) -> bool:
        """Whether a time, in seconds, is that of a frame."""
        return self.time(self.frame(time)) == time

    def exact(self, time: float) -> Fraction:
        """The number that a float stands for, in seconds; its own float is the same again."""
        tick = self._tick(time)
        return Fraction(time) if tick is None else Fraction(tick, self._ticks)

    def shift(self, time: float, frames: int) -> float:
        """Move a time, in seconds, by whole frames."""
        tick = self._tick(time)
        if tick is not None:
            return (tick + frames * self._ticks_per_frame) / self._ticks
        frame = self.frame(time)
        return self.time(frame + frames) + (time - self.time(frame))

    def add(self, time: float, seconds: Fraction) -> float:
        """Move a time by any exact number of seconds; by whole frames, if that's what they are."""
        frames = seconds * self.rate
        if frames.denominator == 1:
            return self.shift(time, frames.numerator)
        return float(self.exact(time) + seconds)

    def _tick(self, time: float) -> int | None:
        tick = round(time * self._ticks)
        return tick if abs(tick) < _MOST_TICKS and tick / self._ticks == time else None
