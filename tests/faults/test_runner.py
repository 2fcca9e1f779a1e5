"""How often the runner repeats what: by who says that it failed, and how."""

from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from projects.models import Project
from projects.services import create_project
from snipix import errors, history, resilience
from snipix.accounts import Actor

ALICE = Actor("alice")
UNDONE = OperationFailure("undone", 246, {"errorLabels": ["TransientTransactionError"]})
SILENT = AutoReconnect("connection closed")


def failing(times: int, error: PyMongoError) -> Callable[[], Project]:
    """A change that fails so many times before it is made."""
    left = [error] * times

    def work() -> Project:
        if left:
            raise left.pop()
        return create_project(actor=ALICE, name="Film")

    return work


def recoveries(outcome: str) -> float:
    return REGISTRY.get_sample_value("snipix_recoveries_total", {"outcome": outcome}) or 0


def test_what_the_server_undoes_is_run_again_until_it_is_made(db: None) -> None:
    before = recoveries("succeeded")
    history.change(failing(6, UNDONE))
    assert Project.objects.get().name == "Film"
    assert recoveries("succeeded") == before + 1


def test_what_the_server_undoes_is_run_again_no_longer_than_the_deadline(db, settings) -> None:
    settings.REQUEST_DEADLINE = 0.3
    before = recoveries("given up")
    with pytest.raises(errors.DatabaseUnavailable) as raised:
        history.change(failing(100, UNDONE))
    assert raised.value.code == "database-unavailable"
    assert recoveries("given up") == before + 1


@pytest.mark.parametrize(("times", "is_made"), [(2, True), (3, False)])
def test_a_connection_that_breaks_is_tried_three_times(db: None, times: int, is_made: bool) -> None:
    outcome = "succeeded" if is_made else "given up"
    before = recoveries(outcome)
    work = failing(times, SILENT)
    if is_made:
        history.change(work)
    else:
        with pytest.raises(errors.DatabaseUnavailable, match="not saved"):
            history.change(work)
    assert Project.objects.exists() == is_made
    assert recoveries(outcome) == before + 1


def test_reads_are_repeated_for_what_servers_say_of_each_other(db: None) -> None:
    left: list[PyMongoError] = [OperationFailure("no host", 6), OperationFailure("late", 262)]

    def work() -> str:
        if left:
            raise left.pop()
        return "read"

    assert resilience.read(work) == "read"
