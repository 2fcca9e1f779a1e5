"""Everything that Snipix refuses, and how an answer says so.

An error is a fact with a name: it carries a stable `code`, a sentence for people, and what a
client can act on. `exception_handler` is the one place that turns errors into answers: problem
documents as RFC 9457 defines them.
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from pymongo.errors import PyMongoError
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.response import Response

from snipix import metrics
from snipix.chains import HistoryDamaged
from snipix.mongo import is_misfit, is_refusal
from snipix.refusals import InvalidState, join

logger = logging.getLogger(__name__)

PROBLEM_TYPE = "application/problem+json"


class SnipixError(Exception):
    """A request that can't be carried out, as a fact that a client can act on."""

    status = 400
    code = "bad-request"
    title = "The request can't be carried out"
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str, **members: Any) -> None:
        """`members` are added to the problem document (RFC 9457, section 3.2)."""
        super().__init__(detail)
        self.detail = detail
        self.members = members


class InvalidInput(SnipixError):
    """Input that breaks a rule. `errors` name each path, reason and what to do."""

    code = "invalid-input"
    title = "The input isn't valid"

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        first = errors[0]
        where = f"{first['path']}: " if first["path"] else ""
        super().__init__(f"{where}{first['reason']}", errors=list(errors))

    @classmethod
    def at(cls, path: str, reason: str, hint: str) -> "InvalidInput":
        """One thing that is wrong: where, why, and what to do instead."""
        return cls([{"path": path, "reason": reason, "hint": hint}])


class NotFound(SnipixError):
    status = 404
    code = "not-found"
    title = "There is no such document"


class Forbidden(SnipixError):
    """Something that the caller can see but may not do."""

    status = 403
    code = "forbidden"
    title = "You may not do this"


class IdTaken(SnipixError):
    status = 409
    code = "id-taken"
    title = "This id is taken"


class PreconditionRequired(SnipixError):
    """RFC 6585, section 3: the change must say which version it was made on."""

    status = 428
    code = "precondition-required"
    title = "The change doesn't say which version it was made on"


class VersionMismatch(SnipixError):
    """RFC 9110, section 15.5.13: the document has moved on since the client read it."""

    status = 412
    code = "version-mismatch"
    title = "The document was changed meanwhile"


class KeyReused(SnipixError):
    status = 422
    code = "idempotency-key-reused"
    title = "The idempotency key was used for another request"


class BodyTooLarge(SnipixError):
    status = 413
    code = "body-too-large"
    title = "The body is too large"


class ForeignOrigin(SnipixError):
    status = 403
    code = "foreign-origin"
    title = "The change was sent by a page of another site"


class LengthRequired(SnipixError):
    status = 411
    code = "length-required"
    title = "The length of the body is missing"


class RequestTimeout(SnipixError):
    """RFC 9110, section 15.5.9: the body didn't arrive in time."""

    status = 408
    code = "request-timeout"
    title = "The body didn't arrive in time"


class RateLimited(SnipixError):
    """RFC 6585, section 4: the client has sent too many requests of a kind."""

    status = 429
    code = "rate-limited"
    title = "Too many requests"

    def __init__(self, detail: str, *, policy: str, retry_after: int) -> None:
        """`policy` is what the RateLimit fields call the limit; `retry_after` is in seconds."""
        super().__init__(detail, **{"violated-policies": [policy]})
        self.headers = {"Retry-After": str(retry_after)}


class DatabaseUnavailable(SnipixError):
    status = 503
    code = "database-unavailable"
    title = "The database can't be reached"
    headers = {"Retry-After": "2"}


class DamagedHistory(SnipixError):
    """A version whose state isn't, or can't be proven to be, the one that was saved."""

    status = 500
    code = "history-damaged"
    title = "This version is damaged in the database"


class DatabaseRefused(DatabaseUnavailable):
    """The database answers, and won't do what it is asked: a permission or room is missing, …

    A 503, since Snipix can't serve until an operator acts, and what the client sent is right.
    """

    code = "database-refused"
    title = "The database refused to do this"
    headers = {"Retry-After": "30"}


class NewerSchema(DatabaseUnavailable):
    """A document that a newer release has saved: this one would misread it, or save less of it."""

    code = "newer-schema"
    title = "A newer release of Snipix has saved this document"
    headers = {"Retry-After": "5"}


class OutcomeUnknown(DatabaseUnavailable):
    """The connection broke while a change was being committed."""

    code = "outcome-unknown"
    title = "It isn't known whether the change was saved"


