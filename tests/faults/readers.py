"""People who read, each in a way of their own, and note what they were shown."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from time import monotonic
from typing import Any, NamedTuple

import msgspec
import zstandard

from snipix.demo.client import Client, NoAnswer, Reply
from snipix.etags import ETag
from tests.faults.freshness import Fact, Ledger, Read, Span

CODINGS = {"identity": "", "gzip": "gzip", "zstd": "zstd", "gzip, zstd;q=0.5": "gzip"}
"""What comes, by what is accepted."""
REQUESTS_PER_CONNECTION = 10
"""A connection is to one process: with a new one, another process is asked."""
NOTHING: frozenset[str] = frozenset()


class Person(NamedTuple):
    name: str
    id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


@dataclass
class Scene:
    """What all who take part share."""

    port: int
    films: list[str]
    people: list[Person]
    """Who owns them, with whom they are shared, and a stranger."""
    ledger: Ledger = field(default_factory=Ledger)
    may_change: threading.Event = field(default_factory=threading.Event)
    """Cleared while all is only read: the cache is filled, and nothing wrong in it is mended."""
    is_over: threading.Event = field(default_factory=threading.Event)


class Seen(NamedTuple):
    """What an answer shows: facts, and films that are there."""

    shown: Mapping[Fact, int]
    films: frozenset[str]


class Address(NamedTuple):
    """What is read; `what` says how its body is understood."""

    what: str
    path: str

    @property
    def is_kept(self) -> bool:
        """Whether the cache may answer, in the coding that is asked for."""
        return not self.what.startswith("versions")

    @property
    def is_of_version(self) -> bool:
        """Whether its tag is that of a version; otherwise it is the digest of what is sent."""
        return self.is_kept and self.what != "list"


PROJECT = Address("project", "/projects/{}/")
TIMELINE = Address("timeline", "/projects/{}/timeline/")
TRANSCRIPTION = Address("transcription", "/projects/{}/transcription/")
CAPTIONS = Address("captions", "/projects/{}/transcription/captions/?format=srt")
NAME = Address("name", "/projects/{}/timeline/versions/1/")
LIST = Address("list", "/projects/")
UNKEPT = (
    Address("versions of project", "/projects/{}/versions/?page_size=1"),
    Address("versions of timeline", "/projects/{}/timeline/versions/?page_size=1"),
)
OFTEN = (PROJECT, PROJECT, TIMELINE, TIMELINE, TRANSCRIPTION, CAPTIONS, NAME, LIST, LIST)


class Reader(threading.Thread):
    """Reads this and that as one person or another, strangers rarely, until it is over."""

    def __init__(self, scene: Scene, seed: int) -> None:
        super().__init__(name=f"reader {seed}", daemon=True)
        self.scene, self.ledger = scene, scene.ledger
        self.random = Random(seed)
        self.client = Client(scene.port)

    def run(self) -> None:
        with self.client:
            while not self.scene.is_over.is_set():
                (person,) = self.random.choices(self.scene.people, weights=(5, 5, 1))
                address = self.random.choice(OFTEN if self.random.random() < 0.95 else UNKEPT)
                self.read(person, self._choose_film(), address)

    def read(self, person: Person, film: str, address: Address) -> None:
        """Read once, and note what was shown."""
        if self.random.randrange(REQUESTS_PER_CONNECTION) == 0:
            self.client.close()
        address = address._replace(path=address.path.format(film))
        accepted = self.random.choice(list(CODINGS))
        tag = self.ledger.tags.get((person.name, address.path))
        tag = tag if self.random.random() < 0.6 else None
        conditions = {"if_none_match": tag} if tag else {}
        headers = {**person.headers, **conditions, "accept_encoding": accepted}
        began = monotonic()
        try:
            reply = self.client.send("GET", address.path, **headers)
        except NoAnswer:
            self.ledger.cut.append(Span(began, monotonic()))
            return
        span = Span(began, monotonic())
        self.ledger.answers[str(reply.status)] += 1
        try:
            self._note(person, film, address, span, reply, accepted, tag)
        except Exception as error:  # noqa: BLE001 - whatever can't be understood is wrong
            self.fail(f"{address.path}: {error!r} in {reply.status} {reply.body[:200]!r}")

    def fail(self, what: str) -> None:
        self.ledger.failed.append(f"{self.name}: {what}")

    def _choose_film(self) -> str:
        """Half of the time, what was changed last: that is where a stale read would be."""
        if self.ledger.changes and self.random.random() < 0.5:
            return self.ledger.changes[-1].fact[0]
        return self.random.choice(self.scene.films)

    def _note(
        self,
        person: Person,
        film: str,
        address: Address,
        span: Span,
        reply: Reply,
        accepted: str,
        tag: str | None,
    ) -> None:
        hidden = NOTHING
        if reply.status == 404 and address.what != "list":
            seen, hidden = Seen({}, NOTHING), frozenset({film})
        elif reply.status == 304 and tag is not None:
            seen = self._seen_before(address, person, reply)
        elif reply.status == 200:
            seen = self._seen_now(address, person, film, reply, accepted)
            self.ledger.tags[person.name, address.path] = reply.etag
        else:
            raise AssertionError("nobody should get this")
        if address.what == "list":
            hidden = frozenset(self.scene.films) - seen.films
        self.ledger.reads.append(
            Read(person.name, address.path, span, seen.shown, seen.films, hidden)
        )

    def _place(self, address: Address, person: Person) -> str:
        """Lists are of their viewers."""
        return f"{person.name} {address.path}" if address.what == "list" else address.path

    def _seen_before(self, address: Address, person: Person, reply: Reply) -> Seen:
        """What the tag of a 304 names."""
        assert not reply.body
        _, shown, films = self.ledger.bodies[self._place(address, person), strong(reply.etag)]
        return Seen(shown, films)

    def _seen_now(
        self, address: Address, person: Person, film: str, reply: Reply, accepted: str
    ) -> Seen:
        """What a body shows, which is what its tag says."""
        coding = reply.headers.get("content-encoding", "")
        assert coding == (CODINGS[accepted] if address.is_kept else ""), f"{accepted} was asked for"
        content = decoded(reply.body, coding)
        seen = understood(address.what, film, content)
        if address.is_of_version:
            assert reply.etag.startswith("W/") == bool(coding), reply.etag
            check_tag(address.what, strong(reply.etag), seen.shown, film, content)
        else:
            assert reply.etag == f'"{sha256(reply.body).hexdigest()[:32]}"'
        key = (self._place(address, person), strong(reply.etag))
        first = self.ledger.bodies.setdefault(key, (sha256(content).digest(), *seen))
        assert first[0] == sha256(content).digest(), f"{reply.etag} has named other bytes"
        return seen


def strong(etag: str) -> str:
    return etag.removeprefix("W/")


def decoded(body: bytes, coding: str) -> bytes:
    match coding:
        case "gzip":
            return gzip.decompress(body)
        case "zstd":
            return zstandard.ZstdDecompressor().decompress(body)
    return body


def understood(what: str, film: str, content: bytes) -> Seen:
    """The facts that a body holds."""
    one = frozenset({film})
    if what == "captions":
        return Seen({(film, "transcription"): _spoken(content)}, one)
    body = msgspec.json.decode(content)
    match what.split(" of "):
        case ["list"]:
            films = frozenset(project["id"] for project in body["results"])
            facts = [facts_of(project) for project in body["results"]]
            return Seen({key: value for some in facts for key, value in some.items()}, films)
        case ["project"]:
            assert body["id"] == film
            assert not body["is_deleted"]
            return Seen(facts_of(body), one)
        case ["name"]:
            return Seen({(film, "name"): number(body["name"])}, one)
        case ["versions", of]:
            return Seen({(film, of): body["results"][0]["version"]}, one)
    return Seen({(film, what): body["version"]}, one)


def facts_of(project: dict[str, Any]) -> dict[Fact, int]:
    """What a project says of itself, and of its parts by its summaries of them."""
    film = project["id"]
    parts = {(film, part): project[part]["version"] for part in ("timeline", "transcription")}
    return {(film, "project"): project["version"], **parts}


def check_tag(what: str, etag: str, shown: Mapping[Fact, int], film: str, content: bytes) -> None:
    """Hold a version's tag to the body that came with it."""
    version, *_, summary = etag.strip('"').split(".")
    match what:
        case "project":
            parts = shown[film, "timeline"] + shown[film, "transcription"]
            assert (int(version), int(summary)) == (shown[film, "project"], parts), etag
            # With accounts, addresses end: the header's tag says when, too.
            told = ETag.read(msgspec.json.decode(content)["etag"])
            assert told.same_version(ETag.read(etag))
        case "name":
            assert int(version) == 1
        case _:
            assert [int(version)] == list(shown.values()), etag


def number(text: str) -> int:
    """The number that a text ends with."""
    found = re.search(r"(\d+)$", text)
    assert found, text
    return int(found[1])


def _spoken(captions: bytes) -> int:
    """The version that the transcription's only segment speaks of."""
    found = re.search(rb"version (\d+)", captions)
    assert found, captions
    return int(found[1])
