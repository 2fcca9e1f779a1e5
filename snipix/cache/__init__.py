"""The cache: reads at the speed of bytes, never stale, never in the way. See `docs/cache.md`.

record = current.get(Name("project", id), load)     what is current; `load` reads the database
with current.changing(Name("project", id), …):      around a change's transaction
current.also(Name("list", reader), …)               within it, before it is committed
current.void(Name("project", id))                   at any sign that a record is behind
body = bodies.fetch(kind, id, etag, make, "zstd")   bytes that an ETag names
page = pages.fetch(viewer, query, make)             of a list, by viewer
"""

import atexit

from django.conf import settings

from snipix.cache.answers import Bodies, Body, Coding, Pages
from snipix.cache.names import Name
from snipix.cache.records import Current
from snipix.cache.servers import Server

__all__ = ["Body", "Coding", "Name", "bodies", "current", "pages", "server"]

server = Server()
current = Current(server)
bodies = Bodies(server)
pages = Pages(current, bodies)


@atexit.register
def _settle() -> None:
    """A process that ends tries once more to void what it owes: commands don't live long."""
    server.breaker.settle(settings.REDIS_TIMEOUT + 0.1)
