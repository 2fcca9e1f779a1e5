"""Bodies in and bytes out: what is read from a request, and how an answer is written."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework import parsers, renderers
from rest_framework.request import Request

from snipix import errors, states


def _plain(value: Any) -> Any:
    return (
        int(value) if isinstance(value, int) else str(value)
    )  # 64 bits are a type of the driver's


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
        return errors.problem_response(error, request) if error else self.get_response(request)


def _body_error(request: HttpRequest) -> errors.SnipixError | None:
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        return errors.LengthRequired("Send the body with Content-Length, not in chunks.")
    size, limit = request.headers.get("Content-Length") or "0", settings.MAX_BODY_BYTES
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


class StrictJSONParser(parsers.BaseParser):
    """JSON as RFC 8259 says, in limits: the body as it is, checked, for whoever decodes it."""

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

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        # What is shown comes as bytes; the form fills itself from the same.
        return super().get_raw_data_form(
            msgspec.json.decode(data) if isinstance(data, bytes) and data else data,
            view,
            method,
            request,
        )


class _IndentedRenderer(JSONRenderer):
    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return msgspec.json.format(super().render(data) or b"null", indent=2)
