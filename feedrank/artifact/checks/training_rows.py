"""Training rows beside an artifact: a sample has the features that the artifact's state gives."""

from __future__ import annotations

import numpy as np

from feedrank.errors import SchemaError
from feedrank.features.rows import TrainingRows
from feedrank.ranking.recommender import Recommender

SAMPLE = 16  # rows, evenly spread: of other parameters or days hardly any row is the same


def check_rows(rows: TrainingRows, recommender: Recommender) -> None:
    """Refuse rows of another log or of other parameters.

    Raises:
        SchemaError: a row is not what the artifact's state gives.
    """
    catalogue, n_features = recommender.catalogue, len(recommender.features)
    sizes = (len(catalogue.user_ids), len(catalogue.post_ids), n_features)
    at_most = (rows.user.max(initial=0), rows.post.max(initial=0), rows.matrix.shape[1] - 1)
    are_of = rows.matrix.shape[1] == n_features and all(np.less(at_most, sizes))
    for i in np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int).tolist():
        if not are_of:
            break
        post = np.array([rows.post[i]], np.int64)
        again = recommender.matrix(int(rows.user[i]), int(rows.at[i]), post)[0]
        are_of = np.array_equal(again, rows.matrix[i], equal_nan=True)
    if not are_of:
        raise SchemaError(
            "these training rows are not of this artifact: its state gives other features. Load "
            "the artifact of the same run, or run `dvc repro` for both."
        )
