"""Encoded answers: named by ETags, compressed beforehand, made once."""

from __future__ import annotations

import gzip
import time
from typing import Any

import pytest
import zstandard
from django.core.cache import caches
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import ServerSelectionTimeoutError

from snipix import memory
from snipix.cache import staleness
from snipix.cache.answers import Body, Coding
from snipix.cache.names import Name
from snipix.cache.serializer import seal, unseal
from tests.cache.conftest import Process, Redis
from tests.together import at_once

STATE = b'{"clips": [' + b'{"id": "clip", "start": 0.5}, ' * 500 + b"{}]}"
PLACE = ("timeline", "film", '"3.abc.1.0"')
KEY = "timeline:film:" + PLACE[2] + ":identity"
LIST = Name("list", "alice")


def unpacked(body: Body) -> bytes:
    match body.coding:
        case "gzip":
            return gzip.decompress(body.content)
        case "zstd":
            return zstandard.ZstdDecompressor().decompress(body.content)
    return body.content


class Maker:
    """Makes the newest state, and counts how often it had to."""

    def __init__(self, etag: str = PLACE[2], content: bytes = STATE) -> None:
        self.etag, self.content, self.calls = etag, content, 0

    def __call__(self) -> tuple[str, bytes]:
        self.calls += 1
        return self.etag, self.content


def test_a_body_is_found_by_whom_it_belongs_to_and_its_etag(here: Process, there: Process) -> None:
    here.bodies.put(*PLACE, STATE)

    assert there.bodies.get(*PLACE) == STATE
    assert there.bodies.get("timeline", "film", '"4.abc.1.0"') is None
    assert there.bodies.get("timeline", "other", PLACE[2]) is None
    assert there.bodies.get("project", "film", PLACE[2]) is None
    assert there.bodies.get(*PLACE, "gzip") is None


@pytest.mark.parametrize("content", [b"", b"0", b"12345", b"\x00\xff" * 10, STATE])
def test_bytes_come_back_as_they_were(here: Process, content: bytes) -> None:
    assert here.bodies.put(*PLACE, content)
    assert here.bodies.get(*PLACE) == content


