"""What is done to Snipix while people work, what is counted meanwhile, and what it must come to."""

from __future__ import annotations

import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from time import monotonic, sleep
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient

from projects.models import Project
from snipix.audit import AuditEntry
from snipix.demo.client import Client
from snipix.local.processes import wait_until
from tests.conftest import KEPT
from tests.faults import load, web, witness
from tests.faults.laboratory import REQUEST_DEADLINE, Laboratory, Logged
from tests.faults.load import KINDS, Filmmaker, Sent
from tests.faults.proxy import Proxy
from tests.faults.savers import Save
from tests.faults.witness import Findings

FILMMAKERS = 6
BEFORE_SECONDS = 0.5
"""While all is well, before it isn't …"""
AFTER_SECONDS = 2.0
"""… and after it is again."""
LEAST_RECOVERED = 0.95
"""Of the reads and changes that failed for a moment, those that succeed when they are repeated."""
MOST_SECONDS = REQUEST_DEADLINE + 5.0
"""That anybody waits for an answer: the deadline, and what a busy machine takes besides."""


class Trial(NamedTuple):
    name: str
    happens: Callable[[Laboratory, float], None]
    """Does it for so many seconds, and returns when it has undone it."""
    seconds: float = 12.0
    short: float = 0.0
    """Seconds in the suite; 0 for what only the long form does, since another shows the same."""
    least: float = 0.0
    """Of all requests, those that must succeed."""
    always: Sequence[str] = ()
    """Kinds of requests that must succeed all the time."""
    repeats: bool = False
    """Whether people send again, with the same key, what isn't answered."""
    are_counted: bool = False
    """Whether what fails for a moment is held to LEAST_RECOVERED."""


# --- What happens


def commands_fail(share: float) -> Callable[[Laboratory, float], None]:
    def happens(lab: Laboratory, seconds: float) -> None:
        lab.commands.fail_share = share
        sleep(seconds)
        lab.commands.fail_share = 0.0
        assert lab.commands.failed, "nothing has failed"

    return happens


def database_killed(lab: Laboratory, seconds: float) -> None:
    """Again and again, for as long as a restart takes or some seconds more."""
    until = monotonic() + seconds
    while True:
        lab.kill_database()
        sleep(lab.random.uniform(0, min(4, seconds / 2)))
        lab.start()
        if monotonic() > until:
            return
        sleep(2)


def database_hung(lab: Laboratory, seconds: float) -> None:
    lab.hang_database()
    sleep(seconds)
    lab.wake_database()


def database_full(lab: Laboratory, seconds: float) -> None:
    """Then there is room again, and it is started again, in case that it has given up."""
    lab.limit_files_of_database(0)
    sleep(seconds)
    lab.limit_files_of_database()
    lab.kill_database()
    lab.start()


def database_cut_off(lab: Laboratory, seconds: float) -> None:
    lab.commands.go_down()
    sleep(seconds)
    lab.commands.come_back()


def database_late(lab: Laboratory, seconds: float) -> None:
    lab.commands.delay = 0.1
    sleep(seconds)
    lab.commands.delay = 0.0


def connections_cut(name: str) -> Callable[[Laboratory, float], None]:
    def happens(lab: Laboratory, seconds: float) -> None:
        proxy: Proxy = getattr(lab, name)
        before = proxy.cuts
        proxy.cut(0.3)
        sleep(seconds)
        proxy.cut(0.0)
        assert proxy.cuts > before, "nothing was cut"

    return happens


def redis_killed(lab: Laboratory, seconds: float) -> None:
    lab.redis.kill()
    sleep(seconds)
    lab.redis.start()


def redis_hung(lab: Laboratory, seconds: float) -> None:
    lab.redis.hang()
    sleep(seconds)
    lab.redis.go_on()


def redis_full(lab: Laboratory, seconds: float) -> None:
    lab.redis.fill_up()
    sleep(seconds)
    lab.redis.make_room()


def workers_killed(lab: Laboratory, seconds: float) -> None:
    until = monotonic() + seconds
    while monotonic() < until:
        lab.kill_worker()
        sleep(1)


def web_restarted(lab: Laboratory, seconds: float) -> None:
    until = monotonic() + seconds
    while True:
        lab.restart_web()
        if monotonic() > until:
            return
        sleep(2)


def primary_steps_down(lab: Laboratory, seconds: float) -> None:
    """Again and again, for as long as an election takes, or for longer."""
    workers, until = web.workers(lab), monotonic() + seconds
    while monotonic() < until:
        away = lab.random.choice((1, 4))
        lab.step_down(away)
        sleep(away + 1)
    assert web.workers(lab) == workers, "a worker was restarted"


