from django.urls import re_path

from snipix import versions
from snipix.api import PROJECT_ID
from snipix.wire import RawEditsParser, RawJSONParser, RawJSONPatchParser
from timelines.draft_views import DraftViewSet
from timelines.views import TimelineViewSet

PREFIX = rf"^projects/(?P<project_id>{PROJECT_ID})/timeline"

urlpatterns = [
    re_path(
        rf"{PREFIX}/?$",
        TimelineViewSet.as_view(
            {"get": "retrieve", "put": "update", "patch": "partial_update"},
            parser_classes=[RawJSONParser, RawJSONPatchParser, RawEditsParser],
        ),
        name="timeline",
    ),
    re_path(
        rf"{PREFIX}/changes/?$",
        TimelineViewSet.as_view({"get": "changes"}),
        name="timeline-changes",
    ),
    re_path(
        rf"{PREFIX}/draft/?$",
        DraftViewSet.as_view(
            {"get": "retrieve", "put": "update", "delete": "destroy"},
            parser_classes=[RawJSONParser],
        ),
        name="timeline-draft",
    ),
    re_path(rf"{PREFIX}/drafts/?$", DraftViewSet.as_view({"get": "list"}), name="timeline-drafts"),
    *versions.routes(PREFIX, TimelineViewSet, "timeline"),
]
