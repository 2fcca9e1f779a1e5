"""The admin site's ground: how documents are listed, changed, trashed and restored there.

Nothing is saved past the services: whatever changes a document is a change like any other, with a
revision and an audit entry that names the administrator. Records can't be changed by anybody.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from snipix import errors, history, states
from snipix.accounts import Actor, Token
from snipix.admin_lists import IndexedAdmin, IndexedPages, ReadOnlyAdmin, user_id_of, user_names
from snipix.audit import AuditEntry
from snipix.documents import Document
from snipix.history import HistoryDamaged, Revision
from snipix.idempotency import KeptAnswer

MOST_SHOWN = 20_000
"""Characters of an old version's JSON that a page shows."""


# --- Documents -------------------------------------------------------------------------------


class TrashFilter(admin.SimpleListFilter):
    """Live documents, or those in the trash: never both, so that an index serves either."""

    title = "trash"
    parameter_name = "trash"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "In the trash")]

    def choices(self, changelist: Any) -> Any:
        for value, text in ((None, "Live"), *self.lookup_choices):
            link = changelist.get_query_string({self.parameter_name: value})
            yield {"selected": self.value() == value, "query_string": link, "display": text}

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(is_deleted=is_trash(request))


def is_trash(request: HttpRequest) -> bool:
    """Whether a list shows what is in the trash."""
    return request.GET.get(TrashFilter.parameter_name) == "yes"


class VersionedForm(forms.ModelForm):
    """A form that knows at which version it was opened, and refuses to overwrite a later one."""

    opened_at = forms.IntegerField(widget=forms.HiddenInput, label="version")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A form that only shows has no fields.
        if "opened_at" in self.fields:
            self.fields["opened_at"].initial = self.instance.version

    def clean(self) -> dict[str, Any]:
        opened_at = self.cleaned_data.get("opened_at")
        if opened_at is not None and opened_at != self.instance.version:
            raise ValidationError(stale(self.instance, opened_at))
        return self.cleaned_data


def stale(document: Document, opened_at: int) -> SafeString:
    """What an administrator reads whose form was opened before somebody else's change."""
    return format_html(
        "Not saved: somebody changed this {} while you were editing. You opened it at version {}; "
        'it is at version {} by now. <a href="" target="_blank">Open it as it is now</a>, and '
        "make your change there.",
        document.kind,
        opened_at,
        document.version,
    )


class DocumentAdmin(IndexedAdmin):
    """What the admins of documents have in common. Deleting means the trash."""

    form = VersionedForm
    change_form_template = "admin/document_form.html"
    delete_confirmation_template = "admin/trash_confirmation.html"
    list_filter: Sequence[Any] = (TrashFilter,)
    indexed = ("project_id", TrashFilter.parameter_name)
    actions: ClassVar[Sequence[str]] = ("delete_selected", "restore_selected")

    def update(self, document: Any, form: Any, actor: Actor) -> None:
        """Change a document, just read, as the form says: by a service, within a change."""
        raise NotImplementedError

    def links(self, request: HttpRequest, document: Any) -> list[tuple[str, str]]:
        """Where a document's page leads to: titles and addresses."""
        query = urlencode({"project_id": document.project_id})
        return [("Audit", f"{reverse('admin:snipix_auditentry_changelist')}?{query}")]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_live = obj is None or not obj.is_deleted
        return is_live and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_live = obj is None or not obj.is_deleted
        return is_live and super().has_delete_permission(request, obj)

    def get_ordering(self, request: HttpRequest) -> Sequence[str]:
        return ("-deleted_at",) if is_trash(request) else self.ordering

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        useless = "delete_selected" if is_trash(request) else "restore_selected"
        found = super().get_actions(request)
        return {name: action for name, action in found.items() if name != useless}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"show_delete": False, **(extra_context or {})}
        if document := object_id and self.get_object(request, unquote(object_id)):
            context["links"] = self.links(request, document)
            context["trashable"] = self.has_delete_permission(request, document)
            context["restorable"] = document.is_deleted and super().has_change_permission(request)
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except errors.VersionMismatch:
            # Somebody's change came between this form's check and its write. The check sees it now.
            return super().changeform_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actor = Actor.of(request, via="admin")

        def work() -> None:
            document = type(obj).everything.get(pk=obj.pk)
            opened_at = form.cleaned_data["opened_at"]
            if document.version != opened_at:
                raise errors.VersionMismatch(stale(document, opened_at))
            self.update(document, form, actor)

        history.change(work)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        obj.delete(actor=Actor.of(request, via="admin"))

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        return [str(document) for document in objs], {}, set(), []

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        self.message_user(request, f"“{obj_display}” is in the trash now.", messages.SUCCESS)
        return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    @admin.action(description="Move the selected ones to the trash", permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: Any) -> None:
        actor = Actor.of(request, via="admin")
        done = self._each(request, queryset.live(), lambda document: document.delete(actor=actor))
        self.message_user(request, f"Moved to the trash: {done}.", messages.SUCCESS)

    @admin.action(description="Restore the selected ones", permissions=["change"])
    def restore_selected(self, request: HttpRequest, queryset: Any) -> None:
        actor = Actor.of(request, via="admin")
        done = self._each(
            request, queryset.trashed(), lambda document: document.restore(actor=actor)
        )
        self.message_user(request, f"Restored: {done}.", messages.SUCCESS)

    def _each(self, request: HttpRequest, documents: Any, work: Callable[[Any], Any]) -> int:
        """Change each document, one change each; those that can't be are named."""
        done = 0
        for document in documents:
            try:
                work(document)
                done += 1
            except errors.SnipixError as error:
                self.message_user(request, f"“{document}”: {error.detail}", messages.ERROR)
        return done

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The document's versions, in place of Django's log of what the admin site did."""
        document: Any = self.get_object(request, unquote(object_id))
        if document is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        if not self.has_view_or_change_permission(request, document):
            raise PermissionDenied
        versions = history.of(document).order_by("-version")
        page = IndexedPages(versions, 100, heavy=("frame",)).get_page(request.GET.get("p"))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Versions: {document}",
            "subtitle": None,
            "page": page,
            "names": user_names(revision.created_by for revision in page),
            "object": document,
            "opts": self.opts,
            "module_name": self.opts.verbose_name_plural,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/document_history.html", context)
