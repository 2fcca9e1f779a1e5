"""What is sent to MongoDB."""

from typing import Any

import pytest
from django.db.models import Q

from projects.models import Project
from snipix.queries import recorded
from tests.conftest import Api


@pytest.mark.parametrize(
    ("condition", "match"),
    [
        (Q(project_id="a"), {"projectId": "a"}),
        (Q(project_id="a", name="b", version=3), {"projectId": "a", "name": "b", "version": 3}),
        (Q(name="a") & Q(name="b"), {"name": "a", "$and": [{"name": "b"}]}),
        (Q(name="a") | Q(name="b"), {"$or": [{"name": "a"}, {"name": "b"}]}),
        (
            Q(version=1) & (Q(name="a") | Q(name="b")),
            {"version": 1, "$or": [{"name": "a"}, {"name": "b"}]},
        ),
    ],
)
def test_conditions_are_sent_flat(db: None, condition: Q, match: Any) -> None:
    with recorded() as commands:
        list(Project.everything.filter(condition))
    (found,) = (command["pipeline"][0]["$match"] for command in commands)
    assert found == match


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        (Q(name="a") & Q(name="b"), set()),
        (Q(name="a") | Q(name="b"), {"a", "b"}),
        (Q(version=1) & (Q(name="a") | Q(name="b")), {"a", "b"}),
        (~Q(version=1, name="b"), {"a", "c"}),
        (Q(version__gte=1, version__lte=1, name="c"), {"c"}),
        (Q(version__gte=2, version__lte=2), set()),
    ],
)
def test_flat_conditions_mean_the_same(api: Api, condition: Q, names: set[str]) -> None:
    for name in "abc":
        api.create(name)
    assert {project.name for project in Project.everything.filter(condition)} == names
