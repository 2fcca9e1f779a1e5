"""Connections that a master of gunicorn's has opened before it forked are its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from snipix.local.processes import ROOT, wait_until
from snipix.mongo import connection
from tests.faults.web import workers_of
from tests.watched import WatchedWeb, environment

WARM = """\
from snipix.mongo import connection
from snipix.wsgi import application

connection.ensure_connection()
connection.connection.admin.command("ping")
print("warmed up", flush=True)
"""
INODE = re.compile(r"socket:\[(\d+)\]")


class PreloadedWeb(WatchedWeb):
    """gunicorn with an application that reaches the database as soon as it is loaded."""

    def command(self) -> list[str]:
        *command, _ = super().command()
        places = f"{self.data_dir},{ROOT}"
        return [*command, "--preload", "--pythonpath", places, "warm:application"]


def sockets(pid: int, port: int) -> set[str]:
    """The inodes of a process's TCP connections to a port (Linux: proc(5))."""
    held = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.update(INODE.findall(str(descriptor.readlink())))
        except FileNotFoundError:  # closed meanwhile
            continue
    rows = [row.split() for row in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return held & {row[9] for row in rows if int(row[2].partition(":")[2], 16) == port}


@pytest.mark.usefixtures("db")  # which empties the cache afterwards, too
def test_no_worker_shares_a_connection_with_its_master(tmp_path: Path) -> None:
    (tmp_path / "warm.py").write_text(WARM)
    port = int(
        connection.settings_dict["HOST"].partition("://")[2].split("/")[0].rpartition(":")[2]
    )
    with PreloadedWeb(tmp_path, env=environment(workers=2), workers=2) as running:
        reached = wait_until(lambda: running.printed().count("database reached") == 2, seconds=60)
        assert reached, running.printed()
        assert "warmed up" in running.printed()
        answers = [running.get("/api/v1/projects/") for _ in range(20)]
        assert {status for status, *_ in answers} == {200}, answers

        pids = [running.process.pid, *(worker.pid for worker in workers_of(running))]
        held = [sockets(pid, port) for pid in pids]
        assert [bool(each) for each in held] == [False, True, True], "each worker has its own"
        assert set.isdisjoint(*held[1:]), "and shares none"
