"""The rules of subtitling: how long lines and cues are, and where a long text is broken.

The figures are those of the Netflix Timed Text Style Guide (General Requirements: duration, frame
gap, line treatment; English: 42 characters in a line, 20 in a second). Texts are broken as it and
the BBC's Subtitle Guidelines (3, Line breaks) ask for: after sentences first, then after clauses
and at pauses, and otherwise so that both sides are about equally long.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a cue may be; in whole milliseconds, characters and lines."""

    max_chars_per_line: Annotated[int, Meta(ge=10, le=200)] = 42
    max_lines: Annotated[int, Meta(ge=1, le=5)] = 2
    max_chars_per_second: Annotated[
        float, Meta(ge=5, le=100, description="A cue stays longer for it, if it can.")
    ] = 20.0
    max_duration_ms: Annotated[int, Meta(ge=1_000, le=60_000)] = 7_000
    min_duration_ms: Annotated[int, Meta(ge=0, le=10_000)] = 833  # five sixths of a second
    min_gap_ms: Annotated[int, Meta(ge=0, le=1_000)] = 83  # two frames, of 24 in a second

    def __post_init__(self) -> None:
        if self.min_duration_ms > self.max_duration_ms:
            raise ValueError("min_duration_ms must not be more than max_duration_ms")


class Piece(NamedTuple):
    """A text, broken into lines, and when it is spoken (in ms)."""

    text: str
    start: int
    end: int


TimedWord = tuple[str, int, int]


class _Token(NamedTuple):
    """What isn't broken: a word, or a character of a script that has no spaces."""

    text: str
    space: str
    start: int
    end: int
    left: int
    """Where it starts in the text, in characters."""
    right: int


def split(
    text: str, start: int, end: int, words: Sequence[TimedWord], prefix: str, rules: Rules
) -> list[Piece]:
    """Break a text that is spoken from `start` to `end` into pieces that fit into cues.

    The words say when each part is spoken. If they aren't the words of this text, or there are
    none, its characters are taken to be spoken evenly. `prefix` is shown before the text, and
    isn't spoken.
    """
    spoken = "".join(text.split())
    if not spoken:
        return []
    if "".join("".join(word.split()) for word, _, _ in words) != spoken:
        words = [(spoken, start, end)]
    clock = _Clock([(prefix, start, start), *words])
    tokens = list(_tokens(" ".join((prefix + text).split()), clock, rules.max_chars_per_line))
    return [_piece(part, rules) for part in _parts(tokens, rules)]


class _Clock:
    """When each character of a text is spoken, spaces not counted."""

    def __init__(self, words: Sequence[TimedWord]) -> None:
        self.words = [(len("".join(text.split())), start, end) for text, start, end in words]
        self.words = [word for word in self.words if word[0]]
        self.firsts = [0, *accumulate(length for length, _, _ in self.words)][:-1]

    def start(self, char: int) -> int:
        return self._within(char, 0)

    def end(self, char: int) -> int:
        return self._within(char, 1)

    def _within(self, char: int, after: int) -> int:
        index = bisect_right(self.firsts, char) - 1
        length, start, end = self.words[index]
        return start + (end - start) * (char - self.firsts[index] + after) // length


def _tokens(text: str, clock: _Clock, limit: int) -> Iterator[_Token]:
    char = 0
    for match in re.finditer(r"( ?)([^ ]+)", text):
        space, left = match[1], match.start(2)
        for part in _breakable(match[2], limit):
            start, end = clock.start(char), clock.end(char + len(part) - 1)
            yield _Token(part, space, start, max(start, end), left, left + len(part))
            char, left, space = char + len(part), left + len(part), ""


def _breakable(word: str, limit: int) -> Iterator[str]:
    """Take apart what is too long for a line, as whole sentences are in Chinese or Japanese."""
    if len(word) <= limit:
        yield word
        return
    first = 0
    for at in range(1, len(word)):
        if not _holds_together(word[at - 1], word[at]) or at - first >= limit:
            yield word[first:at]
            first = at
    yield word[first:]


