"""The short form of `make faults`: what is most telling, held to the same promises."""

from collections.abc import Iterator

import pytest

from snipix import local
from tests.faults import report, trials
from tests.faults.laboratory import Laboratory
from tests.faults.trials import TRIALS, Trial

pytestmark = pytest.mark.skipif(not local.Redis.is_installed(), reason="there is no Redis here")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with Laboratory(tmp_path_factory.mktemp("faults")) as lab:
        yield lab


@pytest.mark.parametrize("trial", [t for t in TRIALS if t.short], ids=lambda trial: trial.name)
def test_every_request_is_answered_clearly_and_no_change_is_lost(
    lab: Laboratory, django_db_blocker, trial: Trial
) -> None:
    with django_db_blocker.unblock():
        outcome = trials.run(lab, trial, trial.short)
    print(report.summary(outcome))
    assert outcome.broken() == []
    assert len(outcome.sent) > 10 * trial.short, "too few to mean something"
    assert all(outcome.count("succeeded", kind) for kind in ("read cached", "save", "create"))
