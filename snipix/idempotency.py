"""A change that is sent again with the same `Idempotency-Key` takes effect once.

As in the IETF draft "The Idempotency-Key HTTP Header Field": the first answer is kept, together
with a fingerprint of its request, in the transaction of the change itself; a repeat gets it again.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from django.conf import settings
from django.db import models
from django_mongodb_backend.fields import ObjectIdAutoField
from pymongo import ASCENDING, IndexModel
from rest_framework.request import Request

from snipix import cache, errors, frames, history
from snipix.cache import Name
from snipix.mongo import BsonField, one
from snipix.times import now

NEW = "*"
_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a change answers: bytes, so that a repeat can be given the very same."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class KeptAnswer(models.Model):
    """The answer that a key got."""

    goes_with_project = True
    collection_indexes: ClassVar[Sequence[IndexModel]] = (
        IndexModel([("scope", ASCENDING), ("userId", ASCENDING), ("key", ASCENDING)], unique=True),
        IndexModel([("projectId", ASCENDING)]),
        IndexModel(
            [("createdAt", ASCENDING)],
            expireAfterSeconds=settings.IDEMPOTENCY_RETENTION_DAYS * 86_400,
        ),
    )

    id = ObjectIdAutoField(primary_key=True)
    scope = models.CharField(max_length=64)
    """Within what the key is known: a project's id, or `NEW` for what is being created."""
    project_id = models.CharField(max_length=64, db_column="projectId")
    user_id = models.CharField(max_length=64, db_column="userId")
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField()
    status = models.PositiveSmallIntegerField()
    headers = BsonField()
    body = models.BinaryField()
    """Compressed: the warnings in an answer can be longer than what its change takes."""
    created_at = models.DateTimeField(db_column="createdAt")

    class Meta:
        db_table = "kept_answers"

    def __str__(self) -> str:
        return f"{self.project_id} {self.key}"

    @property
    def answer(self) -> Answer:
        return Answer(frames.decompress(bytes(self.body), None), self.status, self.headers)


def key_of(request: Request) -> str | None:
    """The request's key. Raises InvalidInput unless it is 1 to 255 visible ASCII characters."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        reason = "must be 1 to 255 visible ASCII characters, such as a UUID"
        hint = "Make one for every change, and send it again only with the same request."
        raise errors.InvalidInput.at("Idempotency-Key", reason, hint)
    return key


def derived_id(request: Request) -> str | None:
    """The public id of a project to be created: from owner and key; None without a key.

    So even when its answer isn't kept any more, a repeat makes no second project.
    """
    key = key_of(request)
    return key and hashlib.sha256(f"{request.user.pk}\0{key}".encode()).hexdigest()[:24]


def once(
    request: Request, project_id: str, work: Callable[[], Answer], *, creates: bool = False
) -> Answer:
    """Make a change of a project, or of what belongs to it; a repeat gets the first's answer.

    The key is looked up before `work` checks any precondition. An answer that is an error isn't
    kept. Raises KeyReused for a key that was sent with another request.
    """
    scope = NEW if creates else project_id
    key = key_of(request)
    if key is None:
        return history.change(work)

    def keyed() -> Answer:
        mine = {"scope": scope, "user_id": str(request.user.pk), "key": key}
        kept = one(KeptAnswer.objects.filter(**mine))
        if kept is None:
            return _keep(request, work(), project_id=project_id, **mine)
        if kept.fingerprint != _fingerprint(request):
            raise errors.KeyReused(
                "This Idempotency-Key came with another request before. Make a new one for every "
                "change; send one again only with the very same request."
            )
        # Who sends it again wasn't sure that it took effect: what is read next must show it.
        cache.current.void(Name("project", kept.project_id), Name("list", kept.user_id))
        return kept.answer

    return history.change(keyed)


def _keep(request: Request, answer: Answer, **whose: str) -> Answer:
    KeptAnswer(
        **whose,
        fingerprint=_fingerprint(request),
        status=answer.status,
        headers=dict(answer.headers),
        body=frames.compress(answer.body, None),
        created_at=now(),
    ).save(force_insert=True)
    return answer


def _fingerprint(request: Request) -> bytes:
    """What makes two requests the same: user, method, path, content type and body."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    address = (request.path.rstrip("/"), request.META.get("QUERY_STRING", ""))
    parts = (str(request.user.pk), request.method, *address, content_type)
    return hashlib.sha256("\0".join(map(str, parts)).encode() + b"\0" + request.body).digest()
