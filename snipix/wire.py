"""Bodies in and bytes out: what is read from a request, and how an answer is written."""

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import msgspec
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from pymongo.errors import PyMongoError
from rest_framework import parsers, renderers
from rest_framework.metadata import BaseMetadata
from rest_framework.request import Request

from snipix import errors, states
from snipix.cache import Coding


def _plain(value: Any) -> Any:
    """What msgspec doesn't know: the driver's 64-bit integers, and Django's texts."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str | Promise):
        return str(value)
    raise TypeError(f"{type(value).__name__} isn't JSON")


JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
EDITS = "application/vnd.snipix.edits+json"

_UPLOADS = re.compile(r"/(?:api/v1/projects/[^/]+/video|media/upload)/?")

encode = msgspec.json.Encoder(enc_hook=_plain).encode


class GuardMiddleware:
    """Refuse what no view should see: bodies without limit, and changes sent by other sites' pages.

    In anonymous mode no token tells a page of Snipix's own editor from any other that a browser
    has open; its origin does (RFC 6454).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        error = _body_error(request) or _origin_error(request)
        if error:
            return errors.problem_response(error, request)
        response = self.get_response(request)
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            # Django says 0, which isn't the length of what the 304 stands for (RFC 9110, 8.6).
            del response["Content-Length"]
        return response

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        """Outside the API's own views, too, a missing database is a 503; on the admin site."""
        if not isinstance(exc, errors.SnipixError | DatabaseError | PyMongoError):
            return None
        error = errors.as_snipix_error(exc)
        return errors.problem_response(error, request) if error else None


class ETagMiddleware:
    """Tags of answers that belong to no version, such as lists: the digest of what is sent."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_ours = request.path.startswith("/api/v1/") and request.method == "GET"
        if not is_ours or response.status_code != HTTPStatus.OK or "ETag" in response:
            return response
        response["ETag"] = f'"{sha256(response.content).hexdigest()[:32]}"'
        response["Cache-Control"] = "private, no-cache"
        known = request.headers.get("If-None-Match", "")
        if response["ETag"] not in [tag.strip().removeprefix("W/") for tag in known.split(",")]:
            return response
        kept = ("ETag", "Cache-Control", "Vary")
        headers = {name: response[name] for name in kept if name in response}
        return HttpResponse(status=HTTPStatus.NOT_MODIFIED, headers=headers)


def is_upload(request: HttpRequest) -> bool:
    """Whether a file is sent, which may be larger than any other body."""
    return request.method == "POST" and _UPLOADS.fullmatch(request.path) is not None


def _body_error(request: HttpRequest) -> errors.SnipixError | None:
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        return errors.LengthRequired("Send the body with Content-Length, not in chunks.")
    size, limit = request.headers.get("Content-Length") or "0", settings.MAX_BODY_BYTES
    if is_upload(request):
        limit += settings.MAX_VIDEO_BYTES  # of the form that it is in; nothing of it is in memory
    if size.isdigit() and int(size) > limit:
        return errors.BodyTooLarge(
            f"The body has {int(size):,} bytes; at most {limit:,} are taken.",
            bytes=int(size),
            limit=limit,
        )
    return None


def _origin_error(request: HttpRequest) -> errors.SnipixError | None:
    origin = request.headers.get("Origin")
    if origin is None or request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    own = f"{request.scheme}://{request.get_host()}"
    if origin in {own, *settings.CORS_ALLOWED_ORIGINS, *settings.CSRF_TRUSTED_ORIGINS}:
        return None
    return errors.ForeignOrigin(
        "Pages of this origin may not change anything here. CORS_ALLOWED_ORIGINS says which may."
    )


class Metadata(BaseMetadata):
    """What OPTIONS answers: a word about the address. The methods are in `Allow`."""

    def determine_metadata(self, request: Request, view: Any) -> dict[str, str]:
        return {"name": view.get_view_name(), "description": view.get_view_description()}


class StrictJSONParser(parsers.BaseParser):
    """JSON as RFC 8259 says, within limits."""

    media_type = "application/json"

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return states.decode_free(stream.read())


class RawJSONParser(StrictJSONParser):
    """JSON that the view decodes itself, straight into a typed state."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return stream.read()


