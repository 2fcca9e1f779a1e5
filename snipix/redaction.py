"""What log lines may say: no secret, nothing of a document, and nothing endless."""

import re
import traceback
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bson.errors import BSONError
from django.db import Error as DatabaseError
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from structlog.typing import EventDict

REMOVED = "[removed]"
LONGEST_TEXT = 2_000
LONGEST_MESSAGE = 200
LONGEST_TRACEBACK = 20_000

_NAMES = "authorization|token|passw|passphrase|secret|cookie|credential|session_?id|api_?key"
_named = re.compile(_NAMES, re.IGNORECASE)
# Strangers choose parts of these texts: every repetition is bounded or can't be entered twice.
_hidden: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"://[^\s'\"]*@"), f"://{REMOVED}@"),  # greedy: a password may hold an @
    (re.compile(r"\bsnx_[\w-]{8,}"), REMOVED),  # a token of ours, as somebody put it into a path
    (re.compile(r"\b(bearer|basic|token) {1,3}[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {REMOVED}"),
    (
        re.compile(
            rf"((?:{_NAMES})[\w-]{{0,30}}['\"]?\s{{0,3}}[:=]\s{{0,3}})"
            r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&)}\]]+)",
            re.IGNORECASE,
        ),
        rf"\1{REMOVED}",
    ),
    (re.compile(r"\?[^\s'\"]+"), f"?{REMOVED}"),  # query strings
]
_suspicious = re.compile(rf"[?@]|snx_|bearer|basic|{_NAMES}", re.IGNORECASE)
"""What all of these have; hardly any text has it, and every request logs some."""
_controls = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def remove_secrets(_: Any, method: str, event: EventDict) -> EventDict:
    """Remove secrets, known by their names or their forms, and cut texts to a bounded length."""
    return {name: _cleaned(value, name) for name, value in event.items()}


def escape_controls(_: Any, method: str, event: EventDict) -> EventDict:
    """Keep a request from writing lines of its own, or to the terminal. JSON escapes by itself."""
    for name, value in event.items():
        if isinstance(value, str) and name != "exception":
            event[name] = _controls.sub(lambda found: f"\\x{ord(found[0]):02x}", value)
    return event


def format_traceback(exc_info: Any) -> str:
    """Format an exception and what led to it, without the values that drivers put in messages."""
    parts: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None and len(parts) < 10:
        frames = "".join(traceback.format_tb(error.__traceback__))
        name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        parts.append(f"{frames}{name}: {_message(error)}")
        context = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or context
    return "\nled to:\n".join(reversed(parts))


def _message(error: BaseException) -> str:
    if isinstance(error, OperationFailure):
        return f"code {error.code} {(error.details or {}).get('codeName', '')}".rstrip()
    quotes = isinstance(error, PyMongoError | DatabaseError | BSONError)
    if quotes and not isinstance(error, ConnectionFailure):
        return "(message left out: it may quote a document)"
    text = _controls.sub(" ", str(error))
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…"


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _named.search(name) is not None


def _cleaned(value: Any, name: str = "") -> Any:
    if name and _is_secret(name):
        return REMOVED
    match value:
        case None | bool() | int() | float():
            return value
        case bytes() | bytearray() | memoryview():
            return f"[{len(value)} bytes]"
        case Mapping():
            return {str(key): _cleaned(inner, str(key)) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_cleaned(inner) for inner in value]
    longest = LONGEST_TRACEBACK if name == "exception" else LONGEST_TEXT
    return _without_secrets(str(value)[:longest])


def _without_secrets(text: str) -> str:
    if not _suspicious.search(text):
        return text
    for pattern, replacement in _hidden:
        text = pattern.sub(replacement, text)
    return text
