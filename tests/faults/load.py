"""People who do all that an editor offers, each request once, and note how it ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from time import monotonic, sleep
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from snipix import states
from snipix.demo.client import Client, NoAnswer, Reply
from snipix.wire import JSON, JSON_PATCH
from tests.faults.savers import Save, is_clear_refusal, saved_nothing, title
from tests.secrecy import CONTENT, TOKEN
from timelines import samples
from timelines.state import TimelineState

CLIPS = 30
SEGMENT = {"id": "s1", "start_time": 0, "end_time": 2, "text": CONTENT}
FILMS = 3
"""Of each filmmaker, to begin with."""
ARCHIVE = "archive"
"""A film that everybody watches and nobody changes."""
PATIENCE_SECONDS = 60
PAUSE_SECONDS = 0.05
"""Between an attempt that wasn't answered and the next, where a request is repeated."""

Outcome = Literal["succeeded", "refused", "failed"]


class Sent(NamedTuple):
    """A request, and how it ended; `why` says what is wrong with one that failed."""

    kind: str
    began: float
    ended: float
    outcome: Outcome
    why: str = ""
    token: str = ""
    """Of a change."""

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass
class Film:
    """What its maker knows of a film."""

    id: str
    etag: str
    timeline: TimelineState | None = None
    timeline_etag: str = ""


class Filmmaker(threading.Thread):
    """Somebody who reads, and changes films that nobody else changes.

    A film of which a change has an unknown outcome is left alone. With `repeats`, what isn't
    answered is sent again, with the same key, until it is.
    """

    def __init__(self, name: str, port: int, seed: int, *, repeats: bool = False) -> None:
        super().__init__(name=name, daemon=True)
        self.random, self.repeats = Random(seed), repeats
        self.client = Client(port, timeout=PATIENCE_SECONDS)
        self.films: list[Film] = []
        self.made: list[Film] = []
        """Films that were made meanwhile, to be deleted …"""
        self.deleted: list[Film] = []
        """… and to be restored."""
        self.saves: list[Save] = []
        self.sent: list[Sent] = []
        self.is_over = threading.Event()
        self.failure: BaseException | None = None

    def prepare(self) -> None:
        """Make films with a timeline. Raises AssertionError if that fails."""
        for _ in range(FILMS):
            self.create()
            film = self.made.pop()
            path = f"/projects/{film.id}/timeline/"
            film.timeline_etag = self.client.send("GET", path).etag
            film.timeline = _timeline(self.random.getrandbits(32))
            self._save(film)
            self.films.append(film)
        wrong = [sent for sent in self.sent if sent.outcome != "succeeded"]
        assert not wrong, wrong
        self.sent.clear()

    def run(self) -> None:
        try:
            with self.client:
                while not self.is_over.is_set():
                    KINDS[self.random.choices(list(KINDS), list(OFTEN.values()))[0]](self)
        except BaseException as error:
            self.failure = error
            raise

    # --- What people do

    def read_cached(self) -> None:
        part = self.random.choice(("timeline", "transcription"))
        self._read("read cached", f"/projects/{ARCHIVE}/{part}/")

    def read_uncached(self) -> None:
        self._read("read uncached", f"/projects/{self._any_film()}/timeline/versions/")

    def read_list(self) -> None:
        self._read("list", "/projects/?page_size=10")

    def save(self) -> None:
        if self.films:
            self._save(self.random.choice(self.films))

    def edit(self) -> None:
        if self.films:
            self._edit(self.random.choice(self.films))

    def create(self) -> None:
        token = self._token()
        body = msgspec.json.encode({"name": title(token), "description": CONTENT})
        save = Save("project", token, "", "POST", "/projects/", body, "", f"key-{token}")
        if reply := self._change("create", save):
            save.project = reply.json["id"]
            self.made.append(Film(save.project, reply.json["etag"]))

    def delete(self) -> None:
        self._move("delete", self.made, self.deleted, "DELETE", "")

    def restore(self) -> None:
        self._move("restore", self.deleted, [], "POST", "restore/")

    # --- How they do it

    def _any_film(self) -> str:
        return self.random.choice(self.films).id if self.films else ARCHIVE

    def _token(self) -> str:
        return f"{self.name}-{len(self.saves)}"

    def _save(self, film: Film) -> None:
        state = _named(samples.move_clip(film.timeline, self.random), self._token())
        self._make("save", film, state, "PUT", states.encode(state), JSON)

    def _edit(self, film: Film) -> None:
        token = self._token()
        patch = [{"op": "add", "path": "/metadata/token", "value": token}]
        body = msgspec.json.encode(patch)
        self._make("edit", film, _named(film.timeline, token), "PATCH", body, JSON_PATCH)

    def _make(
        self, kind: str, film: Film, state: TimelineState, method: str, body: bytes, media_type: str
    ) -> None:
        """Make `state` the film's next timeline."""
        token, path = self._token(), f"/projects/{film.id}/timeline/"
        etag, key = film.timeline_etag, f"key-{token}"
        save = Save("timeline", token, film.id, method, path, body, etag, key, media_type)
        if reply := self._change(kind, save):
            film.timeline, film.timeline_etag = state, reply.json["etag"]
        elif save.unknown:
            self.films.remove(film)

    def _move(
        self, kind: str, source: list[Film], target: list[Film], method: str, path: str
    ) -> None:
        """Delete or restore a film, which then is among others; unless nobody knows."""
        if not source:
            return
        film, token = source.pop(), self._token()
        path = f"/projects/{film.id}/{path}"
        save = Save("project", token, film.id, method, path, b"", film.etag, f"key-{token}")
        if reply := self._change(kind, save):
            target.append(Film(film.id, reply.json["etag"]))
        elif not save.unknown:
            source.append(film)

    def _read(self, kind: str, path: str) -> None:
        began = monotonic()
        try:
            known = {"authorization": f"Bearer {TOKEN}"}
            reply = self._send(lambda: self.client.send("GET", path, **known))
        except NoAnswer as error:
            return self._note(kind, began, None, str(error))
        return self._note(kind, began, reply)

    def _change(self, kind: str, save: Save) -> Reply | None:
        """Send a change; its answer, if it was made."""
        self.saves.append(save)
        began = monotonic()
        try:
            save.reply = self._send(lambda: self._attempt(save))
        except NoAnswer as error:
            self._note(kind, began, None, str(error), save.token)
            return None
        self._note(kind, began, save.reply, token=save.token)
        if is_clear_refusal(save.reply):
            save.unknown += not saved_nothing(save.reply)
        return save.reply if save.is_acknowledged else None

    def _attempt(self, save: Save) -> Reply:
        save.attempts += 1
        try:
            return self.client.send(save.method, save.path, save.body, **save.headers)
        except NoAnswer:
            save.unknown += 1
            raise

    def _send(self, attempt: Callable[[], Reply]) -> Reply:
        until = monotonic() + (PATIENCE_SECONDS if self.repeats else 0)
        while True:
            try:
                return attempt()
            except NoAnswer:
                if monotonic() >= until:
                    raise
                sleep(PAUSE_SECONDS)

    def _note(
        self, kind: str, began: float, reply: Reply | None, why: str = "", token: str = ""
    ) -> None:
        outcome: Outcome = "failed"
        if reply is not None and reply.status in (200, 201):
            outcome = "succeeded"
        elif reply is not None and is_clear_refusal(reply):
            outcome = "refused"
        elif reply is not None:
            why = f"{reply.status} {reply.body[:300]!r}"
        self.sent.append(Sent(kind, began, monotonic(), outcome, why, token))


