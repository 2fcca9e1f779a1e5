"""Encoded answers, kept by document and ETag: an ETag names bytes, so none is ever out of date."""

import gzip
import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import zstandard
from django.conf import settings
from django.db import DatabaseError
from pymongo.errors import PyMongoError

from snipix import logs, memory, metrics
from snipix.cache import staleness
from snipix.cache.flights import Flights
from snipix.cache.names import Name, kept_seconds, ttl_seconds
from snipix.cache.records import Current
from snipix.cache.serializer import seal, unseal
from snipix.cache.servers import Server
from snipix.mongo import is_away

Coding = Literal["", "gzip", "zstd"]
"""As in `Content-Encoding` (RFC 9110, 8.4.1); empty for none."""

_STAMP_BYTES = 8
_GZIP_LEVEL = 4
_ZSTD_LEVEL = 3


class Body(NamedTuple):
    etag: str
    content: bytes
    coding: Coding = ""


class Bodies:
    """Bodies in Redis and, the last ones used, in the bounded memory of this process."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._flights = Flights()

    def get(self, kind: str, key: str, etag: str, coding: Coding = "") -> bytes | None:
        """The bytes that an ETag of a document names, in a coding, if they are kept so."""
        content = self._find(kind, _place(kind, key, etag, coding)) if ttl_seconds(kind) else None
        metrics.CACHE_READS.labels("body", kind, "hit" if content is not None else "miss").inc()
        if content is not None:
            logs.count_cache_hit()
            metrics.CACHE_BYTES.labels(kind, "read").inc(len(content))
        return content

    def put(self, kind: str, key: str, etag: str, content: bytes, coding: Coding = "") -> bool:
        """Keep the bytes that an ETag of a document names. Returns whether they are kept."""
        if not ttl_seconds(kind):
            return False
        place = _place(kind, key, etag, coding)
        stamped = time.time_ns().to_bytes(_STAMP_BYTES, "big") + content
        is_kept = self._keep(place, stamped, kept_seconds(kind))
        metrics.CACHE_FILLS.labels("body", kind, "filled" if is_kept else "refused").inc()
        if is_kept:
            metrics.CACHE_BYTES.labels(kind, "written").inc(len(content))
        return is_kept

    def fetch(
        self,
        kind: str,
        key: str,
        etag: str,
        make: Callable[[], tuple[str, bytes]],
        coding: Coding = "",
    ) -> Body:
        """Return a body: the kept one, otherwise what `make` makes, once per process.

        `make` returns the ETag that its bytes have, since the document may have moved on: the
        answer then is a newer one. Each coding is kept once somebody has asked for it.
        """
        content = self.get(kind, key, etag, coding)
        if content is not None:
            return Body(etag, content, coding)

        def work() -> Body:
            if not coding:
                return self._put(kind, key, Body(*make()))
            plain = self.fetch(kind, key, etag, make)
            return self._put(kind, key, packed(plain, coding))

        try:
            return self._flights.run((kind, key, etag, coding), work)
        except (DatabaseError, PyMongoError) as error:
            return self._stale(kind, key, etag, coding, error)

    def _stale(self, kind: str, key: str, etag: str, coding: Coding, error: Exception) -> Body:
        """What is past its TTL, now that the database is away. Raises the error if there is none.

        An ETag names bytes, so they are right as long as the ETag is.
        """
        tried: tuple[Coding, ...] = (coding, "") if is_away(error) else ()
        for kept in tried:
            place = _place(kind, key, etag, kept)
            stamped = memory.contents.get((self, place))
            stamped = stamped or unseal(place, self._server.get(place))
            if stamped is not None and _age(stamped) < settings.STALE_MAX:
                logs.count_cache_hit()
                staleness.note(_age(stamped))
                return Body(etag, stamped[_STAMP_BYTES:], kept)
        raise error

    def _put(self, kind: str, key: str, body: Body) -> Body:
        self.put(kind, key, body.etag, body.content, body.coding)
        return body

    def _find(self, kind: str, place: str) -> bytes | None:
        content = _usable(kind, memory.contents.get((self, place)))
        if content is None and settings.REDIS_URL:
            stamped = unseal(place, self._server.get(place))
            content = _usable(kind, stamped)
            if stamped is not None and content is not None:
                memory.contents.put((self, place), stamped, len(stamped))
        return content

    def _keep(self, place: str, stamped: bytes, seconds: float) -> bool:
        memory.contents.put((self, place), stamped, len(stamped))
        if not settings.REDIS_URL:
            return True
        return self._server.set(place, seal(place, stamped), seconds)


class Pages:
    """Pages of lists, by viewer: void for all who can see a project that changed in it.

    Each viewer has a record, Name("list", viewer), whose content is a random generation. Changes
    void it; pages are kept under it, and nobody asks for those of an older one.
    """

    def __init__(self, current: Current, bodies: Bodies) -> None:
        self._current = current
        self._bodies = bodies

    def fetch(
        self, viewer: str, query: str, make: Callable[[], bytes], coding: Coding = ""
    ) -> Body:
        """Return a page: the kept one, otherwise what `make` reads. Its ETag is empty."""
        made: list[bytes] = []

        def new_generation() -> bytes:
            """A word that no list has had, as soon as there is a page to keep under it.

            So what there was stays in use, if the database is going away just now.
            """
            made.append(make())
            return secrets.token_hex(8).encode()

        def page() -> bytes:
            return made[-1] if made else make()

        found = self._current.find(Name("list", viewer), new_generation)
        if not found.is_kept or not found.content:
            return packed(Body("", page()), coding)
        generation = found.content.decode()
        digest = hashlib.sha256(query.encode()).hexdigest()
        key = f"{viewer}?{digest}"
        body = self._bodies.fetch("list", key, generation, lambda: (generation, page()), coding)
        return body._replace(etag="")


def packed(body: Body, coding: Coding) -> Body:
    """A body that isn't compressed yet, in a coding."""
    match coding:
        case "gzip":
            content = gzip.compress(body.content, _GZIP_LEVEL, mtime=0)
        case "zstd":
            content = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body.content)
        case _:
            content = body.content
    return body._replace(content=content, coding=coding)


def _place(kind: str, key: str, etag: str, coding: Coding) -> str:
    return f"body:{kind}:{key}:{etag}:{coding or 'identity'}"


def _usable(kind: str, stamped: bytes | None) -> bytes | None:
    """The content of a body that isn't past its TTL, which bounds what a mistake of ours can do."""
    if stamped is None:
        return None
    return stamped[_STAMP_BYTES:] if _age(stamped) < ttl_seconds(kind) else None


def _age(stamped: bytes) -> float:
    """Seconds since a body was kept."""
    return (time.time_ns() - int.from_bytes(stamped[:_STAMP_BYTES], "big")) / 1e9
