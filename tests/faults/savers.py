"""People who save at the same time, each noting what was sent and what came back."""

import http.client
import threading
import time
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from snipix.demo.client import Client, NoAnswer, Reply
from snipix.wire import JSON
from tests.secrecy import CONTENT, TOKEN

REFUSALS_THAT_SAVED_NOTHING = {
    "database-unavailable",
    "database-refused",
    "too-many-changes-at-once",
}
PATIENCE_SECONDS = 90


def title(token: str) -> str:
    return f"{CONTENT} {token}"


def is_clear_refusal(reply: Reply) -> bool:
    """Whether an answer says that something is away, and when to ask again."""
    return (
        reply.status == http.HTTPStatus.SERVICE_UNAVAILABLE
        and reply.headers.get("content-type") == "application/problem+json"
        and reply.headers.get("retry-after", "").isdigit()
    )


def saved_nothing(refusal: Reply) -> bool:
    return refusal.json["code"] in REFUSALS_THAT_SAVED_NOTHING


@dataclass
class Save:
    """One save, and what its sender knows of it."""

    kind: str
    token: str
    """Stands in what is saved, and nowhere else; it is the id of the request, too."""
    project: str
    """Empty for one that is being created, until that is answered."""
    method: str
    path: str
    body: bytes
    etag: str
    key: str | None
    media_type: str = JSON
    attempts: int = 0
    unknown: int = 0
    """Attempts of which nobody knows what became of them."""
    reply: Reply | None = None
    """The last answer."""

    @property
    def base(self) -> int:
        """The version that it was made on."""
        return int(self.etag.strip('"').partition(".")[0]) if self.etag else 0

    @property
    def is_acknowledged(self) -> bool:
        return self.reply is not None and self.reply.status in (200, 201)

    @property
    def is_refused(self) -> bool:
        """Whether it certainly wasn't saved, so that it mustn't be there."""
        return self.reply is not None and not self.is_acknowledged and not self.unknown

    @property
    def version(self) -> int:
        """The version that the answer names."""
        assert self.reply is not None
        return self.reply.json["version"]

    @property
    def title(self) -> str:
        """What it calls the film, if it names it."""
        return title(self.token)

    @property
    def headers(self) -> dict[str, str]:
        named = {"if_match": self.etag, "idempotency_key": self.key}
        told = {name: value for name, value in named.items() if value}
        told["authorization"] = f"Bearer {TOKEN}"
        return {"x_request_id": self.token, "content_type": self.media_type, **told}


class Saver(threading.Thread):
    """Saves one document over and over, each time on its newest version.

    With `is_keyed` every save has a key, and is sent until it is answered, in vain or not. Without
    it, a save that isn't answered is given up.
    """

    kind = "timeline"

    def __init__(
        self,
        name: str,
        *,
        port: int,
        project: str,
        seed: int,
        is_keyed: bool = False,
        timeout: float = 60,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.project = project
        self.random = Random(seed)
        self.is_keyed = is_keyed
        self.client = Client(port, timeout=timeout)
        self.saves: list[Save] = []
        self.wrong: list[str] = []  # answers that nobody should ever get
        self.is_over = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            with self.client:
                while not self.is_over.is_set():
                    if head := self._read():
                        self.saves.append(self._save(head))
        except BaseException as error:
            self.failure = error
            raise

    @property
    def acknowledged(self) -> int:
        return sum(save.is_acknowledged for save in self.saves)

    def path(self) -> str:
        return f"/projects/{self.project}/timeline/"

    def edit(self, head: dict[str, Any], token: str) -> tuple[str, bytes]:
        """Return the method and the body of a save that nobody else sends."""
        clip = self.random.choice(head["layers"][0]["clips"])
        clip["start_time"] += self.random.randint(1, 90) / 30
        head["metadata"]["token"] = token
        return "PUT", msgspec.json.encode(head)

    def _read(self) -> Reply | None:
        try:
            reply = self.client.send("GET", self.path())
        except NoAnswer:
            self._pause()
            return None
        if reply.status != http.HTTPStatus.OK:
            self._check_refusal(reply)
            self._pause()
            return None
        return reply

    def _save(self, head: Reply) -> Save:
        token = f"{self.name}-{len(self.saves)}"
        method, body = self.edit(head.json, token)
        key = f"key-{token}" if self.is_keyed else None
        save = Save(self.kind, token, self.project, method, self.path(), body, head.etag, key)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._is_settled(save):
            if time.monotonic() > deadline:
                self.wrong.append(f"{token} was never answered")
                break
            self._pause()
        return save

    def _is_settled(self, save: Save) -> bool:
        """Send a save once; return whether it needn't, or can't, be sent again."""
        save.attempts += 1
        try:
            save.reply = self.client.send(save.method, save.path, save.body, **save.headers)
        except NoAnswer:
            save.reply = None
            save.unknown += 1
            return not self.is_keyed
        if save.reply.status in (http.HTTPStatus.OK, http.HTTPStatus.PRECONDITION_FAILED):
            return True
        self._check_refusal(save.reply)
        if save.reply.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            save.unknown += not saved_nothing(save.reply)
            return not self.is_keyed
        return True

    def _check_refusal(self, reply: Reply) -> None:
        if not is_clear_refusal(reply):
            self.wrong.append(f"{self.name}: {reply.status} {reply.body.decode()[:300]}")

    def _pause(self) -> None:
        """What waits here is a server that has to be started first."""
        time.sleep(0.05)


class Renamer(Saver):
    """Renames the project that the others save the timeline of."""

    kind = "project"

    def path(self) -> str:
        return f"/projects/{self.project}/"

    def edit(self, head: dict[str, Any], token: str) -> tuple[str, bytes]:
        return "PATCH", msgspec.json.encode({"name": title(token)})
