"""The proxy does what it is told, and otherwise nothing: what it breaks is Snipix's to mend."""

from collections.abc import Iterator
from contextlib import closing, suppress
from socket import create_connection, socket
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from time import monotonic
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure

from snipix.local.servers import HOST
from snipix.mongo import connection
from tests.faults.commands import ERRORS, CommandProxy
from tests.faults.proxy import LAST_CUT, Proxy

LINE = b"what is said comes back\n"


class Echo(StreamRequestHandler):
    """Sends every line back."""

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Before a server that sends every line back."""
    with ThreadingTCPServer((HOST, 0), Echo) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        with Proxy(server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()


def connected(proxy: Proxy) -> socket:
    return create_connection((HOST, proxy.port), timeout=5)


def asked(line: socket) -> bytes:
    """What a line that was sent comes back as; nothing, if the connection is reset."""
    with suppress(ConnectionError):
        line.sendall(LINE)
        return line.recv(1000)
    return b""


def test_it_passes_on_what_is_said(proxy: Proxy) -> None:
    with closing(connected(proxy)) as line:
        assert [asked(line) for _ in range(3)] == [LINE] * 3


def test_answers_come_late(proxy: Proxy) -> None:
    proxy.delay = 0.2
    began = monotonic()
    with closing(connected(proxy)) as line:
        assert asked(line) == LINE
    assert monotonic() - began >= 0.2


def test_connections_are_cut_in_the_middle_of_an_answer(proxy: Proxy) -> None:
    ends = set()
    with closing(connected(proxy)) as line:
        assert asked(line) == LINE
        proxy.cut(1.0)
        assert [asked(line) for _ in range(LAST_CUT + 1)][-1] != LINE
    for _ in range(20):
        with closing(connected(proxy)) as line:
            heard = [asked(line) for _ in range(LAST_CUT + 1)]
        *whole, half = [said for said in heard if said]
        assert set(whole) <= {LINE}
        assert half in (LINE[: len(LINE) // 2], LINE)  # with a reset, it may be lost, too
        ends.add(half)
    assert proxy.cuts == 21
    assert LINE[: len(LINE) // 2] in ends


def test_nobody_gets_through_while_it_is_down(proxy: Proxy) -> None:
    with closing(connected(proxy)) as line:
        assert asked(line) == LINE
        proxy.go_down()
        assert asked(line) == b""
        with suppress(ConnectionError), closing(connected(proxy)) as other:
            assert asked(other) == b""
        proxy.come_back()
        with closing(connected(proxy)) as other:
            assert asked(other) == LINE


@pytest.fixture
def commands() -> Iterator[CommandProxy]:
    """Before the tests' database server."""
    host, port = connection.settings_dict["HOST"].partition("//")[2].partition("/")[0].split(":")
    assert host == HOST
    with CommandProxy(int(port)) as proxy:
        yield proxy


@pytest.fixture
def numbers(commands: CommandProxy) -> Iterator[Any]:
    with MongoClient(
        HOST, commands.port, directConnection=True, retryWrites=False, retryReads=False
    ) as mongo:
        found = mongo[connection.settings_dict["NAME"]]["numbers"]
        yield found
        commands.fail_share = 0.0
        found.drop()


def test_a_share_of_commands_fails_and_half_of_these_are_carried_out(
    commands: CommandProxy, numbers: Any
) -> None:
    commands.fail_share, failed = 0.3, 0
    for number in range(300):
        try:
            numbers.insert_one({"number": number})
        except (OperationFailure, AutoReconnect) as error:
            details = getattr(error, "details", None) or error._details
            assert (details["code"] in ERRORS, details["ok"]) == (True, 0.0)
            failed += 1
    commands.fail_share = 0.0
    assert failed == commands.failed["insert"]
    assert 60 < failed < 120
    landed = numbers.count_documents({}) - (300 - failed)
    assert 0.3 * failed < landed < 0.7 * failed


def test_what_fails_in_a_transaction_is_labelled_as_mongodb_does(
    commands: CommandProxy, numbers: Any
) -> None:
    numbers.insert_one({})
    with numbers.database.client.start_session() as session:
        session.start_transaction()
        commands.fail_share = 1.0
        with pytest.raises((OperationFailure, AutoReconnect)) as raised:
            numbers.insert_one({}, session=session)
        assert raised.value.has_error_label("TransientTransactionError")
        commands.fail_share = 0.0
        session.abort_transaction()
    assert numbers.count_documents({}) == 1
