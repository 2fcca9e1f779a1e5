"""What reads cost that the cache answers, and what they cost while Redis is away: `make bench`.

On gunicorn with two workers, a Redis and a database of its own. What is compared is measured in
turns, in one run on one machine. Prints tables; exits with 1 where a promise isn't kept.

- A timeline from the cache, and a 304, against a Django view that answers the very same bytes under
  the same middleware: the most that can be had.
- A project with its timeline and transcription, from the cache against from the database: by a
  server that caches nothing and remembers nothing.
- A read while Redis hangs, and while it is stopped, against a server whose caching is switched off.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from bench.constant import Constant
from bench.lines import Line, get, throughput
from snipix import local, states
from snipix.demo.client import Client
from snipix.demo.stage import Stage, Web
from snipix.local.processes import wait_until
from timelines import samples as timelines
from transcriptions import samples as transcriptions

LEAST_OF_CONSTANT = 0.4
"""Of the constant view's throughput, what a read from the cache must have …"""
AIM_OF_CONSTANT = 0.6
"""… and what it should have."""
MOST_OF_DATABASE = 0.1
"""Of the time that a project takes from the database, what it may take from the cache."""
MOST_OF_UNCACHED = 1.5
"""Of the 95th percentile without a cache, what one with a dead cache may have."""

WORKERS = 2
LINES = 4
"""Connections that are busy at once."""
LOADS = 5
"""Times that a project is loaded from one server before it is the other's turn."""

PROJECT = "/api/v1/projects/bench"
PARTS = {
    "project": f"{PROJECT}/",
    "timeline": f"{PROJECT}/timeline/",
    "transcription": f"{PROJECT}/transcription/",
}
CONSTANT = "/api/v1/constant/"
ROUTES = ("project-detail", "timeline", "transcription")
LOG = {"LOG_LEVEL": "INFO"}  # as it is by default: a line per request
UNCACHED = {f"CACHE_TTL_{part.upper()}": "0" for part in PARTS}
FORGETFUL = {**UNCACHED, "WORKER_CACHE_BYTES": "0"}
_OF_THE_CONNECTION = {"connection", "content-length", "date", "server", "x-request-id"}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=230, help="of the timeline (230: 100 kB)")
    parser.add_argument("--words", type=int, default=1_500, help="of the transcription (1,500)")
    parser.add_argument("--turns", type=int, default=21, help="batches of each kind (21)")
    parser.add_argument("--batch", type=int, default=50, help="reads of a line in a batch (50)")
    chosen = parser.parse_args(arguments)
    with serving(chosen.clips, chosen.words) as stage:
        is_kept = [
            _against_constant(stage.web.port, chosen.turns, chosen.batch),
            _against_database(stage, chosen.turns),
            _while_redis_is_away(stage, chosen.turns * 2),
        ]
    return 0 if all(is_kept) else 1


@contextmanager
def serving(clips: int, words: int) -> Iterator[Stage]:
    """A web server with a project in its database, and with a constant view."""
    if not local.Redis.is_installed():
        sys.exit("There is no redis-server, neither on the PATH nor from a wheel.")
    with tempfile.TemporaryDirectory(prefix="snipix-bench-") as name:
        answer = Path(name) / "answer"
        env = {"DJANGO_SETTINGS_MODULE": "bench.settings", "BENCH_ANSWER": str(answer), **LOG}
        with Stage(Path(name), database="bench", workers=WORKERS, **env) as stage:
            _fill(stage.web.port, clips, words)
            kept = _answer(stage.web.port, PARTS["timeline"])
            answer.write_bytes(msgspec.msgpack.encode(kept))
            if _answer(stage.web.port, CONSTANT) != kept:
                sys.exit("The constant view doesn't answer what the cache does.")
            yield stage


@contextmanager
def _beside(stage: Stage, env: Mapping[str, str]) -> Iterator[int]:
    """The port of another web server, on the same database."""
    environment = {**stage.env, **LOG, **env}
    with (
        tempfile.TemporaryDirectory(dir=stage.folder) as folder,
        Web(Path(folder), env=environment, workers=WORKERS) as web,
    ):
        yield web.port


