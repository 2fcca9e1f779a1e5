"""Snipix under gunicorn as a real process whose log lines a test can read."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snipix import local


class WatchedWeb(local.Web):
    """Counts as started as soon as it lives, also without a database."""

    @property
    def log(self) -> Path:  # type: ignore[override]
        return self.data_dir / "web.log"

    def answers(self) -> bool:
        return self.get("/health/live")[0] == http.HTTPStatus.OK

    def get(
        self, path: str, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            try:
                connection.request("GET", path, headers=headers or {})
                response = connection.getresponse()
                return response.status, response.headers, response.read()
            except OSError:
                return 0, http.client.HTTPMessage(), b""

    def printed(self) -> str:
        return self.log.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.printed().splitlines()]


@contextlib.contextmanager
def web(folder: Path, *, workers: int = 1, **env: str) -> Iterator[WatchedWeb]:
    """Serve with these variables besides the test run's own."""
    with WatchedWeb(folder, env=environment(workers, **env), workers=workers) as running:
        yield running


def environment(workers: int, **env: str) -> dict[str, str]:
    """The test run's own, with these variables besides."""
    return {**os.environ, "WEB_CONCURRENCY": str(workers), **env}
