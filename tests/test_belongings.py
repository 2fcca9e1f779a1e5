"""All projects, a span at a time, however long each takes."""

import pytest

from snipix import belongings, queries
from snipix.mongo import connection
from tests.conftest import Api


@pytest.fixture(autouse=True)
def spans_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(belongings, "SPAN", 2)


def holds(condition: belongings.Condition, id: str) -> bool:
    tests = {"$gt": id.__gt__, "$gte": id.__ge__, "$lte": id.__le__}
    return all(tests[operator](bound) for operator, bound in condition.items())


@pytest.mark.parametrize("count", range(6))
def test_every_id_is_in_one_span(api: Api, count: int) -> None:
    ids = [api.create(id=f"film-{n}")["id"] for n in range(count)]
    spans = list(belongings.spans(belongings.raw(connection.database)))
    assert [projects for _, projects in spans if projects] == [2] * (count // 2) + [1] * (count % 2)
    for id in [*ids, "-", "a", "film-1-gone", "zebra"]:
        assert sum(holds(condition, id) for condition, _ in spans) == 1


def test_each_span_is_asked_for_when_its_turn_comes(api: Api) -> None:
    """A cursor over all ids would wait for longer than MongoDB keeps one."""
    for n in range(4):
        api.create(id=f"film-{n}")
    with queries.recorded() as commands:
        spans = belongings.spans(belongings.raw(connection.database))
        assert next(spans)[1] == 2
        api.create(id="film-4")
        assert [count for _, count in spans] == [2, 1]
    asked = [one for one in commands if one.get("limit") == 2 and one["find"] == "projects"]
    assert len(asked) == 3
    for command in asked:
        assert all(shape.served_by for shape in queries.shapes(command))