def _fill(port: int, clips: int, words: int) -> None:
    with Client(port) as client:

        def save(method: str, path: str, body: bytes, **headers: str) -> None:
            reply = client.send(method, path, body, **headers)
            if reply.status >= 300:
                sys.exit(f"{method} {path} was answered {reply.status}: {reply.body[:300]!r}")

        save("POST", "/projects/", b'{"id": "bench", "name": "Bench"}')
        etag = client.send("GET", "/projects/bench/timeline/").etag
        timeline = states.encode(timelines.timeline(1, clips))
        save("PUT", "/projects/bench/timeline/", timeline, if_match=etag)
        transcription = states.encode(transcriptions.transcription(1, words))
        save("POST", "/projects/bench/transcription/", transcription)


def _answer(port: int, path: str) -> Constant:
    """What is answered there to a client that has nothing, and to one that has it all."""

    def lasting(headers: Mapping[str, str]) -> dict[str, str]:
        return {name: text for name, text in headers.items() if name not in _OF_THE_CONNECTION}

    with Line(port) as line:
        whole = line.send(get(path))
        none = line.send(get(path, {"If-None-Match": whole.headers["etag"]}))
    return Constant(lasting(whole.headers), whole.content, lasting(none.headers))


# --- Against a constant --------------------------------------------------------------------------


def _against_constant(port: int, turns: int, batch: int) -> bool:
    kept = _answer(port, PARTS["timeline"])
    print(f"A timeline of {len(kept.content):,} bytes, {LINES} connections, answers per second")
    print(f"{'':24} {'cached':>12} {'constant':>12} {'ratio':>8}")
    with ExitStack() as stack:
        lines = [stack.enter_context(Line(port)) for _ in range(LINES)]
        known = {"If-None-Match": kept.headers["etag"]}
        whole = _compared(lines, "the whole", {}, 200, turns, batch)
        _compared(lines, "304", known, 304, turns, batch)
    print(f"of the whole aimed at: {AIM_OF_CONSTANT}; at least: {LEAST_OF_CONSTANT}\n")
    return whole >= LEAST_OF_CONSTANT


def _compared(
    lines: Sequence[Line],
    name: str,
    headers: Mapping[str, str],
    status: int,
    turns: int,
    batch: int,
) -> float:
    """How much of the constant's throughput the cache's is: of medians over batches in turns."""
    requests = {place: get(place, headers) for place in (PARTS["timeline"], CONSTANT)}
    found: dict[str, list[float]] = {place: [] for place in requests}
    for turn in range(-1, turns):  # the first one is for warming up
        for place, request in requests.items():
            reached = throughput(lines, request, status, batch)
            found[place] += [reached] if turn >= 0 else []
    cached, constant = (statistics.median(found[place]) for place in requests)
    print(f"{name:24} {cached:>12,.0f} {constant:>12,.0f} {cached / constant:>8.2f}")
    return cached / constant


# --- Against the database ------------------------------------------------------------------------


def _in_turns(lines: Sequence[Line], paths: Sequence[str], turns: int) -> list[list[list[float]]]:
    """The seconds that each line's reads of each path took, after a turn for warming up."""
    requests = [get(path) for path in paths]
    found: list[list[list[float]]] = [[[] for _ in paths] for _ in lines]
    for turn in range(-1, turns):
        for line, times in zip(lines, found, strict=True):
            for _ in range(LOADS):
                for request, seconds in zip(requests, times, strict=True):
                    took = line.seconds(request, 200)
                    seconds += [took] if turn >= 0 else []
    return found


