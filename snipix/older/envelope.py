"""How the older paths answer: every answer in one envelope, every error in another.

A view of these paths inherits from `OlderViewSet` (or, where the bodies that it takes aren't JSON,
from `OlderPath`), and answers with `success`:

    def retrieve(self, request: Request, project_id: str) -> Response:
        return Response(success({"_id": project_id}, "Project found"))

    def update(self, request: Request, project_id: str) -> Response:
        def work() -> Answer:
            project = self.get_project("write")
            …
            return Answer(success(shown, "Project updated successfully"))

        return self.answer_change(project_id, work)

Errors are raised as everywhere, and nothing has to be done about them: whatever leaves a view, or a
middleware before it, is a problem document by then (`snipix.errors`), and `EnvelopeMiddleware` puts
that into the envelope. What other bodies a view answers (files, 304) passes through as it is.

For the description of the API: `responses={200: answers(struct), **failures(404)}`.
"""

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiResponse
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from projects.current_views import CurrentViewSet
from snipix import errors, openapi, times, wire

TAG = "older paths"
_ADDRESSES = re.compile(
    r"/(?:(?:projects|timeline|transcriptions|media|health|performance|test)(?:/.*)?)?",
    re.DOTALL,
)


def success(data: Any, message: str | None = None) -> bytes:
    """The body of an answer. Its status is 200, also for what was made."""
    return wire.encode({"success": True, "data": data, "message": message, "error": None})


class FailureDetails(msgspec.Struct, kw_only=True):
    """What a program can act on: besides these, the members of v1's problem documents."""

    message: str
    user_message: str
    error_type: str
    """A stable name of what is wrong, as `not-found`."""
    status_code: int
    timestamp: str
    request_id: str
    errors: list[openapi.ProblemItem] = []
    """Each thing that is wrong with the input: where, why, and what to do."""


class Failure(msgspec.Struct, kw_only=True):
    """Why a request wasn't carried out. `error`, `message` and `details.message` are one text."""

    success: bool = False
    error: str
    message: str
    details: FailureDetails
    timestamp: str


def failure(problem: dict[str, Any]) -> bytes:
    """The body of an error, made of its problem document."""
    said = {name: problem.pop(name) for name in ("type", "title", "status", "detail", "code")}
    listed = problem.setdefault("errors", [])
    is_about_all = bool(listed) and not listed[0]["path"]
    text = f"The body {said['detail']}" if is_about_all else said["detail"]
    time = times.write(times.now())
    details = {
        "message": text,
        "user_message": text,
        "error_type": said["code"],
        "status_code": said["status"],
        "timestamp": time,
        **problem,
    }
    body = {"success": False, "error": text, "message": text, "details": details, "timestamp": time}
    return wire.encode(body)


class EnvelopeMiddleware:
    """Puts every problem document of the older paths into their envelope."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_problem = response.get("Content-Type", "").startswith(errors.PROBLEM_TYPE)
        if is_problem and _ADDRESSES.fullmatch(request.path_info):
            _enclose(response)
        return response


def _enclose(response: HttpResponse) -> None:
    problem = msgspec.json.decode(response.content)
    if problem["code"] == errors.Forbidden.code:
        # To the client a 403 means an expired token: it would ask for a new one, get none, and
        # log its user out. The text still says what is missing.
        problem["status"] = response.status_code = errors.NotFound.status
    response.content = failure(problem)
    response["Content-Type"] = wire.JSON
    response["Content-Length"] = str(len(response.content))


class AlwaysJSON(DefaultContentNegotiation):
    """Whatever a client says that it accepts, it gets the first form (RFC 9110, 12.4.1)."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, first.media_type


class OlderSchema(openapi.Schema):
    def get_tags(self) -> list[str]:
        return [TAG]

    def always(self) -> dict[tuple[int, str], OpenApiResponse]:
        return {(status, wire.JSON): told for status, told in failures(*self.common).items()}


class OlderPath(APIView):
    """What all views of the older paths share; other view classes may follow it as bases."""

    schema = OlderSchema()
    renderer_classes = (wire.JSONRenderer,)
    content_negotiation_class = AlwaysJSON

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Tokens alone: no session, so that no page of another site can make use of one."""
        known = super().get_authenticators()
        return [one for one in known if not isinstance(one, SessionAuthentication)]

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return response


class OlderViewSet(OlderPath, CurrentViewSet):
    """A view of a project, or of what belongs to it, that takes JSON and answers in the envelope.

    The project is the address's `project_id`: `self.get_project("write")`, within a change. A read
    that goes through `self.answer_current(encode, options=OPTIONS)` is kept in the cache.
    """


OPTIONS = "older 1"
"""The form of bodies on these paths: other bytes than v1's under the same version, so another tag.
Another number, whenever that form changes."""


def answers(data: type[msgspec.Struct] | None, *, many: bool = False) -> dict[str, Any]:
    """The schema of `success`, for `extend_schema`; `many` for a list."""
    shown: dict[str, Any] = openapi.struct(data) if data else {"type": "null"}
    return {
        "type": "object",
        "required": ["success", "data", "message", "error"],
        "properties": {
            "success": {"type": "boolean", "const": True},
            "data": {"type": "array", "items": shown} if many else shown,
            "message": {"type": ["string", "null"]},
            "error": {"type": "null"},
        },
    }


def failures(*statuses: int) -> dict[int, OpenApiResponse]:
    """The errors that an operation answers, for `extend_schema`."""
    schema = openapi.struct(Failure)
    return {status: OpenApiResponse(schema, HTTPStatus(status).phrase) for status in statuses}
