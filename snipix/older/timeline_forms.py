"""What the older client sends of a timeline, and what it is shown."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, field
from msgspec.structs import replace

from snipix import checkpoints, history, states, times
from snipix.history import Revision
from snipix.older import undeclared
from snipix.older.undeclared import told_as_sent
from snipix.pagination import BY_VERSION
from snipix.states import IGNORED, Struct
from timelines import state
from timelines.models import Timeline
from timelines.state import TimelineState

Description = Annotated[str, Meta(max_length=500)]
ChangeSummary = Annotated[str, Meta(max_length=2_000)]
SentState = Annotated[dict[str, Any], IGNORED, Meta(description="A state as in v1, or more.")]
"""Checked by `read_state`, once it is known what it is to follow."""


class OlderTimelineChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What is to become of a version: a state over it, or a name for it."""

    timeline_state: SentState | None = None
    description: Description | None = None
    change_summary: ChangeSummary | None = None


class OlderTimelineSave(OlderTimelineChange, frozen=True, kw_only=True):
    """A save: whose timeline it is, and its whole state."""

    project_id: str
    timeline_state: SentState


class OlderTimelineVersion(msgspec.Struct, kw_only=True):
    """One version of a timeline, without its state."""

    id: str = field(name="_id")
    project_id: str
    version: int
    """0 as long as none was saved."""
    previous_version_id: None = None
    is_current: bool
    description: str
    change_summary: str
    created_by: str
    created_at: str
    updated_at: str


class OlderTimeline(OlderTimelineVersion, kw_only=True):
    """A version with its state. Answers to GET have the state's fields beside these, too."""

    timeline_state: SentState


def read_state(sent: Any, before: TimelineState) -> TimelineState:
    """The state that was sent, to follow `before`, as v1 has it.

    Raises InvalidState, with paths as in the body that was sent.
    """
    whole = undeclared.taken_in(undeclared.carried_over(sent, before), TimelineState)
    with told_as_sent("timeline_state."):
        return state.check(states.from_builtins(whole, TimelineState))


def shown(timeline: Timeline, version: int, *, is_flat: bool = False) -> dict[str, Any]:
    """A version as `OlderTimeline`; `is_flat` for its fields at the top as well. Raises NotFound.

    The client reads them there, the older backend has them in `timeline_state`.
    """
    about = shown_without_state(timeline, _revision(timeline, version))
    is_current = version == timeline.version
    whole = timeline.state if is_current else history.read(timeline, version)
    fields = undeclared.put_back(whole)
    beside = fields if is_flat else {}
    return {**beside, **msgspec.to_builtins(about), "timeline_state": fields}


def shown_history(timeline: Timeline, limit: int, skip: int) -> list[OlderTimelineVersion]:
    """The newest versions but some, under the names that they were given."""
    # Versions are numbered without gaps, so that to skip some is to begin at another number.
    match = {**history.whose(timeline), "version": {"$lte": int(timeline.version) - skip}}
    found = BY_VERSION.first(limit, Revision, match, without=("frame",))
    names = checkpoints.names(timeline, [each.version for each in found])
    versions = (shown_without_state(timeline, revision) for revision in found)
    return [replace(v, description=names.get(v.version, v.description)) for v in versions]


def shown_without_state(timeline: Timeline, revision: Revision) -> OlderTimelineVersion:
    saved_at = times.write(revision.created_at)
    return OlderTimelineVersion(
        id=str(revision.pk),
        project_id=timeline.project_id,
        version=int(revision.version),
        is_current=revision.version == timeline.version,
        description=revision.description,
        change_summary=revision.change_summary,
        created_by=revision.created_by,
        created_at=saved_at,
        updated_at=saved_at,
    )


def _revision(timeline: Timeline, version: int) -> Revision:
    """The revision of a version; as long as there is none, what stands for it."""
    if timeline.version or version:
        return history.revision(timeline, version)
    return Revision(
        pk=timeline.pk, version=0, created_by=timeline.created_by, created_at=timeline.created_at
    )
