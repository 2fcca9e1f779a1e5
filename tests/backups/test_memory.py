"""Operators' commands take no more memory for more projects; `make bench-memory` measures all."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import memory
from snipix import belongings, history
from snipix.backups import restoring, taking, verifying
from snipix.doctor.checkup import check_up
from snipix.mongo import connection


def peak(work: Callable[[], object]) -> int:
    """The most bytes that Python's objects take while something runs."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_ten_times_as_many_projects_take_no_more_memory(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Little enough at once, that not even the smaller number fits in.
    monkeypatch.setattr(belongings, "SPAN", 10)
    monkeypatch.setattr(belongings, "_BATCH", 10)
    monkeypatch.setattr("snipix.backups.format.BLOCK_BYTES", 20_000)
    peaks: dict[str, list[int]] = {}
    for count in (60, 600):
        other = f"{connection.settings_dict['NAME']}_{count}"
        for name in memory.COLLECTIONS:
            connection.database[name].delete_many({})
        history.change(memory.make_first)
        memory.multiply(connection.database, count)
        archive = tmp_path / f"{count}"
        works: dict[str, Callable[[], object]] = {
            "backup": lambda a=archive: taking.take(a, with_media=False),
            "verify": lambda a=archive: verifying.verify(a),
            "restore": lambda a=archive, o=other: restoring.restore(a, o),
            "doctor": check_up,
        }
        for name, work in works.items():
            work() if count == 60 and name in ("verify", "doctor") else None  # what is made once
            peaks.setdefault(name, []).append(peak(work))
    ratios = {name: large / small for name, (small, large) in peaks.items()}
    assert max(ratios.values()) < 1.2, (ratios, peaks)


@pytest.mark.long
def test_the_benchmark_of_memory_finds_nothing(tmp_path: Path) -> None:
    assert memory.report(memory.measure(tmp_path, 2_000, 200)) == 0
