"""The versions of a document over HTTP: listed, read, compared, rolled back to.

Written once; projects, timelines and whatever else has a history only say which document is meant.
"""

from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from django.urls import URLPattern, re_path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from snipix import api, checkpoints, comparison, etags, history, openapi, times, wire
from snipix.api import Made
from snipix.checkpoints import Checkpoint
from snipix.comparison import Difference
from snipix.documents import Document, Tag
from snipix.etags import ETag
from snipix.history import Revision
from snipix.idempotency import Answer
from snipix.pagination import BY_VERSION
from snipix.parameters import refuse_unknown, whole_number
from snipix.refusals import InvalidState, translate

MAX_DIFFERENCES = 1_000
Right = Literal["read", "write", "own"]
T = TypeVar("T", bound=msgspec.Struct)


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
    name: str | None = None
    """The name that somebody gave it: a checkpoint."""

    @classmethod
    def of(cls, revision: Revision, representation: str, name: str | None = None) -> "Version":
        return cls(
            name=name,
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


class Comparison(msgspec.Struct, kw_only=True):
    """What differs between two versions; `more` says how many differences aren't listed."""

    before: int
    after: int
    differences: list[Difference]
    more: int


class Rollback(msgspec.Struct, forbid_unknown_fields=True):
    """Which version's content is to become the next version."""

    version: int


class VersionName(msgspec.Struct, forbid_unknown_fields=True):
    """What a version is to be called."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NamedVersion(msgspec.Struct):
    """A version that has a name: who gave it, and when."""

    version: int
    name: str
    created_by: str
    created_at: str


class CheckpointPage(msgspec.Struct):
    """One page of the versions that have a name, the newest first."""

    results: list[NamedVersion]
    next: str | None


class VersionedViewSet(api.DocumentViewSet):
    """The history of a document. Subclasses say which one, and how a rollback is answered."""

    def get_document(self, right: Right = "read") -> Document:
        """The document as it is now. Raises NotFound, and Forbidden without the right to it."""
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
        return Response(wire.encode(VersionPage(shown(document, page.results), page.next)))

    @extend_schema(
        responses={200: openapi.struct(VersionWithState), 304: None, **openapi.problems(404)},
    )
    def version(self, request: Request, project_id: str, version: str) -> Response:
        """Read one version with its state."""
        return self.answer_version(int(version))

    def answer_version(self, version: int) -> Response:
        """Answer one version with its state."""
        raise NotImplementedError

    def make_version(self, version: int, *, with_state: bool = True) -> Made:
        """Write down a version, which never changes but for its name."""
        document = self.get_document()
        (found,) = shown(document, [history.revision(document, version)])
        tag = Tag(found.etag, found.created_at).variant(found.name or "")
        state = history.read_json(document, version) if with_state else None
        return tag, wire.encode({**msgspec.structs.asdict(found), "state": state})

    def answer_then(self, time: datetime) -> Response:
        """Answer the version that was the newest at a time."""
        return self.answer_version(history.revision_at(self.get_document(), time).version)

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
        return Response(wire.encode(self.compared(document, before, after)))

    def compared(self, document: Document, before: int, after: int) -> Comparison:
        """Compare two versions; subclasses may say more."""
        found = comparison.differences(_state(document, before), _state(document, after))
        shown = list(islice(found, MAX_DIFFERENCES))
        more = sum(1 for _ in found)
        return Comparison(before=before, after=after, differences=shown, more=more)

    def rollback(self, request: Request, project_id: str) -> Response:
        """Make the content of an old version the next version. Nothing is lost by it."""
        wanted = _wanted(request.data, Rollback).version

        def work() -> Answer:
            etags.check_match(request, self.get_document().etag)
            return self.roll_back(wanted)

        return self.answer_change(project_id, work)

    @extend_schema(
        request={"application/json": openapi.struct(VersionName)},
        parameters=[openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN],
        responses={200: openapi.struct(Version), **openapi.problems(400, 403, 404, 422)},
    )
    def name_version(self, request: Request, project_id: str, version: str) -> Response:
        """Name a version, to find it again: a checkpoint. Its state and number stay."""
        name = _wanted(request.data, VersionName).name

        def work() -> Answer:
            document = self.get_document("write")
            checkpoints.name_version(document, int(version), name, actor=self.actor)
            return _answer(document, int(version))

        return self.answer_change(project_id, work)

    @extend_schema(
        parameters=[openapi.IDEMPOTENCY_KEY, openapi.DRY_RUN],
        responses={200: openapi.struct(Version), **openapi.problems(400, 403, 404, 422)},
    )
    def forget_name(self, request: Request, project_id: str, version: str) -> Response:
        """Take a version's name away. The version stays."""

        def work() -> Answer:
            document = self.get_document("write")
            checkpoints.forget_name(document, int(version), actor=self.actor)
            return _answer(document, int(version))

        return self.answer_change(project_id, work)

    @extend_schema(
        parameters=[openapi.CURSOR, openapi.PAGE_SIZE],
        responses={200: openapi.struct(CheckpointPage), **openapi.problems(400, 404)},
    )
    def checkpoints(self, request: Request, project_id: str) -> Response:
        """List the versions that have a name, the newest first."""
        refuse_unknown(request, ("cursor", "page_size"))
        page = BY_VERSION.page(Checkpoint, history.whose(self.get_document()), request)
        found = [
            NamedVersion(int(c.version), c.name, c.created_by, times.write(c.created_at))
            for c in page.results
        ]
        return Response(wire.encode(CheckpointPage(found, page.next)))


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
            rf"{prefix}/versions/(?P<version>\d{{1,18}})/?$",
            viewset.as_view({"get": "version"}),
            name=f"{name}-version",
        ),
        re_path(
            rf"{prefix}/versions/(?P<version>\d{{1,18}})/name/?$",
            viewset.as_view({"put": "name_version", "delete": "forget_name"}),
            name=f"{name}-version-name",
        ),
        re_path(
            rf"{prefix}/checkpoints/?$",
            viewset.as_view({"get": "checkpoints"}),
            name=f"{name}-checkpoints",
        ),
        re_path(
            rf"{prefix}/rollback/?$", viewset.as_view({"post": "rollback"}), name=f"{name}-rollback"
        ),
    ]


def _number(path: str, text: str) -> int:
    return whole_number(path, text, 0, 2**53)


def _state(document: Document, version: int) -> Any:
    """A version's state as plain JSON; version 0 is before there was anything."""
    return history.read_json(document, version) if version else {}


def _answer(document: Document, version: int) -> Answer:
    return Answer(wire.encode(shown(document, [history.revision(document, version)])[0]))


def shown(document: Document, revisions: list[Revision]) -> list[Version]:
    """How revisions are listed, with the names that they have."""
    names = checkpoints.names(document, [revision.version for revision in revisions])
    representation = document.representation
    return [Version.of(r, representation, names.get(r.version)) for r in revisions]


def _wanted(body: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise InvalidState([translate(error, kind)]) from error
