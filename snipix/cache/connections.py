"""Each thread's own connection to Redis, for the steps that every read takes.

redis-py's way through its pool costs as much as the answer takes to come. This is that way, without
what a connection that is never shared doesn't need.
"""

import os
import threading
from contextlib import suppress
from typing import Any

from redis import ConnectionPool
from redis.exceptions import ConnectionError as NotConnected


class Connections:
    """One per thread and process, to where a pool's lead; each ends with its thread."""

    def __init__(self) -> None:
        self._own = threading.local()

    def execute(self, pool: ConnectionPool, *command: Any) -> Any:
        """Send a command and return its answer. Raises redis-py's errors."""
        connection = self._of_this_thread(pool)
        connection.connect()
        if _is_over(connection):
            connection.disconnect()  # to be made anew
        connection.send_command(*command, check_health=False)
        return connection.read_response()

    def _of_this_thread(self, pool: ConnectionPool) -> Any:
        made_for = os.getpid(), pool
        if getattr(self._own, "made_for", None) != made_for:
            # As the pool makes it, and without being counted there: nobody tells it when one ends.
            self._own.connection = pool.connection_class(**pool.connection_kwargs)
            self._own.made_for = made_for
        return self._own.connection


def _is_over(connection: Any) -> bool:
    """Whether Redis has closed it meanwhile, or left something in it that nobody asked for."""
    with suppress(NotConnected):
        return bool(connection.can_read())
    return True
