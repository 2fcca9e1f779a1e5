from django.urls import re_path

from snipix.api import PROJECT_ID
from timelines.views import TimelineViewSet

urlpatterns = [
    re_path(
        rf"^projects/(?P<project_id>{PROJECT_ID})/timeline/?$",
        TimelineViewSet.as_view({"get": "retrieve", "put": "update"}),
        name="timeline",
    ),
]
