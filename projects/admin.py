"""Projects on the admin site."""

import re
from typing import Any

import msgspec
from django import forms
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from rest_framework import serializers

from projects import services
from projects.models import Project, ProjectQuerySet
from projects.serializers import ProjectSerializer
from projects.state import CONTENT_FIELDS
from snipix import errors, refusals, states, wire
from snipix.accounts import Actor
from snipix.admin_documents import DocumentAdmin, VersionedForm, is_trash
from snipix.admin_lists import user_id_of, user_names


class LinesField(forms.CharField):
    """Text of several lines, whatever line ends a browser makes of it."""

    def __init__(self, *, rows: int, help_text: str = "") -> None:
        widget = forms.Textarea({"class": "vLargeTextField", "rows": rows})
        super().__init__(widget=widget, help_text=help_text, strip=False, required=False)

    def to_python(self, value: Any) -> Any:
        return re.sub("\r\n?", "\n", super().to_python(value) or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))


class TagsField(LinesField):
    """One tag a line."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        return [tag.strip() for tag in super().clean(value).split("\n") if tag.strip()]


class FreeField(LinesField):
    """Free-form JSON, as text."""

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else indented(value)

    def clean(self, value: Any) -> Any:
        try:
            return states.decode_free(super().clean(value).encode() or b"{}")
        except refusals.InvalidState as error:
            raise ValidationError([f"{each}. {each.hint}" for each in error.errors]) from error


def indented(value: Any) -> str:
    return msgspec.json.format(wire.encode(value), indent=2).decode()


class ProjectForm(VersionedForm):
    """What an administrator may change, by the rules of the API."""

    name = forms.CharField(strip=False, widget=forms.TextInput({"class": "vTextField"}))
    description = LinesField(rows=4)
    tags = TagsField(rows=4, help_text="One a line.")
    metadata = FreeField(rows=12, help_text="A JSON object; other programs keep what they want.")
    duration = forms.FloatField(required=False, help_text="Of the video, in seconds.")

    class Meta:
        model = Project
        fields = CONTENT_FIELDS

    content: dict[str, Any]
    """What was changed, and nothing else: what a form can't show exactly stays as it is."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        changed = set(self.changed_data).intersection(CONTENT_FIELDS, cleaned)
        data = {name: cleaned[name] for name in changed}
        serializer = ProjectSerializer(self.instance, data=data, partial=True)
        try:
            serializer.is_valid(raise_exception=True)
        except (serializers.ValidationError, refusals.InvalidState) as error:
            self._refuse(errors.as_snipix_error(error))
        else:
            self.content = dict(serializer.validated_data)
        return cleaned

    def _refuse(self, error: errors.SnipixError | None) -> None:
        for problem in error.members["errors"] if error else ():
            field = re.split(r"\W", problem["path"])[0]
            message = f"{problem['path']}: {problem['reason'].rstrip('.')}. {problem['hint']}"
            self.add_error(field if field in self.fields else None, message)


@admin.register(Project)
class ProjectAdmin(DocumentAdmin):
    """Projects are made through the API: there they get their owner."""

    form = ProjectForm
    list_display = ("name", "updated_at", "project_id", "owner", "status", "version", "timeline")
    search_help_text = "A project's id in full, or the name or id of somebody who can see it."
    ordering = ("-updated_at", "-pk")
    heavy = ("metadata", "description", "keys")
    readonly_fields = (
        "project_id", "owner", "shared_with", "creator", "version", "created_at", "updated_at",
        "timeline", "transcription", "video_file", "video_path", "trimmed_video_path", "thumbnail",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def find(self, queryset: Any, term: str) -> ProjectQuerySet:
        by_id = queryset.filter(project_id=term)
        owner = user_id_of(term) or term
        # Among live projects an index finds the key, in the trash the reader.
        return by_id if by_id.exists() else queryset.visible_to(owner).filter(keys=owner)

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        return (*self.list_display, "deleted_at") if is_trash(request) else self.list_display

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        shown: tuple[str, ...] = CONTENT_FIELDS
        if not self.has_change_permission(request, obj):
            shown = tuple("metadata_as_text" if name == "metadata" else name for name in shown)
        return ((None, {"fields": shown}), ("About it", {"fields": self.readonly_fields}))

    def links(self, request: HttpRequest, document: Any) -> list[tuple[str, str]]:
        parts = (
            ("Timeline", "timelines_timeline", document.timeline_state),
            ("Transcription", "transcriptions_transcription", document.transcription_state),
        )
        made = [
            (title, reverse(f"admin:{page}_change", args=[quote(document.pk)]))
            for title, page, summary in parts
            if summary["version"]  # also what is in the trash
        ]
        return [*made, *super().links(request, document)]

    def update(self, document: Any, form: Any, actor: Actor) -> None:
        services.update_project(document, actor=actor, **form.content)

    @admin.display(description="owner")
    def owner(self, project: Project) -> str:
        return self.who(project)

    @admin.display(description="shared with")
    def shared_with(self, project: Project) -> str:
        names = user_names(each["user_id"] for each in project.collaborators)
        shared = (
            (names.get(c["user_id"], c["user_id"]), c["right"]) for c in project.collaborators
        )
        return ", ".join(f"{name} ({right})" for name, right in shared) or "nobody"

    @admin.display(description="creator")
    def creator(self, project: Project) -> str:
        return user_names([project.created_by]).get(project.created_by, project.created_by)

    @admin.display(description="timeline")
    def timeline(self, project: Project) -> str:
        summary = project.timeline_state
        if not summary["version"]:
            return "none yet"
        return f"{summary['clips']:,} clips, version {summary['version']}"

    @admin.display(description="transcription")
    def transcription(self, project: Project) -> str:
        summary = project.transcription_state
        if not summary["version"]:
            return "none yet"
        size = f"{summary['segments']:,} segments" if summary["exists"] else "in the trash"
        return f"{size}, version {summary['version']}"

    @admin.display(description="video")
    def video_file(self, project: Project) -> str:
        if (video := project.video) is None:
            return "none yet"
        size = f"{video['width']} by {video['height']}, {video['duration']:g} s"
        return f"{video['file_name']}: {video['media_type']}, {video['size']:,} bytes, {size}"

    @admin.display(description="metadata")
    def metadata_as_text(self, project: Project) -> str:
        return indented(project.metadata)
