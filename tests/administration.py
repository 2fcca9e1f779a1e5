"""What the tests of the admin site share: addresses, forms, and what was recorded."""

import re
from typing import Any

from django.test import Client
from django.urls import reverse

from projects.models import Project
from snipix.audit import AuditEntry
from snipix.documents import Document
from tests.conftest import Api

TIMELINE = {
    "layers": [
        {"id": "l", "name": "Main track", "type": "video", "clips": [
            {"id": f"c{i}", "type": "video", "start_time": i, "duration": 1} for i in range(500)
        ]}
    ]
}  # fmt: skip


def film(api: Api) -> Project:
    """A project of the anonymous owner, with a timeline."""
    made = api.create(name="Film", tags=["a", "b"], metadata={"k": [1, {"x": "ü"}]})
    path = f"/projects/{made['id']}/timeline/"
    saved = api("PUT", path, TIMELINE, if_match=api.etag(path), idempotency_key="k")
    assert saved.status_code == 200
    return Project.objects.get()


def url(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def text(response: Any) -> str:
    return response.content.decode()


def form(project: Project, **changes: Any) -> dict[str, Any]:
    """What a browser sends of a project's form."""
    project = Project.everything.get(pk=project.pk)
    return {
        "opened_at": project.version,
        "name": project.name,
        "description": re.sub("\r\n?|\n", "\r\n", project.description),
        "status": project.status,
        "metadata": '{"k": [1, {"x": "ü"}]}',
        "tags": "\r\n".join(project.tags),
        "duration": "",
    } | changes


def save(site: Client, project: Project, **changes: Any) -> Any:
    return site.post(url(Project, "change", project.pk), form(project, **changes))


def act(site: Client, action: str, *documents: Any, query: str = "") -> Any:
    keys = [str(getattr(document, "pk", document)) for document in documents]
    model = type(documents[0]) if hasattr(documents[0], "pk") else Project
    data = {"action": action, "_selected_action": keys}
    return site.post(url(model, "changelist") + query, data, follow=True)


def actions(document: Document) -> list[tuple[str, str, str]]:
    """What the audit says was done to a document: action, via, by whom."""
    entries = AuditEntry.objects.filter(document_id=document.pk, kind=document.kind).order_by("pk")
    return [(entry.action, entry.via, entry.user_id) for entry in entries]
