"""A view that always answers the same: the most that a read can have."""

import os
from functools import cache
from pathlib import Path

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified


class Constant(msgspec.Struct):
    """What Snipix answered once, to a client that had nothing, and to one that had it all."""

    headers: dict[str, str]
    content: bytes
    headers_of_304: dict[str, str]


def constant(request: HttpRequest) -> HttpResponse:
    """Answer what stands in the file BENCH_ANSWER; 304 to whoever says that he has something."""
    answer = _answer()
    if "If-None-Match" in request.headers:
        return HttpResponseNotModified(headers=answer.headers_of_304)
    return HttpResponse(answer.content, headers=answer.headers)


@cache
def _answer() -> Constant:
    return msgspec.msgpack.decode(Path(os.environ["BENCH_ANSWER"]).read_bytes(), type=Constant)
