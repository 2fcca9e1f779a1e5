"""What the cache holds and how it does, for operators; and how it is emptied."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.request import Request, urlopen

from django.conf import settings
from django.core.cache import caches
from prometheus_client import REGISTRY, Metric
from prometheus_client.parser import text_string_to_metric_families

from snipix.cache.servers import ALIAS

_SCAN = 1000
_PATIENCE = 5.0
"""Seconds to wait for a server's metrics."""
_LABELS = ("part", "kind", "outcome", "way")
_COUNTERS = ("snipix_cache_reads_total", "snipix_cache_fills_total", "snipix_cache_bytes_total")


Say = Callable[[int], None]


def size() -> int:
    """How many keys Redis holds in all, also for others. Raises RedisError."""
    return int(_client().dbsize())


def contents(say: Say = lambda _: None) -> dict[str, int]:
    """How many keys Redis holds of each part and kind, as `record:project`. Raises RedisError.

    Looks at every key: seconds, with millions of them. `say` is told how many were looked at.
    """
    found, keys = Counter[str](), _keys(_prefix())
    while some := list(islice(keys, _SCAN)):
        found.update(map(_what, some))
        say(found.total())
    return dict(sorted(found.items()))


def redis() -> Mapping[str, Any]:
    """What Redis says of itself: memory in bytes, evicted keys, version. Raises RedisError."""
    told = _client().info()
    names = ("redis_version", "used_memory", "maxmemory", "maxmemory_policy", "evicted_keys")
    return {name: told.get(name) for name in names}


def counted() -> dict[str, dict[str, float]]:
    """What this process has counted since its start, by name and labels."""
    return _counted(REGISTRY.collect())


def served(server: str) -> dict[str, dict[str, float]]:
    """What a server of Snipix, with all its workers, has counted since its start, as `counted`.

    `server` is its address, as http://127.0.0.1:8000. Raises OSError, also for a refusal, and
    ValueError for an answer that isn't metrics.
    """
    token = {"Authorization": f"Bearer {settings.METRICS_TOKEN}"} if settings.METRICS_TOKEN else {}
    request = Request(f"{server.rstrip('/')}/metrics", headers=token)  # noqa: S310 - operator's own
    with urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310
        return _counted(text_string_to_metric_families(answer.read().decode()))


def ratios(counted: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """The reads of each part and kind, as `record project`, and the share of them that hit."""
    reads: dict[str, dict[str, float]] = {}
    for labels, count in counted["snipix_cache_reads_total"].items():
        name, _, outcome = labels.rpartition(" ")
        found = reads.setdefault(name, {"reads": 0, "hits": 0})
        found["reads"] += count
        found["hits"] += count if outcome == "hit" else 0
    return {
        name: {**found, "ratio": found["hits"] / found["reads"]}
        for name, found in sorted(reads.items())
        if found["reads"]
    }


def clear(database: str | None = None, *, say: Say = lambda _: None) -> int:
    """Delete all that the cache keeps in Redis. Returns how many keys. Raises RedisError.

    Marks stay, so that this is safe beside changes that run. Another `database` than the one that
    is configured may be named.
    """
    doomed, count = _clearable(database), 0
    while some := list(islice(doomed, _SCAN)):
        count += _client().unlink(*some)
        say(count)
    return count


def clearable(say: Say = lambda _: None) -> int:
    """How many keys `clear` would delete. Raises RedisError."""
    count = 0
    for count, _ in enumerate(_clearable(), 1):
        if count % _SCAN == 0:
            say(count)
    return count


def _clearable(database: str | None = None) -> Iterator[str]:
    prefix = _prefix(database)
    return (key for key in _keys(prefix) if not key.startswith(f"{prefix}marks:"))


def _client() -> Any:
    return _cache().client.get_client(write=True)


def _keys(prefix: str) -> Iterator[str]:
    for key in _client().scan_iter(match=f"{prefix}*", count=_SCAN):
        yield key.decode(errors="replace")


def _prefix(database: str | None = None) -> str:
    """What all keys of a database begin with."""
    own = str(_cache().client.make_key(""))
    return own.replace(f":{settings.MONGODB_DATABASE}:", f":{database}:", 1) if database else own


def _cache() -> Any:
    return caches[ALIAS]


def _what(key: str) -> str:
    return ":".join(key.removeprefix(_prefix()).split(":", 2)[:2])


def _counted(families: Iterable[Metric]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {name: {} for name in _COUNTERS}
    for family in families:
        for sample in family.samples:
            if sample.name in found:
                labels = (sample.labels[label] for label in _LABELS if label in sample.labels)
                found[sample.name][" ".join(labels)] = sample.value
    return found
