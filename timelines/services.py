"""What is done with timelines.

These functions take part in a change: they are called within `history.change`, on documents that
were read within it.
"""

from typing import Any

from projects.models import Project
from snipix import history
from snipix.accounts import Actor
from timelines import drafts
from timelines.models import Timeline
from timelines.state import TimelineState, summarise


def save_timeline(
    project: Project,
    timeline: Timeline,
    state: TimelineState,
    *,
    actor: Actor,
    action: str = "save",
    description: str = "",
    change_summary: str = "",
) -> bool:
    """Make `state` the timeline's next version, and the project's summary show it.

    Returns False for a state that is equal to the current one: no version is made of it.
    """
    is_new = history.write(
        timeline,
        state,
        action=action,
        actor=actor,
        description=description,
        change_summary=change_summary,
    )
    drafts.discard(project, actor=actor)
    if is_new:
        project.note("timeline_state", summary(timeline, state))
    return is_new


def summary(timeline: Timeline, state: TimelineState) -> dict[str, Any]:
    """What a project shows of its timeline."""
    numbers = summarise(state)
    return {"version": timeline.version, **numbers, "saved_at": timeline.updated_at}


def roll_back_timeline(project: Project, timeline: Timeline, version: int, *, actor: Actor) -> None:
    """Make the state of an old version the next version. Raises NotFound."""
    save_timeline(
        project,
        timeline,
        history.read(timeline, version),
        actor=actor,
        action="rollback",
        description=f"Rolled back to version {version}",
    )
