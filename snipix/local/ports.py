"""Ports of 127.0.0.1: which are free, and which something listens on."""

import secrets
import socket

from snipix.local.processes import wait_until

HOST = "127.0.0.1"
LET_GO_SECONDS = 2
_given: set[int] = set()
"""The ports that this process has been given: servers are made before they listen."""


def unused() -> int:
    """A port that nothing listens on now, and another one each time.

    It lies below those that the system hands out by itself: there, a client that keeps trying
    to reach a server while it is down could be given the server's own port.
    """
    while (port := 20000 + secrets.randbelow(12000)) in _given or not is_free(port):
        pass
    _given.add(port)
    return port


def gets_free(port: int) -> bool:
    """Wait a moment for a port that somebody who is just ending has yet to let go."""
    return wait_until(lambda: is_free(port), seconds=LET_GO_SECONDS)


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port."""
    with socket.socket() as probe:
        # As the servers do: a connection that was closed a moment ago doesn't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def is_open(port: int) -> bool:
    """Tell whether something listens on this port."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((HOST, port)) == 0
