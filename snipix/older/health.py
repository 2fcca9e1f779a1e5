"""`/`, `/test`, `/health…` and `/performance…`: whether Snipix is there, for everybody to ask."""

from typing import Any, Literal

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from snipix import errors, health, openapi, wire
from snipix.older.envelope import OlderPath, answers, failures, success

DOCS = "/api/docs/"
ALIVE = ("health", "liveness")
CHECKED = ("status", "metrics", "health/detailed")
MEASURED = ("metrics", "metrics/detailed", "database", "optimization/suggestions", "status")
SWITCHES = ("monitoring/start", "monitoring/stop", "metrics/reset")
"""What follows `/health/` and `/performance/`."""


class Greeting(msgspec.Struct):
    """Who answers here."""

    message: str
    version: str
    docs: str


class Health(msgspec.Struct):
    """Healthy, unhealthy or alive; and, by name, what was looked at."""

    status: str
    checks: dict[str, str] = {}


class Report(msgspec.Struct, omit_defaults=True):
    """How Snipix is; all but the status is for administrators."""

    status: Literal["healthy", "degraded", "unhealthy", "stopping"]
    checks: dict[str, str] = {}
    details: dict[str, dict[str, Any]] = {}


class Measuring(msgspec.Struct):
    """Where the numbers are, in the format of Prometheus."""

    status: str = "monitoring"
    metrics: str = "/metrics"


class NotReady(errors.SnipixError):
    status = 503
    code = "not-ready"
    title = "Requests can't be served at the moment"
    headers = health.RETRY_LATER


class MeasuringGoesOn(errors.SnipixError):
    status = 409
    code = "measuring-goes-on"
    title = "Measuring can't be switched"


def _name(*names: str) -> list[OpenApiParameter]:
    return [OpenApiParameter("name", str, OpenApiParameter.PATH, enum=names)]


class OlderHealthViewSet(OlderPath, ViewSet):
    """Whether Snipix is there. Needs no token, and tells nothing but one word per check."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Render at once: below `/health` no handler of Django's does (`ProbeMiddleware`)."""
        response = super().dispatch(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response.render() if isinstance(response, Response) else response

    @extend_schema(responses={200: openapi.struct(Greeting)})
    def root(self, request: Request) -> HttpResponse:
        """Say who answers here; a browser goes on to the documentation."""
        is_page = "text/html" in request.headers.get("Accept", "")
        response = HttpResponseRedirect(DOCS) if is_page else self.test(request)
        response["Vary"] = "Accept"
        return response

    @extend_schema(responses={200: openapi.struct(Greeting)})
    def test(self, request: Request) -> HttpResponse:
        """Say who answers here."""
        version = str(settings.SPECTACULAR_SETTINGS["VERSION"])
        greeting = Greeting("Snipix keeps projects of a video editor.", version, DOCS)
        return Response(wire.encode(greeting))

    @extend_schema(request=None, responses={200: openapi.struct(Greeting)})
    def test_post(self, request: Request) -> HttpResponse:
        """The same, whatever is sent."""
        return self.test(request)

    @extend_schema(responses=dict.fromkeys((200, 503), openapi.struct(Report)))
    def healthy(self, request: Request) -> HttpResponse:
        """Answer how Snipix is: a word for everyone, and for administrators what was looked at.

        healthy; degraded, if all is served, but slower, or without room for videos; with 503
        unhealthy, or stopping.
        """
        return health.report(request._request)

    @extend_schema(
        parameters=_name(*ALIVE, *CHECKED), responses={200: answers(Health), **failures(404)}
    )
    def told(self, request: Request, name: str) -> HttpResponse:
        """Answer that the process runs; where more is asked, how everything is that it needs."""
        if name in CHECKED:
            return _enclosed(_look(request))
        return _enclosed(Health("alive" if name == "liveness" else "healthy"))

    @extend_schema(responses={200: answers(Health), **failures(503)})
    def ready(self, request: Request) -> HttpResponse:
        """Answer whether requests can be served: 200, or 503 with Retry-After."""
        found = _look(request)
        if found.status != "healthy":
            bad = ", ".join(f"{name} {state}" for name, state in found.checks.items())
            raise NotReady(
                f"Snipix can't serve requests at the moment: {bad}.", checks=found.checks
            )
        return _enclosed(found)

    @extend_schema(
        parameters=_name(*MEASURED), responses={200: answers(Measuring), **failures(404)}
    )
    def measured(self, request: Request, name: str) -> HttpResponse:
        """Say where the numbers are."""
        told = "Snipix always measures. Its numbers are at /metrics, in the format of Prometheus."
        return Response(success(Measuring(), told))

    @extend_schema(
        request=None,
        parameters=_name(*SWITCHES),
        responses={200: answers(Measuring), **failures(404, 409)},
    )
    def switch(self, request: Request, name: str) -> HttpResponse:
        """Measuring can't be stopped, nor its counters reset; to start it changes nothing."""
        if name != "monitoring/start":
            raise MeasuringGoesOn(
                "Snipix always measures, and its counters only grow: whoever reads /metrics takes "
                "differences. Nothing was changed."
            )
        return self.measured(request, name)


def _look(request: Request) -> Health:
    """What v1's probe finds."""
    answer = health.ready(request._request)
    found = msgspec.json.decode(answer.content)
    return Health("healthy" if answer.status_code == 200 else "unhealthy", found["checks"])


def _enclosed(found: Health) -> Response:
    """In the envelope, and beside it: monitors look for `status` at the top."""
    enclosed = msgspec.json.decode(success(found))
    return Response({**enclosed, **msgspec.to_builtins(found)})
