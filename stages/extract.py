"""Extract: three tables of a database become a log of whole users, on disk."""

from __future__ import annotations

from pathlib import Path

from feedrank.extraction.check.findings import all_problems_at_once
from feedrank.extraction.environment import Database
from feedrank.extraction.extract import Extract
from feedrank.io.malloc import keep_freed_memory
from feedrank.io.outputs import new_outputs
from feedrank.params import load_params
from stages.run import run

DATA, REPORTS = Path("data"), Path("reports")
TRUTH = DATA / "truth"


def main() -> None:
    """Write `data/log`, `data/truth` and the data report."""
    keep_freed_memory()
    params = load_params()
    with Database.of_environment(DATA / "demo", DATA / "log", params) as database:
        extract = Extract(
            source=database.source,
            params=params.extract,
            log=DATA / "log",
            reports=REPORTS,
            spool=DATA / ".spool",
            name=database.name,
        )
        with new_outputs(TRUTH) as new, all_problems_at_once(database.source, params):
            database.copy_truth(new[TRUTH])
            extract.run()


if __name__ == "__main__":
    run(main)
