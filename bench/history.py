"""What a history costs, and how fast old versions come back: `make bench-history`.

Saves a large timeline, one clip moved each time, through the API in this process, on a database of
its own. Exits with 1 where a promise isn't kept.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "snipix.settings")
os.environ.setdefault("SECRET_KEY", "only-for-benchmarks")
os.environ.setdefault("LOG_LEVEL", "ERROR")

import django

django.setup()

from django.test import Client  # noqa: E402

from projects.models import Project  # noqa: E402
from snipix import history, indexes, local, states  # noqa: E402
from snipix.demo.stage import pointed_at  # noqa: E402
from snipix.demo.story import RECORDS, document_sizes  # noqa: E402
from timelines import samples  # noqa: E402
from timelines.models import Timeline  # noqa: E402

PATH = "/api/v1/projects/bench/timeline/"
MOST_BYTES = 1_000
"""Of the median revision."""
MOST_BYTES_OF_A_THOUSAND = 2_000_000
MOST_TIMES_HEAD = 5
"""How much longer than the head any version may take."""
REPEATS = 9
HOST: Any = {"headers": {"Host": "127.0.0.1"}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=2_000)
    parser.add_argument("--saves", type=int, default=210, help="more than 200, to cross a frame")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="snipix-bench-") as folder,
        local.Mongo(Path(folder)) as mongo,
        pointed_at(mongo.uri, "bench"),
    ):
        return 0 if _run(chosen.clips, chosen.saves) else 1


def _run(clips: int, saves: int) -> bool:
    """Save, and print the numbers; return whether they are what is promised."""
    list(indexes.ensure())
    _report_saves(_save(clips, saves))
    is_kept = [_report_sizes(), _report_reads(saves)]
    timeline = Timeline.of(Project.objects.get())
    seconds = _seconds(lambda: history.verify(timeline), repeats=1)
    print(f"\nProving the whole history: {seconds:.2f} s")
    return all(is_kept)


def _save(clips: int, saves: int) -> list[float]:
    """Save; the seconds that each save took."""
    client, random, found = Client(**HOST), Random(1), []  # noqa: S311
    body = {"id": "bench", "name": "Bench"}
    client.post("/api/v1/projects/", body, content_type="application/json")
    state, etag = samples.timeline(1, clips), client.get(PATH).headers["ETag"]
    print(f"{clips:,} clips, {len(states.encode(state)):,} bytes as JSON")
    for number in range(saves):
        headers = {"If-Match": etag, "Idempotency-Key": f"save-{number}"}
        content = states.encode(state)
        began = time.perf_counter()
        answer = client.put(PATH, content, content_type="application/json", headers=headers)
        found.append(time.perf_counter() - began)
        etag = answer.json()["etag"]
        state = samples.move_clip(state, random)
        if number % 50 == 49:
            print(f"  {number + 1} of {saves} saved")
    return found


def _report_saves(seconds: list[float]) -> None:
    slow = statistics.quantiles(seconds, n=20)[-1]
    print(f"\nA save: median {_ms(statistics.median(seconds))}, 95 % within {_ms(slow)}")


def _report_sizes() -> bool:
    """Print what is stored; return whether it is little enough."""
    print(f"\n{'bytes of BSON':<16}{'documents':>10}{'median':>10}{'largest':>10}{'all':>12}")
    medians, thousand = {}, 0.0
    for name, collection in RECORDS.items():
        sizes = document_sizes(collection)
        medians[name] = statistics.median(sizes)
        thousand += 1_000 * medians[name]
        if name == "revisions":
            thousand += 1_000 // history.FULL_FRAME_EVERY * max(sizes)
        numbers = f"{medians[name]:>10,.0f}{max(sizes):>10,}{sum(sizes):>12,}"
        print(f"{name:<16}{len(sizes):>10,}{numbers}")
    print(f"A thousand saves take about {thousand:,.0f}")
    return medians["revisions"] < MOST_BYTES and thousand < MOST_BYTES_OF_A_THOUSAND


def _report_reads(saves: int) -> bool:
    """Print how long versions take; return whether none takes too long."""
    client = Client(**HOST)
    head = _seconds(lambda: client.get(PATH))
    print(f"\nThe head, read uncached: {_ms(head)}")
    worst = 0.0
    for version in _interesting(saves):
        took = _seconds(lambda: client.get(f"{PATH}versions/{version}/"))  # noqa: B023
        worst = max(worst, took / head)
        print(f"  version {version:>5} {_ms(took):>10}   {took / head:>5.2f} times the head")
    print(f"The slowest takes {worst:.2f} times the head; at most {MOST_TIMES_HEAD} are promised.")
    return worst < MOST_TIMES_HEAD


def _interesting(saves: int) -> Iterator[int]:
    """Whole frames, and what is decoded from farthest away."""
    every = history.FULL_FRAME_EVERY
    yield from (v for v in (1, 2, every // 2, every, every + 1, saves) if v <= saves)


def _seconds(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """The median time."""
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
