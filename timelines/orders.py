"""Merging the orders of lists whose elements have ids.

Three lists of ids are given: base, and what theirs and mine made of it. Of two elements that all
three hold, one stands before the other in each list; so a side has turned the two or it hasn't, and
if either has, the result has them turned. That settles every pair, in the same way whichever side
comes first; the pairs make one order or, when they go round in a circle, a conflict. Two elements
of which base holds one at most, and that the sides put in different orders, are a conflict too.

What only one side has put into the list comes directly after what stands before it there. What
both have put into the same place is interleaved by a key, as by time.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from heapq import merge
from typing import Any, TypeAlias

Ids: TypeAlias = Sequence[str]
Key: TypeAlias = Callable[[str], Any]

# How many elements are compared with all others at once: so many bits has an integer.
BATCH = 2_048


class OrdersConflict(Exception):
    """The two sides can't both have the order that they made."""


def merged(base: Ids, theirs: Ids, mine: Ids, stays: Container[str], key: Key) -> list[str]:
    """Order all ids of theirs and mine that stay; `key` tells apart what both put in one place.

    Takes time in proportion to the length, except where both sides have changed the order.
    Raises OrdersConflict.
    """
    theirs, mine = ([id for id in side if id in stays] for side in (theirs, mine))
    in_mine = set(mine)
    shared = {id for id in theirs if id in in_mine}
    spine = _spine(*([id for id in side if id in shared] for side in (base, theirs, mine)))
    runs = [_runs(side, shared) for side in (theirs, mine)]
    result: list[str] = []
    for anchor in (None, *spine):
        result += [] if anchor is None else [anchor]
        result += merge(*(run.get(anchor, []) for run in runs), key=key)
    return result


def is_changed(before: Ids, after: Ids) -> bool:
    """Whether what is in both lists stands in another order."""
    old, new = set(before), set(after)
    return [id for id in before if id in new] != [id for id in after if id in old]


def _runs(side: Ids, shared: Container[str]) -> dict[str | None, list[str]]:
    """What only this side has, by the shared id that it comes after; None at the start."""
    runs: dict[str | None, list[str]] = {}
    anchor: str | None = None
    for id in side:
        if id in shared:
            anchor = id
        else:
            runs.setdefault(anchor, []).append(id)
    return runs


def _spine(base: Ids, theirs: Ids, mine: Ids) -> Ids:
    """Order what both sides have."""
    if theirs in (base, mine):
        return mine
    return theirs if mine == base else _settled(base, theirs, mine)


def _settled(base: Ids, theirs: Ids, mine: Ids) -> Ids:
    """Settle every pair, and order by how many others come after: n-1, n-2, … 0, or no order."""
    followers = dict.fromkeys(mine, 0)
    for first in range(0, len(mine), BATCH):
        _count(base, theirs, mine, mine[first : first + BATCH], followers)
    if sorted(followers.values()) != list(range(len(mine))):
        raise OrdersConflict
    return sorted(mine, key=followers.__getitem__, reverse=True)


def _count(base: Ids, theirs: Ids, mine: Ids, batch: Ids, followers: dict[str, int]) -> None:
    """Add to each element how many of a batch come after it; one bit stands for one of these.

    Of two that the sides ordered differently and base doesn't, each counts the other: too much for
    any order.
    """
    bits = {id: 1 << place for place, id in enumerate(batch)}
    old, new, own = (_after(side, bits) for side in (base, theirs, mine))
    for id in mine:
        agreed, turned = new[id] & own[id], new[id] ^ own[id]
        followers[id] += (agreed | turned & ~old.get(id, 0)).bit_count()


def _after(side: Ids, bits: dict[str, int]) -> dict[str, int]:
    """The bits of everything that stands after each element."""
    after, seen = {}, 0
    for id in reversed(side):
        after[id] = seen
        seen |= bits.get(id, 0)
    return after
