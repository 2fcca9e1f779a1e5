"""What is done with transcriptions.

These functions take part in a change: they are called within `history.change`, on documents that
were read within it.
"""

from typing import Any

from projects.models import Project
from snipix import errors, history
from snipix.accounts import Actor
from transcriptions.models import Transcription
from transcriptions.state import EMPTY, TranscriptionState, summarise


def create_transcription(
    project: Project,
    state: TranscriptionState,
    *,
    actor: Actor,
    action: str = "create",
    description: str = "",
) -> Transcription:
    """Make the project's transcription; one in the trash comes back with this state.

    Raises IdTaken if there is one.
    """
    transcription = Transcription.any_of(project)
    if transcription.version and not transcription.is_deleted:
        raise errors.IdTaken(
            "The project has a transcription. Change that one, or replace it with PUT."
        )
    transcription.created_by = transcription.created_by or actor.user_id
    save_transcription(
        project,
        transcription,
        state,
        actor=actor,
        action=action,
        description=description,
        is_deleted=False,
    )
    return transcription


def save_transcription(
    project: Project,
    transcription: Transcription,
    state: TranscriptionState,
    *,
    actor: Actor,
    action: str = "save",
    description: str = "",
    change_summary: str = "",
    is_deleted: bool | None = None,
) -> bool:
    """Make `state` the transcription's next version, and the project's summary show it.

    Returns False for a state that is equal to the current one: no version is made of it.
    """
    is_new = history.write(
        transcription,
        state,
        action=action,
        actor=actor,
        description=description,
        change_summary=change_summary,
        is_deleted=is_deleted,
    )
    if is_new:
        _note(project, transcription, state)
    return is_new


def delete_transcription(project: Project, transcription: Transcription, *, actor: Actor) -> None:
    """Move a transcription to the trash; the project stays."""
    if history.write(transcription, action="delete", actor=actor, is_deleted=True):
        _note(project, transcription, transcription.state)


def restore_transcription(project: Project, transcription: Transcription, *, actor: Actor) -> None:
    """Bring a transcription back from the trash; one that isn't there stays as it is."""
    if history.write(transcription, action="restore", actor=actor, is_deleted=False):
        _note(project, transcription, transcription.state)


def roll_back_transcription(
    project: Project, transcription: Transcription, version: int, *, actor: Actor
) -> None:
    """Make the state of an old version the next version. Raises NotFound."""
    save_transcription(
        project,
        transcription,
        history.read(transcription, version),
        actor=actor,
        action="rollback",
        description=f"Rolled back to version {version}",
    )


def _note(project: Project, transcription: Transcription, state: TranscriptionState) -> None:
    project.note("transcription_state", summary(transcription, state))


def summary(transcription: Transcription, state: TranscriptionState) -> dict[str, Any]:
    """What a project shows of its transcription: nothing of one in the trash."""
    shown = EMPTY if transcription.is_deleted else state
    return {
        "version": transcription.version,
        "exists": not transcription.is_deleted,
        "language": shown.language,
        "is_complete": shown.is_complete,
        **summarise(shown),
        "saved_at": transcription.updated_at,
    }
