"""Settings from the environment: typed, with a default, and never a traceback for a typing error.

A value that can't be read is replaced by the default and noted in `problems`, from where the
system checks name it together with what to write instead. Values themselves are never repeated:
they may be secrets.
"""

import os
from collections.abc import Callable
from math import inf
from pathlib import Path

from dotenv import load_dotenv

problems: list[tuple[str, str]] = []
"""Variables that couldn't be read, each with what is expected of it."""

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def load(path: Path) -> None:
    """Read a `.env` file if there is one; variables that are set already win."""
    load_dotenv(path, override=False)


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def words(name: str, default: str = "") -> list[str]:
    """A list, separated by commas."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def flag(name: str, default: bool) -> bool:
    value = text(name, "true" if default else "false").lower()
    if value not in _TRUE | _FALSE:
        problems.append((name, "expects true or false"))
        return default
    return value in _TRUE


def integer(name: str, default: int, *, at_least: int = 0, at_most: float = inf) -> int:
    return int(_number(name, default, (at_least, at_most), int, "a whole number"))


def seconds(name: str, default: float, *, at_least: float = 0.0) -> float:
    return _number(name, default, (at_least, inf), float, "a number of seconds")


def choice(name: str, default: str, offered: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in offered:
        problems.append((name, f"expects one of: {', '.join(offered)}"))
        return default
    return value


def _number(
    name: str,
    default: float,
    bounds: tuple[float, float],
    kind: Callable[[str], float],
    what: str,
) -> float:
    least, most = bounds
    try:
        value = kind(text(name, str(default)))
    except ValueError:
        value = float("nan")
    if not (least <= value <= most and value < inf):  # also refuses NaN
        limit = f" and at most {most:g}" if most < inf else ""
        problems.append((name, f"expects {what} of at least {least:g}{limit}"))
        return default
    return value