def _against_database(stage: Stage, turns: int) -> bool:
    with _beside(stage, FORGETFUL) as port, Line(stage.web.port) as cached, Line(port) as database:
        sizes = [len(cached.send(get(path)).content) for path in PARTS.values()]
        before = _spent(stage.web.port), _spent(port)
        found = _in_turns((cached, database), list(PARTS.values()), turns)
        shares = _share(before[0], _spent(stage.web.port)), _share(before[1], _spent(port))
    medians = [[statistics.median(seconds) * 1000 for seconds in times] for times in found]
    rows = [*zip(PARTS, sizes, *medians, strict=True), ("all", sum(sizes), *map(sum, medians))]
    print("Loading a project with what belongs to it, median ms")
    print(f"{'':24} {'bytes':>12} {'cached':>12} {'database':>12} {'ratio':>8}")
    for name, size, ours, theirs in rows:
        print(f"{name:24} {size:>12,} {ours:>12.2f} {theirs:>12.2f} {ours / theirs:>8.3f}")
    print(f"{'of that MongoDB takes':37} {shares[0]:>12.0%} {shares[1]:>12.0%}")
    print(f"at most: {MOST_OF_DATABASE}\n")
    return sum(medians[0]) <= MOST_OF_DATABASE * sum(medians[1])


class Spent(NamedTuple):
    """Seconds that a server has spent since its start …"""

    operations: float
    """… waiting for MongoDB, and …"""
    reads: float
    """… on reads of projects and what belongs to them, altogether."""


def _spent(port: int) -> Spent:
    told = _metrics(port)
    operations = sum(value for name, _, value in told if name == "snipix_operation_seconds_sum")
    reads = sum(
        value
        for name, labels, value in told
        if name == "snipix_request_seconds_sum"
        and (labels["method"], labels["route"]) in [("GET", route) for route in ROUTES]
    )
    return Spent(operations, reads)


def _share(before: Spent, after: Spent) -> float:
    """How much of the time of reads MongoDB took."""
    return (after.operations - before.operations) / (after.reads - before.reads)


def _metrics(port: int) -> list[tuple[str, dict[str, str], float]]:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return [(s.name, s.labels, s.value) for family in families for s in family.samples]


# --- While Redis is away -------------------------------------------------------------------------


def _while_redis_is_away(stage: Stage, turns: int) -> bool:
    redis = stage.redis
    if redis is None or redis.process is None:
        raise RuntimeError("the stage has no Redis that runs")
    print("A read of the timeline once Redis is given up, 95th percentile in ms")
    print(f"{'':24} {'Redis away':>12} {'no caching':>12} {'ratio':>8}")
    with _beside(stage, UNCACHED) as port:
        os.kill(redis.process.pid, signal.SIGSTOP)
        try:
            hung = _p95_ratio((stage.web.port, port), "Redis hangs", turns)
        finally:
            os.kill(redis.process.pid, signal.SIGCONT)
        _until_open(stage.web.port, 0)
        redis.stop()
        stopped = _p95_ratio((stage.web.port, port), "Redis is stopped", turns)
    print(f"at most: {MOST_OF_UNCACHED}")
    return max(hung, stopped) <= MOST_OF_UNCACHED


def _p95_ratio(ports: tuple[int, int], name: str, turns: int) -> float:
    _until_open(ports[0], WORKERS)
    with ExitStack() as stack:
        lines = [stack.enter_context(Line(port)) for port in ports]
        found = _in_turns(lines, [PARTS["timeline"]], turns)
    away, without = (statistics.quantiles(times[0], n=20)[-1] * 1000 for times in found)
    print(f"{name:24} {away:>12.2f} {without:>12.2f} {away / without:>8.2f}")
    return away / without


def _until_open(port: int, processes: int) -> None:
    """Read until so many processes of a server don't ask Redis any more."""

    def is_so() -> bool:
        with Line(port) as line:
            line.seconds(get(PARTS["project"]), 200)
        return sum(v for name, _, v in _metrics(port) if name == "snipix_cache_open") == processes

    if not wait_until(is_so, seconds=30):
        sys.exit(f"Within 30 s there weren't {processes} processes that have given Redis up.")


if __name__ == "__main__":
    sys.exit(main())
