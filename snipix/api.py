"""The ground that every part of the API stands on: serializers, and one way to answer.

A read answers bytes under an ETag, or 304. A change runs as one transaction, once for each
idempotency key.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from django.db import models
from django_mongodb_backend.fields import ObjectIdAutoField
from django_mongodb_backend.fields import ObjectIdField as ObjectIdModelField
from rest_framework import serializers, viewsets
from rest_framework.fields import empty
from rest_framework.request import Request
from rest_framework.response import Response

from snipix import errors, etags, history, idempotency, times
from snipix.accounts import Actor
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

    @property
    def actor(self) -> Actor:
        return Actor.of(self.request)

    def require_staff(self) -> None:
        """Raise Forbidden for all but administrators."""
        if not self.actor.is_staff:
            raise errors.Forbidden("Only administrators may do this.")

    def answer_read(self, etag: ETag, encoded: Callable[[], bytes]) -> Response:
        """Answer 304 to a client that has these bytes; otherwise make them, once."""
        if self.request.accepted_renderer.format != "json":
            # A page isn't the same bytes (RFC 9110, 8.8.3); its forms save on the same version.
            etag = replace(etag, representation=f"{etag.representation}-html")
        headers = {"ETag": str(etag), "Cache-Control": "private, no-cache"}
        if etags.is_unmodified(self.request, etag):
            return Response(status=304, headers=headers)
        return Response(encoded(), headers=headers)

    def answer_change(
        self, project_id: str, work: Callable[[], Answer], *, creates: bool = False
    ) -> Response:
        """Run a change as one transaction, and answer it; see `idempotency.once`.

        With `?dry_run=true` it is checked and answered, and then taken back.
        """
        if self._is_rehearsal():
            answer = history.rehearse(work)
            return Response(answer.body, headers={"X-Snipix-Dry-Run": "true"})
        answer = idempotency.once(self.request, project_id, work, creates=creates)
        return Response(answer.body, status=answer.status, headers=dict(answer.headers))

    def _is_rehearsal(self) -> bool:
        refuse_unknown(self.request, ("dry_run", *self.change_parameters))
        return one_flag(self.request, "dry_run", False)
