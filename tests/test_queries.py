"""Every query is served by a declared index: judged by its shape, and by explain on a MongoDB."""

import itertools
import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.contrib.auth.models import User

from projects.listing import ORDERS
from snipix import queries
from snipix.mongo import connection
from tests.conftest import Api, as_

pytestmark = pytest.mark.usefixtures("accounts")
OWN = {
    "projects",
    "timelines",
    "revisions",
    "audit_entries",
    "kept_answers",
    "tokens",
    "pieces",
    "transcriptions",
    "checkpoints",
    "drafts",
}


def lists() -> Iterator[str]:
    """Every combination of order, filter, range and search that a list offers."""
    filters = ("", "status=active", "tag=a", "has_video=false", "shared=true")
    searches = ("", "q=f", "q=film", "q=film+made+her")
    for order, sign, filtered, q in itertools.product(ORDERS, ("", "-"), filters, searches):
        yield f"/projects/?ordering={sign}{order}&{filtered}&{q}&page_size=1"
    yield "/projects/?ordering=duration&duration_min=0&duration_max=9"
    yield "/projects/?ordering=-created&created_min=2020-01-01T00:00:00Z&q=film"
    yield "/trash/?page_size=1"


def check(commands: list[Mapping[str, Any]]) -> None:
    assert commands
    for command in commands:
        for shape in queries.shapes(command):
            if shape.collection in OWN:
                assert shape.served_by, f"no index serves {shape}"


def test_an_index_serves_every_list_in_its_order(alice: User) -> None:
    api = as_(alice)
    for name in ("Film", "Film made here", "Film made her"):
        api.create(name, tags=["a"], duration=3)
    for path in lists():
        with queries.recorded() as commands:
            page = api("GET", path).json()
            if page["next"]:
                assert api("GET", f"{path}&cursor={page['next']}").status_code == 200
        check(commands)


def test_an_index_serves_everything_else(alice: User, bob: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    api = as_(alice)
    with queries.recorded() as commands:
        _work(api, str(bob.pk))
    check(commands)
    seen = {shape.collection for command in commands for shape in queries.shapes(command)}
    assert seen >= OWN


def _work(api: Api, bob: str) -> None:
    path = f"/projects/{api.create('Film')['id']}/"
    timeline = f"{path}timeline/"
    for zoom in (2, 3, 4):
        api("PUT", timeline, {"zoom": zoom}, if_match=api.etag(timeline), idempotency_key=f"{zoom}")
    api("PATCH", path, {"name": "New"}, if_match=api.etag(path))
    spoken = f"{path}transcription/"
    said = [{"id": f"s{n}", "start_time": n, "end_time": n + 1} for n in range(100)]
    api("POST", spoken, {"segments": said[:70]})
    api("POST", f"{spoken}segments/", {"segments": said[50:]})
    api("PUT", f"{timeline}versions/1/name/", {"name": "First"})
    api("GET", f"{timeline}checkpoints/")
    draft = {"base_etag": "", "state": {}}
    assert api("PUT", f"{timeline}draft/", draft, x_client_id="tab").status_code == 200
    assert api("GET", f"{timeline}drafts/").status_code == 200
    for document in (path, timeline, spoken):
        for read in ("versions/?page_size=1", "versions/1/", "versions/compare/"):
            response = api("GET", f"{document}{read}")
            assert response.status_code == 200
        page = api("GET", f"{document}versions/?page_size=1").json()
        if page["next"]:
            api("GET", f"{document}versions/?page_size=1&cursor={page['next']}")
        api("POST", f"{document}rollback/", {"version": 1})
    api("PUT", f"{path}collaborators/", {"collaborators": []}, if_match=api.etag(path))
    api("POST", f"{path}hand-over/", {"user_id": bob})
    for trail in (f"{path}audit/", "/audit/", f"/audit/?user={bob}", "/audit/?action=save",
                  "/audit/?project=x", "/audit/?created_min=2020-01-01T00:00:00Z"):  # fmt: skip
        assert api("GET", trail).status_code == 200
    api.create("Other", id="other")
    api("DELETE", "/projects/other/")
    api("POST", "/projects/other/restore/")
    api("DELETE", "/projects/other/")
    assert api("POST", "/projects/other/purge/").status_code == 200


def test_counting_is_the_only_thing_that_counts(alice: User) -> None:
    api = as_(alice)
    api.create("Film")
    with queries.recorded() as commands:
        assert api("GET", "/projects/?include=total").json()["total"] == 1
    counted = [c for c in commands if any("$group" in stage for stage in c.get("pipeline", ()))]
    assert len(counted) == 1
    check(commands)


@pytest.mark.skipif(
    "SNIPIX_TESTS_EMBEDDED" in os.environ,
    reason="only a real MongoDB explains its plans; set MONGODB_URI to name one",
)
def test_mongodb_itself_plans_no_scan_and_no_sort(alice: User) -> None:
    with queries.recorded() as commands:
        for path in lists():
            as_(alice)("GET", path)
    for command in commands:
        if "pipeline" in command and next(iter(command.values())) in OWN:
            plain = {k: v for k, v in command.items() if k not in ("lsid", "$db", "$clusterTime")}
            plan = str(connection.database.command("explain", plain, verbosity="queryPlanner"))
            assert "COLLSCAN" not in plan
            assert "'SORT'" not in plan
