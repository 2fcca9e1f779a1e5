from typing import Any

from django.urls import re_path

from media.older import OlderThumbnailViewSet, OlderUploadViewSet, OlderVideoViewSet
from media.views import ThumbnailViewSet, VideoViewSet
from snipix.api import PROJECT_ID

_API = rf"^api/v1/projects/(?P<project_id>{PROJECT_ID})"
_OLDER = rf"^media/(?P<project_id>{PROJECT_ID})"
_READ: dict[str, Any] = {"get": "retrieve"}

urlpatterns = [
    re_path(
        rf"{_API}/video/?$",
        VideoViewSet.as_view({**_READ, "post": "upload", "delete": "destroy"}),
        name="video",
    ),
    re_path(rf"{_API}/thumbnail/?$", ThumbnailViewSet.as_view(_READ), name="thumbnail"),
    re_path(
        r"^media/upload/?$", OlderUploadViewSet.as_view({"post": "upload"}), name="older-upload"
    ),
    re_path(rf"{_OLDER}/video/?$", OlderVideoViewSet.as_view(_READ), name="older-video"),
    re_path(
        rf"{_OLDER}/thumbnail/?$", OlderThumbnailViewSet.as_view(_READ), name="older-thumbnail"
    ),
]
