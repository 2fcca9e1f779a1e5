"""Projects that have a video, without one having been looked into."""

from django.core.files.base import ContentFile

from media import services, storage
from projects.models import Project
from projects.state import Video
from snipix import history
from snipix.accounts import SYSTEM


def give_video(project_id: str, content: bytes = b"a film", picture: bytes = b"a frame") -> None:
    """Store a file and a picture as they are, and make them the project's."""
    video = Video(
        file_name="film.mp4",
        container="mp4",
        media_type="video/mp4",
        size=len(content),
        sha256="6a" * 32,
        duration=2.5,
        fps_num=25,
        fps_den=1,
        width=64,
        height=48,
        video_codec="h264",
        audio_codec=None,
        uploaded_at="2026-11-21T18:02:03.004Z",
    )
    names = storage.new_name("mp4"), storage.new_name("jpg")

    def work() -> None:
        project = Project.objects.get(project_id=project_id)
        services.set_video(project, video, *names, actor=SYSTEM)

    project = Project.objects.get(project_id=project_id)
    for name, stored in zip(names, (content, picture), strict=True):
        storage.media().save(storage.name_of(project, name), ContentFile(stored))
    history.change(work)
