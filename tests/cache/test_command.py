"""`manage.py cache`: look into the cache, fill it, empty it, all beside running servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from projects import warming
from projects.models import Project
from snipix import cache, states
from snipix.cache import stats
from snipix.cache.names import Name
from snipix.local.processes import wait_until
from snipix.queries import recorded
from tests.cache.conftest import Redis
from tests.conftest import Api
from tests.watched import web
from timelines import samples

NOBODY = "http://127.0.0.1:9"
PATHS = ("", "timeline/", "transcription/")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("cache", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def progress(*arguments: str, err: StringIO | None = None) -> str:
    """What it says meanwhile."""
    err = err or StringIO()
    call_command("cache", *arguments, stdout=StringIO(), stderr=err)
    return err.getvalue()


@pytest.fixture(autouse=True)
def settled(redis: Redis) -> Iterator[None]:
    """Whoever comes next finds Redis in use again."""
    yield
    if not redis.is_running():
        redis.restart()
    assert wait_until(lambda: cache.server.state != "unreachable", seconds=30)


@pytest.fixture
def film(redis: Redis, api: Api) -> str:
    """A project with all that belongs to it."""
    id = api.create()["id"]
    path = f"/projects/{id}/timeline/"
    timeline = states.encode(samples.timeline(1, 3))
    assert api("PUT", path, raw=timeline, if_match=api.etag(path)).status_code == 200
    assert api("POST", f"/projects/{id}/transcription/", {}).status_code == 201
    return id


# --- warm ------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "zstd", "identity"])
def test_what_is_warm_asks_the_database_for_nothing(api: Api, film: str, coding: str) -> None:
    stats.clear()
    command("warm")

    with recorded() as commands:
        for path in PATHS:
            answer = api("GET", f"/projects/{film}/{path}", accept_encoding=coding)
            assert answer.status_code == 200
    assert not commands


def test_warming_again_keeps_nothing_that_is_kept(film: str) -> None:
    stats.clear()

    assert "1 projects read: 10 records and bodies" in command("warm")
    assert "1 projects read: 0 records and bodies" in command("warm")


def test_a_dry_run_warms_nothing(film: str) -> None:
    stats.clear()
    assert command("warm", "--dry-run") == "1 projects would be read.\n"
    assert stats.contents() == {}


def test_what_was_edited_last_is_warm_first(redis: Redis, api: Api, film: str) -> None:
    newer = api.create("Newer")["id"]
    stats.clear()
    command("warm", "--limit", "1")

    assert redis.has("record", Name("project", newer))
    assert not redis.has("record", Name("project", film))


def test_a_strangers_project_stays_one_after_it_was_warmed(api: Api, film: str) -> None:
    Project.everything.filter(project_id=film).update(user_id="bob", readers=["bob"])
    stats.clear()

    assert "1 projects read: 10 " in command("warm")
    assert api("GET", f"/projects/{film}/").status_code == 404


def test_a_change_after_warming_is_seen(api: Api, film: str) -> None:
    command("warm")
    path = f"/projects/{film}/"
    api("PATCH", path, {"name": "Renamed"}, if_match=api.etag(path))

    assert api("GET", path).json()["name"] == "Renamed"


def test_warming_beside_a_change_keeps_nothing_of_before_it(api: Api, film: str) -> None:
    with cache.current.changing(Name("project", film)):
        command("warm")
        Project.everything.filter(project_id=film).update(is_deleted=True)

    assert api("GET", f"/projects/{film}/").status_code == 404


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(film: str) -> None:
    assert progress("warm") == "1 of 1 projects\n"
    assert progress("warm", err=Terminal()) == f"\r[{'#' * 30}] 1 of 1 projects\n"


def test_progress_takes_few_lines(redis: Redis, api: Api) -> None:
    for number in range(41):
        api.create(f"Film {number}")
    lines = progress("warm").splitlines()

    assert lines[:2] == ["2 of 41 projects", "4 of 41 projects"]
    assert lines[-1] == "41 of 41 projects"
    assert len(lines) == 21


def test_warming_ends_when_redis_goes_away(redis: Redis, api: Api, film: str) -> None:
    api.create("Another")
    going = warming.warm(2)
    next(going)
    redis.kill()

    with pytest.raises(warming.NotWarmed, match="Redis"):
        list(going)


# --- stats -----------------------------------------------------------------------------------


def test_stats_show_what_is_kept(film: str, api: Api) -> None:
    stats.clear()
    api("GET", f"/projects/{film}/timeline/")
    found = json.loads(command("stats", "--json", "--server", NOBODY))

    assert found["keys"] == {"body:timeline": 1, "lease:project": 1, "record:project": 1}
    assert found["redis"]["used_memory"] > 0
    assert found["reads"] is None


def test_stats_ask_a_running_server_how_often_reads_hit(
    redis: Redis, tmp_path: Path, settings: Any
) -> None:
    settings.METRICS_TOKEN = "for-prometheus"
    with web(tmp_path, workers=2, REDIS_URL=redis.uri, METRICS_TOKEN="for-prometheus") as server:
        for _ in range(4):
            server.get("/api/v1/projects/")
        told = json.loads(command("stats", "--json", "--server", server.uri))
        shown = command("stats", "--server", server.uri)

    assert told["reads"]["record list"] == {"reads": 4, "hits": 3, "ratio": 0.75}
    assert told["reads"]["body list"]["hits"] == 3
    assert ["record", "list", "4", "3", "0.75"] in [line.split() for line in shown.splitlines()]


def test_stats_say_how_to_name_a_server_where_none_answers(redis: Redis) -> None:
    errors = StringIO()
    call_command("cache", "stats", "--server", NOBODY, stdout=StringIO(), stderr=errors)

    assert "--server" in errors.getvalue()


# --- clear -----------------------------------------------------------------------------------


def test_clear_says_how_many_keys_are_gone(redis: Redis, film: str) -> None:
    stats.clear()
    command("warm")
    redis.client.set("of-others", "stays")
    kept = len(redis.client.keys()) - 1

    assert command("clear", "--dry-run") == f"{kept} keys would be deleted.\n"
    assert command("clear") == f"{kept} keys deleted.\n"
    assert command("clear") == "0 keys deleted.\n"
    assert redis.client.keys() == [b"of-others"]


# --- Every command ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stats", "warm", "clear"])
def test_without_a_redis_it_says_so(settings: Any, name: str) -> None:
    settings.REDIS_URL = ""
    with pytest.raises(CommandError, match="REDIS_URL") as refused:
        command(name)
    assert refused.value.returncode == 3


@pytest.mark.parametrize("name", ["stats", "warm", "clear"])
def test_a_redis_that_is_away_is_told_from_one_that_is_empty(redis: Redis, name: str) -> None:
    redis.kill()
    with pytest.raises(CommandError, match="can't be used") as refused:
        command(name)
    assert refused.value.returncode == 4


@pytest.mark.parametrize("name", ["stats", "warm", "clear"])
def test_help_has_an_example_and_the_exit_codes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command(name, "--help")
    told = capsys.readouterr().out

    assert f"example: manage.py cache {name}" in told
    assert "exit codes:" in told


@pytest.mark.parametrize("limit", ["0", "-1", "many", "9" * 20, "9" * 5_000])
def test_a_limit_is_a_number_of_projects(redis: Redis, limit: str) -> None:
    with pytest.raises(CommandError, match="from 1 to 100,000"):
        command("warm", f"--limit={limit}")
