"""How much memory operators' commands take, and that it doesn't grow: `make bench-memory`.

Two databases of small projects, one with ten times as many as the other. Each command runs as an
operator would run it, in a process of its own, whose highest resident memory is read from Linux
(`VmHWM`). Fails if a command takes more than 1.2 times as much for ten times as much. Purging is
measured with fewer projects: each is several changes, and the embedded server makes some hundred a
second.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "snipix.settings")
os.environ.setdefault("SECRET_KEY", "only-for-benchmarks")

import django

django.setup()

from projects import services as project_services  # noqa: E402
from snipix import history, local  # noqa: E402
from snipix.accounts import SYSTEM  # noqa: E402
from snipix.demo.stage import pointed_at  # noqa: E402
from timelines import samples  # noqa: E402
from timelines import services as timeline_services  # noqa: E402
from timelines.models import Timeline  # noqa: E402

MOST = 1.2
"""Times as much memory for ten times as many projects."""
COLLECTIONS = ("projects", "timelines", "revisions", "audit_entries")
"""What such a project is stored in."""
_AT_ONCE = 500
_POLL_SECONDS = 0.02
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Peak(NamedTuple):
    """What one run of a command took."""

    mebibytes: float
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=50_000, help="and a tenth (%(default)s)")
    parser.add_argument("--purged", type=int, default=5_000, help="likewise (%(default)s)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return report(measure(Path(folder), chosen.projects, chosen.purged))


def measure(folder: Path, projects: int, purged: int) -> dict[str, list[Peak]]:
    """The peaks of every command, for a tenth of the projects and for all."""
    found: dict[str, list[Peak]] = {}
    for count in (projects // 10, projects):
        with _place(folder / f"all-{count}") as place:
            place.fill(count)
            archive = str(place.folder / "all.snipix")
            commands: dict[str, Sequence[str]] = {
                "backup": ("backup", archive),
                "backup --verify": ("backup", archive, "--verify"),
                "restore": ("restore", archive, "--database", "restored"),
                "doctor": ("doctor",),
            }
            for name, command in commands.items():
                found.setdefault(name, []).append(place.run(*command, codes=(0, 3)))
    for count in (purged // 10, purged):
        with _place(folder / f"purged-{count}") as place:
            place.fill(count, in_trash=True)
            found.setdefault("purge_deleted", []).append(place.run("purge_deleted"))
    return found


@contextmanager
def _place(folder: Path) -> "Iterator[_Place]":
    folder.mkdir()
    with local.Mongo(folder) as mongo:
        yield _Place(folder, mongo.uri, "memory")


def report(measured: Mapping[str, list[Peak]]) -> int:
    """Print a table; returns 1 if a command takes too much."""
    print(f"\n{'':18}{'a tenth':>10}{'all':>10}{'ratio':>8}{'seconds':>10}")
    for command, (small, large) in measured.items():
        ratio = large.mebibytes / small.mebibytes
        print(
            f"{command:18}{small.mebibytes:>6.0f} MiB{large.mebibytes:>6.0f} MiB{ratio:>8.2f}"
            f"{large.seconds:>10.0f}{'  too much' if ratio > MOST else ''}"
        )
    return int(any(large.mebibytes > MOST * small.mebibytes for small, large in measured.values()))


def make_first() -> None:
    """Make a small project, within a change."""
    project = project_services.create_project(actor=SYSTEM, project_id="film-000000", name="Film")
    timeline_services.save_timeline(
        project, Timeline.of(project), samples.timeline(1, 2), actor=SYSTEM
    )


def multiply(database: Database[dict[str, Any]], projects: int) -> None:
    """Make as many projects of the first one, each with a history of its own."""
    first = {name: list(database[name].find()) for name in COLLECTIONS}
    for start in range(1, projects, _AT_ONCE):
        ids = [f"film-{number:06}" for number in range(start, min(start + _AT_ONCE, projects))]
        for name, documents in first.items():
            database[name].insert_many(_like(one, id) for id in ids for one in documents)


def _like(document: dict[str, Any], project_id: str) -> dict[str, Any]:
    """The same of another project: its first version, so that its hash chain is quickly made."""
    key = ObjectId(sha256(project_id.encode()).digest()[:12])
    made = {**document, "projectId": project_id, "_id": key}
    if "documentId" in document:
        made |= {"documentId": key, "_id": ObjectId()}
    if "digest" in document:
        made["digest"] = sha256(key.binary + bytes(document["contentDigest"])).digest()
    return made


class _Place:
    """A database, and what runs on it."""

    def __init__(self, folder: Path, uri: str, database: str) -> None:
        self.folder, self.uri, self.database = folder, uri, database
        self.env = {
            **os.environ,
            "MONGODB_URI": uri,
            "MONGODB_DATABASE": database,
            "REDIS_URL": "",
            "SECRET_KEY": "only-for-benchmarks-" + "0123456789" * 4,
            "LOG_LEVEL": "ERROR",
            # The embedded server sorts 50,000 projects in Python, and other things run meanwhile.
            "MONGODB_SOCKET_TIMEOUT": "120",
            "MEDIA_ROOT": str(folder / "media"),
        }

    def fill(self, projects: int, *, in_trash: bool = False) -> None:
        """Make a project, and many like it, past the API: that would take hours.

        `in_trash` puts them there long ago.
        """
        for command in ("migrate", "ensure_indexes"):
            self.run(command, "--verbosity=0")
        with pointed_at(self.uri, self.database):
            history.change(make_first)
        with MongoClient[dict[str, Any]](self.uri) as client:
            if in_trash:
                deleted = {"isDeleted": True, "deletedAt": _LONG_AGO}
                client[self.database]["projects"].update_one({}, {"$set": deleted})
                last = {"$set": {"isDeleted": True}}
                client[self.database]["revisions"].update_one({"kind": "project"}, last)
            multiply(client[self.database], projects)
        self.run("ensure_schema", "--verbosity=0")
        print(f"  {projects:,} projects", flush=True)

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Peak:
        """Run a command, showing what it says. Ends the benchmark if it fails."""
        print(f"{self.folder.name}: {' '.join(arguments)} …", flush=True)
        began, peak = time.monotonic(), 0
        with subprocess.Popen([sys.executable, "manage.py", *arguments], env=self.env) as process:
            while process.poll() is None:
                peak = max(peak, _peak(process.pid))
                time.sleep(_POLL_SECONDS)
        if process.returncode not in codes:
            sys.exit(f"{arguments[0]} ended with {process.returncode}")
        seconds = time.monotonic() - began
        print(f"  {peak / 1024:.0f} MiB, {seconds:.0f} s", flush=True)
        return Peak(peak / 1024, seconds)


def _peak(pid: int) -> int:
    """The most memory that a process has had so far, in KiB; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


if __name__ == "__main__":
    sys.exit(main())
