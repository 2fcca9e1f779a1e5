"""A client of the API as an editor has one: one connection, and patience."""

from __future__ import annotations

import contextlib
import http.client
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import msgspec

API = "/api/v1"
TIMEOUT_SECONDS = 45
"""Longer than the server takes to answer anything."""


class NoAnswer(Exception):
    """The connection broke before an answer came: nobody knows what became of the request."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def etag(self) -> str:
        return self.headers["etag"]


class Client:
    """One connection to Snipix on this machine."""

    def __init__(self, port: int, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """Send a request once; `if_match="…"` and the like become headers. Raises NoAnswer."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            names.setdefault("content-type", "application/json")
        if self._is_stale():
            self.connection.close()
        try:
            self.connection.request(method, API + path, body, names)
            with self.connection.getresponse() as response:
                found = {name.lower(): value for name, value in response.getheaders()}
                if response.length is None and not response.chunked:
                    raise http.client.HTTPException("cut within the headers")
                return Reply(response.status, found, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise NoAnswer(f"{type(error).__name__}: {error}") from error

    def insist(
        self, method: str, path: str, body: bytes, *, seconds: float, **headers: str
    ) -> Reply:
        """Send a change, again and again with one key, until it is answered otherwise than 503.

        Raises NoAnswer if it isn't within `seconds`.
        """
        key = headers.pop("idempotency_key", "") or str(uuid4())
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(NoAnswer):
                reply = self.send(method, path, body, idempotency_key=key, **headers)
                if reply.status != http.HTTPStatus.SERVICE_UNAVAILABLE:
                    return reply
            if time.monotonic() > deadline:
                raise NoAnswer(f"not within {seconds:g} s")
            time.sleep(0.1)

    def _is_stale(self) -> bool:
        """Whether the server has closed the connection since the last answer."""
        sock = self.connection.sock
        return sock is not None and bool(select.select([sock], [], [], 0)[0])

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
