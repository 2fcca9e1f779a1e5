"""What views that take a video in have in common, whatever they answer."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from media import forms, incoming, services, storage
from media.facts import TooManyUploads
from media.forms import FormParser, FormWithFile
from projects.models import Project
from projects.state import Video
from snipix import api, errors, etags, idempotency, resilience
from snipix.idempotency import Answer
from snipix.parameters import refuse_unknown

_places = threading.BoundedSemaphore(max(1, settings.WEB_THREADS // 2))
"""An upload has a thread for as long as its sender takes: half of them are for everybody else."""
_AT_ONCE_STATUSES = (errors.RequestTimeout.status, TooManyUploads.status)


class UploadViewSet(api.DocumentViewSet):
    """Takes a form with a video. Nothing of it is read before it is known whether it may be kept.

    An `Idempotency-Key` counts as anywhere, but only once the file has come: a repeat sends it
    again, is recognised by its digest, and leaves nothing behind.
    """

    parser_classes = (FormParser,)
    form_fields: tuple[str, ...] = ()
    """What the form may have besides its `file`."""

    def check_fields(self, fields: Mapping[str, str]) -> None:
        """Raise why no file is to be kept that comes with these fields, as far as they came."""

    def check_upload(self) -> None:
        """Raise why nothing of this length can be taken in, or what is wrong beside the body."""
        if not self.has_place:
            raise TooManyUploads("Nothing was kept. Try again in some seconds.")
        refuse_unknown(self.request, ())
        idempotency.key_of(self.request)
        length = forms.content_length(self.request)
        if length > settings.MAX_VIDEO_BYTES + forms.FORM_BYTES:
            raise forms.too_large(settings.MAX_VIDEO_BYTES)
        incoming.sweep()
        storage.check_room(length)

    def form(self) -> FormWithFile:
        """Read the form. Raises as its parser does."""
        form: Any = self.request.data
        if not isinstance(form, FormWithFile):  # there was no body
            raise forms.without_file()
        return form

    def found(self, project_id: str) -> Project:
        """As `writable`, before the change begins: looked for again where that fails for a moment.

        The file may have come by then, and its sender would have to send it once more.
        """
        return resilience.read(lambda: self.writable(project_id))

    def writable(self, project_id: str) -> Project:
        """The project that is to get a video. Raises NotFound, Forbidden and VersionMismatch."""
        project = Project.objects.in_hands_of(self.actor.user_id, project_id, "write")
        etags.check_match(self.request, project.etag)
        return project

    def take_in(
        self, form: FormWithFile, project: Project, answered: Callable[[Project], Answer]
    ) -> Response:
        """Make the form's file the project's video, and answer what `answered` says."""

        def work(video: Video, file: str, thumbnail: str) -> Answer:
            current = self.writable(project.project_id)
            services.set_video(current, video, file, thumbnail, actor=self.actor)
            return answered(current)

        answer = services.take_in(form, project, self.request, work)
        return Response(answer.body, status=answer.status, headers=dict(answer.headers))

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self.has_place = request.method == "POST" and _places.acquire(blocking=False)
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            if self.has_place:
                _places.release()

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Tokens alone: to trust a session, Django would first read the whole form into memory."""
        known = super().get_authenticators()
        return [each for each in known if not isinstance(each, SessionAuthentication)]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "POST":
            _ = request.body  # of a removal: it is fingerprinted, and nothing else is made of it
        super(api.DocumentViewSet, self).initial(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if self.request.method == "POST" and response.status_code not in _AT_ONCE_STATUSES:
            forms.discard_rest(self.request._request)
        return response
