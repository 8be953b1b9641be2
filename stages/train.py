"""Train: the ranker on all training rows."""

from __future__ import annotations

from pathlib import Path

from feedrank.importance import importance
from feedrank.knowledge import Knowledge
from feedrank.params import load_params
from feedrank.ranker import Ranker
from feedrank.rows import TrainingRows
from stages.run import run

FEATURES, ROWS = Path("data/features"), Path("data/rows")
RANKER, IMPORTANCE = Path("models/ranker.ubj"), Path("reports/plots/importance.csv")


def main() -> None:
    """Write `models/ranker.ubj` and the importance of its features."""
    params = load_params().train
    rows = TrainingRows.load(ROWS)
    spec = Knowledge.load(FEATURES).features
    ranker = Ranker.fit(rows.matrix, rows.liked, rows.at, spec, params)
    RANKER.parent.mkdir(parents=True, exist_ok=True)
    ranker.save(RANKER)
    IMPORTANCE.parent.mkdir(parents=True, exist_ok=True)
    importance(ranker).to_csv(IMPORTANCE, index=False)


if __name__ == "__main__":
    run(main)
