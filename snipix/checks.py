"""System checks of the settings: what is missing or contradictory, and what to write instead.

Values of settings that may be secret are never repeated. Importing this module registers the
checks; gunicorn's workers run them too, and don't start on an error.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pymongo
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import Error as DatabaseError
from django.db import connections
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri
from redis.connection import parse_url

from snipix import environment, health, releases

TAG = "snipix"
SECRET_KEY_LENGTH = 50
DATABASE_SECONDS = 5.0
LEAST_PER_MINUTE = {"reads": 600, "changes": 120}
"""What one editor needs: it loads a project with all that belongs to it, and saves every second."""
_URI_FORM = (
    "Write the connection string that Atlas shows under Connect, Drivers (mongodb+srv://…), with "
    "user and password filled in and their special characters percent-encoded, or let `make run` "
    "start a server of its own."
)
_NEW_KEY = 'Make one: python -c "import secrets; print(secrets.token_urlsafe(50))"'


@register(TAG)
def readable(**_: Any) -> list[CheckMessage]:
    """Report variables that couldn't be read."""
    return [
        Error(f"{name} {expected}.", hint="Its default is used until then.", id="snipix.E001")
        for name, expected in dict(environment.problems).items()
    ]


@register(TAG, deploy=True)
def complete(**_: Any) -> list[CheckMessage]:
    """Report what can't be left out where Snipix serves."""
    found: list[CheckMessage] = []
    if not settings.MONGODB_URI:
        found.append(Error("MONGODB_URI is not set.", hint=_URI_FORM, id="snipix.E002"))
    if len(settings.SECRET_KEY) < SECRET_KEY_LENGTH:
        message = f"SECRET_KEY is not set, or has fewer than {SECRET_KEY_LENGTH} characters."
        found.append(Error(message, hint=_NEW_KEY, id="snipix.E003"))
    return found


@register(TAG)
def database_uri(**_: Any) -> list[CheckMessage]:
    """Report a MONGODB_URI that can't be used, or that promises less than Snipix does."""
    if not settings.MONGODB_URI:
        return []
    options = _uri_options(settings.MONGODB_URI)
    if options is None:
        return [Error("MONGODB_URI is malformed.", hint=_URI_FORM, id="snipix.E004")]
    return list(_weak_options(options))


def _uri_options(uri: str) -> dict[str, Any] | None:
    """Parse a URI without asking the DNS, as parsing a mongodb+srv:// one would."""
    scheme, _, rest = uri.partition("://")
    place, _, query = rest.partition("?")
    hosts = place.partition("/")[0].rpartition("@")[2]
    is_srv = scheme == "mongodb+srv"
    if "<" in place or (is_srv and not set(hosts).isdisjoint(":,")):
        return None  # a placeholder that was left in, or ports where DNS gives them
    if is_srv:
        kept = [option for option in query.split("&") if not option.lower().startswith("srv")]
        uri = f"mongodb://{place}?{'&'.join(kept)}"
    try:
        parsed = parse_uri(uri.removesuffix("?"), validate=True, warn=False)
    except (PyMongoError, ValueError, TypeError):
        return None
    return {name.lower(): value for name, value in parsed["options"].items()}


def _weak_options(options: Mapping[str, Any]) -> Iterator[CheckMessage]:
    if str(options.get("readpreference", "primary")).lower() != "primary":
        yield Error(
            "MONGODB_URI reads from secondaries, which may not have the latest changes yet.",
            hint="Remove readPreference from it.",
            id="snipix.E005",
        )
    if str(options.get("w", "majority")) != "majority" or options.get("journal") is False:
        yield Error(
            "MONGODB_URI weakens the write concern: acknowledged changes could be lost.",
            hint="Write w=majority&journal=true in it, or neither w nor journal.",
            id="snipix.E006",
        )
    if options.get("readconcernlevel", "majority") not in ("majority", "linearizable"):
        yield Error(
            "MONGODB_URI weakens the read concern: changes could be read that are undone later.",
            hint="Remove readConcernLevel from it.",
            id="snipix.E007",
        )


@register(TAG)
def numbers(**_: Any) -> list[CheckMessage]:
    """Report numbers that contradict each other."""
    return [
        Error(f"{small} is larger than {large}.", hint=hint, id=key)
        for key, small, large, hint in (
            ("snipix.E008", "MONGODB_MIN_POOL_SIZE", "MONGODB_MAX_POOL_SIZE", "Swap them."),
            ("snipix.E009", "PAGE_SIZE", "PAGE_SIZE_MAX", "Lower the first, or raise the second."),
            (
                "snipix.E010",
                "TRASH_RETENTION_DAYS",
                "AUDIT_RETENTION_DAYS",
                "What is in the trash still needs its audit entries: raise AUDIT_RETENTION_DAYS.",
            ),
            (
                "snipix.E011",
                "MAX_BODY_BYTES",
                "MAX_STATE_BYTES",
                f"MongoDB stores at most 16 MiB: write {settings.MAX_STATE_BYTES} or less.",
            ),
        )
        if getattr(settings, small) > getattr(settings, large)
    ]


@register(TAG)
def names(**_: Any) -> list[CheckMessage]:
    """Report a database name, a Redis address or origins that can't be used."""
    found: list[CheckMessage] = []
    if not is_database_name(settings.MONGODB_DATABASE):
        hint = "Write up to 63 letters, digits, _ and -, and none of MongoDB's own names."
        found.append(Error("MONGODB_DATABASE isn't a name.", hint=hint, id="snipix.E012"))
    if settings.REDIS_URL and not _is_redis_url(settings.REDIS_URL):
        hint = (
            "Write rediss://…/0 with user, password, host and port; redis:// where there is no TLS."
        )
        found.append(Error("REDIS_URL is malformed.", hint=hint, id="snipix.E013"))
    if not all(map(_is_origin, settings.CORS_ALLOWED_ORIGINS)):
        hint = "Write scheme, host and port only, separated by commas: https://editor.example.com"
        message = "CORS_ALLOWED_ORIGINS holds something that isn't an origin."
        found.append(Error(message, hint=hint, id="snipix.E014"))
    return found


