"""What the cache holds and how it does, for operators; and how it is emptied."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from django.core.cache import caches
from prometheus_client import REGISTRY

from snipix.cache.servers import ALIAS

_SCAN = 1000
_COUNTERS = ("snipix_cache_reads_total", "snipix_cache_fills_total", "snipix_cache_bytes_total")


def contents() -> dict[str, int]:
    """How many keys Redis holds of each part and kind, as `record:project`. Raises RedisError.

    Looks at every key: seconds, with millions of them.
    """
    return dict(sorted(Counter(_what(key) for key in _keys()).items()))


def redis() -> Mapping[str, Any]:
    """What Redis says of itself: memory in bytes, evicted keys, version. Raises RedisError."""
    told = _client().info()
    names = ("redis_version", "used_memory", "maxmemory", "maxmemory_policy", "evicted_keys")
    return {name: told.get(name) for name in names}


def counted() -> dict[str, dict[str, float]]:
    """What this process has counted since its start, by name and labels."""
    found: dict[str, dict[str, float]] = {name: {} for name in _COUNTERS}
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name in found:
                found[sample.name][" ".join(sample.labels.values())] = sample.value
    return found


def clear() -> int:
    """Delete all that the cache keeps in Redis. Returns how many keys. Raises RedisError.

    Marks stay, so that this is safe beside changes that run.
    """
    doomed = (key for key in _keys() if not _what(key).startswith("marks:"))
    count = 0
    while some := list(islice(doomed, _SCAN)):
        count += _client().unlink(*some)
    return count


def _client() -> Any:
    return _cache().client.get_client(write=True)


def _keys() -> Iterator[str]:
    for key in _client().scan_iter(match=f"{_prefix()}*", count=_SCAN):
        yield key.decode(errors="replace")


def _prefix() -> str:
    return str(_cache().client.make_key(""))


def _cache() -> Any:
    return caches[ALIAS]


def _what(key: str) -> str:
    return ":".join(key.removeprefix(_prefix()).split(":", 2)[:2])
