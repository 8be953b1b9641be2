"""Train: the ranker on all training rows."""

from __future__ import annotations

from pathlib import Path

from feedrank.engine import running_on
from feedrank.fitting import fit_ranker
from feedrank.importance import importance
from feedrank.knowledge import Knowledge
from feedrank.params import load_params
from feedrank.rows import EVER
from feedrank.stored import load_rows
from stages.run import run

FEATURES, ROWS = Path("data/features"), Path("data/rows")
RANKER, IMPORTANCE = Path("models/ranker.ubj"), Path("reports/plots/importance.csv")


def main() -> None:
    """Write `models/ranker.ubj` and the importance of its features."""
    params = load_params()
    spec = Knowledge.load(FEATURES).features
    with running_on(params.engine):
        rows = load_rows(ROWS)
        ranker = fit_ranker(rows, None, spec, params.train)
        table = importance(ranker, rows.between(0, EVER).matrix)
    RANKER.parent.mkdir(parents=True, exist_ok=True)
    ranker.save(RANKER)
    IMPORTANCE.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(IMPORTANCE, index=False)


if __name__ == "__main__":
    run(main)
