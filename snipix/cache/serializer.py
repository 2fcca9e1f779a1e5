"""How bytes are stored in Redis: as they are, with a checksum that knows their key. Never pickle.

The checksum is for accidents (a cut value, a foreign one), not for enemies: whoever may write to
Redis is trusted.
"""

import zlib
from typing import Any

from django_redis.serializers.base import BaseSerializer

_MARK = b"s1"
_CHECKSUM_BYTES = 4


class BytesSerializer(BaseSerializer):
    """What django-redis is told to use for our bytes."""

    def dumps(self, value: Any) -> bytes:
        if not isinstance(value, bytes):
            raise TypeError(f"the cache keeps bytes, not {type(value).__name__}: encode it first")
        return value

    def loads(self, value: bytes) -> bytes:
        return value


def seal(key: str, content: bytes) -> bytes:
    """Content as it is stored under a key."""
    return _MARK + _checksum(key, content) + content


def unseal(key: str, sealed: Any) -> bytes | None:
    """What was stored under a key; None if this isn't it."""
    if not isinstance(sealed, bytes) or not sealed.startswith(_MARK):
        return None
    start = len(_MARK) + _CHECKSUM_BYTES
    content = sealed[start:]
    return content if sealed[len(_MARK) : start] == _checksum(key, content) else None


def _checksum(key: str, content: bytes) -> bytes:
    return zlib.crc32(content, zlib.crc32(key.encode())).to_bytes(_CHECKSUM_BYTES, "big")
