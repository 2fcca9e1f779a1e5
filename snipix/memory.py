"""What a process remembers: content that is named by its digest, and so can't be out of date."""

from collections.abc import Hashable
from threading import Lock
from typing import Any

from cachetools import LRUCache
from django.conf import settings


class Memory:
    """The values that were used last, up to a number of bytes; safe to share among threads."""

    def __init__(self, max_bytes: int) -> None:
        self._sized: LRUCache[Hashable, tuple[int, Any]] = LRUCache(max_bytes, lambda pair: pair[0])
        self._lock = Lock()

    def get(self, key: Hashable) -> Any | None:
        with self._lock:
            found = self._sized.get(key)
        return found and found[1]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Remember a value that takes about `size` bytes; nothing, if it is larger than all."""
        with self._lock:
            if size <= self._sized.maxsize:
                self._sized[key] = (size, value)

    def clear(self) -> None:
        with self._lock:
            self._sized.clear()


contents = Memory(settings.WORKER_CACHE_BYTES)
