"""What came of the trials, as a page for people."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import date

from tests.faults.load import CHANGES, KINDS
from tests.faults.trials import FILMMAKERS, LEAST_RECOVERED, Outcome

COLUMNS = (
    "fault", "request", "sent", "succeeded", "refused (503)", "failed otherwise",
    "lost", "doubled", "longest answer", "recovered after",
)  # fmt: skip
PREFACE = """\
# What faults do

Written by `{command}` on {day}, on {cores} cores that the load, Snipix, the database ({database})
and Redis shared. {makers} people work while it happens, each sending one request after the other;
each change has an `Idempotency-Key`. They send nothing again by themselves, except where
connections to Snipix itself break (marked with ↻): there, what isn't answered is sent again until
it is. Afterwards, what is in doubt is sent again with its key, and every project is examined:
the versions that the API lists, and the whole history by `history.verify`.

- *refused*: a 503 problem document with `Retry-After`. *Failed otherwise*: any other answer, and
  none.
- *lost*: acknowledged changes that aren't in the history. *Doubled*: changes that are there twice.
- *recovered after*: from the end of the fault until the last request that didn't succeed was over.
- A film that nobody changes is read *cached*; a film's versions are read *uncached*.
"""


def page(outcomes: Sequence[Outcome], *, command: str, database: str) -> str:
    told = PREFACE.format(
        command=command,
        day=date.today(),
        cores=os.cpu_count(),
        database=database,
        makers=FILMMAKERS,
    )
    table = [_line(COLUMNS), _line(["---"] * 2 + ["---:"] * (len(COLUMNS) - 2))]
    table += [row for outcome in outcomes for row in _rows(outcome)]
    return "\n".join([told, *table, "", *_recoveries(outcomes), "", *_secrecy(outcomes), ""])


def summary(outcome: Outcome) -> str:
    """One line, for who waits."""
    counts = (outcome.count(name) for name in ("succeeded", "refused", "failed"))
    succeeded, refused, failed = counts
    return (
        f"{outcome.trial.name:44} {len(outcome.sent):>6} sent, {succeeded:>6} succeeded, "
        f"{refused:>5} refused, {failed} failed, {outcome.found('lost', 'all')} lost, "
        f"{outcome.found('doubled', 'all')} doubled; longest {outcome.longest('all'):.1f} s, "
        f"recovered after {outcome.recovery('all'):.1f} s"
    )


def _rows(outcome: Outcome) -> Iterator[str]:
    name = f"**{outcome.trial.name}**{' ↻' if outcome.trial.repeats else ''}"
    yield _row(outcome, name, "all")
    yield from (_row(outcome, "", kind) for kind in KINDS)


def _row(outcome: Outcome, name: str, kind: str) -> str:
    is_change = kind == "all" or kind in CHANGES
    found = [outcome.found(what, kind) if is_change else "" for what in ("lost", "doubled")]
    counts = [outcome.count(each, kind) for each in ("succeeded", "refused", "failed")]
    seconds = [f"{outcome.longest(kind):.2f} s", f"{outcome.recovery(kind):.1f} s"]
    return _line([name, kind, len(outcome.of(kind)), *counts, *found, *seconds])


def _recoveries(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "Reads and changes that failed for a moment (`snipix_recoveries_total`), and what became"
    yield f"of them. Where a share of all commands fails, {LEAST_RECOVERED:.0%} have to succeed.\n"
    yield _line(["fault", "failed for a moment", "succeeded when repeated", ""])
    yield _line(["---", "---:", "---:", "---:"])
    for outcome in outcomes:
        if (share := outcome.share_recovered) is not None:
            counts = [outcome.recovered.total(), outcome.recovered["succeeded"]]
            yield _line([outcome.trial.name, *counts, f"{share:.1%}"])


def _secrecy(outcomes: Sequence[Outcome]) -> Iterator[str]:
    lines = sum(outcome.logged.lines for outcome in outcomes)
    found = sum(len(outcome.logged.leaks) for outcome in outcomes)
    yield f"Snipix logged {lines} lines meanwhile (`LOG_LEVEL=DEBUG`). A secret, a traceback, or"
    yield f"anything of what documents hold was found in them {found} times."


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
