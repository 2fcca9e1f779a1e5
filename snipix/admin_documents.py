"""How documents are listed, changed, trashed and restored on the admin site.

Nothing is saved past the services: whatever changes a document is a change like any other, with a
revision and an audit entry that names the administrator.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from snipix import errors, history
from snipix.accounts import Actor
from snipix.admin_lists import IndexedAdmin, IndexedPages, user_names
from snipix.documents import Document


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
    list_filter: ClassVar[Any] = (TrashFilter,)
    indexed: Sequence[str] = ("project_id", TrashFilter.parameter_name)
    actions: Any = ("delete_selected", "restore_selected", "purge_selected")

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

    def get_ordering(self, request: HttpRequest) -> Any:
        return ("-deleted_at",) if is_trash(request) else self.ordering

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        offered = (
            ("restore_selected", "purge_selected") if is_trash(request) else ("delete_selected",)
        )
        found = super().get_actions(request)
        return {name: action for name, action in found.items() if name in offered}

    def has_purge_permission(self, request: HttpRequest) -> bool:
        """What nothing brings back needs more than the right to a page."""
        return bool(getattr(request.user, "is_superuser", False))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        try:
            return self._form_or_trash(request, object_id, *args, **kwargs)
        except errors.VersionMismatch:
            # Somebody's change came between this form's check and its write. The check sees it now.
            return self._form_or_trash(request, object_id, *args, **kwargs)

    def _form_or_trash(
        self, request: HttpRequest, object_id: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if request.method == "POST" and object_id:
            document: Any = self.get_object(request, unquote(object_id))
            if document and document.is_deleted:
                message = "Not saved: it is in the trash. Restore it first."
                self.message_user(request, message, messages.ERROR)
                return redirect(request.path)
        return super().changeform_view(request, object_id, *args, **kwargs)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None:
            context["links"] = self.links(request, obj)
            context["show_delete"] = False  # the template's own link says what it means
            context["restorable"] = obj.is_deleted and self.has_change_permission(request)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actor = Actor.of(request, via="admin")

        def work() -> None:
            document = type(obj).everything.get(pk=obj.pk)
            opened_at = form.cleaned_data["opened_at"]
            if document.version != opened_at:
                raise errors.VersionMismatch(stale(document, opened_at))
            self.update(document, form, actor)

        history.change(work)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": "Move to the trash", **(extra_context or {})}
        return super().delete_view(request, object_id, context)

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
        done = self._each(request, queryset, lambda document: document.delete(actor=actor))
        self.message_user(request, f"Moved to the trash: {done}.", messages.SUCCESS)

    @admin.action(description="Restore the selected ones", permissions=["change"])
    def restore_selected(self, request: HttpRequest, queryset: Any) -> None:
        actor = Actor.of(request, via="admin")
        done = self._each(request, queryset, lambda document: document.restore(actor=actor))
        self.message_user(request, f"Restored: {done}.", messages.SUCCESS)

    @admin.action(description="Destroy the selected ones for ever", permissions=["purge"])
    def purge_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        if request.POST.get("post") != "yes":
            return self._ask(request, queryset)
        actor = Actor.of(request, via="admin")

        def purge(document: Any) -> None:
            if not document.purge(actor=actor):
                raise ObjectDoesNotExist  # somebody has restored it since the list was read

        done = self._each(request, queryset, purge)
        self.message_user(request, f"Destroyed for ever: {done}.", messages.SUCCESS)
        return None

    def _ask(self, request: HttpRequest, documents: Any) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Destroy for ever",
            "documents": documents,
            "opts": self.opts,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/purge_confirmation.html", context)

    def _each(self, request: HttpRequest, documents: Any, work: Callable[[Any], Any]) -> int:
        """Change document after document, as far as it goes; returns how many."""
        done = 0
        for document in documents:
            try:
                work(document)
                done += 1
            except ObjectDoesNotExist:
                continue  # purged meanwhile
            except errors.SnipixError as error:
                message = f"Stopped at “{document}”. {error.detail}"
                self.message_user(request, message, messages.ERROR)
                break
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
        names = user_names(revision.created_by for revision in page)
        for revision in page:
            revision.who = names.get(revision.created_by, revision.created_by)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Versions: {document}",
            "subtitle": None,
            "page": page,
            "object": document,
            "opts": self.opts,
            "module_name": self.opts.verbose_name_plural,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/document_history.html", context)