def _holds_together(before: str, char: str) -> bool:
    """Whether a character belongs to the one before: an accent, or a part of an emoji."""
    joined = unicodedata.category(char) in ("Mn", "Mc", "Me", "Sk", "Pe", "Pf", "Po", "Cf")
    return joined or before == "\u200d"


# --- Where to break


_SENTENCE_ENDS = frozenset(".!?…。！？؟।")  # noqa: RUF001
_CLAUSE_ENDS = frozenset(",;:–—،、，；：")  # noqa: RUF001
_CLOSING = "\"'”’»)]」』"  # noqa: RUF001
_MAX_CLOSING = 3


def _strength(before: _Token, after: _Token) -> float:
    """How good it is to break between two tokens, from 0 to 1."""
    last = before.text[-_MAX_CLOSING - 1 :].rstrip(_CLOSING)[-1:]
    pause = min(max(after.start - before.end, 0) / 2000, 0.6)
    if last in _SENTENCE_ENDS and not after.text[0].islower():
        return 0.8
    return max(0.5, pause) if last in _CLAUSE_ENDS else pause


def _best_break(tokens: Sequence[_Token], among: range, share: float) -> int:
    """Find where to break: well, and about where the first side has its share of the text."""
    begin, total = tokens[0].left, _width(tokens)

    def merit(at: int) -> float:
        balance = abs((tokens[at - 1].right - begin) / total - share)
        return _strength(tokens[at - 1], tokens[at]) - 2 * balance

    return max(among, key=merit)


def _parts(tokens: Sequence[_Token], rules: Rules) -> Iterator[Sequence[_Token]]:
    if len(tokens) == 1 or _fits(tokens, rules):
        yield tokens
        return
    at = _best_break(tokens, range(1, len(tokens)), 0.5)
    yield from _parts(tokens[:at], rules)
    yield from _parts(tokens[at:], rules)


def _fits(tokens: Sequence[_Token], rules: Rules) -> bool:
    if _width(tokens) > (rules.max_chars_per_line + 1) * rules.max_lines:
        return False  # said first, since counting the lines of a long text takes long
    if _line_count(tokens, rules.max_chars_per_line) > rules.max_lines:
        return False
    # A few words that are spoken slowly stay together: one by one they would be no easier to read.
    is_short = _width(tokens) <= rules.max_chars_per_line // 2
    return is_short or tokens[-1].end - tokens[0].start <= rules.max_duration_ms


def _width(tokens: Sequence[_Token]) -> int:
    return tokens[-1].right - tokens[0].left


# --- Lines


def _piece(tokens: Sequence[_Token], rules: Rules) -> Piece:
    lines = map(_line, _lines(tokens, rules.max_chars_per_line))
    start = tokens[0].start
    return Piece("\n".join(lines), start, max(tokens[-1].end, start + 1))


def _line(tokens: Sequence[_Token]) -> str:
    return "".join(token.space + token.text for token in tokens).strip()


def _lines(tokens: Sequence[_Token], limit: int) -> Iterator[Sequence[_Token]]:
    """Break into as few lines as possible, each of them about equally long."""
    for count in range(_line_count(tokens, limit), 1, -1):
        least = max(_rest_of(tokens, limit, count - 1), 1)
        at = _best_break(tokens, range(least, _first_line(tokens, limit) + 1), 1 / count)
        yield tokens[:at]
        tokens = tokens[at:]
    yield tokens


def _line_count(tokens: Sequence[_Token], limit: int) -> int:
    count = 1
    while (at := _first_line(tokens, limit)) < len(tokens):
        tokens, count = tokens[at:], count + 1
    return count


def _first_line(tokens: Sequence[_Token], limit: int) -> int:
    """How many tokens go into the first line, if it takes as many as it can."""
    begin = tokens[0].left
    return next((at for at, t in enumerate(tokens) if at and t.right - begin > limit), len(tokens))


def _rest_of(tokens: Sequence[_Token], limit: int, lines: int) -> int:
    """How many tokens are left for the first line, if the others, filled from the end, are full."""
    at = len(tokens)
    for _ in range(lines):
        end = tokens[at - 1].right
        at -= 1
        while at > 0 and end - tokens[at - 1].left <= limit:
            at -= 1
    return at
