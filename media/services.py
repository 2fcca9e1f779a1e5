"""How a project gets its video, and loses it."""

from collections.abc import Callable
from typing import Any, cast

import msgspec
from msgspec.structs import replace
from rest_framework.request import Request

from media import containers, probing, storage
from media.forms import FormWithFile
from media.incoming import Incoming
from projects.models import Project
from projects.state import Video
from snipix import errors, history, idempotency, times
from snipix.accounts import Actor
from snipix.idempotency import Answer

WithVideo = Callable[[Video, str, str], Answer]
"""What makes a project of a video and the names of its file and its thumbnail, within a change."""


def set_video(project: Project, video: Video, file: str, thumbnail: str, *, actor: Actor) -> None:
    """Make an uploaded file the project's video, within a change. What was trimmed isn't of it."""
    state = replace(
        project.state,
        video=video,
        video_path=file,
        thumbnail=thumbnail,
        duration=video.duration,
        trimmed_video_path=None,
        trimmed_duration=None,
    )
    told = f"{video.file_name}: {video.duration:g} s, {video.width} by {video.height}"
    history.write(project, state, action="upload", actor=actor, change_summary=told)


def remove_video(project: Project, *, actor: Actor) -> None:
    """Leave the project without a video, within a change. Its older versions still have it."""
    state = replace(
        project.state,
        video=None,
        video_path=None,
        thumbnail=None,
        duration=None,
        trimmed_video_path=None,
        trimmed_duration=None,
    )
    history.write(project, state, action="remove video", actor=actor)


def take_in(form: FormWithFile, project: Project, request: Request, work: WithVideo) -> Answer:
    """Look into an uploaded file, keep it, and run `work` as one change, once per key.

    The files are there before the project names them; if it doesn't come to that, they go again.
    """
    with form.video as file, Incoming("jpg") as picture:
        probed = probing.probe(file.path, picture.path)
        video = _described(form, probed)
        names = storage.new_name(video.container), storage.new_name("jpg")
        picture.finish()
        stored = [storage.name_of(project, name) for name in names]
        made: list[Answer] = []

        def noted() -> Answer:
            made.append(work(video, *names))
            return made[-1]

        try:
            for incoming, name in zip((file, picture), stored, strict=True):
                storage.keep(incoming.path, name)
            answer = idempotency.once(
                cast(Request, _Streamed(request, form)), project.project_id, noted
            )
        except errors.OutcomeUnknown:
            raise  # the project may name them by now
        except Exception:
            storage.remove(*stored)
            raise
    if not any(answer is one for one in made):  # of an earlier request with this key
        storage.remove(*stored)
    return answer


def _described(form: FormWithFile, probed: probing.Probed) -> Video:
    return Video(
        **msgspec.structs.asdict(probed),
        file_name=form.file_name,
        media_type=containers.MEDIA_TYPES[probed.container],
        size=form.video.size,
        sha256=form.video.sha256,
        uploaded_at=times.write(times.now()),
    )


class _Streamed:
    """A request whose body isn't in memory any more; what it held stands for it.

    As `Idempotency-Key` goes by the body: the same file under the same name is the same request.
    """

    def __init__(self, request: Request, form: FormWithFile) -> None:
        self._request = request
        sent = [form.video.sha256, form.file_name, sorted(form.fields.items())]
        self.body = msgspec.json.encode(sent)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)
