"""People who change films, each change after the one before, and note what was answered."""

from __future__ import annotations

import threading
from random import Random
from time import monotonic, sleep
from uuid import uuid4

import msgspec

from snipix import states
from snipix.demo.client import Client, NoAnswer, Reply
from tests.faults.freshness import Change, Read, Sharing, Span
from tests.faults.readers import (
    CAPTIONS,
    LIST,
    NAME,
    PROJECT,
    TIMELINE,
    UNKEPT,
    Address,
    Person,
    Reader,
    Scene,
)
from timelines import samples

CLIPS = 20
PATIENCE_SECONDS = 30
PAUSES = (0, 0.1, 0.3, 1)
"""Seconds between two changes: at once, or so late that the cache is filled meanwhile."""
SEGMENT = {"id": "s1", "start_time": 0.0, "end_time": 2.0, "text": "version 1"}


class Changer(threading.Thread):
    """Somebody who changes one film until it is over, and looks before and after each change."""

    kinds: tuple[str, ...]
    """Its methods, each of which makes one kind of change."""

    def __init__(self, scene: Scene, film: str, seed: int) -> None:
        super().__init__(name=f"{type(self).__name__} {film}", daemon=True)
        self.scene, self.ledger, self.film = scene, scene.ledger, film
        self.owner, self.other, _ = scene.people
        self.random = Random(seed)
        self.client = Client(scene.port)
        self.eyes = Reader(scene, seed)
        self.etags: dict[str, str] = {}

    def prepare(self) -> None:
        """Make what is changed later."""
        raise NotImplementedError

    def run(self) -> None:
        try:
            with self.client, self.eyes.client:
                while not self.scene.is_over.is_set():
                    for kind in self.random.sample(self.kinds, len(self.kinds)):
                        self.change_once(kind)
        except Exception as error:  # noqa: BLE001 - a thread's own end would go unnoticed
            self.ledger.failed.append(f"{self.name}: {error!r}")

    def change_once(self, kind: str) -> None:
        """Make one change, once that is allowed; mostly of what has just been read."""
        while not self.scene.may_change.wait(0.1):
            if self.scene.is_over.is_set():
                return
        if self.random.random() < 0.5:
            self.look(self.random.choice((self.owner, self.other)), LIST, PROJECT)
        getattr(self, kind)()
        self.scene.is_over.wait(self.random.choice(PAUSES))

    def look(self, person: Person, *addresses: Address) -> None:
        for address in addresses:
            self.eyes.read(person, self.film, address)

    def send(self, method: str, path: str, body: object = None, etag: str = "") -> Reply:
        """Send a change until it is answered, with one key. Raises NoAnswer if it never is."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body) if body else b""
        headers = {**self.owner.headers, "idempotency_key": str(uuid4())}
        headers |= {"if_match": etag} if etag else {}
        deadline = monotonic() + PATIENCE_SECONDS
        while True:
            began = monotonic()
            try:
                return self.client.send(method, f"/projects/{self.film}{path}", raw, **headers)
            except NoAnswer:
                self.ledger.cut.append(Span(began, monotonic()))
                if monotonic() > deadline:
                    raise
                if self.random.random() < 0.7:
                    self.look_what_became_of_it()

    def look_what_became_of_it(self) -> None:
        """Where no cache is between, and then where there is one: it may not be behind that."""
        sleep(self.random.choice((0, 0.3)))
        self.look(self.owner, *UNKEPT, PROJECT, TIMELINE, LIST)

    def change(
        self, what: str, method: str, path: str, body: object = None, etag: str = ""
    ) -> Reply | None:
        """Make a change and note the version that its answer names; None if the film is hidden."""
        began = monotonic()
        reply = self.send(method, path, body, etag)
        span = Span(began, monotonic())
        self.ledger.answers[f"{what} {reply.status}"] += 1
        if reply.status == 404:
            hidden = frozenset({self.film})
            self.ledger.reads.append(Read(self.owner.name, path, span, {}, hidden=hidden))
            return None
        if reply.status not in (200, 201):
            self.ledger.failed.append(f"{self.name}: {what} {reply.status} {reply.body[:300]!r}")
            return None
        answer = reply.json
        self.ledger.changes.append(Change((self.film, what), answer["version"], span))
        self.etags[what] = answer["etag"]
        return reply


class Keeper(Changer):
    """Renames the film, shares it, takes it away, deletes and restores it, and names versions.

    Nobody else does: so it is known who may see it, and the film is at the version last answered.
    """

    kinds = ("rename", "share", "delete", "share", "name_version")
    is_shared = False
    names = 0

    def prepare(self) -> None:
        self.ledger.sharings.append(Sharing(self.film, frozenset(), Span(0, 0)))
        began = monotonic()
        body = {"id": self.film, "name": "Film"}
        reply = self.client.send(
            "POST", "/projects/", msgspec.json.encode(body), **self.owner.headers
        )
        assert reply.status == 201, reply.body
        self.etags["project"] = reply.etag
        self._note_sharing(began, {self.owner.name})

    def rename(self) -> None:
        name = {"name": f"Film, called {self.random.randrange(1000)}"}
        self.change("project", "PATCH", "/", name, self.etags["project"])
        self.look(self.owner, LIST, PROJECT)

    def share(self) -> None:
        """Share it with the other one, or take it away again."""
        self.is_shared = not self.is_shared
        with_whom = [{"user_id": self.other.id, "right": "read"}] if self.is_shared else []
        began = monotonic()
        body = {"collaborators": with_whom}
        self.change("project", "PUT", "/collaborators/", body, self.etags["project"])
        self._note_sharing(began, self._viewers())
        self.look(self.other, LIST, PROJECT)

    def delete(self) -> None:
        """Move it to the trash and, a little later, back."""
        for method, path, viewers in (
            ("DELETE", "/", set()),
            ("POST", "/restore/", self._viewers()),
        ):
            began = monotonic()
            self.change("project", method, path)
            self._note_sharing(began, viewers)
            self.look(self.other, LIST)
            self.look(self.owner, TIMELINE, PROJECT)

    def name_version(self) -> None:
        """Name the timeline's first version; an answer names the version, not the name's number."""
        self.names += 1
        began = monotonic()
        path, body = "/timeline/versions/1/name/", {"name": f"take {self.names}"}
        reply = self.send("PUT", path, body)
        if reply.status != 200:
            self.ledger.failed.append(f"{self.name}: {reply.status} {reply.body[:300]!r}")
        span = Span(began, monotonic())
        self.ledger.changes.append(Change((self.film, "name"), self.names, span))
        self.look(self.owner, NAME)

    def _viewers(self) -> set[str]:
        return {self.owner.name, *([self.other.name] if self.is_shared else [])}

    def _note_sharing(self, began: float, viewers: set[str]) -> None:
        span = Span(began, monotonic())
        self.ledger.sharings.append(Sharing(self.film, frozenset(viewers), span))


class Editor(Changer):
    """Saves the timeline and edits the transcription, whatever the keeper does meanwhile."""

    kinds = ("save_timeline", "edit_transcription")

    def prepare(self) -> None:
        self.state = samples.timeline(self.random.getrandbits(32), CLIPS)
        path = f"/projects/{self.film}/timeline/"
        self.etags["timeline"] = self.client.send("GET", path, **self.owner.headers).etag
        self.save_timeline()
        self.change("transcription", "POST", "/transcription/", {"segments": [SEGMENT]})

    def save_timeline(self) -> None:
        self.state = samples.move_clip(self.state, self.random)
        body = states.encode(self.state)
        self.change("timeline", "PUT", "/timeline/", body, self.etags["timeline"])
        self.look(self.owner, TIMELINE, LIST)

    def edit_transcription(self) -> None:
        """Make its only segment say which version this is."""
        etag = self.etags["transcription"]
        next_version = int(etag.strip('"').partition(".")[0]) + 1
        path, body = "/transcription/segments/s1/", {"edited_text": f"version {next_version}"}
        self.change("transcription", "PATCH", path, body, etag)
        self.look(self.owner, CAPTIONS)
