"""A small TCP proxy that passes bytes on, and spoils some of them when it is told to."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Self

from snipix.local import ports
from snipix.local.ports import HOST

CHUNK = 64 * 1024
LAST_CUT = 5
"""A connection that is to be cut is cut within so many answers."""
LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class Line:
    """One connection through the proxy, and its two ends."""

    from_client: asyncio.StreamReader
    to_client: asyncio.StreamWriter
    from_server: asyncio.StreamReader
    to_server: asyncio.StreamWriter
    answers_until_cut: int | None = None
    replaced: dict[int, bytes] = field(default_factory=dict)
    """What is answered instead of what the server will, by the request's id."""


class Proxy:
    """Stands before a server on this machine, on a port of its own of 127.0.0.1.

    What it is told counts from then on, also for the connections that there are.
    """

    delay = 0.0
    """Seconds that each answer comes late."""
    is_down = False
    """Whether nobody gets through."""

    def __init__(self, target: int, seed: int = 1) -> None:
        self.target, self.port = target, ports.unused()
        self.random = Random(seed)
        self.cuts = 0
        self._cut_share = 0.0
        self._lines: set[Line] = set()
        self._is_listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> None:
        if not self._is_listening.is_set():
            self._thread.start()
            assert self._is_listening.wait(10)

    def stop(self) -> None:
        if self._is_listening.is_set():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(10)

    def cut(self, share: float) -> None:
        """From now on, cut a share of all connections, each in the middle of one of its answers.

        Half of these are reset, the others end as if that were all: they are half-closed.
        """

        def choose() -> None:
            self._cut_share = share
            for line in self._lines:
                line.answers_until_cut = self._choose_cut()

        self._loop.call_soon_threadsafe(choose)

    def go_down(self) -> None:
        """Reset all connections, and those that come."""
        self.is_down = True
        self._loop.call_soon_threadsafe(lambda: [_reset(line.to_client) for line in self._lines])

    def come_back(self) -> None:
        self.is_down = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    async def messages(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """What comes, in pieces that are passed on as they are."""
        while data := await reader.read(CHUNK):
            yield data

    def request(self, line: Line, message: bytes) -> None:
        """Pass on what a client sent."""
        line.to_server.write(message)

    def answer(self, line: Line, message: bytes) -> bytes:
        """What the client gets instead of what the server sent."""
        return message

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, HOST, self.port)
        self._is_listening.set()
        await self._end.wait()
        server.close()
        for line in self._lines:
            line.to_client.transport.abort()
            line.to_server.transport.abort()
        while self._lines:
            await asyncio.sleep(0.01)

    async def _accept(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        try:
            if self.is_down:
                raise ConnectionError("nobody gets through")
            ends = await asyncio.open_connection(HOST, self.target)
        except OSError:
            _reset(to_client)
            return
        line = Line(from_client, to_client, *ends, self._choose_cut())
        self._lines.add(line)
        try:
            await self._pass_on(line)
        finally:
            self._lines.discard(line)
            for writer in (line.to_client, line.to_server):
                writer.close()

    def _choose_cut(self) -> int | None:
        is_cut = self.random.random() < self._cut_share
        return self.random.randint(1, LAST_CUT) if is_cut else None

    async def _pass_on(self, line: Line) -> None:
        ways = [asyncio.ensure_future(way(line)) for way in (self._requests, self._answers)]
        with suppress(OSError, EOFError):
            await asyncio.gather(*ways)
        for way in ways:
            way.cancel()

    async def _requests(self, line: Line) -> None:
        async for message in self.messages(line.from_client):
            self.request(line, message)
            await line.to_server.drain()
        line.to_server.write_eof()

    async def _answers(self, line: Line) -> None:
        async for message in self.messages(line.from_server):
            if self.delay:
                await asyncio.sleep(self.delay)
            if line.answers_until_cut is not None:
                line.answers_until_cut -= 1
            if line.answers_until_cut == 0:
                return await self._cut(line, self.answer(line, message))
            line.to_client.write(self.answer(line, message))
            await line.to_client.drain()
        raise EOFError("the server has closed the connection")

    async def _cut(self, line: Line, message: bytes) -> None:
        self.cuts += 1
        line.to_client.write(message[: len(message) // 2])
        await line.to_client.drain()
        if self.random.random() < 0.5:
            _reset(line.to_client)
            raise ConnectionError("cut")
        line.to_client.write_eof()  # what the client still sends goes nowhere
        line.to_server.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a machine does that knows nothing of it any more."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    writer.transport.abort()
