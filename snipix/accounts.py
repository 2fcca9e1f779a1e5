"""Who acts: the anonymous owner, or accounts with bearer tokens; and what the admin site permits.

Tokens are opaque. Only their SHA-256 is stored; that is enough for 256 random bits, which no
dictionary holds.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from bson import ObjectId
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest
from django_mongodb_backend.fields import ObjectIdAutoField
from pymongo import ASCENDING, IndexModel
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from snipix import cache, limits, resilience
from snipix.cache import Name
from snipix.logs import client_address
from snipix.mongo import one
from snipix.times import now

ANONYMOUS = "anonymous"
_PREFIX = "snx_"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change, and from where: what an audit entry says of it."""

    user_id: str
    is_staff: bool = False
    address: str = ""
    request_id: str = ""
    client_id: str = ""
    via: str = "command"

    @classmethod
    def of(cls, request: HttpRequest | Request, via: str = "api") -> "Actor":
        return cls(
            user_id=str(request.user.pk),
            is_staff=bool(getattr(request.user, "is_staff", False)),
            address=client_address(request),
            request_id=getattr(request, "request_id", ""),
            client_id=request.headers.get("X-Client-Id", "")[:64],
            via=via,
        )


SYSTEM = Actor("system")
"""Snipix itself: commands and scripts that act for nobody."""


class AnonymousOwner:
    """The one user of anonymous mode, who owns everything."""

    pk = id = ANONYMOUS
    is_authenticated = is_active = True
    is_anonymous = is_staff = is_superuser = False

    def get_username(self) -> str:
        return ANONYMOUS

    def __str__(self) -> str:
        return ANONYMOUS


class Token(models.Model):
    """A bearer token of a user, stored as its digest."""

    collection_indexes: ClassVar[Sequence[IndexModel]] = (
        IndexModel([("digest", ASCENDING)], unique=True),
        IndexModel([("userId", ASCENDING)]),
    )

    id = ObjectIdAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, db_column="userId", db_index=False)
    name = models.CharField(max_length=100, blank=True)
    digest = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(db_column="createdAt", default=now, editable=False)
    expires_at = models.DateTimeField(db_column="expiresAt", null=True, blank=True)

    class Meta:
        db_table = "tokens"

    def __str__(self) -> str:
        return self.name or f"token of {self.created_at:%Y-%m-%d}"

    @classmethod
    def issue(cls, user: User, name: str = "", expires_at: datetime | None = None) -> str:
        """Make a token and return it: the only time that it can be read.

        Raises Django's ValidationError, as for a name that is too long.
        """
        secret = _PREFIX + secrets.token_urlsafe(32)
        token = cls(user=user, name=name, digest=_digest(secret), expires_at=expires_at)
        token.clean_fields(exclude={"user"})  # who is there, as the caller has read it
        token.save(force_insert=True)
        return secret

    @staticmethod
    def user_of(secret: str, request: HttpRequest | Request | None = None) -> User | None:
        """The active user whom a token that hasn't expired belongs to; only what the API needs.

        Raises RateLimited if too many wrong ones came from where the request does.
        """
        digest = _digest(secret)

        def load() -> bytes | None:
            return resilience.read(lambda: limits.guess(request, lambda: _load_account(digest)))

        content = cache.current.get(Name("account", digest), load)
        account = msgspec.json.decode(content, type=_Account) if content else None
        if account is None or (account.expires_at and account.expires_at <= now()):
            return None
        return User(
            pk=ObjectId(account.user_id), username=account.username, is_staff=account.is_staff
        )


class _Account(msgspec.Struct, frozen=True):
    """What a token stands for, as the cache keeps it."""

    user_id: str
    username: str
    is_staff: bool
    expires_at: datetime | None


def _load_account(digest: str) -> bytes | None:
    tokens = Token.objects.filter(digest=digest).values_list("user", "expires_at")
    user_id, expires_at = one(tokens) or (None, None)
    user = user_id and one(User.objects.filter(pk=user_id, is_active=True))
    if not user:
        return None
    return msgspec.json.encode(_Account(str(user.pk), user.username, user.is_staff, expires_at))


@receiver([post_save, post_delete], sender=Token)
def _void_token(sender: Any, instance: Token, **_: Any) -> None:
    cache.current.void(Name("account", instance.digest))


@receiver(post_save, sender=User)
def _void_tokens(sender: Any, instance: User, **_: Any) -> None:
    """A signal, since it is Django that changes users, in several places. (Tokens go with them.)"""
    digests = Token.objects.filter(user=instance).values_list("digest", flat=True)
    cache.current.void(*(Name("account", digest) for digest in digests))


class AnonymousOwnerAuthentication(BaseAuthentication):
    """Every request acts as the anonymous owner."""

    def authenticate(self, request: Request) -> tuple[Any, None]:
        return AnonymousOwner(), None


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>` (RFC 6750)."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        scheme, _, secret = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        user = Token.user_of(secret.strip().decode("latin-1"), request)
        if user is None:
            raise AuthenticationFailed("This token isn't valid, or not any more.")
        return user, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class PlainQueryBackend(ModelBackend):
    """Django's model backend, with permissions found by plain queries, and guessing limited.

    Django joins permissions with their content types. A join is a slow `$lookup` on MongoDB, and
    the embedded server answers it wrongly, so that members of groups would silently have no rights.
    """

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> Any:  # type: ignore[override]
        """Raises RateLimited if too many wrong passwords came from where the request does."""
        authenticate = super().authenticate
        return limits.guess(request, lambda: authenticate(request, **credentials))

    def _get_permissions(self, user_obj: Any, obj: Any, from_name: str) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        cache_name = f"_{from_name}_perm_cache"
        if not hasattr(user_obj, cache_name):
            setattr(user_obj, cache_name, _permission_names(user_obj, from_name))
        return getattr(user_obj, cache_name)


def _permission_names(user: Any, from_name: str) -> set[str]:
    permissions = Permission.objects.order_by()
    if not user.is_superuser:
        granted = _granted_to_user(user) if from_name == "user" else _granted_to_groups(user)
        permissions = permissions.filter(pk__in=granted)
    return {
        f"{ContentType.objects.get_for_id(content_type_id).app_label}.{codename}"
        for content_type_id, codename in permissions.values_list("content_type_id", "codename")
    }


def _granted_to_user(user: Any) -> list[Any]:
    through = type(user).user_permissions.through
    return list(through.objects.filter(user_id=user.pk).values_list("permission_id", flat=True))


def _granted_to_groups(user: Any) -> list[Any]:
    membership = type(user).groups.through.objects.filter(user_id=user.pk)
    groups = list(membership.values_list("group_id", flat=True))
    through = Group.permissions.through
    granted = through.objects.filter(group_id__in=groups)
    return list(granted.values_list("permission_id", flat=True))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