def commands_meet_no_primary(lab: Laboratory, seconds: float) -> None:
    """One after the other, as if each had come just when the primary stepped down."""
    workers, until = web.workers(lab), monotonic() + seconds
    for name, labels in cycle(LABELS.items()):
        if monotonic() > until:
            break
        lab.fail_command(name, lab.random.choice(NO_PRIMARY), labels)
        sleep(lab.random.uniform(0.5, 2))  # the driver asks twice a second who is the primary
    lab.fail_no_command()
    assert web.workers(lab) == workers, "a worker was restarted"


NO_PRIMARY = (10107, 189)
"""NotWritablePrimary, PrimarySteppedDown."""
UNDONE, AGAIN = ["TransientTransactionError"], ["RetryableWriteError"]
LABELS = {"insert": UNDONE, "update": UNDONE, "commitTransaction": AGAIN, "aggregate": []}
"""What MongoDB says with that, of commands of a transaction; most aggregations are in none."""
ALL = tuple(KINDS)
CACHED = ("read cached",)
TRIALS = (
    Trial("nothing", lambda _, seconds: sleep(seconds), 6, always=ALL),
    Trial("2 % of database commands fail", commands_fail(0.02), 40, short=8, least=0.999,
          are_counted=True),
    Trial("10 % of database commands fail", commands_fail(0.1), 20, short=6, least=0.99,
          are_counted=True),
    Trial("database killed and restarted", database_killed, short=5, always=CACHED),
    Trial("database hung", database_hung, 20, always=CACHED),
    Trial("database cut off", database_cut_off, 6, always=CACHED),
    Trial("database late by 100 ms", database_late, 8, always=ALL),
    Trial("primary steps down", primary_steps_down, short=4, always=CACHED),
    Trial("commands meet no primary", commands_meet_no_primary, short=6, least=0.99,
          are_counted=True),
    Trial("30 % of connections to the database cut", connections_cut("commands"), short=4,
          always=CACHED),
    Trial("30 % of clients' connections cut", connections_cut("door"), short=3, always=ALL,
          repeats=True),
    Trial("Redis killed", redis_killed, 8, always=ALL),
    Trial("Redis hung", redis_hung, 8, short=3, always=ALL),
    Trial("Redis full", redis_full, 8, always=ALL),
    Trial("workers killed", workers_killed, short=3, always=ALL, repeats=True),
    Trial("disk of the database full", database_full, 8, always=CACHED),
    Trial("SIGTERM for the web server, and a restart", web_restarted, always=ALL, repeats=True),
)  # fmt: skip


# --- What comes of it


@dataclass
class Outcome:
    """What was seen in one trial."""

    trial: Trial
    sent: list[Sent]
    repaired_at: float
    """When all was well again."""
    findings: Findings
    logged: Logged
    recovered: Counter[str] = field(default_factory=Counter)
    """Reads and changes that failed for a moment, by how they ended."""

    def of(self, kind: str) -> list[Sent]:
        return [sent for sent in self.sent if kind in ("all", sent.kind)]

    def count(self, outcome: str, kind: str = "all") -> int:
        return sum(sent.outcome == outcome for sent in self.of(kind))

    def share(self, kind: str = "all") -> float:
        """How much of what was sent succeeded."""
        return self.count("succeeded", kind) / max(len(self.of(kind)), 1)

    def longest(self, kind: str) -> float:
        return max((sent.seconds for sent in self.of(kind)), default=0.0)

    def recovery(self, kind: str) -> float:
        """For how long after the end of it all requests still didn't succeed, in seconds."""
        bad = [sent.ended for sent in self.of(kind) if sent.outcome != "succeeded"]
        return max(0.0, max(bad, default=0.0) - self.repaired_at)

    def found(self, what: str, kind: str) -> int:
        """How many changes of a kind were lost, or are there twice."""
        tokens = {sent.token for sent in self.of(kind)}
        return sum(told.partition(",")[0] in tokens for told in getattr(self.findings, what))

    @property
    def share_recovered(self) -> float | None:
        """None where nothing failed for a moment."""
        total = self.recovered.total()
        return self.recovered["succeeded"] / total if total else None

    def broken(self) -> list[str]:
        """The promises that weren't kept, in words."""
        return list(self._broken())

    def _broken(self) -> Iterator[str]:
        trial, findings = self.trial, self.findings
        for what in ("lost", "doubled", "wrong"):
            yield from (f"{what}: {each}" for each in getattr(findings, what)[:5])
        yield from (f"logged: {leak}" for leak in self.logged.leaks)
        if not self.logged.lines:
            yield "logged: nothing, so that nothing is known of leaks"
        yield from (f"{s.kind}: {s.why}" for s in self.sent if s.outcome == "failed")
        if self.share() < trial.least:
            yield f"{self.share():.2%} succeeded, of {trial.least:.1%} at least"
        for kind in trial.always:
            if refused := self.count("refused", kind):
                yield f"{kind}: {refused} refused"
        if self.longest("all") > MOST_SECONDS:
            yield f"an answer took {self.longest('all'):.1f} s"
        share = self.share_recovered
        if trial.are_counted and (share is None or share < LEAST_RECOVERED):
            yield f"{dict(self.recovered)}: {LEAST_RECOVERED:.0%} have to recover"


