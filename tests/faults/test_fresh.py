"""The hammer: people change and read while everything happens to Redis and to the workers.

No read that began after a change was answered shows what was before, or shows it to somebody who
lost access; and no request fails. `docs/cache.md` names the one window, which the judge grants to
nothing else. `SNIPIX_FRESH_SECONDS` and `SNIPIX_FRESH_SEED` choose how long each scenario of the
long test takes, and what happens in it.
"""

import os
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from time import monotonic

import pytest
from django.contrib.auth.models import User
from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient

from snipix.accounts import Token
from snipix.demo.stage import Stage
from snipix.local.processes import wait_until
from tests.cache.conftest import Redis
from tests.conftest import empty_database
from tests.faults.changers import Changer, Editor, Keeper
from tests.faults.fates import SCENARIOS, Fates, Scenario
from tests.faults.freshness import Verdict, judge
from tests.faults.readers import Person, Reader, Scene

SECONDS = float(os.environ.get("SNIPIX_FRESH_SECONDS", "60"))
SEED = int(os.environ.get("SNIPIX_FRESH_SEED", "1"))
FILMS = 3
READERS = 6
LEAST_READS, LEAST_CHANGES = 30, 10
PATIENCE_SECONDS = 60
LIMITS = {
    # For how long the marks of a killed writer stay goes with these.
    "REQUEST_DEADLINE": "5",
    "MONGODB_SOCKET_TIMEOUT": "3",
    # Longer than this machine, which does everything at once, may ever take to answer.
    "REDIS_TIMEOUT": "0.5",
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Three workers in accounts mode, and a Redis to which everything can be done."""
    if not Redis.is_installed():
        pytest.skip("there is no redis-server")
    place = {"uri": os.environ["MONGODB_URI"], "database": f"snipix_fresh_{os.getpid()}"}
    folder = tmp_path_factory.mktemp("fresh")
    stage = Stage(folder, **place, workers=3, SNIPIX_AUTH="accounts", **LIMITS)
    assert stage.redis is not None
    stage.redis = Redis(folder, port=stage.redis.port)
    with stage:
        yield stage
    with MongoClient(place["uri"], socketTimeoutMS=120_000) as client:
        client.drop_database(place["database"])


@pytest.fixture
def people(stage: Stage, django_db_blocker) -> Iterator[list[Person]]:
    """Alice owns, bob shares now and then, charlie is a stranger."""
    with django_db_blocker.unblock(), stage.inside():
        users = [User.objects.create_user(name) for name in ("alice", "bob", "charlie")]
        people = [Person(user.username, str(user.pk), Token.issue(user)) for user in users]
    yield people
    with django_db_blocker.unblock(), stage.inside():
        empty_database()


@pytest.fixture
def redis(stage: Stage) -> Iterator[Redis]:
    """Empty, with room, and running again in the end."""
    redis = stage.redis
    assert isinstance(redis, Redis)
    redis.client.flushall()
    redis.make_room()
    yield redis
    if not redis.is_running():
        redis.restart()
    redis.go_on()


def run(stage: Stage, people: list[Person], scenario: Scenario, seconds: float) -> Verdict:
    """Let people change and read while something happens again and again; judge what they saw."""
    random = Random(SEED)
    scene = Scene(stage.web.port, [f"film-{number}" for number in range(FILMS)], people)
    changers: list[Changer] = [
        kind(scene, film, random.getrandbits(32))
        for kind in (Keeper, Editor)
        for film in scene.films
    ]
    prepare(changers)
    readers = [Reader(scene, random.getrandbits(32)) for _ in range(READERS)]
    before, until = counted(scene.port), monotonic() + seconds
    for thread in (*changers, *readers):
        thread.start()
    fates = Fates(stage, stage.redis, scene, random)
    while monotonic() < until:
        scenario.happens(fates)
    wait_until(lambda: is_enough(scene), seconds=PATIENCE_SECONDS)
    end(scene, [*changers, *readers])
    verdict = judge(scene.ledger, by_reads=scenario.keeps_marks)
    if scene.ledger.cut and not scenario.cuts:
        verdict.failed.append(f"{len(scene.ledger.cut)} connections broke")
    print(f"{scenario.name:>30}: {verdict}; {told(counted(scene.port) - before)}")
    return verdict


def is_enough(scene: Scene) -> bool:
    """To mean something, which on a slow machine takes a while."""
    return len(scene.ledger.reads) > LEAST_READS and len(scene.ledger.changes) > LEAST_CHANGES


def prepare(changers: list[Changer]) -> None:
    """First the films, by their keepers, then what is in them, by their editors."""
    with ThreadPoolExecutor(FILMS) as pool:
        for kind in (Keeper, Editor):
            list(pool.map(lambda c: c.prepare(), [c for c in changers if isinstance(c, kind)]))
        list(pool.map(lambda c: c.name_version(), [c for c in changers if isinstance(c, Keeper)]))


def end(scene: Scene, threads: list[Changer | Reader]) -> None:
    scene.is_over.set()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), f"{thread.name} hangs"


def counted(port: int) -> Counter[tuple[str, ...]]:
    """What the workers have counted: looks into the cache, and fills, by part and outcome."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
    found: Counter[tuple[str, ...]] = Counter()
    for sample in (sample for family in families for sample in family.samples):
        if sample.name in ("snipix_cache_reads_total", "snipix_cache_fills_total"):
            labels = sample.labels
            found[sample.name[13:18], labels["part"], labels["outcome"]] += int(sample.value)
    return found


def told(counts: Counter[tuple[str, ...]]) -> str:
    """The share of hits, by part, and how many records came too late to be kept."""
    looks: Counter[str] = Counter()
    for (what, part, _), count in counts.items():
        looks[part] += count * (what == "reads")
    shares = (f"{counts['reads', p, 'hit'] / looks[p]:.0%} of {p}s" for p in sorted(looks))
    return f"hits: {', '.join(shares)}; fills refused: {counts['fills', 'record', 'refused']}"


@pytest.mark.parametrize(
    "scenario", [s for s in SCENARIOS if s.seconds], ids=lambda scenario: scenario.name
)
def test_no_read_is_older_than_what_was_answered(
    stage: Stage, redis: Redis, people: list[Person], scenario: Scenario
) -> None:
    verdict = run(stage, people, scenario, scenario.seconds)
    assert (verdict.stale[:5], verdict.failed[:5]) == ([], [])
    assert verdict.reads > LEAST_READS
    assert verdict.changes > LEAST_CHANGES


@pytest.mark.long
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_read_is_older_for_long(
    stage: Stage, redis: Redis, people: list[Person], scenario: Scenario, capsys
) -> None:
    with capsys.disabled():
        print()
        verdict = run(stage, people, scenario, SECONDS)
    assert (verdict.stale[:5], verdict.failed[:5]) == ([], [])
    assert verdict.reads > 10 * SECONDS
    assert verdict.changes > SECONDS
