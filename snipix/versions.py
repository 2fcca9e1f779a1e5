"""The versions of a document over HTTP: listed, read, compared, rolled back to.

Written once; projects, timelines and whatever else has a history only say which document is meant.
"""

from itertools import islice
from typing import Any

import msgspec
from django.urls import URLPattern, re_path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from snipix import api, comparison, errors, etags, history, openapi, times, wire
from snipix.comparison import Difference
from snipix.documents import Document
from snipix.etags import ETag
from snipix.history import Revision
from snipix.idempotency import Answer
from snipix.pagination import BY_VERSION, refuse_unknown, whole_number

MAX_DIFFERENCES = 1_000


class Version(msgspec.Struct, kw_only=True):
    """One version: who made it, when, and what changed in words."""

    version: int
    etag: str
    action: str
    description: str
    change_summary: str
    created_by: str
    created_at: str
    is_deleted: bool
    """Whether the document was in the trash from then on."""
    size: int
    """Bytes of its state as JSON."""

    @classmethod
    def of(cls, revision: Revision, representation: str) -> "Version":
        return cls(
            version=int(revision.version),
            etag=str(ETag.of(revision.version, bytes(revision.digest), representation)),
            action=revision.action,
            description=revision.description,
            change_summary=revision.change_summary,
            created_by=revision.created_by,
            created_at=times.write(revision.created_at),
            is_deleted=revision.is_deleted,
            size=int(revision.size),
        )


class VersionPage(msgspec.Struct):
    """One page of a history, the newest version first."""

    results: list[Version]
    next: str | None


class VersionWithState(Version, kw_only=True):
    """One version with its state."""

    state: Any


class Comparison(msgspec.Struct):
    """What differs between two versions; `more` says how many differences aren't listed."""

    before: int
    after: int
    differences: list[Difference]
    more: int


class Rollback(msgspec.Struct, forbid_unknown_fields=True):
    """Which version's content is to become the next version."""

    version: int


class VersionedViewSet(api.DocumentViewSet):
    """The history of a document. Subclasses say which one, and how a rollback is answered."""

    def get_document(self) -> Document:
        """The document as it is now. Raises NotFound."""
        raise NotImplementedError

    def roll_back(self, version: int) -> Answer:
        """Make the content of `version` the next version, within a change."""
        raise NotImplementedError

    @extend_schema(
        parameters=[openapi.CURSOR, openapi.PAGE_SIZE],
        responses={200: openapi.struct(VersionPage), **openapi.problems(400, 404)},
    )
    def versions(self, request: Request, project_id: str) -> Response:
        """List the versions, the newest first, without their states."""
        refuse_unknown(request, ("cursor", "page_size"))
        document = self.get_document()
        match = history.whose(document)
        page = BY_VERSION.page(Revision, match, request, without=("frame",))
        found = [Version.of(revision, document.representation) for revision in page.results]
        return Response(wire.encode(VersionPage(found, page.next)))

    @extend_schema(
        responses={200: openapi.struct(VersionWithState), 304: None, **openapi.problems(404)},
    )
    def version(self, request: Request, project_id: str, version: str) -> Response:
        """Read one version with its state."""
        document = self.get_document()
        revision = history.revision(document, _number("version", version))
        shown = Version.of(revision, document.representation)
        etag = ETag.of(revision.version, bytes(revision.digest), document.representation)

        def encoded() -> bytes:
            state = msgspec.Raw(history.read_bytes(document, revision.version))
            return wire.encode({**msgspec.structs.asdict(shown), "state": state})

        return self.answer_read(etag, encoded)

    @extend_schema(
        parameters=[openapi.FROM, openapi.TO],
        responses={200: openapi.struct(Comparison), **openapi.problems(400, 404)},
    )
    def compare(self, request: Request, project_id: str) -> Response:
        """Say what differs between two versions, field by field; elements are known by their id."""
        refuse_unknown(request, ("from", "to"))
        document = self.get_document()
        after = _number("to", request.query_params.get("to", str(document.version)))
        before = _number("from", request.query_params.get("from", str(max(after - 1, 0))))
        found = comparison.differences(_state(document, before), _state(document, after))
        shown = list(islice(found, MAX_DIFFERENCES))
        more = sum(1 for _ in found)
        return Response(wire.encode(Comparison(before, after, shown, more)))

    def rollback(self, request: Request, project_id: str) -> Response:
        """Make the content of an old version the next version. Nothing is lost by it."""
        wanted = _wanted_version(request.data)

        def work() -> Answer:
            etags.check_match(request, self.get_document().etag)
            return self.roll_back(wanted)

        return self.answer_change(project_id, work)


def routes(prefix: str, viewset: type[VersionedViewSet], name: str) -> list[URLPattern]:
    """The addresses of a history, below the document's own."""
    return [
        re_path(
            rf"{prefix}/versions/?$", viewset.as_view({"get": "versions"}), name=f"{name}-versions"
        ),
        re_path(
            rf"{prefix}/versions/compare/?$",
            viewset.as_view({"get": "compare"}),
            name=f"{name}-compare",
        ),
        re_path(
            rf"{prefix}/versions/(?P<version>\d+)/?$",
            viewset.as_view({"get": "version"}),
            name=f"{name}-version",
        ),
        re_path(
            rf"{prefix}/rollback/?$", viewset.as_view({"post": "rollback"}), name=f"{name}-rollback"
        ),
    ]


def _number(path: str, text: str) -> int:
    return whole_number(path, text, 0, 2**53)


def _state(document: Document, version: int) -> Any:
    """A version's state as plain JSON; version 0 is before there was anything."""
    return msgspec.json.decode(history.read_bytes(document, version)) if version else {}


def _wanted_version(body: Any) -> int:
    try:
        return msgspec.convert(body, Rollback).version
    except msgspec.ValidationError as error:
        hint = 'Send {"version": n}, one of those that …/versions/ lists.'
        reason = "must be the number of a version"
        raise errors.InvalidInput.at("version", reason, hint) from error
