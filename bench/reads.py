"""What reads cost that the cache answers, and what they cost while Redis is away: `make bench`.

On gunicorn with two workers, a Redis and a database of its own. What is compared is measured in
turns, in one run on one machine. Prints tables; exits with 1 where a promise isn't kept.

- A timeline from the cache, and a 304, against a Django view that answers the very same bytes under
  the same middleware: the most that can be had.
- A project with its timeline and transcription, from the cache against from the database: from a
  server beside it that caches nothing and remembers nothing.
- A read while Redis is stopped, and while it hangs, against that server.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from bench.constant import Constant
from bench.lines import Line, get, throughput
from snipix import states
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
LINES = 4
"""Connections that are busy at once."""
WORKERS = 2

PROJECT = "/api/v1/projects/bench"
PARTS = {
    "project": f"{PROJECT}/",
    "timeline": f"{PROJECT}/timeline/",
    "transcription": f"{PROJECT}/transcription/",
}
CONSTANT = "/api/v1/constant/"
UNCACHED = {
    **{f"CACHE_TTL_{kind.upper()}": "0" for kind in (*PARTS, "version", "captions", "list")},
    **({"WORKER_CACHE_BYTES": "0"} if os.environ.get("W0") else {}),
}
_OF_THE_CONNECTION = {"connection", "content-length", "date", "server", "x-request-id"}


@dataclass(frozen=True)
class Servers:
    stage: Stage
    cached: int
    """The port of the server that caches …"""
    uncached: int
    """… and of the one that doesn't."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=230, help="of the timeline (230: 100 kB)")
    parser.add_argument("--words", type=int, default=1_500, help="of the transcription (1,500)")
    parser.add_argument("--turns", type=int, default=21, help="batches of each kind (21)")
    parser.add_argument("--batch", type=int, default=50, help="reads of a line in a batch (50)")
    chosen = parser.parse_args(arguments)
    with serving(chosen.clips, chosen.words) as servers:
        is_kept = [
            _against_constant(servers.cached, chosen.turns, chosen.batch),
            _against_database(servers, chosen.turns),
            _while_redis_is_away(servers, chosen.turns * 10),
        ]
    return 0 if all(is_kept) else 1


