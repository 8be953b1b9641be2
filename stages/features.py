"""Features: the warm-up, the two passes over the log, and the rows for training."""

from __future__ import annotations

from pathlib import Path

from feedrank.engines.processes import import_ahead

if __name__ == "__main__":
    # A second and a half of imports, at the same time as these.
    import_ahead("feedrank.learning.fit", "feedrank.features.row_pass")

from feedrank.engines.selection import running_on
from feedrank.features.row_pass import training_rows
from feedrank.io.outputs import new_outputs
from feedrank.learning.fit import fit_store
from feedrank.log.files import Log
from feedrank.params import load_params
from stages.run import run

LOG, FEATURES, ROWS = Path("data/log"), Path("data/features"), Path("data/rows")


def main() -> None:
    """Write `data/features` (what was learned) and `data/rows` (training rows)."""
    params = load_params()
    with running_on(params.engine) as engine, new_outputs(ROWS, FEATURES) as new:
        rows, features = new[ROWS], new[FEATURES]
        rows.mkdir()
        features.mkdir()
        log = Log.open(engine.share(LOG))
        store = fit_store(log, params)
        training_rows(log, store, params, engine.rows_place(rows)).save(rows)
        store.save(features)


if __name__ == "__main__":
    run(main)
