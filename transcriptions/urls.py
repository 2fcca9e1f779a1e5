from django.urls import re_path

from snipix import versions
from snipix.api import PROJECT_ID
from snipix.wire import RawJSONParser
from transcriptions.caption_views import PARSERS, RENDERERS, CaptionViewSet
from transcriptions.segment_views import SegmentViewSet
from transcriptions.views import TranscriptionViewSet

PREFIX = rf"^projects/(?P<project_id>{PROJECT_ID})/transcription"
# Recognisers choose the ids of segments and speakers; what can't be part of an address is rare.
SEGMENT = rf"{PREFIX}/segments/(?P<segment_id>[^/]+)"
RAW = {"parser_classes": [RawJSONParser]}

urlpatterns = [
    re_path(
        rf"{PREFIX}/?$",
        TranscriptionViewSet.as_view(
            {
                "get": "retrieve",
                "post": "create",
                "put": "update",
                "patch": "partial_update",
                "delete": "destroy",
            },
            **RAW,
        ),
        name="transcription",
    ),
    re_path(
        rf"{PREFIX}/restore/?$",
        TranscriptionViewSet.as_view({"post": "restore"}),
        name="transcription-restore",
    ),
    re_path(
        rf"{PREFIX}/search/?$",
        TranscriptionViewSet.as_view({"get": "search"}),
        name="transcription-search",
    ),
    re_path(
        rf"{PREFIX}/captions/?$",
        CaptionViewSet.as_view({"get": "retrieve"}, renderer_classes=list(RENDERERS.values())),
        name="transcription-captions",
    ),
    re_path(
        rf"{PREFIX}/import/?$",
        CaptionViewSet.as_view({"post": "create"}, parser_classes=PARSERS),
        name="transcription-import",
    ),
    re_path(
        rf"{PREFIX}/segments/?$",
        SegmentViewSet.as_view({"post": "create"}, **RAW),
        name="transcription-segments",
    ),
    re_path(
        rf"{SEGMENT}/?$",
        SegmentViewSet.as_view(
            {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}, **RAW
        ),
        name="transcription-segment",
    ),
    re_path(
        rf"{SEGMENT}/split/?$",
        SegmentViewSet.as_view({"post": "split"}, **RAW),
        name="transcription-split",
    ),
    re_path(
        rf"{PREFIX}/merge-segments/?$",
        SegmentViewSet.as_view({"post": "merge"}, **RAW),
        name="transcription-merge",
    ),
    re_path(
        rf"{PREFIX}/assign-speaker/?$",
        SegmentViewSet.as_view({"post": "assign"}, **RAW),
        name="transcription-assign",
    ),
    re_path(
        rf"{PREFIX}/speakers/(?P<speaker_id>[^/]+)/?$",
        SegmentViewSet.as_view({"put": "name_speaker"}, **RAW),
        name="transcription-speaker",
    ),
    *versions.routes(PREFIX, TranscriptionViewSet, "transcription"),
]
