"""That benchmarks run and measure what they say; how fast it is, is for machines that are idle."""

from __future__ import annotations

import pytest

from bench import reads
from snipix import local


@pytest.mark.long
def test_reads_are_compared_in_all_ways(capsys: pytest.CaptureFixture[str]) -> None:
    if not local.Redis.is_installed():
        pytest.skip("there is no redis-server")
    reads.main(["--turns", "2", "--batch", "5", "--clips", "20", "--words", "20"])
    rows = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]

    compared = ["the whole", "304", *reads.PARTS, "all", "Redis hangs", "Redis is stopped"]
    assert [row for row in rows if row in compared] == compared