class Overloaded(DatabaseUnavailable):
    """Other changes of the same document kept winning until the request's time was over."""

    code = "too-many-changes-at-once"
    title = "Too many changes of this document at once"
    headers = {"Retry-After": "1"}


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer every error that leaves a view of the API; None (a 500) for those nobody foresaw."""
    error = as_snipix_error(exc)
    if error is None:
        return None
    request = context["request"]
    metrics.ERRORS.labels(error.code).inc()
    response = Response(problem(error, request), status=error.status, headers=dict(error.headers))
    renderer = getattr(request, "accepted_renderer", None)
    if getattr(renderer, "format", "") != "api":
        response.content_type = PROBLEM_TYPE
    return response


def as_snipix_error(exc: Exception) -> SnipixError | None:
    match exc:
        case SnipixError():
            return exc
        case InvalidState():
            return InvalidInput(
                [{"path": e.path, "reason": e.reason, "hint": e.hint} for e in exc.errors]
            )
        case HistoryDamaged():
            logger.error("history damaged: %s", exc)
            return DamagedHistory(
                "What is stored of this version isn't what was saved, and was logged. Other "
                "versions may be whole; an administrator can bring this one back from a backup."
            )
        case UnreadablePostError():
            return RequestTimeout("The body stopped coming before it was complete. Send it again.")
        case Http404():
            return NotFound("There is no such document, or it isn't yours.")
        case ValidationError():
            return InvalidInput(list(_flatten(exc.detail)))
        case PermissionDenied():
            return _from_status(403, "You may not do this.", {})
        case APIException():
            headers = {}
            if getattr(exc, "auth_header", None):
                headers["WWW-Authenticate"] = exc.auth_header  # type: ignore[attr-defined]
            return _from_status(exc.status_code, str(exc.detail), headers)
        case DatabaseError() | PyMongoError():
            return _from_database(exc)
    return None


def _from_database(exc: DatabaseError | PyMongoError) -> SnipixError:
    """What to tell of an error that the database, or the way to it, has raised; it is logged."""
    # Not the error itself: the driver's texts hold documents.
    cause = exc.__cause__ or exc
    details = getattr(cause, "details", None) or {}
    logger.error(
        "database operation failed: %s, code %s %s",
        type(cause).__name__,
        getattr(cause, "code", None),
        details.get("codeName", ""),
    )
    if is_misfit(exc):  # a mistake of ours, which no repeat mends
        return _from_status(500, "The database refused this change. It was logged.", {})
    if is_refusal(exc):
        return DatabaseRefused(
            "The database refused to do this, so it wasn't done; everything saved before "
            "is safe. It was logged for the operators of this server, who have to see to "
            "it: try again later."
        )
    return DatabaseUnavailable(
        "The database can't be reached at the moment. Everything saved before is safe; "
        "try again in a few seconds."
    )


def problem(error: SnipixError, request: HttpRequest) -> dict[str, Any]:
    """The problem document of an error (RFC 9457): what, why, and under which request id."""
    return {
        "type": f"urn:snipix:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": getattr(request, "request_id", ""),
        **error.members,
    }


def problem_response(error: SnipixError, request: HttpRequest) -> JsonResponse:
    """The same, for what happens outside the API's views: middleware and unknown addresses."""
    metrics.ERRORS.labels(error.code).inc()
    return JsonResponse(
        problem(error, request),
        status=error.status,
        content_type=PROBLEM_TYPE,
        headers=dict(error.headers),
    )


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    detail = "The request isn't valid HTTP for this server: see its Host header and its address."
    return problem_response(SnipixError(detail), request)


def page_not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    detail = "There is nothing at this address. /api/docs/ lists what there is."
    return problem_response(NotFound(detail), request)


def server_error(request: HttpRequest) -> JsonResponse:
    """Answer what went wrong outside of views, too: a middleware that can't store a session."""
    detail = "Something went wrong on the server. It was logged under this request id."
    exc = sys.exception()
    known = as_snipix_error(exc) if isinstance(exc, Exception) else None
    return problem_response(known or _from_status(500, detail, {}), request)


def _from_status(status: int, detail: str, headers: Mapping[str, str]) -> SnipixError:
    error = SnipixError(detail)
    error.status = status
    error.title = HTTPStatus(status).phrase
    error.code = error.title.lower().replace(" ", "-")
    error.headers = headers
    return error


def _flatten(detail: Any, path: str = "") -> Any:
    """Serializer errors, nested as the data are, as a flat list of paths and reasons."""
    if isinstance(detail, ErrorDetail):
        yield {"path": path, "reason": str(detail), "hint": "Send a value that fits this rule."}
    elif isinstance(detail, Mapping):
        for key, value in detail.items():
            step = "" if key == "non_field_errors" else key
            yield from _flatten(value, join(path, step) if step != "" else path)
    else:
        nested = any(isinstance(item, Mapping) and item for item in detail)
        for index, item in enumerate(detail):
            yield from _flatten(item, join(path, index) if nested else path)
