"""What is done with projects.

These functions take part in a change: they are called within `history.change`, on documents that
were read within it, so that a repeated attempt starts from what there is by then.
"""

from typing import Any

from bson import ObjectId
from msgspec.structs import replace

from projects.models import Project, parts
from projects.state import CONTENT_FIELDS, Collaborator, ProjectState
from snipix import errors, history
from snipix.accounts import Actor


def create_project(*, actor: Actor, project_id: str | None = None, **content: Any) -> Project:
    """Make a project that belongs to `actor`.

    `content` holds what `CONTENT_FIELDS` lists; `project_id` equals the ObjectId if none is
    chosen. Raises IdTaken.
    """
    key = ObjectId()
    project_id = project_id or str(key)
    if Project.everything.filter(project_id=project_id).exists():
        raise errors.IdTaken(
            f"The id {project_id!r} is taken. Choose another one, or leave it out."
        )
    project = Project(id=key, project_id=project_id, created_by=actor.user_id)
    state = ProjectState(user_id=actor.user_id, **content)
    history.write(project, state, action="create", actor=actor)
    return project


def update_project(project: Project, *, actor: Actor, **content: Any) -> None:
    """Change the fields of `CONTENT_FIELDS` that are named; `metadata` as a whole."""
    _write_content(project, content, action="update", actor=actor)


def share_project(project: Project, collaborators: list[Collaborator], *, actor: Actor) -> None:
    """Set who else may see or change a project: this list, and nobody else but the owner."""
    state = replace(project.state, collaborators=collaborators)
    history.write(project, state, action="share", actor=actor)


def hand_over_project(project: Project, user_id: str, *, actor: Actor) -> None:
    """Make somebody else the owner. Who owned it until now may still change it."""
    state = project.state
    if user_id == state.user_id:
        return
    others = [c for c in state.collaborators if c.user_id != user_id]
    former = Collaborator(user_id=state.user_id, right="write")
    handed = replace(state, user_id=user_id, collaborators=[*others, former])
    history.write(project, handed, action="hand over", actor=actor)
    for part in parts():
        part.everything.filter(pk=project.pk).update(user_id=user_id)


def roll_back_project(project: Project, version: int, *, actor: Actor) -> None:
    """Bring back the content of a version; whose it is, the trash and media stay. NotFound."""
    old = history.read(project, version)
    content = {name: getattr(old, name) for name in CONTENT_FIELDS}
    if project.state.video:
        del content["duration"]  # it is that of the video, which stays
    description = f"Rolled back to version {version}"
    _write_content(project, content, action="rollback", actor=actor, description=description)


def _write_content(project: Project, content: dict[str, Any], **about: Any) -> None:
    before = project.state
    after = replace(before, **content)
    changed = [name for name in CONTENT_FIELDS if getattr(before, name) != getattr(after, name)]
    history.write(project, after, change_summary=f"Changed {', '.join(changed)}", **about)


def defaults() -> dict[str, Any]:
    """What the fields of `CONTENT_FIELDS` are where a client leaves them out."""
    blank = ProjectState(name="-", user_id="-")
    return {name: getattr(blank, name) for name in CONTENT_FIELDS if name != "name"}
