"""What was changed and what was read, and whether every read was fresh: judged when all is known.

Everything that is changed has a number that only grows: a fact, such as "the timeline of a film is
at version 7". A read shows some facts, shows some films, and shows that others aren't there. The
law: what it shows is no older than what had been answered when it began. Times are those of this
process's monotonic clock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from time import monotonic
from typing import NamedTuple

WINDOW_SECONDS = 1.0
"""After Redis is back, until every process has voided what it couldn't."""

Fact = tuple[str, str]
"""A film, and what of it: its project, timeline or transcription, or a version's name."""


class Span(NamedTuple):
    began: float
    ended: float

    def meets(self, other: Span) -> bool:
        return self.began < other.ended and other.began < self.ended


class Change(NamedTuple):
    """A fact that was changed: `span` is from the first attempt until it was answered."""

    fact: Fact
    version: int
    span: Span


class Sharing(NamedTuple):
    """Who may see a film from a change on: shared, taken away, deleted or restored."""

    film: str
    seen_by: frozenset[str]
    span: Span


class Read(NamedTuple):
    viewer: str
    what: str
    """The address, for people."""
    span: Span
    shown: Mapping[Fact, int]
    seen: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    """Films of which it says that the viewer can't see them."""


@dataclass
class Ledger:
    """What has happened. Threads only ever append."""

    changes: list[Change] = field(default_factory=list)
    sharings: list[Sharing] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Answers that nobody should ever get, and bodies that aren't what their ETag names."""
    outages: list[Span] = field(default_factory=list)
    """While the processes couldn't reach Redis."""
    cut: list[Span] = field(default_factory=list)
    """Requests whose connection broke, to be sent again."""
    answers: Counter[str] = field(default_factory=Counter)
    bodies: dict[tuple[str, str], tuple[bytes, Mapping[Fact, int], frozenset[str]]] = field(
        default_factory=dict
    )
    """By address and ETag: the digest of what was answered under it, and what that shows."""
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    """The ETag that was answered last, by person and address."""

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Enclose what keeps the processes from reaching Redis."""
        began = monotonic()
        yield
        self.outages.append(Span(began, monotonic()))


@dataclass
class Verdict:
    """What came of it, in numbers and, for what is wrong, in words."""

    reads: int = 0
    changes: int = 0
    stale: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    excused: int = 0
    """Reads that were behind within the documented window …"""
    lateness: float = 0.0
    """… and until how many seconds after Redis was back."""
    not_modified: int = 0
    cut: int = 0
    longest: float = 0.0
    """Seconds that the slowest answer took."""

    def __str__(self) -> str:
        return (
            f"{self.reads:>6} reads ({self.not_modified} were 304), {self.changes:>5} changes, "
            f"{len(self.stale)} stale, {len(self.failed)} failed, {self.cut} cut off, "
            f"{self.excused} within the window (until {self.lateness:.2f} s after), "
            f"longest answer {self.longest:.2f} s"
        )


class Steps:
    """What is known of something that only grows: steps in time, each of them higher."""

    def __init__(self, steps: Iterable[tuple[float, int]]) -> None:
        ordered = sorted(steps)
        self._times = [time for time, _ in ordered]
        self._heights = list(accumulate((height for _, height in ordered), max))

    def at(self, time: float) -> int:
        """The height at a time; 0 before the first step."""
        place = bisect_right(self._times, time)
        return self._heights[place - 1] if place else 0


class Judge:
    """Holds all reads to all changes.

    With `excuses` the documented window is granted: a change that met an outage, or began within
    WINDOW_SECONDS after one, counts as known only that long after it. With `by_reads` what a read
    has shown is known, too, to all that begin after it: then nobody need be answered who made it.
    """

    def __init__(self, ledger: Ledger, *, excuses: bool, by_reads: bool = False) -> None:
        self._windows = [
            Span(outage.began, outage.ended + WINDOW_SECONDS)
            for outage in (ledger.outages if excuses else ())
        ]
        self._floors = self._steps_of(ledger, by_reads)
        self._sharings = self._sharings_of(ledger)

    def _known_at(self, span: Span) -> float:
        """When everybody has to know of a change."""
        over = (window.ended for window in self._windows if window.meets(span))
        return max([span.ended, *over])

    def _steps_of(self, ledger: Ledger, by_reads: bool) -> dict[Fact, Steps]:
        steps: dict[Fact, list[tuple[float, int]]] = {}
        for change in ledger.changes:
            known = (self._known_at(change.span), change.version)
            steps.setdefault(change.fact, []).append(known)
        for read in ledger.reads if by_reads else ():
            for fact, version in read.shown.items():
                steps.setdefault(fact, []).append((read.span.ended, version))
        return {fact: Steps(found) for fact, found in steps.items()}

    def _sharings_of(self, ledger: Ledger) -> dict[str, tuple[list[Sharing], Steps]]:
        """Of each film, who sees it in turn, and which turn has come for certain."""
        turns: dict[str, list[Sharing]] = {}
        for sharing in sorted(ledger.sharings, key=lambda sharing: sharing.span):
            turns.setdefault(sharing.film, []).append(sharing)
        return {
            film: (found, Steps((self._known_at(s.span), i) for i, s in enumerate(found)))
            for film, found in turns.items()
        }

    def wrongs(self, read: Read) -> Iterator[str]:
        """What is older than it may be, in words."""
        for fact, version in read.shown.items():
            floor = self._floors[fact].at(read.span.began) if fact in self._floors else 0
            if version < floor:
                yield f"{read.what}: {' of '.join(reversed(fact))} {version}, not {floor}"
        for film in read.seen:
            if not any(read.viewer in sharing.seen_by for sharing in self._possible(film, read)):
                yield f"{read.what}: {read.viewer} sees {film}"
        for film in read.hidden:
            if all(read.viewer in sharing.seen_by for sharing in self._possible(film, read)):
                yield f"{read.what}: {read.viewer} doesn't see {film}"

    def _possible(self, film: str, read: Read) -> Sequence[Sharing]:
        """What may have been true at some moment of a read."""
        turns, certain = self._sharings[film]
        later = turns[certain.at(read.span.began) :]
        return [sharing for sharing in later if sharing.span.began <= read.span.ended]


def judge(ledger: Ledger, *, by_reads: bool = False) -> Verdict:
    """Hold every read to the law, the documented window being granted. See `Judge`."""
    lawful = Judge(ledger, excuses=True, by_reads=by_reads)
    strict = Judge(ledger, excuses=False)
    verdict = Verdict(
        reads=len(ledger.reads),
        changes=len(ledger.changes),
        failed=list(ledger.failed),
        not_modified=ledger.answers["304"],
        cut=len(ledger.cut),
    )
    for read in ledger.reads:
        if wrongs := list(lawful.wrongs(read)):
            verdict.stale += [f"{wrong} ({read.span.began:.3f})" for wrong in wrongs]
        elif any(strict.wrongs(read)):
            verdict.excused += 1
            back = max(o.ended for o in ledger.outages if o.began <= read.span.began)
            verdict.lateness = max(verdict.lateness, read.span.began - back)
    spans = [*(read.span for read in ledger.reads), *(change.span for change in ledger.changes)]
    verdict.longest = max((span.ended - span.began for span in spans), default=0.0)
    return verdict
