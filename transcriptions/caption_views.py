"""`…/transcription/captions/` and `…/transcription/import/`: files, out and in."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from snipix import errors, etags, openapi, wire
from snipix.idempotency import Answer
from snipix.parameters import refuse_unknown
from snipix.refusals import InvalidState, translate
from transcriptions import captions, services
from transcriptions.captions import FORMATS, CueOptions, Format, FormatName
from transcriptions.models import Transcription
from transcriptions.state import TranscriptionState
from transcriptions.views import CHANGES, TranscriptionSaved, TranscriptionViews, saved

_READABLE = [format.name for format in FORMATS.values() if format.is_readable]
_FORMAT = OpenApiParameter("format", enum=list(FORMATS), description="Instead of `Accept`.")
_OPTIONS = [
    OpenApiParameter(name, description=f"An option of how cues are built; by default {default}.")
    for name, default in msgspec.structs.asdict(CueOptions()).items()
]


class FileRenderer(BaseRenderer):
    """A file that is ready; or, as JSON, why there is none."""

    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return data if isinstance(data, bytes) else wire.encode(data)


RENDERERS: dict[str, type[BaseRenderer]] = {
    format.name: type(
        f"{format.title.replace(' ', '')}Renderer",
        (FileRenderer,),
        {"media_type": format.media_type, "format": format.name},
    )
    for format in FORMATS.values()
}
PARSERS = [
    type("FileParser", (wire.RawJSONParser,), {"media_type": media_type})
    for media_type in (
        *(FORMATS[name].media_type for name in _READABLE),
        "application/octet-stream",
    )
]


class CaptionViewSet(TranscriptionViews):
    """A transcription as a file of captions, and back."""

    @extend_schema(
        parameters=[_FORMAT, *_OPTIONS],
        responses={
            **{(200, format.media_type): str for format in FORMATS.values()},
            (200, FORMATS["json"].media_type): openapi.struct(TranscriptionState),
            304: None,
            **openapi.problems(400, 404),
        },
    )
    def retrieve(self, request: Request, project_id: str) -> Response:
        """Write the captions as SRT, WebVTT, plain text or JSON.

        By default one cue for each segment, which is exact. `?cues=subtitles` builds cues by the
        rules of subtitling, each of which is an option.
        """
        format = self._wanted()
        options = _options(request)
        response = self.answer_current(
            lambda t: captions.export(t.state, format.name, options),
            kind="captions",
            options=f"{format.name} {options}",
        )
        name = f"{project_id}{format.extension}"
        response["Content-Disposition"] = f'inline; filename="{name}"'
        return response

    @extend_schema(
        parameters=[
            OpenApiParameter("format", enum=_READABLE, description="Instead of `Content-Type`."),
            *CHANGES,
        ],
        request={FORMATS[name].media_type: str for name in _READABLE},
        responses={
            200: openapi.struct(TranscriptionSaved),
            201: openapi.struct(TranscriptionSaved),
            **openapi.problems(400, 403, 404, 412, 413, 415, 422),
        },
    )
    def create(self, request: Request, project_id: str) -> Response:
        """Read captions, or what Whisper says, into the transcription.

        It becomes the next version of the transcription that there is; or else the first.
        """
        imported = captions.import_(wire.raw(request), self._sent())

        def work() -> Answer:
            project = self.get_project("write")
            transcription = Transcription.any_of(project)
            is_new = not transcription.version or transcription.is_deleted
            if is_new:
                transcription = services.create_transcription(
                    project, imported.state, actor=self.actor, action="import"
                )
            else:
                etags.check_match(request, transcription.etag)
                services.save_transcription(
                    project, transcription, imported.state, actor=self.actor, action="import"
                )
            answer = saved(transcription, warnings=imported.warnings)
            return replace(answer, status=201) if is_new else answer

        return self.answer_change(project_id, work)

    change_parameters = ("format",)

    def _wanted(self) -> Format:
        """The format that the address asks for, or else `Accept`."""
        name = self.request.query_params.get("format", self.request.accepted_renderer.format)
        format = _known(name, list(FORMATS))
        self.request.accepted_renderer = RENDERERS[name]()
        self.request.accepted_media_type = format.media_type
        return format

    def _sent(self) -> FormatName:
        """The format of the body: by the address, or else by its media type."""
        if name := self.request.query_params.get("format"):
            return _known(name, _READABLE).name
        media_type = wire.media_type(self.request)
        found = (FORMATS[name].name for name in _READABLE if FORMATS[name].media_type == media_type)
        if (sent := next(found, None)) is None:
            raise UnsupportedMediaType(media_type, "Name the format: ?format=srt, vtt or json.")
        return sent


def _known(name: str, offered: Sequence[str]) -> Format:
    if name not in offered:
        hint = "Send it, or Accept with its media type."
        raise errors.InvalidInput.at("format", f"must be one of {', '.join(offered)}", hint)
    return FORMATS[name]


def _options(request: Request) -> CueOptions:
    """The options in a query string. Raises InvalidInput."""
    refuse_unknown(request, ("format", *CueOptions.__struct_fields__))
    given = {name: value for name, value in request.query_params.items() if name != "format"}
    try:
        return msgspec.convert(given, CueOptions, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidState([translate(error, CueOptions)]) from error