def run(lab: Laboratory, trial: Trial, seconds: float, seed: int = 1) -> Outcome:
    """Let people work while it happens, settle what is in doubt, and examine everything."""
    makers = [
        Filmmaker(f"{number}", lab.door.port, seed * 100 + number, repeats=trial.repeats)
        for number in range(FILMMAKERS)
    ]
    try:
        load.prepare(makers, lab.web.port)
        before = recoveries(lab.web.port)
        with working(makers):
            sleep(BEFORE_SECONDS)
            trial.happens(lab, seconds)
            repaired_at = monotonic()
            sleep(AFTER_SECONDS)
            wait_until(lambda: have_all_succeeded(makers), seconds=load.PATIENCE_SECONDS)
        recovered = recoveries(lab.web.port)
        saves = [save for maker in makers for save in maker.saves]
        load.settle(saves, lab.web.port)
        findings = examine(lab, saves)
    finally:
        _forget(lab)
    sent = [sent for maker in makers for sent in maker.sent]
    return Outcome(trial, sent, repaired_at, findings, lab.logged(), recovered - before)


def have_all_succeeded(makers: Sequence[Filmmaker]) -> bool:
    """Whether each kind of request did at least once, which on a slow machine takes a while."""
    done = {sent.kind for m in makers for sent in tuple(m.sent) if sent.outcome == "succeeded"}
    return done >= set(KINDS)


@contextmanager
def working(makers: Sequence[Filmmaker]) -> Iterator[None]:
    for maker in makers:
        maker.start()
    try:
        yield
    finally:
        for maker in makers:
            maker.is_over.set()
        for maker in makers:
            maker.join(2 * load.PATIENCE_SECONDS)
    for maker in makers:
        assert not maker.is_alive(), f"{maker.name} hangs"
        assert maker.failure is None, maker.failure


def recoveries(port: int) -> Counter[str]:
    """What the workers have counted of reads and changes that failed for a moment."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    found: Counter[str] = Counter()
    for sample in (sample for family in families for sample in family.samples):
        if sample.name == "snipix_recoveries_total":
            found[sample.labels["outcome"]] += int(sample.value)
    return found


def examine(lab: Laboratory, saves: Sequence[Save]) -> Findings:
    """Look at every project, and for projects and changes that nobody has made."""
    findings = Findings()
    by_project: dict[str, list[Save]] = {}
    for save in saves:
        by_project.setdefault(save.project, []).append(save)
    unmade = by_project.pop("", [])
    with lab.inside(), Client(lab.web.port) as client:
        for project, changes in by_project.items():
            findings.add(witness.examine(project, changes, client))
        there = set(Project.everything.values_list("project_id", flat=True)) - {load.ARCHIVE}
        findings.wrong += [f"nobody has made {id}" for id in there - by_project.keys()]
        made = _made(unmade)
        findings.wrong += [f"{token} was refused, and is there" for token in made]
    return findings


def _made(saves: Sequence[Save]) -> list[str]:
    tokens = [save.token for save in saves]
    found = AuditEntry.objects.filter(request_id__in=tokens)
    return list(found.values_list("request_id", flat=True))


def _forget(lab: Laboratory) -> None:
    """Leave nothing that slows later trials: the embedded server is no place for much data.

    A transaction that nobody could end would hold for a minute what it has changed.
    """
    with MongoClient[dict[str, Any]](lab.uri, socketTimeoutMS=120_000) as client:
        client.admin.command("killAllSessions", [])
        database = client[lab.database]
        for name in set(database.list_collection_names()) - KEPT:
            database[name].delete_many({})
