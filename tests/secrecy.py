"""What no log may hold, for all tests that have Snipix serve while something happens to it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

CONTENT = "c0ntent"
"""Stands in what documents hold: names, descriptions, properties, texts."""
TOKEN = "t0ken-of-somebody"
TRACEBACKS = ("Traceback", '"exception":')
"""As Python prints them, and as our own lines hold them."""
LOUD = {"LOG_LEVEL": "DEBUG", "SLOW_OPERATION_MS": "1"}
"""The environment of a server that logs all it can."""


def leaks(lines: Iterable[str], texts: Iterable[str]) -> list[str]:
    """Which of the texts stand in the lines, each with the first line that it stands in."""
    printed = list(lines)
    found = ((text, next((line for line in printed if text in line), None)) for text in texts)
    return [f"{text} in {line[:2000]}" for text, line in found if line is not None]


class Log:
    """A file that a server prints to, read on and on."""

    def __init__(self, path: Path) -> None:
        self.path, self._file = path, path.open(errors="replace")

    def unread(self) -> list[str]:
        """The lines since the last look. A start may have put the file aside, and begun another."""
        lines = self._file.readlines()
        if not os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
            self.close()
            self._file = self.path.open(errors="replace")
            lines += self._file.readlines()
        return lines

    def close(self) -> None:
        self._file.close()
