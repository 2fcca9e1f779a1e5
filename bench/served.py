"""The API in this process, on a database server of its own: where benchmarks measure."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "snipix.settings")
os.environ.setdefault("SECRET_KEY", "only-for-benchmarks")
os.environ.setdefault("LOG_LEVEL", "ERROR")

import django

django.setup()

from django.test import Client  # noqa: E402

from snipix import indexes, local  # noqa: E402
from snipix.demo.stage import pointed_at  # noqa: E402
from snipix.wire import JSON  # noqa: E402


class Sent(NamedTuple):
    """A request that was answered: in how many seconds, with how many bytes sent and received."""

    seconds: float
    sent: int
    received: int
    answer: Any
    etag: str
    """The newest one: of what was read, or of what a change has made."""


@contextmanager
def serving() -> Iterator[Client]:
    with (
        tempfile.TemporaryDirectory() as folder,
        local.Mongo(Path(folder)) as mongo,
        pointed_at(mongo.uri, "bench"),
    ):
        list(indexes.ensure())
        yield Client()


def send(
    client: Client, method: str, path: str, body: bytes = b"", kind: str = JSON, etag: str = ""
) -> Sent:
    """Send a request, and end the benchmark if it fails."""
    headers = {"Host": "127.0.0.1", **({"If-Match": etag} if etag else {})}
    began = time.perf_counter()
    response: Any = client.generic(method, f"/api/v1/projects/{path}", body, kind, headers=headers)
    seconds = time.perf_counter() - began
    if response.status_code >= 300:
        sys.exit(f"{method} was answered {response.status_code}: {response.content[:300]!r}")
    answer = response.json()
    tag = answer.get("etag") or response.headers["ETag"]
    return Sent(seconds, len(body), len(response.content), answer, tag)
