"""The judge that holds reads to changes: what it lets pass, and what it doesn't."""

import pytest

from tests.faults.freshness import WINDOW_SECONDS, Change, Ledger, Read, Sharing, Span, judge

PROJECT = ("film", "project")
ALICE, BOTH = frozenset({"alice"}), frozenset({"alice", "bob"})
OUTAGE = Span(5.0, 6.0)
OVER = OUTAGE.ended + WINDOW_SECONDS


def read(began: float, ended: float, version: int = 9, **more: frozenset[str]) -> Read:
    return Read("bob", "/film/", Span(began, ended), {PROJECT: version}, **more)


def stale(ledger: Ledger, *reads: Read, by_reads: bool = False) -> int:
    ledger.reads = list(reads)
    return len(judge(ledger, by_reads=by_reads).stale)


@pytest.fixture
def changed() -> Ledger:
    """A project whose version 2 is answered at 3.0."""
    return Ledger(
        changes=[Change(PROJECT, 1, Span(0, 0)), Change(PROJECT, 2, Span(2, 3))],
    )


@pytest.fixture
def taken_away() -> Ledger:
    """A film that was shared with bob until 3.0."""
    return Ledger(
        sharings=[Sharing("film", BOTH, Span(0, 0)), Sharing("film", ALICE, Span(2, 3))],
    )


def test_a_read_that_began_before_the_answer_may_show_either(changed: Ledger) -> None:
    assert stale(changed, read(2.9, 4, 1), read(2.9, 4, 2)) == 0


def test_a_read_that_began_after_the_answer_may_not_show_what_was_before(changed: Ledger) -> None:
    assert stale(changed, read(3.1, 4, 1)) == 1


def test_what_one_read_has_shown_the_next_one_shows(changed: Ledger) -> None:
    seen_early, behind_that = read(2.1, 2.2, 2), read(2.3, 2.4, 1)
    assert stale(changed, seen_early, behind_that) == 0
    assert stale(changed, seen_early, behind_that, by_reads=True) == 1


@pytest.mark.parametrize("began", [4.0, 5.5, OVER - 0.1])
def test_what_was_changed_while_redis_was_away_is_excused_until_it_is_back(began: float) -> None:
    ledger = Ledger(changes=[Change(PROJECT, 2, Span(began, OVER - 0.05))], outages=[OUTAGE])
    assert stale(ledger, read(OVER - 0.02, OVER, 1)) == 0
    assert stale(ledger, read(OVER + 0.01, OVER + 1, 1)) == 1


@pytest.mark.parametrize("span", [Span(4, 4.9), Span(OVER + 0.1, OVER + 0.2)])
def test_what_was_changed_before_it_or_afterwards_is_never_excused(span: Span) -> None:
    ledger = Ledger(changes=[Change(PROJECT, 2, span)], outages=[OUTAGE])
    assert stale(ledger, read(span.ended + 0.01, span.ended + 1, 1)) == 1


def test_whoever_lost_access_may_not_see_it(taken_away: Ledger) -> None:
    seen = {"seen": frozenset({"film"})}
    assert stale(taken_away, read(2.9, 4, **seen)) == 0
    assert stale(taken_away, read(3.1, 4, **seen)) == 1


def test_whoever_has_access_may_not_be_told_that_there_is_nothing(taken_away: Ledger) -> None:
    hidden = {"hidden": frozenset({"film"})}
    assert stale(taken_away, read(1.0, 1.9, **hidden)) == 1
    assert stale(taken_away, read(1.0, 2.1, **hidden)) == 0
    assert stale(taken_away, read(3.1, 4, **hidden)) == 0


def test_reads_within_the_window_are_counted_and_how_late_they_were() -> None:
    ledger = Ledger(changes=[Change(PROJECT, 2, Span(5.1, 5.2))], outages=[OUTAGE])
    ledger.reads = [read(5.5, 5.6, 1), read(6.4, 6.5, 1), read(6.4, 6.5, 2)]
    verdict = judge(ledger)
    assert (verdict.excused, verdict.stale) == (2, [])
    assert verdict.lateness == pytest.approx(0.4)
