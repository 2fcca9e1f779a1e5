"""The ground that every part of the API stands on: serializers, and one way to answer.

A read answers bytes under an ETag, or 304. A change runs as one transaction, once for each
idempotency key.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from django.db import models
from django.utils.http import http_date
from django_mongodb_backend.fields import ObjectIdAutoField
from django_mongodb_backend.fields import ObjectIdField as ObjectIdModelField
from rest_framework import serializers, viewsets
from rest_framework.fields import empty
from rest_framework.request import Request
from rest_framework.response import Response

from snipix import cache, errors, etags, history, idempotency, resilience, times, wire
from snipix.accounts import Actor
from snipix.cache import Coding, Name, staleness
from snipix.documents import Tag
from snipix.etags import ETag
from snipix.idempotency import Answer
from snipix.parameters import one_flag, refuse_unknown
from snipix.refusals import MAX_PROBLEMS

PROJECT_ID = r"[A-Za-z0-9_-]{1,64}"


class TextField(serializers.CharField):
    """Text as it was sent: nothing is trimmed, and a number is no text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class NumberField(serializers.FloatField):
    """A finite JSON number: neither text nor true or false. -0 is 0."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data) + 0.0


class MillisecondField(serializers.DateTimeField):
    """RFC 3339 in UTC with `Z`, to the millisecond."""

    def to_representation(self, value: Any) -> Any:
        return times.write(value) if value else None


class ObjectIdField(serializers.CharField):
    """An ObjectId, as 24 hexadecimal digits."""


class StrictSerializer(serializers.Serializer):
    """A serializer that refuses fields that don't exist, by name."""

    def run_validation(self, data: Any = empty) -> Any:
        if isinstance(data, Mapping):
            unknown = [name for name in data if name not in self.fields]
            if unknown:
                offered = ", ".join(n for n, f in self.fields.items() if not f.read_only)
                raise errors.InvalidInput(
                    [
                        {
                            "path": str(name),
                            "reason": "isn't a field of this document",
                            "hint": f"Fields that can be set are: {offered}.",
                        }
                        for name in unknown[:MAX_PROBLEMS]
                    ]
                )
        return super().run_validation(data)


