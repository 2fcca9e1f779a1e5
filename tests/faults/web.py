"""gunicorn's workers, one by one."""

import signal
from collections.abc import Callable
from random import Random

from snipix import local
from snipix.demo.stage import Stage
from snipix.local import processes
from snipix.local.processes import Process


def workers(stage: Stage) -> list[Process]:
    """The processes that answer requests now, without the master that starts them."""
    return workers_of(stage.web)


def workers_of(web: local.Web) -> list[Process]:
    master = web.process
    assert master is not None
    found = processes.started_for(web.data_dir)
    return [p for p in found if p.group == master.pid and p.pid != master.pid]


def kill_worker(
    stage: Stage, random: Random, just_before: Callable[[], None] = lambda: None
) -> None:
    """End one worker with SIGKILL and return when another one has taken its place."""
    before = workers(stage)
    victim = random.choice(before)
    just_before()
    victim.send(signal.SIGKILL)
    replaced = processes.wait_until(
        lambda: victim not in (now := workers(stage)) and len(now) == len(before), seconds=20
    )
    assert replaced, "gunicorn started no other worker"
