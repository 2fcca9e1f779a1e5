"""The audit trail over HTTP: read-only, without content."""

from typing import Any

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from snipix import api, openapi, times, wire
from snipix.audit import AuditEntry
from snipix.pagination import Keyset
from snipix.parameters import bounds, one_filter, refuse_unknown

BY_TIME = Keyset("createdAt")
FILTERS = {"project": "projectId", "user": "userId", "action": "action"}


class Entry(msgspec.Struct, kw_only=True):
    """Who changed what, when, from where, in which request, from which version to which."""

    at: str
    user_id: str
    action: str
    kind: str
    project_id: str
    from_version: int
    to_version: int | None
    """None where nothing is left: after a purge."""
    request_id: str
    client_id: str
    via: str
    address: str | None = None
    """Only administrators see from which address."""

    @classmethod
    def of(cls, entry: AuditEntry, *, with_address: bool) -> "Entry":
        return cls(
            at=times.write(entry.created_at),
            user_id=entry.user_id,
            action=entry.action,
            kind=entry.kind,
            project_id=entry.project_id,
            from_version=int(entry.from_version),
            to_version=None if entry.to_version is None else int(entry.to_version),
            request_id=entry.request_id,
            client_id=entry.client_id,
            via=entry.via,
            address=entry.address if with_address else None,
        )


class EntryPage(msgspec.Struct):
    """One page of the audit trail, the last change first."""

    results: list[Entry]
    next: str | None


def page(match: dict[str, Any], request: Request, *, with_address: bool) -> Response:
    """The page that a request asks for, of the entries that `match` finds."""
    found = BY_TIME.page(AuditEntry, match, request)
    entries = [Entry.of(entry, with_address=with_address) for entry in found.results]
    return Response(wire.encode(EntryPage(entries, found.next)))


class AuditViewSet(api.DocumentViewSet):
    """The whole audit trail, for administrators."""

    @extend_schema(
        parameters=[openapi.CURSOR, openapi.PAGE_SIZE, *openapi.AUDIT],
        responses={200: openapi.struct(EntryPage), **openapi.problems(400, 403)},
    )
    def list(self, request: Request) -> Response:
        """List changes, the last first; by at most one of project, user and action."""
        self.require_staff()
        refuse_unknown(request, ("cursor", "page_size", *FILTERS, "created_min", "created_max"))
        name = one_filter(request, FILTERS)
        match: dict[str, Any] = {FILTERS[name]: request.query_params[name]} if name else {}
        if within := bounds(request, "created", times.read):
            match["createdAt"] = within
        return page(match, request, with_address=True)
