"""A worker of gunicorn: how it ends, and whom it waits for.

It tells before it ends, finishes what it has begun, and cuts nobody off.

On SIGTERM `/health/ready` says 503 at once. For STOP_DELAY seconds the worker goes on serving, so
that load balancers notice, but keeps no connection: each answer says `Connection: close` (RFC 9112,
9.6). Then it takes those who are connected already, listens no more, and answers what has begun.

gunicorn itself keeps a socket open on which it doesn't accept any more: who connects then would
hang, and be cut off in the end. Once it is closed they are refused, and know that nothing was done.

No client is waited for where that keeps others from being served. One that is too slow loses its
thread (`snipix.pace`). One that has had the last answer on a connection may take a moment to close
it (RFC 9112, 9.6), but not in the loop that accepts all others, as gunicorn would have it.
"""

import select
import selectors
import socket
import time
from collections import deque
from functools import partial
from math import inf
from typing import Any

from gunicorn.workers import gthread
from gunicorn.workers.gthread import ThreadWorker

from snipix import stopping
from snipix.pace import Paced

LEAVE_SECONDS = 2.0
"""That a client may take to close a connection after the last answer."""
SILENCE_SECONDS = 0.05
"""For how long a thread waits for the first byte on a connection; after that, the loop does."""
_CHUNK_BYTES = 65_536


class Worker(ThreadWorker):
    """gunicorn's worker with threads, which leaves when nobody needs it any more."""

    stop_delay = 0.0
    patience = 10.0
    """Seconds that a client may rest. gunicorn's configuration sets both."""
    alive: bool
    _stops_at = inf

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._leaving: deque[Any] = deque()
        """Connections with nothing more to say, in the order in which they are closed."""

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
        is_new = not (conn.initialized or conn.data_ready)
        if self.alive and is_new and not conn.wait_for_data(SILENCE_SECONDS):
            return gthread._DEFER
        return super().handle(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One turn of the loop; the one after the delay is the last."""
        next_at = self._stops_at if self.alive else inf
        if self._leaving:
            next_at = min(next_at, self._leaving[0].timeout)
        left = max(next_at - time.monotonic(), 0.0)
        super().wait_for_and_dispatch_events(min(timeout, left))
        if time.monotonic() >= self._stops_at:
            self.alive = False

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Keep a connection for its next request, or let it end: not by waiting for its client."""
        conn.close = partial(self._close, conn)
        if not (fs.cancelled() or fs.exception()) and fs.result() is gthread._DEFER:
            self._wait_for_first_byte(conn)  # gunicorn would drop it, if this worker stops just now
        else:
            super().finish_request(conn, fs)

    def _wait_for_first_byte(self, conn: Any) -> None:
        patience = self.cfg.keepalive if self.alive else gthread.STOP_KEEPALIVE_LINGER
        conn.timeout = time.monotonic() + patience
        conn.sock.setblocking(False)
        self.pending_conns.append(conn)
        ready = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, ready)

    def _close(self, conn: Any, graceful: bool = False) -> None:
        """Close a connection; with `graceful`, listen beside all else until its client has.

        What a client still sends is read, or the kernel would reset the connection, and what it
        hasn't read yet of its answer could be lost.
        """
        if not (graceful and _said_goodbye(conn.sock)):
            conn.sock.close()
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + LEAVE_SECONDS
        self.nr_conns += 1
        self._leaving.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._listen, conn))

    def _listen(self, conn: Any, sock: socket.socket) -> None:
        try:
            is_over = not sock.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            is_over = True
        if is_over:
            self._end(conn)

    def _end(self, conn: Any) -> None:
        self._leaving.remove(conn)
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.sock.close()

    def murder_pending(self) -> None:
        """Close what takes too long; called after each turn of the loop."""
        super().murder_pending()
        while self._leaving and self._leaving[0].timeout <= time.monotonic():
            self._end(self._leaving[0])

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not self.alive:
            self._leave()

    def _cap_keepalive(self, deadline: float) -> None:
        """Nor is a connection waited for on which nothing has come yet."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def _leave(self) -> None:
        """Take those whom the kernel has connected already, and listen no more."""
        for listener in self.sockets:
            while select.select([listener], [], [], 0)[0]:
                self.accept(listener)
            listener.close()


def _said_goodbye(sock: socket.socket) -> bool:
    """Tell the other side that nothing more comes; whether it is there to hear it."""
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        return False
    return True