class DocumentSerializer(StrictSerializer, serializers.ModelSerializer):
    """A model serializer that knows ObjectIds, and refuses fields that don't exist."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: TextField,
        models.TextField: TextField,
        models.FloatField: NumberField,
        ObjectIdAutoField: ObjectIdField,
        ObjectIdModelField: ObjectIdField,
    }


def _read(handler: Callable[..., Response], *args: Any, **kwargs: Any) -> Response:
    return resilience.read(lambda: handler(*args, **kwargs))


Made = tuple[Tag, bytes]
"""A body, and what it is of."""


class DocumentViewSet(viewsets.GenericViewSet):
    """What the viewsets of projects and of what belongs to them have in common."""

    lookup_field = "project_id"
    lookup_value_regex = PROJECT_ID
    change_parameters: tuple[str, ...] = ()
    """Parameters of the address that changes take, besides `dry_run`."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Read the body now: the parser then takes it from memory, and it can still be
        # fingerprinted afterwards.
        _ = request.body
        super().initial(request, *args, **kwargs)
        _ = request.data  # parsed before anything is looked up: a broken body is refused as such
        handlers, method = vars(self), (request.method or "").lower()
        if method in ("get", "head") and method in handlers:
            handlers[method] = partial(_read, handlers[method])

    @property
    def actor(self) -> Actor:
        return Actor.of(self.request)

    def require_staff(self) -> None:
        """Raise Forbidden for all but administrators."""
        if not self.actor.is_staff:
            raise errors.Forbidden("Only administrators may do this.")

    def answer_read(self, etag: ETag, encoded: Callable[[], bytes]) -> Response:
        """Answer 304 to a client that has these bytes; otherwise make them."""
        headers = {"Cache-Control": "private, no-cache", "ETag": str(self._shown(etag))}
        if etags.is_unmodified(self.request, self._shown(etag)):
            return Response(status=304, headers=headers)
        return Response(encoded(), headers=headers)

    def answer_kept(self, kind: str, key: str, tag: Tag, make: Callable[[], Made]) -> Response:
        """Answer with the bytes that a tag names: 304, the kept ones, or what `make` makes.

        `make` returns a tag, too, since the document may have moved on.
        """
        etag, coding = ETag.read(tag.etag), self._coding()
        if etags.is_unmodified(self.request, self._shown(etag)):
            return Response(status=304, headers=self._headers(etag, tag, coding))
        made: list[Tag] = []

        def encoded() -> tuple[str, bytes]:
            newest, content = make()
            made.append(newest)
            return newest.etag, content

        body = cache.bodies.fetch(kind, key, tag.etag, encoded, coding)
        newest = made[0] if made else tag
        return Response(
            body.content, headers=self._headers(ETag.read(body.etag), newest, body.coding)
        )

    def answer_page(self, make: Callable[[], bytes]) -> Response:
        """Answer with a page of a list of the viewer's: the kept one, or what `make` makes."""
        query = self.request.META.get("QUERY_STRING", "")
        page = cache.pages.fetch(self.actor.user_id, query, make, self._coding())
        coded = {"Content-Encoding": page.coding} if page.coding else {}
        return Response(page.content, headers=coded)

    def _headers(self, etag: ETag, tag: Tag, coding: Coding) -> dict[str, str]:
        """Last-Modified is for people and proxies: it has whole seconds, and decides nothing."""
        shown = str(self._shown(etag))
        return {
            # A compressed body is other bytes with the same meaning (RFC 9110, 8.8.1).
            "ETag": f"W/{shown}" if coding else shown,
            "Last-Modified": http_date(times.read(tag.saved_at).timestamp()),
            "Cache-Control": "private, no-cache",
            **({"Content-Encoding": coding} if coding else {}),
        }

    def _shown(self, etag: ETag) -> ETag:
        """A page isn't the same bytes (RFC 9110, 8.8.3); its forms save on the same version."""
        if self.request.accepted_renderer.format != "api":
            return etag
        return replace(etag, representation=f"{etag.representation}-html")

    def _coding(self) -> Coding:
        is_page = self.request.accepted_renderer.format == "api"
        return "" if is_page else wire.coding(self.request.headers.get("Accept-Encoding", ""))

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        staleness.begin()
        return super().dispatch(request, *args, **kwargs)

    @property
    def default_response_headers(self) -> dict[str, str]:
        headers = super().default_response_headers
        return {**headers, "Vary": "Accept, Accept-Encoding, Authorization"}

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        if (age := staleness.age()) is not None:
            response["X-Snipix-Stale"] = "true"
            response["Age"] = str(int(age))
        return super().finalize_response(request, response, *args, **kwargs)

    def answer_change(
        self, project_id: str, work: Callable[[], Answer], *, creates: bool = False
    ) -> Response:
        """Run a change as one transaction, and answer it; see `idempotency.once`.

        With `?dry_run=true` it is checked and answered, and then taken back.
        """
        if self._is_rehearsal():
            answer = history.rehearse(work)
            return Response(answer.body, headers={"X-Snipix-Dry-Run": "true"})
        try:
            answer = idempotency.once(self.request, project_id, work, creates=creates)
        except errors.VersionMismatch:
            # The client read an older version, from us perhaps: it mustn't read that again.
            cache.current.void(Name("project", project_id), Name("list", self.actor.user_id))
            raise
        return Response(answer.body, status=answer.status, headers=dict(answer.headers))

    def _is_rehearsal(self) -> bool:
        refuse_unknown(self.request, ("dry_run", *self.change_parameters))
        return one_flag(self.request, "dry_run", False)
