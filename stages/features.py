"""Features: the warm-up, the two passes over the log, and the rows for training."""

from __future__ import annotations

from pathlib import Path

from feedrank.atomic import new_directory
from feedrank.learn import learn
from feedrank.log import Log
from feedrank.params import load_params
from stages.run import run

LOG, FEATURES, ROWS = Path("data/log"), Path("data/features"), Path("data/rows")


def main() -> None:
    """Write `data/features` (what was learned) and `data/rows` (training rows)."""
    knowledge, rows = learn(Log.open(LOG), load_params())
    with new_directory(FEATURES) as directory:
        knowledge.save(directory)
    with new_directory(ROWS) as directory:
        rows.save(directory)


if __name__ == "__main__":
    run(main)
