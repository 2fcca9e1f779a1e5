"""What records are called, and for how long what is cached is used and kept."""

from typing import NamedTuple

from django.conf import settings

LEASE_SECONDS = 30.0
"""A reader that takes longer than that to read may not fill."""


class Name(NamedTuple):
    """A record: of a project, a list's viewer, a token, a user …"""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


def ttl_seconds(kind: str) -> float:
    """For how long what is cached of a kind is used; 0 if it isn't cached at all."""
    return settings.CACHE_TTLS.get(kind, settings.CACHE_TTL)


def kept_seconds(kind: str) -> float:
    """For how long it is kept: past its TTL it is used only while the database is away."""
    return max(ttl_seconds(kind), settings.STALE_MAX)


def mark_seconds() -> float:
    """For how long a change may run: then its marks are taken for those of a dead process."""
    return settings.REQUEST_DEADLINE + settings.MONGODB_SOCKET_TIMEOUT + 5


def forget_seconds() -> float:
    """When nothing of before a change is in use any more, even what was being filled just then."""
    return max([settings.CACHE_TTL, *settings.CACHE_TTLS.values()]) + LEASE_SECONDS
