"""A proxy that speaks MongoDB's wire protocol, to answer a share of all commands with an error.

(The embedded server's own failpoints fail the next so many commands, or all, never a share.)
OP_MSG: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import bson

from tests.faults.proxy import Line, Proxy

OP_MSG = 2013
HEADER = struct.Struct("<iiii")
"""Length, the message's own id, that of the message which it answers, kind."""
BODY_AT = HEADER.size + 4 + 1
"""After the flags, and the kind of the first section, which is the command itself."""
ERRORS = {
    6: "HostUnreachable",
    7: "HostNotFound",
    89: "NetworkTimeout",
    134: "ReadConcernMajorityNotAvailableYet",
    262: "ExceededTimeLimit",
    9001: "SocketException",
}
"""What MongoDB's drivers take for a matter of a moment, whatever is asked. But for what a server
says that is no primary any more: then the driver waits until the server itself says who is."""
ENDINGS = {"commitTransaction", "abortTransaction"}
SPARED = {"hello", "isMaster", "ismaster", "endSessions"}
"""What isn't asked for anybody's sake."""


class CommandProxy(Proxy):
    """Lets a share of all commands fail: half of them aren't carried out, half are all the same."""

    fail_share = 0.0

    def __init__(self, target: int, seed: int = 1) -> None:
        super().__init__(target, seed)
        self.commands = 0
        self.failed: Counter[str] = Counter()

    async def messages(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        while True:
            try:
                header = await reader.readexactly(HEADER.size)
            except asyncio.IncompleteReadError:
                return
            length, *_ = HEADER.unpack(header)
            yield header + await reader.readexactly(length - HEADER.size)

    def request(self, line: Line, message: bytes) -> None:
        error = self._error(message)
        if error is not None and self.random.random() < 0.5:
            line.to_client.write(error)
            return
        if error is not None:
            line.replaced[HEADER.unpack_from(message)[1]] = error
        super().request(line, message)

    def answer(self, line: Line, message: bytes) -> bytes:
        return line.replaced.pop(HEADER.unpack_from(message)[2], message)

    def _error(self, message: bytes) -> bytes | None:
        """The answer to a command that is to fail; None for one that isn't."""
        _, id, _, kind = HEADER.unpack_from(message)
        if kind != OP_MSG:
            return None
        name = message[BODY_AT + 5 : message.index(0, BODY_AT + 5)].decode()
        if name in SPARED:
            return None
        self.commands += 1
        if self.random.random() >= self.fail_share:
            return None
        self.failed[name] += 1
        body = bson.encode(self._failure(name, _command(message)))
        length = BODY_AT + len(body)
        return HEADER.pack(length, 0, id, OP_MSG) + bytes(4) + b"\0" + body

    def _failure(self, name: str, command: dict[str, Any]) -> dict[str, Any]:
        """An error with the labels that a MongoDB server would give it."""
        code = self.random.choice(list(ERRORS))
        if name in ENDINGS:
            labels = ["RetryableWriteError"]
        else:
            labels = ["TransientTransactionError"] if command.get("autocommit") is False else []
        told = {"errmsg": "a matter of a moment", "code": code, "codeName": ERRORS[code]}
        return {"ok": 0.0, **told, **({"errorLabels": labels} if labels else {})}


def _command(message: bytes) -> dict[str, Any]:
    (size,) = struct.unpack_from("<i", message, BODY_AT)
    return bson.decode(message[BODY_AT : BODY_AT + size])