def is_database_name(name: str) -> bool:
    """Whether a database of Snipix may be called that."""
    own = name in ("admin", "local", "config")
    return not own and re.fullmatch(r"[A-Za-z0-9_-]{1,63}", name) is not None


def _is_redis_url(url: str) -> bool:
    try:
        return bool(parse_url(url))  # type: ignore[no-untyped-call]
    except ValueError:
        return False


def _is_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return valid and "@" not in parts.netloc and origin == f"{parts.scheme}://{parts.netloc}"


@register(TAG)
def exposure(**_: Any) -> list[CheckMessage]:
    """Report what strangers could reach and shouldn't."""
    found: list[CheckMessage] = []
    if "*" in settings.ALLOWED_HOSTS:
        message = "ALLOWED_HOSTS accepts every host name."
        hint = "Write the names under which Snipix is reached, such as api.example.com."
        found.append(Warning(message, hint=hint, id="snipix.W001"))
    if not _is_public():
        return found
    if settings.DEBUG:
        message = "DEBUG is on and ALLOWED_HOSTS is public: errors show code and settings."
        found.append(Error(message, hint="Write DEBUG=false.", id="snipix.E015"))
    if settings.SNIPIX_AUTH == "anonymous":
        message = "SNIPIX_AUTH is anonymous and ALLOWED_HOSTS public: whoever finds it may edit."
        hint = "Write SNIPIX_AUTH=accounts, or keep strangers out by other means."
        found.append(Warning(message, hint=hint, id="snipix.W002"))
    return found


@register(TAG, deploy=True)
def public_details(**_: Any) -> list[CheckMessage]:
    """Report what matters only where Snipix is public."""
    found: list[CheckMessage] = []
    if _is_public() and not settings.METRICS_TOKEN:
        message = "METRICS_TOKEN is not set: everybody may read /metrics."
        hint = f"Set one, and give it to Prometheus. {_NEW_KEY}"
        found.append(Warning(message, hint=hint, id="snipix.W003"))
    if settings.SECURE_PROXY_SSL_HEADER and not settings.TRUSTED_PROXIES:
        message = "BEHIND_PROXY is on and TRUSTED_PROXIES 0: everybody has the proxy's address."
        hint = "Write TRUSTED_PROXIES=1, or how many proxies add to X-Forwarded-For."
        found.append(Warning(message, hint=hint, id="snipix.W007"))
    if settings.SECURE_SSL_REDIRECT and not settings.SECURE_PROXY_SSL_HEADER:
        message = (
            "HTTPS is on and BEHIND_PROXY off: requests through a proxy are redirected for ever."
        )
        hint = "Write BEHIND_PROXY=true if a proxy that sets X-Forwarded-Proto ends TLS."
        found.append(Warning(message, hint=hint, id="snipix.W004"))
    return found


@register(TAG)
def limits(**_: Any) -> list[CheckMessage]:
    """Report limits that would refuse what an editor sends."""
    return [
        Warning(
            f"{kind.upper()}_PER_MINUTE is {settings.LIMITS[kind]}: an editor needs more.",
            hint=f"Write {least} or more, or 0 for no limit.",
            id="snipix.W008",
        )
        for kind, least in LEAST_PER_MINUTE.items()
        if 0 < settings.LIMITS[kind] < least
    ]


def _is_public() -> bool:
    return not all(map(_is_loopback, settings.ALLOWED_HOSTS))


def _is_loopback(host: str) -> bool:
    name = host.strip("[].").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


@register(TAG, deploy=True)
def processes(**_: Any) -> list[CheckMessage]:
    """Report worker processes that don't fit the pools or the cache."""
    found: list[CheckMessage] = []
    if settings.WEB_THREADS > settings.MONGODB_MAX_POOL_SIZE:
        message = "WEB_THREADS is larger than MONGODB_MAX_POOL_SIZE: threads wait for connections."
        hint = f"Write MONGODB_MAX_POOL_SIZE={settings.WEB_THREADS} or more."
        found.append(Warning(message, hint=hint, id="snipix.W005"))
    if settings.WEB_CONCURRENCY > 1 and not settings.REDIS_URL:
        message = "REDIS_URL is not set and there are several workers, which can't share a cache."
        hint = "Set REDIS_URL, or write WEB_CONCURRENCY=1."
        found.append(Warning(message, hint=hint, id="snipix.W006"))
    return found


@register(Tags.database)
def transactions(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Report a server that isn't there or has no transactions (`check --database default`)."""
    found = (_server_problem(alias) for alias in databases or ())
    return [problem for problem in found if problem]


def _server_problem(alias: str) -> CheckMessage | None:
    connection = connections[alias]
    try:
        with pymongo.timeout(DATABASE_SECONDS):
            connection.ensure_connection()
            health.check_server(connection.connection)
            releases.refuse_unservable()
    except releases.HalfRestored as error:
        return Error(str(error), id="snipix.E019")
    except releases.NewerDatabase as error:
        return Error(str(error), id="snipix.E018")
    except health.StandaloneServer as error:
        return Error(str(error), id="snipix.E016")
    except (PyMongoError, DatabaseError):
        hint = "Check MONGODB_URI, the network access list of Atlas, user and password."
        return Error("MongoDB can't be reached.", hint=hint, id="snipix.E017")
    return None
