"""Snipix on one machine: its own MongoDB and Redis as child processes."""

from snipix.local.run import Local
from snipix.local.servers import LocalError, Mongo, Redis, Server, Web

__all__ = ["Local", "LocalError", "Mongo", "Redis", "Server", "Web"]
