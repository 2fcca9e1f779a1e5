"""How many requests a client may send, and how answers say so.

A client is an account or, where there is none, an address. Reads, changes and uploads each have a
quota per minute that comes back evenly and may be used all at once; so have wrong tokens and
passwords, by address. The fields `RateLimit-Policy` and `RateLimit` follow
draft-ietf-httpapi-ratelimit-headers-11.

All processes count together, in Redis, in one step and exactly: what they let through is never more
than the quota. Reads are counted in advance: a process that has used up what it took takes twice as
many the next time, so that a cached read, which costs little else, has no round trip of its own.
Where Redis can't count, each process counts alone. Then a client may send as many as there are
processes times more, and nobody waits: too much is better than nothing, now that there is no limit
to keep everybody off the database, and better than to refuse what a working Redis would allow.

Requests from this machine itself aren't counted. They are a developer's, or come from a proxy that
TRUSTED_PROXIES doesn't know of, behind which everybody would look like one client.
"""

import ipaddress
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any, Literal, NamedTuple, TypeVar

from cachetools import LRUCache
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from snipix import cache, errors, metrics
from snipix.cache.servers import Server, Taken
from snipix.logs import client_address
from snipix.wire import is_upload

T = TypeVar("T")

Kind = Literal["reads", "changes", "uploads", "guesses"]
WINDOW_SECONDS = 60
AT_ONCE = 32
"""How many reads a process takes in advance at most …"""
LEASE_SECONDS = 5.0
"""… and for how long it may use them."""
_CLIENTS = 20_000
"""How many a process remembers; those that were silent for longest are forgotten."""
_IPV6_NETWORK = 64
"""Bits that tell one customer of a network from another: the rest of the address is theirs."""


class Policy(NamedTuple):
    name: str
    quota: int
    """Requests in `seconds`; 0 for any number."""
    seconds: int = WINDOW_SECONDS
    at_once: int = 1

    @classmethod
    def of(cls, kind: Kind) -> "Policy":
        return cls(kind, settings.LIMITS[kind], at_once=AT_ONCE if kind == "reads" else 1)

    @property
    def pause(self) -> int:
        """Seconds in which one more request will be allowed for certain."""
        return ceil(self.seconds / self.quota)


class Standing(NamedTuple):
    """How a client stands after a request."""

    policy: Policy
    is_allowed: bool
    left: int

    @property
    def headers(self) -> dict[str, str]:
        name, quota, seconds, _ = self.policy
        return {
            "RateLimit-Policy": f'"{name}";q={quota};w={seconds}',
            "RateLimit": f'"{name}";r={self.left};t={self.policy.pause}',
        }


@dataclass(slots=True)
class _Lease:
    """What a process has taken for a client and not used yet."""

    size: int = 0
    unused: int = 0
    left: int = 0
    """What nobody had taken then."""
    until: float = 0.0

    def next_size(self, most: int) -> int:
        """Twice as many if all were used in time; one for a client that sends little."""
        return min(2 * self.size, most) if time.monotonic() < self.until else 1

    def add(self, size: int, taken: Taken) -> None:
        now = time.monotonic()
        self.unused = taken.granted - 1 + (self.unused if now < self.until else 0)
        self.size, self.left, self.until = size, taken.left, now + LEASE_SECONDS

    def use(self) -> bool:
        has_some = self.unused > 0 and time.monotonic() < self.until
        self.unused -= has_some
        return has_some


class Limiter:
    """The counts of one process, which it shares with the others through Redis."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._leases: LRUCache[str, _Lease] = LRUCache(_CLIENTS)
        self._full_at: LRUCache[str, float] = LRUCache(_CLIENTS)

    def take(self, policy: Policy, client: str) -> Standing:
        """Count a request of a client's, unless it is one too many."""
        key = f"{policy.name}:{client}"
        with self._lock:
            lease = self._leases.get(key) or _Lease()
            self._leases[key] = lease
            if lease.use():
                return Standing(policy, True, lease.left + lease.unused)
            size = lease.next_size(policy.at_once)
        taken = self._taken(policy, key, size)
        if not taken.granted:
            metrics.REFUSED.labels(policy.name).inc()
            return Standing(policy, False, 0)
        with self._lock:
            lease.add(size, taken)
            return Standing(policy, True, lease.left + lease.unused)

    def has_any(self, policy: Policy, client: str) -> bool:
        """Whether the client's next request would be allowed. Counts nothing."""
        return self._taken(policy, f"{policy.name}:{client}", 0).left > 0

    def _taken(self, policy: Policy, key: str, wanted: int) -> Taken:
        taken = self._server.take(key, wanted, policy.quota, policy.seconds)
        return self._taken_alone(policy, key, wanted) if taken is None else taken

    def _taken_alone(self, policy: Policy, key: str, wanted: int) -> Taken:
        """What Redis does, in this process."""
        with self._lock:
            now, each = time.monotonic(), policy.seconds / policy.quota
            full_at = max(now, self._full_at.get(key, now))
            available = int((now + policy.seconds - full_at) / each + 0.001)
            granted = min(wanted, available)
            self._full_at[key] = full_at + granted * each
            return Taken(granted, available - granted)


limiter = Limiter(cache.server)


class ClientThrottle(BaseThrottle):
    """Counts a request once it is known whose it is. Raises RateLimited."""

    def allow_request(self, request: Request, view: Any) -> bool:
        kind = _kind(request._request)
        policy, client = Policy.of(kind), _client(request)
        if not (policy.quota and client):
            return True
        standing = limiter.take(policy, client)
        request._request.standing = standing  # type: ignore[attr-defined]
        if not standing.is_allowed:
            raise _refusal(policy, f"You have sent more than {policy.quota:,} {kind} in a minute")
        return True


class RateLimitMiddleware:
    """Say in the answer how the client stands."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        standing: Standing | None = getattr(request, "standing", None)
        for name, value in standing.headers.items() if standing else ():
            response[name] = value
        return response


def guess(request: HttpRequest | Request | None, look: Callable[[], T | None]) -> T | None:
    """Look for what a client claims to know, such as a token; None is a wrong guess, and counted.

    Raises RateLimited, and doesn't look, if there were too many wrong ones from there. Right ones
    cost nothing.
    """
    policy, client = Policy.of("guesses"), _network(client_address(request)) if request else ""
    if not (policy.quota and client):
        return look()
    if not limiter.has_any(policy, client):
        metrics.REFUSED.labels(policy.name).inc()
        raise _refusal(policy, "Too many wrong tokens or passwords came from your address")
    found = look()
    if found is None:
        limiter.take(policy, client)
    return found


def _refusal(policy: Policy, what: str) -> errors.RateLimited:
    seconds = policy.pause
    wait = f"{seconds} second{'s' if seconds > 1 else ''}"
    return errors.RateLimited(
        f"{what}. Nothing was done; try again in {wait}.", policy=policy.name, retry_after=seconds
    )


def _kind(request: HttpRequest) -> Kind:
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return "reads"
    return "uploads" if is_upload(request) else "changes"


def _client(request: Request) -> str:
    """Whose quota a request uses; "" if nobody's."""
    network = _network(client_address(request))
    return str(request.user.pk) if network and isinstance(request.user, User) else network


@lru_cache
def _network(address: str) -> str:
    """What stands for everybody at an address; "" for this machine itself, and for none."""
    if not address:
        return ""
    ip = ipaddress.ip_address(address)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback:
        return ""
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, _IPV6_NETWORK), False))
