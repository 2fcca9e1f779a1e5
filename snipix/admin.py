"""The admin site's pages of what every app shares: revisions, audit entries, answers, accounts.

Records are for reading, whoever reads. Tokens can only be revoked.
"""

from typing import Any

import msgspec
from django import forms
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from snipix import documents, history
from snipix.accounts import Token
from snipix.admin_lists import IndexedAdmin, PoliteActions, ReadOnly, user_id_of
from snipix.audit import AuditEntry
from snipix.chains import HistoryDamaged
from snipix.documents import Document
from snipix.history import Revision
from snipix.idempotency import KeptAnswer

MOST_SHOWN = 20_000
"""Characters of an old version's JSON that a page shows."""


# --- Records ---------------------------------------------------------------------------------


def document_model(kind: str) -> type[Document] | None:
    """The model of a kind of documents, as revisions and audit entries name it."""
    return documents.kinds().get(kind)


def document_link(record: Revision | AuditEntry) -> str:
    """Where the document is of which a record speaks."""
    model = document_model(record.kind)
    if model is None:
        return record.project_id
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    return format_html(
        '<a href="{}">{}</a>', reverse(name, args=[quote(record.document_id)]), record.project_id
    )


class RecordAdmin(ReadOnly, IndexedAdmin):
    """Records of what was done: for reading, whoever reads."""

    @admin.display(description="project")
    def project(self, record: Any) -> str:
        return document_link(record)


@admin.register(Revision)
class RevisionAdmin(RecordAdmin):
    list_display = ("version", "kind", "project", "action", "who", "created_at", "description")
    indexed = ("project_id", "document_id", "kind", "version")
    heavy = ("frame",)
    user_field = "created_by"
    fields = (
        "kind", "project", "version", "action", "description", "change_summary", "who",
        "created_at", "is_deleted", "size", "hash", "content",
    )  # fmt: skip

    def get_ordering(self, request: HttpRequest) -> Any:
        is_one_history = "document_id" in request.GET and "kind" in request.GET
        return ("-version",) if is_one_history else self.ordering

    @admin.display(description="hash chain")
    def hash(self, revision: Revision) -> str:
        return bytes(revision.digest).hex()

    @admin.display(description="content")
    def content(self, revision: Revision) -> str:
        text = _content(revision)
        more = "" if len(text) <= MOST_SHOWN else f"\n… {len(text) - MOST_SHOWN:,} characters more"
        return format_html("<pre>{}{}</pre>", text[:MOST_SHOWN], more)


def _content(revision: Revision) -> str:
    """What a version held, as indented JSON."""
    model = document_model(revision.kind)
    document = model.everything.filter(pk=revision.document_id).first() if model else None
    if document is None:
        return "Its document is gone."
    try:
        content = history.read_bytes(document, revision.version)
    except HistoryDamaged as error:
        return f"It can't be read: {error}"
    return msgspec.json.format(content, indent=2).decode()


@admin.register(AuditEntry)
class AuditEntryAdmin(RecordAdmin):
    list_display = (
        "created_at", "action", "kind", "project", "versions", "who", "via", "address",
    )  # fmt: skip
    fields = (*list_display, "document_id", "client_id", "request_id")

    def get_ordering(self, request: HttpRequest) -> Any:
        is_one_project = "project_id" in request.GET or "q" in request.GET
        return ("-created_at", "-pk") if is_one_project else self.ordering

    @admin.display(description="versions")
    def versions(self, entry: AuditEntry) -> str:
        return f"{entry.from_version} → {entry.to_version or 'none'}"


@admin.register(KeptAnswer)
class KeptAnswerAdmin(ReadOnly, IndexedAdmin):
    list_display = ("created_at", "project_id", "who", "key", "status")
    heavy = ("body", "fingerprint", "headers")
    fields = (*list_display, "size")

    @admin.display(description="size of the answer")
    def size(self, kept: KeptAnswer) -> str:
        return f"{len(bytes(kept.body)):,} bytes"


# --- Accounts --------------------------------------------------------------------------------


@admin.register(Token)
class TokenAdmin(IndexedAdmin):
    """Tokens can be revoked here. They are made by `manage.py create_token`, which shows them."""

    list_display = ("__str__", "who", "created_at", "expires_at")
    fields = ("name", "who", "created_at", "expires_at")
    search_help_text = "A user's name, in full."
    indexed = ("user_id",)

    def find(self, queryset: models.QuerySet[Token], term: str) -> models.QuerySet[Token]:
        return queryset.filter(user_id=user_id_of(term))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        text = "Revoke the selected tokens"
        return {name: (action[0], name, text) for name, action in actions.items()}


class PermissionChoice(forms.ModelMultipleChoiceField):
    """Permissions by name, without the joins and the query each that Django's labels need."""

    def label_from_instance(self, obj: Any) -> str:
        content_type = ContentType.objects.get_for_id(obj.content_type_id)
        return f"{content_type.app_label} | {content_type.name} | {obj.name}"


def permissions() -> models.QuerySet[Permission]:
    return Permission.objects.order_by("content_type_id", "codename")


class AccountAdmin(PoliteActions):
    """Users and groups, with permissions to choose from that are found by one plain query."""

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.related_model is not Permission:
            return super().formfield_for_manytomany(db_field, request, **kwargs)
        kwargs["form_class"] = PermissionChoice
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        field.queryset = permissions()  # Django's own joins the content types
        return field


class UserForm(UserChangeForm):
    """Django's form joins the content types once more."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if field := self.fields.get("user_permissions"):
            field.queryset = permissions()  # type: ignore[attr-defined]


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(AccountAdmin, DjangoUserAdmin):
    form = UserForm


@admin.register(Group)
class GroupAdmin(AccountAdmin, DjangoGroupAdmin):  # type: ignore[misc]
    pass