@contextmanager
def serving(clips: int, words: int) -> Iterator[Servers]:
    """Two web servers on one database and one Redis, and a project in it."""
    with tempfile.TemporaryDirectory(prefix="snipix-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        answer = folder / "answer"
        log = {"LOG_LEVEL": "INFO"}  # as it is by default: a line per request
        ours = {"DJANGO_SETTINGS_MODULE": "bench.settings", "BENCH_ANSWER": str(answer), **log}
        stage = stack.enter_context(Stage(folder, database="bench", workers=WORKERS, **ours))
        if stage.redis is None:
            sys.exit("There is no redis-server, neither on the PATH nor from a wheel.")
        environment = {**stage.env, **log, **UNCACHED}
        uncached = Web(folder / "uncached", env=environment, workers=WORKERS)
        stack.enter_context(uncached)
        _fill(stage.web.port, clips, words)
        answer.write_bytes(msgspec.msgpack.encode(_kept_answer(stage.web.port)))
        yield Servers(stage, stage.web.port, uncached.port)


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


def _kept_answer(port: int) -> Constant:
    """What the cache answers for the timeline."""

    def lasting(headers: Mapping[str, str]) -> dict[str, str]:
        return {name: text for name, text in headers.items() if name not in _OF_THE_CONNECTION}

    with Line(port) as line:
        whole = line.send(get(PARTS["timeline"]))
        none = line.send(get(PARTS["timeline"], {"If-None-Match": whole.headers["etag"]}))
    return Constant(lasting(whole.headers), whole.content, lasting(none.headers))


# --- Against a constant --------------------------------------------------------------------------


def _against_constant(port: int, turns: int, batch: int) -> bool:
    kept = _kept_answer(port)
    print(f"A timeline of {len(kept.content):,} bytes, {LINES} connections, answers per second")
    print(f"{'':34} {'cached':>10} {'constant':>10} {'ratio':>8}")
    with ExitStack() as stack:
        lines = [stack.enter_context(Line(port)) for _ in range(LINES)]
        known = {"If-None-Match": kept.headers["etag"]}
        whole = _compared(lines, "the whole", {}, 200, turns, batch)
        none = _compared(lines, "304", known, 304, turns, batch)
    print(f"aimed at: {AIM_OF_CONSTANT}; at least: {LEAST_OF_CONSTANT}\n")
    return min(whole, none) >= LEAST_OF_CONSTANT


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
    print(f"{name:34} {cached:>10,.0f} {constant:>10,.0f} {cached / constant:>8.2f}")
    return cached / constant


# --- Against the database ------------------------------------------------------------------------


def _against_database(servers: Servers, turns: int) -> bool:
    requests = {name: get(path) for name, path in PARTS.items()}
    ports = {"cached": servers.cached, "database": servers.uncached}
    found: dict[tuple[str, str], list[float]] = {(n, p): [] for n in requests for p in ports}
    with ExitStack() as stack:
        lines = {name: stack.enter_context(Line(port)) for name, port in ports.items()}
        sizes = {name: len(lines["cached"].send(requests[name]).content) for name in requests}
        for name in requests:
            lines["database"].seconds(requests[name], 200)
        before = _database_seconds(servers.uncached)
        for _ in range(turns):
            for place, line in lines.items():
                for name, request in [*requests.items()] * 5:
                    found[name, place].append(line.seconds(request, 200))
        operations, answers = (
            now - then
            for now, then in zip(_database_seconds(servers.uncached), before, strict=True)
        )
    medians = {key: statistics.median(seconds) * 1000 for key, seconds in found.items()}
    sums = {p: sum(medians[n, p] for n in requests) for p in ports}
    print("Loading a project with all that belongs to it, median ms")
    print(f"{'':24} {'bytes':>9} {'cached':>10} {'database':>10} {'ratio':>8}")
    rows = [(n, sizes[n], medians[n, "cached"], medians[n, "database"]) for n in requests]
    for name, size, cached, database in [*rows, ("all", sum(sizes.values()), *sums.values())]:
        print(f"{name:24} {size:>9,} {cached:>10.2f} {database:>10.2f} {cached / database:>8.3f}")
    print(f"MongoDB's share of the server's time for the latter: {operations / answers:.0%}")
    print(f"at most: {MOST_OF_DATABASE}\n")
    return sums["cached"] / sums["database"] <= MOST_OF_DATABASE


def _database_seconds(port: int) -> tuple[float, float]:
    """What a server's operations in MongoDB took so far, and what its answers of parts took."""
    told = _metrics(port)
    operations = sum(value for (name, _), value in told if name == "snipix_operation_seconds_sum")
    return operations, sum(
        value
        for (name, labels), value in told
        if name == "snipix_request_seconds_sum"
        and labels.get("route") in ("project-detail", "timeline", "transcription")
    )


def _metrics(port: int) -> list[tuple[tuple[str, dict[str, str]], float]]:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return [((s.name, s.labels), s.value) for family in families for s in family.samples]


# --- While Redis is away -------------------------------------------------------------------------


def _while_redis_is_away(servers: Servers, reads: int) -> bool:
    redis = servers.stage.redis
    if redis is None or redis.process is None:
        raise RuntimeError("the stage has no Redis that runs")
    print("A read of the timeline once Redis is given up, 95th percentile in ms")
    print(f"{'':34} {'Redis away':>10} {'uncached':>10} {'ratio':>8}")
    os.kill(redis.process.pid, signal.SIGSTOP)
    try:
        hung = _p95_ratio(servers, "Redis hangs", reads)
    finally:
        os.kill(redis.process.pid, signal.SIGCONT)
    _until_open(servers.cached, 0)
    redis.stop()
    stopped = _p95_ratio(servers, "Redis is stopped", reads)
    print(f"at most: {MOST_OF_UNCACHED}")
    return max(hung, stopped) <= MOST_OF_UNCACHED


def _p95_ratio(servers: Servers, name: str, reads: int) -> float:
    _until_open(servers.cached, WORKERS)
    request = get(PARTS["timeline"])
    with Line(servers.cached) as cached, Line(servers.uncached) as uncached:
        lines = {"cached": cached, "uncached": uncached}
        found: dict[str, list[float]] = {place: [] for place in lines}
        for _ in range(reads):
            for place, line in lines.items():
                found[place].append(line.seconds(request, 200))
    away, without = (statistics.quantiles(found[p], n=20)[-1] * 1000 for p in lines)
    print(f"{name:34} {away:>10.2f} {without:>10.2f} {away / without:>8.2f}")
    return away / without


def _until_open(port: int, processes: int) -> None:
    """Read until so many processes don't ask Redis any more."""

    def is_so() -> bool:
        with Line(port) as line:
            line.seconds(get(PARTS["project"]), 200)
        told = _metrics(port)
        return sum(v for (name, _), v in told if name == "snipix_cache_open") == processes

    if not wait_until(is_so, seconds=30):
        sys.exit(f"Not {processes} processes have given Redis up within 30 s.")


if __name__ == "__main__":
    sys.exit(main())
