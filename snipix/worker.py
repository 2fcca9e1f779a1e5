"""How a worker of gunicorn ends: it tells first, finishes what it has begun, and cuts nobody off.

On SIGTERM `/health/ready` says 503 at once. For STOP_DELAY seconds the worker goes on serving, so
that load balancers notice, but keeps no connection: each answer says `Connection: close` (RFC 9112,
9.6). Then it takes those who are connected already, listens no more, and answers what has begun.

gunicorn itself keeps a socket open on which it doesn't accept any more: who connects then would
hang, and be cut off in the end. Once it is closed they are refused, and know that nothing was done.

Nobody is waited for in the loop that everybody needs: gunicorn would wait there for each client to
close its side of a connection that is over. The thread that has answered does it (`snipix.pace`).
"""

import select
import socket
import time
from math import inf
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from snipix import stopping
from snipix.pace import Paced


class Worker(ThreadWorker):
    """gunicorn's worker with threads, which leaves when nobody needs it any more."""

    stop_delay = 0.0
    patience = 10.0
    """Seconds that a client may rest. gunicorn's configuration sets both."""
    alive: bool
    _stops_at = inf

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop. A signal's handler: it takes no lock, and starts no thread."""
        if not stopping.is_told():
            stopping.tell()
            self.max_keepalived = 0  # what was promised to stay open does, until its next answer
            self._stops_at = time.monotonic() + self.stop_delay
            self.method_queue.defer(lambda: None)  # wakes the loop

    def enqueue_req(self, conn: Any) -> None:
        """Have a thread take a connection on which a request comes."""
        if type(conn.sock) is socket.socket:
            conn.sock = Paced(conn.sock, self.patience)
        if isinstance(conn.sock, Paced):  # not where gunicorn itself speaks TLS
            conn.sock.begin()
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        """Answer a request, in a thread. Returns whether the connection stays open."""
        stays = super().handle(conn)
        if not stays and isinstance(conn.sock, Paced):
            conn.sock.end()
        return stays

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One turn of the loop; the one after the delay is the last."""
        left = max(self._stops_at - time.monotonic(), 0.0)
        super().wait_for_and_dispatch_events(min(timeout, left) if self.alive else timeout)
        if time.monotonic() >= self._stops_at:
            self.alive = False

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not self.alive:
            self._leave()

    def _leave(self) -> None:
        """Take those whom the kernel has connected already, and listen no more."""
        for listener in self.sockets:
            while select.select([listener], [], [], 0)[0]:
                self.accept(listener)
            listener.close()