def _timeline(seed: int) -> TimelineState:
    """With something in each clip and marker that nobody but the film's maker may read."""
    state = samples.timeline(seed, CLIPS)
    noted = {"properties": {CONTENT: CONTENT}}
    layers = [
        replace(layer, clips=[replace(clip, **noted) for clip in layer.clips])
        for layer in state.layers
    ]
    markers = [replace(marker, label=CONTENT) for marker in state.markers]
    return replace(state, layers=layers, markers=markers, metadata={CONTENT: CONTENT})


def _named(state: TimelineState, token: str) -> TimelineState:
    return replace(state, metadata={**state.metadata, "token": token})


KINDS: dict[str, Callable[[Filmmaker], None]] = {
    "read cached": Filmmaker.read_cached,
    "read uncached": Filmmaker.read_uncached,
    "list": Filmmaker.read_list,
    "save": Filmmaker.save,
    "edit": Filmmaker.edit,
    "create": Filmmaker.create,
    "delete": Filmmaker.delete,
    "restore": Filmmaker.restore,
}
OFTEN = dict.fromkeys(KINDS, 3) | dict.fromkeys(("create", "delete", "restore"), 1)
"""How often each is done, compared with the others."""
CHANGES = ("save", "edit", "create", "delete", "restore")


def prepare(makers: Sequence[Filmmaker], port: int) -> None:
    """Make the film that everybody watches, and everybody's own."""
    with Client(port) as client:
        body = msgspec.json.encode({"id": ARCHIVE, "name": CONTENT, "description": CONTENT})
        assert client.send("POST", "/projects/", body).status == 201
        path = f"/projects/{ARCHIVE}/timeline/"
        etag, state = client.send("GET", path).etag, states.encode(_timeline(1))
        assert client.send("PUT", path, state, if_match=etag).status == 200
        assert client.send("GET", path).status == 200
        path = f"/projects/{ARCHIVE}/transcription/"
        said = msgspec.json.encode({"segments": [SEGMENT]})
        assert client.send("POST", path, said).status == 201
        assert client.send("GET", path).status == 200
    with ThreadPoolExecutor(len(makers)) as pool:
        list(pool.map(Filmmaker.prepare, makers))


def settle(saves: Sequence[Save], port: int) -> None:
    """Send all again of which nobody knows what became of them, each with its key.

    Raises NoAnswer if they aren't answered even now.
    """
    with Client(port) as client:
        for save in saves:
            if save.unknown and not save.is_acknowledged:
                save.reply = client.insist(
                    save.method, save.path, save.body, seconds=PATIENCE_SECONDS, **save.headers
                )
                if save.is_acknowledged:
                    save.project = save.project or save.reply.json["id"]