class RawJSONPatchParser(RawJSONParser):
    """RFC 6902."""

    media_type = JSON_PATCH


class RawEditsParser(RawJSONParser):
    """Edits of a timeline by id."""

    media_type = EDITS


def coding(accepted: str) -> Coding:
    """The coding that a client prefers by `Accept-Encoding` (RFC 9110, 12.5.3), of those we have.

    zstd where it is as welcome as gzip; none where nothing is said.
    """
    weights: dict[str, float] = {}
    for part in accepted.split(","):
        name, _, parameters = part.strip().lower().partition(";")
        found = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", parameters)
        weights[name.strip()] = float(found[1]) if found else 1.0
    offered: tuple[Coding, ...] = ("zstd", "gzip")
    best = max(offered, key=lambda name: weights.get(name, 0.0))
    return best if weights.get(best, 0.0) > 0 else ""


def media_type(request: Request) -> str:
    """The body's type, without parameters."""
    return (request.content_type or "").partition(";")[0].strip().lower()


def preferences(request: Request) -> set[str]:
    """What `Prefer` asks for (RFC 7240), names only."""
    wanted = request.headers.get("Prefer", "").split(",")
    return {part.partition("=")[0].partition(";")[0].strip().lower() for part in wanted}


def raw(request: Request) -> bytes:
    """The body that `RawJSONParser` left as it is; DRF makes an empty dict of an empty one."""
    data: Any = request.data
    return data or b""


class JSONRenderer(renderers.JSONRenderer):
    """JSON as bytes: what is encoded already passes through."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return data if isinstance(data, bytes) else encode(data)


class BrowsableRenderer(renderers.BrowsableAPIRenderer):
    """The API for people: pages whose forms send what was edited under the ETag it was read at."""

    template = "snipix/browsable.html"

    def get_default_renderer(self, view: Any) -> renderers.BaseRenderer:
        return _IndentedRenderer()

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Any
    ) -> dict[str, Any]:
        context = super().get_context(data, accepted_media_type, renderer_context)
        headers, sent = context["response"].headers, context["request"].headers
        context["etag"] = (
            headers.get("ETag") or _shown(data).get("etag") or sent.get("If-Match", "")
        )
        return context

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        status: int = self.renderer_context["response"].status_code  # type: ignore[attr-defined]
        form = super().get_raw_data_form(data, view, method, request)
        if not form or status in (401, 403, 404):
            return None
        is_kept = status >= 400 or request.method in ("PUT", "PATCH")
        sent = request.body.decode(errors="replace") if is_kept else ""
        form.initial["_content"] = sent or _draft(data, view, method)
        return form


def _draft(data: Any, view: Any, method: str) -> str:
    """What a form starts with: what is shown, as far as it can be set."""
    fields = view.get_serializer().fields if view.serializer_class else {}
    if method == "POST":
        is_create = view.action_map.get("post") == "create"
        required = [name for name, field in fields.items() if field.required and is_create]
        content: dict[str, Any] = {name: fields[name].get_initial() for name in required}
    else:
        ignored = {name for name, field in fields.items() if field.read_only}
        ignored |= {"id", "version", "updated_at"}
        content = {name: value for name, value in _shown(data).items() if name not in ignored}
    return msgspec.json.format(encode(content), indent=2).decode() if content else ""


def _shown(data: Any) -> dict[str, Any]:
    """The answer that a page shows, as an object."""
    shown = msgspec.json.decode(data) if isinstance(data, bytes) and data else data
    return shown if isinstance(shown, dict) else {}


class _IndentedRenderer(JSONRenderer):
    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return msgspec.json.format(super().render(data) or b"null", indent=2)