@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
def test_a_body_is_made_once_and_compressed_once(
    here: Process, there: Process, coding: Coding, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Maker()
    first = here.bodies.fetch(*PLACE, make, coding)
    monkeypatch.setattr("snipix.cache.answers.packed", None)
    second = there.bodies.fetch(*PLACE, make, coding)

    assert first == second
    assert (first.etag, first.coding, unpacked(first)) == (PLACE[2], coding, STATE)
    assert make.calls == 1
    assert len(first.content) < len(STATE) / 10 or not coding


def test_a_second_coding_asks_the_database_for_nothing(here: Process) -> None:
    make = Maker()
    for coding in ("gzip", "zstd", ""):
        assert unpacked(here.bodies.fetch(*PLACE, make, coding)) == STATE

    assert make.calls == 1


def test_a_document_that_has_moved_on_is_kept_under_its_new_etag(here: Process) -> None:
    newer = Maker('"4.def.1.0"', b"newer")
    body = here.bodies.fetch(*PLACE, newer, "gzip")

    assert (body.etag, unpacked(body)) == (newer.etag, b"newer")
    assert here.bodies.get(*PLACE) is None
    assert here.bodies.get("timeline", "film", newer.etag) == b"newer"


def test_who_wants_the_same_at_once_has_it_made_once(here: Process) -> None:
    make = Maker()

    def slowly() -> tuple[str, bytes]:
        time.sleep(0.2)
        return make()

    def fetch(i: int) -> bytes:
        return unpacked(here.bodies.fetch(*PLACE, slowly, "zstd" if i % 2 else ""))

    assert at_once(8, fetch) == [STATE] * 8
    assert make.calls == 1


@pytest.mark.parametrize(
    "stored",
    [b"", b"7", b"garbage", b"s1", seal("other", b"x" * 20)],
    ids=["nothing", "a number", "garbage", "cut", "another's"],
)
def test_what_is_not_ours_is_not_answered(redis: Redis, here: Process, stored: bytes) -> None:
    redis.client.set(redis.key("body", KEY), stored)

    assert here.bodies.get(*PLACE) is None
    assert here.server.state == "ok"


def test_a_value_of_another_type_is_not_answered(redis: Redis, here: Process) -> None:
    redis.client.rpush(redis.key("body", KEY), "a")

    assert unpacked(here.bodies.fetch(*PLACE, Maker())) == STATE
    assert here.bodies.get(*PLACE) == STATE
    assert here.server.state == "ok"


@given(content=st.binary(max_size=200), position=st.integers(0), bit=st.integers(0, 7))
def test_a_single_wrong_bit_is_found(content: bytes, position: int, bit: int) -> None:
    sealed = bytearray(seal("key", content))
    assert unseal("key", bytes(sealed)) == content
    sealed[position % len(sealed)] ^= 1 << bit

    assert unseal("key", bytes(sealed)) is None


def test_the_serializer_keeps_bytes_and_nothing_else(redis: Redis) -> None:
    with pytest.raises(TypeError, match="encode it first"):
        caches["documents"].set("a", {"clips": []})


def test_a_body_past_its_ttl_is_kept_and_not_used(
    redis: Redis, here: Process, settings: Any
) -> None:
    settings.CACHE_TTLS = {"timeline": 0.05}
    here.bodies.put(*PLACE, STATE)
    time.sleep(0.1)

    assert here.bodies.get(*PLACE) is None
    assert redis.has("body", KEY)


def test_a_kind_may_be_left_out(redis: Redis, here: Process, settings: Any) -> None:
    settings.CACHE_TTLS = {"timeline": 0}
    assert not here.bodies.put(*PLACE, STATE)
    assert unpacked(here.bodies.fetch(*PLACE, Maker(), "gzip")) == STATE
    assert not redis.client.keys()


def test_a_full_redis_keeps_nothing_and_fails_nobody(redis: Redis, here: Process) -> None:
    redis.fill_up()

    assert not here.bodies.put(*PLACE, STATE)
    assert unpacked(here.bodies.fetch(*PLACE, Maker(), "zstd")) == STATE
    assert here.server.state == "ok"


def test_a_process_asks_redis_for_a_body_once(redis: Redis, here: Process, there: Process) -> None:
    here.bodies.put(*PLACE, STATE)
    assert there.bodies.get(*PLACE) == STATE
    redis.client.flushall()

    assert here.bodies.get(*PLACE) == there.bodies.get(*PLACE) == STATE


def test_what_a_process_remembers_is_not_used_past_its_ttl(here: Process, settings: Any) -> None:
    here.bodies.put(*PLACE, STATE)
    settings.CACHE_TTLS = {"timeline": 0.001}
    time.sleep(0.01)

    assert here.bodies.get(*PLACE) is None


def test_what_somebody_else_has_kept_anew_is_found(
    here: Process, there: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as long_ago:
        long_ago.setattr("time.time_ns", lambda: 0)
        here.bodies.put(*PLACE, STATE)
    assert here.bodies.get(*PLACE) is None
    there.bodies.put(*PLACE, STATE)

    assert here.bodies.get(*PLACE) == STATE


def test_without_redis_bodies_are_kept_in_the_bounded_memory_of_the_process(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = ""
    monkeypatch.setattr(memory, "contents", memory.Memory(2 * len(STATE) + 1000))
    make, process = Maker(), Process()
    process.bodies.fetch(*PLACE, make)
    assert unpacked(process.bodies.fetch(*PLACE, make)) == STATE
    assert make.calls == 1

    for i in range(3):
        process.bodies.put("timeline", f"film-{i}", "1", STATE)

    assert process.bodies.get(*PLACE) is None
    assert process.bodies.get("timeline", "film-2", "1") == STATE


# --- Pages of lists --------------------------------------------------------------------------


class List:
    """What alice's list shows."""

    def __init__(self) -> None:
        self.content, self.reads = b"old", 0

    def __call__(self) -> bytes:
        self.reads += 1
        return self.content


def test_a_page_is_read_once_for_each_viewer_and_query(here: Process, there: Process) -> None:
    alices = List()
    for process in (here, there, here):
        body = process.pages.fetch("alice", "order=name", alices)
        assert (body.content, body.etag) == (b"old", "")
    assert alices.reads == 1

    assert here.pages.fetch("alice", "order=created", alices).content == b"old"
    assert here.pages.fetch("bob", "order=name", lambda: b"bob's").content == b"bob's"
    assert alices.reads == 2


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_pages_are_compressed_beforehand(here: Process, coding: Coding) -> None:
    alices = List()
    for _ in range(2):
        assert unpacked(here.pages.fetch("alice", "", alices, coding)) == b"old"
    assert alices.reads == 1


def test_pages_are_void_when_something_in_them_changes(here: Process, there: Process) -> None:
    alices = List()
    there.pages.fetch("alice", "", alices)
    with here.current.changing(LIST):
        alices.content = b"new"

    assert there.pages.fetch("alice", "", alices).content == b"new"
    assert here.pages.fetch("alice", "", alices).content == b"new"
    assert alices.reads == 2


def test_a_page_that_is_kept_late_is_not_found(here: Process, there: Process) -> None:
    alices = List()

    def slowly() -> bytes:
        content = alices()
        with there.current.changing(LIST):
            alices.content = b"new"
        return content

    assert here.pages.fetch("alice", "", slowly).content == b"old"
    assert here.pages.fetch("alice", "", alices).content == b"new"


def test_no_page_is_kept_while_a_change_runs(redis: Redis, here: Process, there: Process) -> None:
    alices = List()
    with here.current.changing(LIST):
        assert there.pages.fetch("alice", "", alices).content == b"old"
        assert not [key for key in redis.client.scan_iter() if b":body:" in key]
        alices.content = b"new"

    assert there.pages.fetch("alice", "", alices).content == b"new"


def test_without_redis_every_page_is_read(settings: Any) -> None:
    settings.REDIS_URL = ""
    alices, process = List(), Process()
    for _ in range(2):
        process.pages.fetch("alice", "", alices)

    assert alices.reads == 2


def test_a_page_past_its_time_is_not_lost_to_a_database_that_is_going_away(
    here: Process, settings: Any
) -> None:
    settings.CACHE_TTLS = {**settings.CACHE_TTLS, "list": 0.05}
    here.pages.fetch("alice", "", List())
    time.sleep(0.1)

    def away() -> bytes:
        """Nobody knows yet that it is."""
        raise ServerSelectionTimeoutError("nobody answers")

    for _ in range(2):
        assert here.pages.fetch("alice", "", away).content == b"old"
    assert staleness.age() is not None
    with pytest.raises(ServerSelectionTimeoutError):
        here.pages.fetch("bob", "", away)


def test_a_page_is_made_once_for_its_generation_and_itself(here: Process) -> None:
    make = Maker()
    here.pages.fetch("alice", "", lambda: make()[1])
    assert make.calls == 1
