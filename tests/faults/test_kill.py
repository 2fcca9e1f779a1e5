"""The kill: everything that can die dies while people save, and nothing that was answered is lost.

`SNIPIX_KILL_ROUNDS` and `SNIPIX_KILL_SEED` choose how many rounds the long test takes, and which.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from random import Random

import pytest

from snipix import states
from snipix.demo.client import Client
from snipix.demo.stage import Stage
from snipix.local import processes
from tests.conftest import empty_database
from tests.faults import web, witness
from tests.faults.savers import Renamer, Saver
from tests.faults.witness import Findings
from timelines import samples

CLIPS = 30
PROJECTS = 2
PATIENCE_SECONDS = 40
"""Less than a transaction lives that was open when its process was killed."""
SEED = int(os.environ.get("SNIPIX_KILL_SEED", "1"))
ROUNDS = int(os.environ.get("SNIPIX_KILL_ROUNDS", "50"))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    # A short deadline, so that requests also end by it, and not only by an answer.
    with Stage(tmp_path_factory.mktemp("kill"), REQUEST_DEADLINE="8") as stage:
        yield stage


def test_nothing_is_lost_when_database_and_web_server_are_killed(
    stage: Stage, django_db_blocker
) -> None:
    with django_db_blocker.unblock():
        run(stage, [["database"], ["worker"], ["web server"], ["both"]], say=print)


@pytest.mark.long
def test_nothing_is_lost_in_fifty_rounds(
    stage: Stage, django_db_blocker, capsys: pytest.CaptureFixture
) -> None:
    def say(line: str) -> None:
        with capsys.disabled():
            print(line, flush=True)

    say("")
    with django_db_blocker.unblock():
        run(stage, plan(ROUNDS), say=say)


def run(stage: Stage, plan: list[list[str]], *, say: Callable[[str], None]) -> None:
    """Let people save, kill, start again and compare: for each of the plan's rounds."""
    random = Random(SEED)
    total = Findings()
    for number, victims in enumerate(plan, 1):
        began = time.monotonic()
        findings = Round(stage, number, victims, random).run()
        total.add(findings)
        named = " and ".join(victims)
        say(f"{number:>3}  {findings}  killed: {named}  {time.monotonic() - began:.1f} s")
        assert findings.is_clean, (findings.lost, findings.doubled, findings.wrong)
    say(f"all  {total}")
    assert total.acknowledged > 20 * len(plan)


def plan(rounds: int) -> list[list[str]]:
    """Two kills for every round; every kind of them in any five rounds."""
    random = Random(SEED)
    kinds: list[str] = []
    while len(kinds) < 2 * rounds:
        kinds += random.sample(list(VICTIMS), len(VICTIMS))
    return [kinds[2 * i : 2 * i + 2] for i in range(rounds)]


def kill_both(stage: Stage, random: Random) -> None:
    killers = [threading.Thread(target=kill) for kill in (stage.kill_database, stage.kill_web)]
    for killer in random.sample(killers, 2):
        killer.start()
    for killer in killers:
        killer.join()


def kill_database_for_a_while(stage: Stage, random: Random) -> None:
    """Longer than the driver looks for a server, so that requests are refused."""
    stage.kill_database()
    time.sleep(random.uniform(3, 5))


VICTIMS: dict[str, Callable[[Stage, Random], None]] = {
    "database": lambda stage, random: stage.kill_database(),
    "database for a while": kill_database_for_a_while,
    "worker": web.kill_worker,
    "web server": lambda stage, random: stage.kill_web(),
    "both": kill_both,
}


class Round:
    """People save some new projects while the victims are killed, one after the other."""

    def __init__(self, stage: Stage, number: int, victims: list[str], random: Random) -> None:
        self.stage, self.victims, self.random = stage, victims, random
        self.projects = [f"round-{number}-{letter}" for letter in "abc"[:PROJECTS]]
        self.savers = [saver for project in self.projects for saver in self._savers(project)]

    def run(self) -> Findings:
        for project in self.projects:
            self._create(project)
        for saver in self.savers:
            saver.start()
        for victim in self.victims:
            self._await_saves(self.random.randint(5, 40))
            VICTIMS[victim](self.stage, self.random)
            self.stage.start()
        for project in self.projects:
            self._await_saves(3, project)
        self._end()
        return self._examine()

    def _savers(self, project: str) -> Iterator[Saver]:
        def named(name: str) -> dict:
            name = f"{project}-{name}"
            return {"name": name, "project": project, "port": self.stage.web.port,
                    "seed": self.random.getrandbits(32)}  # fmt: skip

        yield Saver(**named("plain"))
        yield Saver(**named("keyed"), is_keyed=True)
        yield Saver(**named("impatient"), is_keyed=True, timeout=1)
        yield Renamer(**named("renamer"), is_keyed=True)

    def _create(self, project: str) -> None:
        state = samples.timeline(self.random.getrandbits(32), CLIPS)
        with Client(self.stage.web.port) as client:
            body = f'{{"id": "{project}", "name": "Film"}}'.encode()
            assert client.send("POST", "/projects/", body).status == 201
            path = f"/projects/{project}/timeline/"
            etag = client.send("GET", path).etag
            assert client.send("PUT", path, states.encode(state), if_match=etag).status == 200

    def _await_saves(self, count: int, project: str = "") -> None:
        """Wait until so many more saves, of one project or of all, are acknowledged."""
        savers = [saver for saver in self.savers if project in ("", saver.project)]
        enough = count + sum(saver.acknowledged for saver in savers)
        is_reached = processes.wait_until(
            lambda: sum(saver.acknowledged for saver in savers) >= enough,
            seconds=PATIENCE_SECONDS,
        )
        assert is_reached, f"no {count} saves in {PATIENCE_SECONDS} s after {self.victims}"

    def _end(self) -> None:
        for saver in self.savers:
            saver.is_over.set()
        for saver in self.savers:
            saver.join(PATIENCE_SECONDS * 2)
            assert not saver.is_alive(), f"{saver.name} hangs"
            assert saver.failure is None, saver.failure

    def _examine(self) -> Findings:
        findings = Findings(wrong=[wrong for saver in self.savers for wrong in saver.wrong])
        with self.stage.inside(), Client(self.stage.web.port) as client:
            for project in self.projects:
                savers = [saver for saver in self.savers if saver.project == project]
                saves = [save for saver in savers for save in saver.saves]
                findings.add(witness.examine(project, saves, client))
            if findings.is_clean:
                self._forget()
        return findings

    def _forget(self) -> None:
        """Leave nothing that slows later rounds: the embedded server is no place for much data."""
        empty_database()
