from datetime import UTC, datetime, timedelta, timezone

import pytest

from snipix import times

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)


@pytest.mark.parametrize(
    "time", [MOMENT, MOMENT.replace(tzinfo=None), MOMENT.astimezone(timezone(timedelta(hours=5)))]
)
def test_times_are_written_in_utc_to_the_millisecond(time: datetime) -> None:
    assert times.write(time) == "2026-01-02T03:04:05.678Z"


def test_now_is_cut_to_what_mongodb_keeps() -> None:
    assert times.now().microsecond % 1000 == 0
