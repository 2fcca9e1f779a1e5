"""Answers with a file: conditional (RFC 9110, 13), in part (14), and never as a page.

What was uploaded is sent under the type that was found in it, to be saved and not shown, and with
nothing that a browser would run. With MEDIA_ACCEL_PREFIX, nginx sends the file: it is told which
one, and knows conditions and ranges itself.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from http import HTTPStatus
from itertools import chain
from typing import BinaryIO, NamedTuple, TypeVar, cast
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe

from media import ranges, storage
from media.facts import PreconditionFailed
from snipix import errors

_CHUNK_BYTES = 256 * 1024
R = TypeVar("R", bound=HttpResponseBase)
_logger = logging.getLogger(__name__)


class Servable(NamedTuple):
    """A stored file, and what is to be said of it."""

    name: str
    """As the storage names it."""
    media_type: str
    tag: str
    """Names its bytes: the strong ETag, without quotes."""
    modified: datetime
    called: str
    """What it is saved as."""
    is_date_strong: Callable[[], bool] = lambda: False
    """Whether no other file was there under the same date, to the second (8.8.2.2)."""


def answer(request: HttpRequest, file: Servable) -> HttpResponseBase:
    """Answer a GET or HEAD. Raises NotFound, PreconditionFailed and RangeNotSatisfiable."""
    if settings.MEDIA_ACCEL_PREFIX:
        response = _described(HttpResponse(), file)
        response["X-Accel-Redirect"] = settings.MEDIA_ACCEL_PREFIX + quote(file.name)
        return response
    etag, modified = f'"{file.tag}"', int(file.modified.timestamp())
    whole = _described(HttpResponse(), file)
    checked = get_conditional_response(request, etag, modified, whole)
    if checked is None or checked.status_code == HTTPStatus.PRECONDITION_FAILED:
        raise PreconditionFailed(f"The file has the ETag {etag} by now. Read it again.")
    if checked is not whole:
        return checked
    content = _opened(file)
    try:
        return _in_part(request, file, content)
    except BaseException:
        content.close()
        raise


def _described(response: R, file: Servable) -> R:
    is_picture = file.media_type.startswith("image/")
    headers = {
        "Content-Type": file.media_type,
        "Content-Disposition": content_disposition_header(not is_picture, file.called),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "ETag": f'"{file.tag}"',
        "Last-Modified": http_date(file.modified.timestamp()),
    }
    for name, value in headers.items():
        if value is not None:
            response[name] = value
    return response


def _opened(file: Servable) -> BinaryIO:
    try:
        return cast(BinaryIO, storage.media().open(file.name))
    except FileNotFoundError as error:
        _logger.error("a stored file is missing: %s", file.name)
        detail = "The file is missing on the server, which has noted it. Upload it again."
        raise errors.NotFound(detail) from error


def _in_part(request: HttpRequest, file: Servable, content: BinaryIO) -> HttpResponseBase:
    length = storage.media().size(file.name)
    chosen = None
    # Ranges are defined for GET alone (14.2).
    if request.method == "GET" and _is_current(request, file):
        chosen = ranges.wanted(request.headers.get("Range", ""), length)
    if chosen is None:
        return _streamed(request, file, content, [range(length)], length)
    if len(chosen) > 1:
        return _several(request, file, content, chosen, length)
    response = _streamed(request, file, content, chosen, length)
    response.status_code = HTTPStatus.PARTIAL_CONTENT.value
    response["Content-Range"] = _content_range(chosen[0], length)
    return response


def _is_current(request: HttpRequest, file: Servable) -> bool:
    """Whether `If-Range` lets `Range` count (13.1.5): compared strongly, or exactly."""
    condition = request.headers.get("If-Range", "").strip()
    if not condition:
        return True
    if condition.endswith('"'):
        return condition == f'"{file.tag}"'
    date = parse_http_date_safe(condition)
    return date == int(file.modified.timestamp()) and file.is_date_strong()


def _several(
    request: HttpRequest, file: Servable, content: BinaryIO, chosen: list[range], length: int
) -> HttpResponseBase:
    """multipart/byteranges (14.6)."""
    boundary = secrets.token_hex(16)
    pieces: list[bytes | range] = []
    for part in chosen:
        head = (
            f"\r\n--{boundary}\r\nContent-Type: {file.media_type}\r\n"
            f"Content-Range: {_content_range(part, length)}\r\n\r\n"
        )
        pieces += [head.encode(), part]
    pieces.append(f"\r\n--{boundary}--\r\n".encode())
    response = _streamed(request, file, content, pieces, length)
    response.status_code = HTTPStatus.PARTIAL_CONTENT.value
    response["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    return response


def _content_range(part: range, length: int) -> str:
    return f"bytes {part.start}-{part.stop - 1}/{length}"


def _streamed(
    request: HttpRequest,
    file: Servable,
    content: BinaryIO,
    pieces: Sequence[bytes | range],
    length: int,
) -> HttpResponseBase:
    response: HttpResponseBase
    if request.method == "HEAD":
        content.close()
        response = HttpResponse()
    else:
        response = StreamingHttpResponse(_Pieces(content, pieces))
    response["Content-Length"] = str(sum(map(len, pieces)))
    return _described(response, file)


class _Pieces:
    """What is sent, a chunk at a time: bytes as they are, ranges from the file."""

    def __init__(self, content: BinaryIO, pieces: Sequence[bytes | range]) -> None:
        self._content = content
        self._chunks = chain.from_iterable(map(self._of, pieces))

    def _of(self, piece: bytes | range) -> Iterator[bytes]:
        if isinstance(piece, bytes):
            yield piece
            return
        self._content.seek(piece.start)
        left = len(piece)
        while left and (chunk := self._content.read(min(left, _CHUNK_BYTES))):
            left -= len(chunk)
            yield chunk

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self._content.close()
