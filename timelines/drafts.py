"""Drafts: what an editor autosaves between saves, so that a crash of the browser loses little.

A draft belongs to one user, one client (a browser tab) and one timeline. It makes no version and
isn't audited; the last write wins; it goes when that client saves, or after a while by itself.
"""

from __future__ import annotations

from django_mongodb_backend.query import wrap_database_errors

from projects.models import Project
from snipix import errors, frames, states
from snipix.accounts import Actor
from snipix.mongo import connection, one
from snipix.times import now
from timelines.models import Draft
from timelines.state import TimelineState


def client_of(actor: Actor) -> str:
    """The client that a draft belongs to. Raises InvalidInput where `X-Client-Id` is missing."""
    if not actor.client_id:
        hint = "Send an id of your own, such as a UUID that you keep for each tab."
        raise errors.InvalidInput.at("X-Client-Id", "is missing", hint)
    return actor.client_id


@wrap_database_errors
def put(project: Project, state: TimelineState, *, base_etag: str, actor: Actor) -> Draft:
    """Keep a draft in place of the client's last one, within a change: the last who comes wins.

    A purge that runs at the same time conflicts with it: on the draft, or if that is new, on the
    project.
    """
    content = states.encode(state)
    values = {
        "baseEtag": base_etag,
        "updatedAt": now(),
        "frame": frames.compress(content, None),
        "size": len(content),
    }
    kept = connection.get_collection(Draft._meta.db_table).update_one(
        _of(project, actor), {"$set": values}, upsert=True, session=connection.session
    )
    if kept.upserted_id:
        project.hold()
    return get(project, actor=actor)


def get(project: Project, *, actor: Actor) -> Draft:
    """The draft of the actor's client. Raises NotFound."""
    found = one(
        Draft.objects.filter(
            project_id=project.project_id, user_id=actor.user_id, client_id=client_of(actor)
        )
    )
    if found is None:
        raise errors.NotFound(f"There is no draft of client {actor.client_id!r}.")
    return found


def discard(project: Project, *, actor: Actor) -> None:
    """Delete the draft of the actor's client, if it has one; within a change, together with it."""
    if actor.client_id:
        connection.get_collection(Draft._meta.db_table).delete_one(
            _of(project, actor), session=connection.session
        )


def _of(project: Project, actor: Actor) -> dict[str, str]:
    return {
        "projectId": project.project_id,
        "userId": actor.user_id,
        "clientId": client_of(actor),
    }
