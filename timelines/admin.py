"""Timelines on the admin site: to be looked at. Editors change them."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse

from snipix.admin_documents import DocumentAdmin
from snipix.admin_lists import ReadOnly
from timelines.models import Timeline

MOST_CLIPS = 100
"""Clips of a layer that a page lists."""


@admin.register(Timeline)
class TimelineAdmin(ReadOnly, DocumentAdmin):
    """A timeline is in the trash when its project is: nothing is trashed or restored here."""

    list_display = ("project_id", "duration", "frame_rate", "version", "updated_at")
    list_filter = ()
    indexed = ("project_id",)
    actions = ()
    heavy = ("layers", "markers", "selected_clips", "metadata")
    fields = (
        "project_id", "version", "created_at", "updated_at", "duration", "frame_rate",
        "playhead_time", "zoom", "is_snapping", "contents",
    )  # fmt: skip

    def links(self, request: HttpRequest, document: Any) -> list[tuple[str, str]]:
        project = reverse("admin:projects_project_change", args=[quote(document.pk)])
        return [("Project", project), *super().links(request, document)]

    @admin.display(description="frame rate")
    def frame_rate(self, timeline: Timeline) -> str:
        rate = timeline.fps_num / timeline.fps_den
        return f"{rate:.6g} ({timeline.fps_num}/{timeline.fps_den})"

    @admin.display(description="contents")
    def contents(self, timeline: Timeline) -> str:
        context = {"timeline": timeline.state, "most": MOST_CLIPS, "slice": f":{MOST_CLIPS}"}
        return render_to_string("admin/timelines/contents.html", context)
