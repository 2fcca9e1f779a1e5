"""Lists and search of projects."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projects import keys
from projects.models import Project
from tests.conftest import Api


@pytest.fixture
def films(api: Api) -> Api:
    """Five projects, made in this order."""
    api.create("Été à Lisbonne", tags=["Travel", "2026"], duration=30)
    api.create("Holiday in Lisbon", description="Trams and Holidays", status="archived")
    api.create("holographic logo", tags=["travel"], duration=5)
    api.create("B-roll", description="Lisbon trams at night", duration=0)
    api.create("ﬁnal cut")
    return api


def names(api: Api, query: str) -> list[str]:
    response = api("GET", f"/projects/?{query}")
    assert response.status_code == 200, response.content
    return [project["name"] for project in response.json()["results"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=ete", ["Été à Lisbonne"]),
        ("q=ÉTÉ", ["Été à Lisbonne"]),
        ("q=lisbon", ["B-roll", "Holiday in Lisbon", "Été à Lisbonne"]),
        ("q=lisbon+", ["B-roll", "Holiday in Lisbon", "Été à Lisbonne"]),
        ("q=lisbon+tram", ["B-roll", "Holiday in Lisbon"]),
        ("q=tram+lisbon", []),  # only the last word may be cut short
        ("q=h", ["holographic logo", "Holiday in Lisbon"]),
        ("q=ho", ["holographic logo", "Holiday in Lisbon"]),
        ("q=hol", ["holographic logo", "Holiday in Lisbon"]),
        ("q=holi", ["Holiday in Lisbon"]),
        ("q=holidays", ["Holiday in Lisbon"]),
        ("q=travel", ["holographic logo", "Été à Lisbonne"]),
        ("q=final", ["ﬁnal cut"]),
        ("q=roll", ["B-roll"]),
        ("q=.*", ["ﬁnal cut", "B-roll", "holographic logo", "Holiday in Lisbon", "Été à Lisbonne"]),
        ("q=nothing", []),
        ("status=archived", ["Holiday in Lisbon"]),
        ("status=lost", []),
        ("tag=TRAVEL", ["holographic logo", "Été à Lisbonne"]),
        ("tag=trav", []),
        ("has_video=true", []),
        ("has_video=false&q=b", ["B-roll"]),
        ("shared=true", []),
        ("tag=travel&q=holo", ["holographic logo"]),
        ("ordering=name", ["B-roll", "Été à Lisbonne", "ﬁnal cut", "Holiday in Lisbon",
                           "holographic logo"]),
        ("ordering=-duration&duration_min=5", ["Été à Lisbonne", "holographic logo"]),
        ("ordering=duration&duration_min=0", ["B-roll", "holographic logo", "Été à Lisbonne"]),
        ("ordering=name&name_min=f&name_max=holiday z", ["ﬁnal cut", "Holiday in Lisbon"]),
        ("ordering=created&q=lisbon", ["Été à Lisbonne", "Holiday in Lisbon", "B-roll"]),
        ("ordering=created&created_max=2020-01-01T00:00:00Z", []),
    ],
)  # fmt: skip
def test_projects_are_found(films: Api, query: str, found: list[str]) -> None:
    assert names(films, query) == found


def test_all_is_counted_only_when_asked(films: Api) -> None:
    assert "total" not in films("GET", "/projects/").json()
    page = films("GET", "/projects/?include=total&page_size=2&q=lisbon").json()
    assert (page["total"], len(page["results"])) == (3, 2)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("ordering=size", "ordering"),
        ("tag=a&status=active", "tag"),
        ("name_min=a", "name_min"),
        ("ordering=name&updated_min=2026-01-01", "updated_min"),
        ("updated_min=yesterday", "updated_min"),
        ("ordering=duration&duration_min=nan", "duration_min"),
        ("has_video=maybe", "has_video"),
        ("shared=false", "shared"),
        ("include=all", "include"),
        ("search=x", "search"),
    ],
)
def test_what_isnt_offered_is_refused_by_name(api: Api, query: str, path: str) -> None:
    response = api("GET", f"/projects/?{query}")
    assert (response.status_code, response.json()["errors"][0]["path"]) == (400, path)


def test_a_cursor_of_another_order_is_refused(films: Api) -> None:
    cursor = films("GET", "/projects/?page_size=2&ordering=name").json()["next"]
    assert films("GET", f"/projects/?cursor={cursor}&ordering=created").status_code == 400
    assert films("GET", f"/projects/?cursor={cursor}&ordering=name").status_code == 200


def test_what_was_renamed_is_found_by_its_new_name_only(films: Api) -> None:
    project = films("GET", "/projects/?q=holographic").json()["results"][0]
    films("PATCH", f"/projects/{project['id']}/", {"name": "Sign"}, if_match=project["etag"])
    assert names(films, "q=holo") == []
    assert names(films, "q=sign") == ["Sign"]


def test_a_timelines_save_leaves_a_project_where_it_is_found(films: Api) -> None:
    project = films("GET", "/projects/?q=ete").json()["results"][0]
    timeline = f"/projects/{project['id']}/timeline/"
    films("PUT", timeline, {"zoom": 2}, if_match=films.etag(timeline))
    assert names(films, "q=lisbon")[0] == "Été à Lisbonne"


EDITS = st.lists(st.tuples(st.sampled_from("irdu"), st.integers(0, 30)), max_size=12)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    edits=EDITS, size=st.integers(1, 4), ordering=st.sampled_from(["updated", "-name", "created"])
)
def test_what_isnt_touched_appears_once_while_others_come_and_go(
    api: Api, edits: list[tuple[str, int]], size: int, ordering: str
) -> None:
    Project.objects.all().delete()
    Project.everything.all().purge()
    still = {api.create(f"still {number % 3}")["id"] for number in range(5)}
    moving = [api.create(f"moving {number}")["id"] for number in range(3)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = api("GET", f"/projects/?page_size={size}&ordering={ordering}&cursor={cursor}").json()
        seen += [project["id"] for project in page["results"]]
        if not (cursor := page["next"]):
            break
        for kind, number in edits[:2]:
            _edit(api, kind, moving, number)
        edits = edits[2:]
    assert sorted(id for id in seen if id in still) == sorted(still)


def _edit(api: Api, kind: str, moving: list[str], number: int) -> None:
    path = f"/projects/{moving[number % len(moving)]}/"
    if kind == "i":
        moving.append(api.create(f"moving {number}")["id"])
    elif kind == "d":
        api("DELETE", path)
    elif kind == "u":
        api("POST", f"{path}restore/")
    else:
        api("PATCH", path, {"name": f"moved {number}"}, if_match=api("GET", path).get("ETag", "-"))


def test_words_are_those_of_any_script() -> None:
    assert keys.words("Straße, ÉCOLE-école", "東京 2026!") == ["strasse", "ecole", "東京", "2026"]


def test_only_so_many_words_are_kept(api: Api) -> None:
    api.create("Film", description=" ".join(f"word{number}" for number in range(2000)))
    assert len(Project.objects.get().keys) < 200


@pytest.mark.parametrize(
    "query", ["q=" + "x" * 5000, "q=%00", "q=(((", "q=\\", "name_min=\\&ordering=name"]
)
def test_odd_searches_find_nothing_and_do_no_harm(films: Api, query: str) -> None:
    assert films("GET", f"/projects/?{query}").status_code == 200
