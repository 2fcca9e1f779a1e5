"""The fault laboratory, in its long form: `make faults`.

Does to Snipix, one after the other, all that is in `trials.TRIALS`, and writes what came of it as a
table. Exits with 1 where a promise isn't kept.
"""

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "snipix.settings")
os.environ.setdefault("SECRET_KEY", "only-for-faults")
os.environ.setdefault("LOG_LEVEL", "ERROR")

import django

django.setup()

from snipix.local import LocalError  # noqa: E402
from tests.faults import report, trials  # noqa: E402
from tests.faults.laboratory import Laboratory  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--only", default="", help="trials whose name matches this")
    parser.add_argument("--to", type=Path, help="the file for the table, otherwise printed")
    parser.add_argument("--seed", type=int, default=1, help="of what is left to chance (1)")
    chosen = parser.parse_args(arguments)
    wanted = [trial for trial in trials.TRIALS if re.search(chosen.only, trial.name)]
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="snipix-faults-") as folder:
        try:
            with Laboratory(Path(folder), seed=chosen.seed) as lab:
                outcomes = [_tried(lab, trial, chosen.seed) for trial in wanted]
                database = "SecantusDB" if lab.mongo and lab.mongo.is_secantus else "mongod"
        except LocalError as error:
            sys.exit(str(error))
    page = report.page(outcomes, command="make faults", database=database)
    if chosen.to:
        chosen.to.write_text(page)
        print(f"Written to {chosen.to}.")
    else:
        print(page)
    return 1 if any(outcome.broken() for outcome in outcomes) else 0


def _tried(lab: Laboratory, trial: trials.Trial, seed: int) -> trials.Outcome:
    began = monotonic()
    outcome = trials.run(lab, trial, trial.seconds, seed)
    print(f"{report.summary(outcome)}  [{monotonic() - began:.0f} s]", flush=True)
    for broken in outcome.broken()[:20]:
        print(f"  not kept: {broken}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
