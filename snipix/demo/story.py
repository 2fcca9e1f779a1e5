"""What the demonstration does, and what it shows in the end."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import bson

from projects.models import Project
from snipix import history, states
from snipix.demo.client import Client, NoAnswer, Reply
from snipix.demo.stage import Stage
from snipix.mongo import connection
from timelines import samples
from timelines.models import Timeline
from timelines.state import TimelineState

PROJECT = b'{"id": "demo", "name": "The harbour"}'
PATH = "/projects/demo/timeline/"
PATIENCE_SECONDS = 60
RECORDS = {
    "revisions": "revisions",
    "kept answers": "kept_answers",
    "audit entries": "audit_entries",
}

Say = Callable[[str], None]


class Lost(Exception):
    """Something that was acknowledged isn't there: what this demonstration says can't happen."""


@dataclass
class Story:
    """A hundred saves of one timeline, and how often everything dies meanwhile."""

    stage: Stage
    say: Say
    seed: int = 1
    clips: int = 200
    moves: int = 100
    kills: int = 3
    acknowledged: dict[int, TimelineState] = field(default_factory=dict)
    """What was sent, by the version that the answer named."""

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311 - which clip moves, and when all is killed
        self.client = Client(self.stage.web.port)
        self.seconds: list[float] = []

    def tell(self) -> None:
        """Save, kill and verify. Raises Lost, and LocalError if a server doesn't start."""
        state = samples.timeline(self.seed, self.clips)
        _expect(self.client.send("POST", "/projects/", PROJECT), 201)
        etag = self._save(state, self.client.send("GET", PATH).etag)
        kills = set(self._moments())
        for number in range(1, self.moves + 1):
            state = samples.move_clip(state, self.random)
            killer = self._sentence() if number in kills else None
            etag = self._save(state, etag, killer)
            if number % 10 == 0:
                self.say(
                    f"  {number} of {self.moves} moves saved, version {len(self.acknowledged)}"
                )
        self._report()

    def _moments(self) -> Iterator[int]:
        """Spread the kills over the saves."""
        for number in range(self.kills):
            yield round((number + self.random.uniform(0.3, 0.7)) * self.moves / self.kills) or 1

    def _save(self, state: TimelineState, etag: str, killer: threading.Thread | None = None) -> str:
        """Save, with everything started again if it dies meanwhile; the ETag for the next save."""
        key = f"save-{len(self.acknowledged) + 1}"
        headers = {"if_match": etag, "idempotency_key": key}
        body = states.encode(state)
        began = time.perf_counter()
        try:
            reply = self.client.send("PUT", PATH, body, **headers)
        except NoAnswer:
            reply = None
        if killer:
            killer.join()
            self._recover(reply, state)
        else:
            self.seconds.append(time.perf_counter() - began)
        if reply is None or reply.status == 503:
            reply = self.client.insist("PUT", PATH, body, seconds=PATIENCE_SECONDS, **headers)
        return self._acknowledge(reply, state)

    def _acknowledge(self, reply: Reply, state: TimelineState) -> str:
        version = _expect(reply, 200).json["version"]
        if version != len(self.acknowledged) + 1:
            raise Lost(f"save {len(self.acknowledged) + 1} became version {version}")
        self.acknowledged[version] = state
        return reply.etag if "etag" in reply.headers else str(reply.json["etag"])

    def _sentence(self) -> threading.Thread:
        """Kill the database and the web server at a moment of the save that comes now."""
        delay = self.random.uniform(0, 1.2) * statistics.median(self.seconds)
        killer = threading.Timer(delay, self._kill)
        killer.start()
        return killer

    def _kill(self) -> None:
        self.stage.kill_database()
        self.stage.kill_web()

    def _recover(self, reply: Reply | None, state: TimelineState) -> None:
        """Start everything again, and look whether the last acknowledged version is there."""
        save = len(self.acknowledged) + 1
        was = f"answered {reply.status}" if reply else "not answered"
        self.say(f"  SIGKILL for the database and the web server; save {save} was {was}.")
        began = time.monotonic()
        self.stage.start()
        self.say(f"  Started again after {time.monotonic() - began:.1f} s.")
        head = self.client.send("GET", PATH).json
        expected = self.acknowledged | {save: state}
        is_saved = reply is not None and reply.status == 200
        if head["version"] not in (save, save - (not is_saved)):
            raise Lost(f"the timeline is at version {head['version']} instead of {save - 1}")
        if _state_of(head) != expected[head["version"]]:
            raise Lost(f"version {head['version']} isn't what was saved")
        fate = "it is there" if head["version"] == save else "it isn't there; sent again"
        self.say(f"  Version {head['version']} is the newest, as it was sent. Save {save}: {fate}.")

    def _report(self) -> None:
        with self.stage.inside():
            timeline = Timeline.of(Project.objects.get(project_id="demo"))
            versions = history.verify(timeline)
            for version, state in self.acknowledged.items():
                if history.read(timeline, version) != state:
                    raise Lost(f"version {version} doesn't read back as what was saved")
            if versions != len(self.acknowledged):
                raise Lost(f"{len(self.acknowledged)} saves made {versions} versions")
            sizes = {name: document_sizes(of) for name, of in RECORDS.items()}
        self._show(versions, sizes)

    def _show(self, versions: int, sizes: dict[str, list[int]]) -> None:
        whole = len(states.encode(self.acknowledged[versions]))
        self.say(f"\nEverything was killed {self.kills} times. Nothing is lost:")
        self.say(f"  saves acknowledged              {len(self.acknowledged):>12,}")
        self.say(f"  versions in the history         {versions:>12,}   1 … {versions}, no gap")
        self.say(f"  hash chain                      {'unbroken':>12}")
        self.say(f"  versions that read back equal   {versions:>12,}   lost 0, doubled 0")
        self.say(
            f"  median time of a save           {statistics.median(self.seconds) * 1000:>9,.0f} ms"
        )
        self.say(
            f"\nWhat the history takes, in bytes ({self.clips} clips, {whole:,} bytes as JSON):"
        )
        for name, found in sizes.items():
            median = f"{statistics.median(found):,.0f}"
            self.say(f"  {len(found):>5,} {name:<25} {sum(found):>12,}   median {median}")
        total = sum(map(sum, sizes.values()))
        self.say(f"  all together                    {total:>12,}")
        self.say(f"  every version stored whole      {whole * versions:>12,}")


def document_sizes(collection: str) -> list[int]:
    """The size of every document of a collection, in bytes of BSON."""
    return [len(bson.encode(found)) for found in connection.get_collection(collection).find()]


def _expect(reply: Reply, status: int) -> Reply:
    if reply.status != status:
        raise Lost(f"{reply.status} instead of {status}: {reply.body.decode()[:500]}")
    return reply


def _state_of(answer: dict[str, Any]) -> TimelineState:
    fields = {name: answer[name] for name in TimelineState.__struct_fields__}
    return states.from_builtins(fields, TimelineState)
