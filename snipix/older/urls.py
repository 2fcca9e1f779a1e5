"""The unversioned addresses: with and without a trailing slash, and never by a redirect."""

from collections.abc import Sequence
from typing import Any

from django.urls import URLPattern, re_path

from snipix.api import PROJECT_ID
from snipix.older.health import ALIVE, CHECKED, MEASURED, SWITCHES, OlderHealthViewSet
from snipix.older.projects import OlderProjectViewSet
from snipix.older.timelines import OlderTimelineViewSet
from snipix.older.transcriptions import OlderSegmentViewSet, OlderTranscriptionViewSet
from snipix.wire import RawJSONParser

ID = rf"(?P<project_id>{PROJECT_ID})"
VERSION = r"(?P<version>[1-9]\d{0,17})"
SEGMENT = r"(?P<segment_id>[^/]+)"
RAW = {"parser_classes": [RawJSONParser]}


def route(address: str, view: Any, name: str) -> URLPattern:
    return re_path(rf"^{address}/?$" if address else "^$", view, name=f"older-{name}")


def one_of(names: Sequence[str]) -> str:
    return f"(?P<name>{'|'.join(names)})"


project = OlderProjectViewSet.as_view
timeline = OlderTimelineViewSet.as_view
transcription = OlderTranscriptionViewSet.as_view
segment = OlderSegmentViewSet.as_view
health = OlderHealthViewSet.as_view

urlpatterns = [
    route("", health({"get": "root"}), "root"),
    route("test", health({"get": "test", "post": "test_post"}), "test"),
    route("projects", project({"get": "list", "post": "create"}), "projects"),
    route(
        f"projects/{ID}",
        project({"get": "retrieve", "put": "update", "delete": "destroy"}),
        "project",
    ),
    route(f"projects/{ID}/restore", project({"post": "restore"}), "project-restore"),
    route("timeline", timeline({"post": "create"}, **RAW), "timelines"),
    route(
        f"timeline/{ID}",
        timeline({"get": "retrieve", "put": "update", "delete": "destroy"}, **RAW),
        "timeline",
    ),
    route(f"timeline/{ID}/history", timeline({"get": "history"}), "timeline-history"),
    route(f"timeline/{ID}/version/{VERSION}", timeline({"get": "version"}), "timeline-version"),
    route(f"timeline/{ID}/restore/{VERSION}", timeline({"post": "restore"}), "timeline-restore"),
    route("transcriptions", transcription({"post": "create"}, **RAW), "transcriptions"),
    route(
        f"transcriptions/{ID}",
        transcription({"get": "retrieve", "put": "update", "delete": "destroy"}, **RAW),
        "transcription",
    ),
    route(
        f"transcriptions/{ID}/metadata",
        transcription({"put": "metadata"}, **RAW),
        "transcription-metadata",
    ),
    route(f"transcriptions/{ID}/segments", segment({"post": "create"}, **RAW), "segments"),
    route(
        f"transcriptions/{ID}/segments/{SEGMENT}",
        segment({"put": "update", "delete": "destroy"}, **RAW),
        "segment",
    ),
    route("health", health({"get": "healthy"}), "health"),
    route("health/readiness", health({"get": "ready"}), "health-readiness"),
    route(f"health/{one_of((*ALIVE, *CHECKED))}", health({"get": "told"}), "health-told"),
    route(f"performance/{one_of(MEASURED)}", health({"get": "measured"}), "performance"),
    route(f"performance/{one_of(SWITCHES)}", health({"post": "switch"}), "performance-switch"),
]
