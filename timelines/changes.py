"""What a request wants to make of a timeline, and how that meets what others made meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from snipix import errors, etags, history
from snipix.etags import ETag
from timelines import edits, json_patch, merge, overlaps, state, words
from timelines.models import Timeline
from timelines.state import EMPTY, TimelineState

MAX_CONFLICTS = 100


class MergeConflict(errors.SnipixError):
    """Both sides changed the same: somebody has to choose."""

    status = 409
    code = "merge-conflict"
    title = "The change conflicts with what was saved meanwhile"


class Change(NamedTuple):
    """A change of a state that isn't known yet: the one that the client had, or the current one."""

    make: Callable[[TimelineState], TimelineState]
    tell: Callable[[TimelineState, TimelineState], str]
    """In words, given the state before and after."""
    description: str = ""


def replacement(raw: bytes) -> Change:
    """The body of a PUT: the whole state."""
    new, description, summary = state.parse_save(raw)
    return Change(lambda _: new, lambda before, after: summary or _told(before, after), description)


def from_json_patch(raw: bytes) -> Change:
    """The body of a PATCH as RFC 6902: operations on the state's JSON, all or none."""
    patch = json_patch.parse(raw)

    def make(before: TimelineState) -> TimelineState:
        patched = json_patch.apply(msgspec.to_builtins(before), patch)
        return state.parse(msgspec.json.encode(patched))

    return Change(make, _told)


def from_edits(raw: bytes) -> Change:
    """The body of a PATCH as edits by id, all or none."""
    wanted = edits.decode(raw)
    return Change(
        lambda before: edits.apply(before, wanted),
        lambda before, _: edits.describe(before, wanted),
        wanted.description,
    )


class Outcome(NamedTuple):
    """What becomes of a change: the next state, in words, and whether it took a merge."""

    state: TimelineState
    summary: str
    merged: bool = False


def carry_out(
    timeline: Timeline, stated: Sequence[ETag], change: Change, *, merges: bool
) -> Outcome:
    """What a change, made on the version that one of `stated` names, makes of the timeline.

    Raises VersionMismatch, with a report of what was changed since, for an older version; with
    `merges`, MergeConflict instead, and only if both sides changed the same.
    """
    current = timeline.state
    if any(tag.same_version(timeline.etag) for tag in stated):
        made = change.make(current)
        return Outcome(made, change.tell(current, made))
    base = _base(timeline, stated)
    mine = change.make(base)
    if not merges:
        report = overlaps.report(base, current, mine)
        raise etags.mismatch(timeline.etag, report=msgspec.to_builtins(report))
    merged = merge.merge(base, current, mine)
    if merged.state is None:
        raise _conflict(timeline, merged.conflicts)
    state.check(merged.state, kept=current)
    return Outcome(merged.state, change.tell(base, mine), merged=True)


def _base(timeline: Timeline, stated: Sequence[ETag]) -> TimelineState:
    """The state that the client had. Raises VersionMismatch if it is none of this timeline's."""
    for tag in stated:
        if tag.same_version(timeline.first_etag):
            return EMPTY
        if 0 < tag.version < timeline.version:
            revision = history.revision(timeline, tag.version)
            if tag.same_version(ETag.of(tag.version, bytes(revision.digest), "")):
                return history.read(timeline, tag.version)
    raise etags.mismatch(timeline.etag)


def _conflict(timeline: Timeline, conflicts: Sequence[Any]) -> MergeConflict:
    count = len(conflicts)
    return MergeConflict(
        f"{count} thing{'s' if count > 1 else ''} that you changed were changed by somebody else "
        "too. Nothing was saved. Choose for each, and send the change with the new ETag.",
        conflicts=msgspec.to_builtins(conflicts[:MAX_CONFLICTS]),
        more=max(count - MAX_CONFLICTS, 0),
        current={"version": timeline.version, "etag": str(timeline.etag)},
    )


def _told(before: TimelineState, after: TimelineState) -> str:
    return "; ".join(words.words(before, after))[:2000]
