"""What happens to Redis, and to the workers, while people change and read."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from time import sleep
from typing import NamedTuple

from snipix.demo.stage import Stage
from tests.cache.conftest import Redis
from tests.cache.test_hammer import Fate as Garbler
from tests.faults import web
from tests.faults.freshness import WINDOW_SECONDS
from tests.faults.readers import Scene

PAUSE_MS = 200
"""Less than REDIS_TIMEOUT here: so that nobody gives Redis up."""


class Fates:
    """Each takes a moment, and leaves a moment afterwards in which all is well."""

    def __init__(self, stage: Stage, redis: Redis, scene: Scene, random: Random) -> None:
        self.stage, self.redis, self.random = stage, redis, random
        self.ledger, self.may_change = scene.ledger, scene.may_change
        self.may_change.set()
        self.outages = 0

    def wait(self, least: float, most: float) -> None:
        sleep(self.random.uniform(least, most))

    def fill(self) -> None:
        """Let all be read and kept; then everybody changes something at once."""
        self.may_change.clear()
        self.wait(0.4, 0.5)
        self.may_change.set()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Enclose what keeps the workers from Redis; return when the window must have closed.

        And a little later, since what matters is what is read then: after every other outage
        nobody changes anything until then, which would mend what wasn't voided.
        """
        with self.ledger.outage():
            yield
            self.outages += 1
            if self.outages % 2:
                self.may_change.clear()
        self.wait(WINDOW_SECONDS + 0.4, WINDOW_SECONDS + 0.7)
        self.may_change.set()
        self.wait(0.1, 0.5)

    def nothing(self) -> None:
        self.wait(0.1, 0.2)

    def emptied(self) -> None:
        """Leases and marks are gone, too, in the middle of changes."""
        self.redis.client.flushall()
        self.wait(0.01, 0.3)

    def garbled(self) -> None:
        Garbler(self.redis, []).garbled()
        self.wait(0.01, 0.3)

    def full(self) -> None:
        self.redis.fill_up()
        self.wait(0.1, 0.5)
        self.redis.make_room()
        self.wait(0.2, 0.5)

    def hung(self) -> None:
        self.fill()
        with self.outage():
            self.redis.hang()
            self.wait(1.1, 1.7)  # so long that all processes have given it up
            self.redis.go_on()

    def killed(self) -> None:
        self.fill()
        with self.outage():
            self.redis.kill()
            self.wait(0.3, 1.2)
            self.redis.start()

    def restarted_empty(self) -> None:
        self.fill()
        with self.outage():
            self.redis.restart()

    def restarted_old(self) -> None:
        self.may_change.clear()
        self.wait(0.4, 0.5)
        snapshot = self.redis.saved()
        self.may_change.set()
        self.wait(0.6, 0.9)  # so that much of it isn't true any more
        with self.outage():
            self.redis.restart(snapshot)

    def worker_stopped(self) -> None:
        """For a moment, while it reads what is current: that is old when it goes on."""
        for key in self.redis.client.scan_iter(match="*:record:*"):
            self.redis.client.delete(key)  # as eviction does
        self.wait(0, 0.03)
        worker = self.random.choice(web.workers(self.stage))
        worker.send(signal.SIGSTOP)
        self.wait(0.2, 0.6)
        worker.send(signal.SIGCONT)
        self.wait(0, 0.2)

    def worker_killed(self) -> None:
        """At any moment, and between a commit and what follows it.

        While Redis pauses, whoever has committed waits for it; and what they have sent by then is
        dropped with their connection.
        """

        def just_before() -> None:
            self.fill()
            self.wait(0.02, 0.25)
            if self.random.random() < 0.8:
                self.redis.client.client_pause(PAUSE_MS, all=True)
                sleep(PAUSE_MS / 1000 * 0.8)

        web.kill_worker(self.stage, self.random, just_before)


class Scenario(NamedTuple):
    name: str
    happens: Callable[[Fates], None]
    seconds: float
    """In the suite; 0 for what happens in the long test only, since another one shows the same."""
    cuts: bool = False
    """Whether connections break."""
    keeps_marks: bool = False
    """Whether Redis never forgets who is changing what. Then no read is behind another one."""


SCENARIOS = (
    Scenario("nothing", Fates.nothing, 2, keeps_marks=True),
    Scenario("emptied", Fates.emptied, 1.5),
    Scenario("garbled", Fates.garbled, 1.5),
    Scenario("full", Fates.full, 1.5, keeps_marks=True),
    Scenario("hung", Fates.hung, 1),
    Scenario("killed", Fates.killed, 1),
    Scenario("restarted empty", Fates.restarted_empty, 0),
    Scenario("restarted from an old snapshot", Fates.restarted_old, 1),
    Scenario("workers stopped", Fates.worker_stopped, 2, keeps_marks=True),
    Scenario("workers killed", Fates.worker_killed, 1, cuts=True, keeps_marks=True),
)
