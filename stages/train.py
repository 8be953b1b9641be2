"""Train: the ranker on all training rows."""

from __future__ import annotations

from pathlib import Path

from feedrank.engines.selection import running_on
from feedrank.features.row_files import load_rows
from feedrank.features.rows import EVER
from feedrank.features.spec import features_of
from feedrank.io.outputs import new_outputs
from feedrank.io.tables import write_csv
from feedrank.params import load_params
from feedrank.state.feature_store import FeatureStore
from feedrank.training.fit import fit_ranker
from feedrank.training.importance import importance
from stages.run import run

FEATURES, ROWS = Path("data/features"), Path("data/rows")
RANKER, IMPORTANCE = Path("models/ranker"), Path("reports/plots/importance.csv")


def main() -> None:
    """Write `models/ranker` and the importance of its features."""
    params = load_params()
    store = FeatureStore.load(FEATURES)
    with running_on(params.engine):
        rows = load_rows(ROWS)
        ranker = fit_ranker(rows, None, features_of(store.fitted), params.train, store)
        table = importance(ranker, rows.between(0, EVER).matrix)
    with new_outputs(RANKER, IMPORTANCE) as new:
        new[RANKER].mkdir()
        ranker.save(new[RANKER])
        write_csv(new[IMPORTANCE], table)


if __name__ == "__main__":
    run(main)
