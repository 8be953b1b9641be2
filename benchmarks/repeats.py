"""Impressions of a pair that was shown or liked before, against what the model expected of them."""

from __future__ import annotations

import numpy as np

from feedrank.experiments.variants import silenced
from feedrank.features import Feature
from feedrank.fitting import fit_ranker
from feedrank.folds import Fold
from feedrank.knowledge import Knowledge
from feedrank.params import Params
from feedrank.rows import TrainingRows
from feedrank.validation.metrics import user_weights

KINDS = ("new to the user", "seen before, not liked", "liked before")
HEAD = "| impressions | n | like rate | expected | liked over expected |\n" + "| --- " * 5 + "|"


def repeats_table(
    knowledge: Knowledge, rows: TrainingRows, folds: list[Fold], params: Params
) -> str:
    """Like rate by what the user did with the very post before the step, as Markdown.

    Rows of each test week are judged by a ranker of the rows before it, one that does not know
    what was seen or liked: otherwise its trees would expect what is to be found out.
    """
    spec = knowledge.features
    parts = [_of_fold(rows, fold, spec, params) for fold in folds]
    user, kind, liked, expected = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    weights = user_weights(np.unique(user), params.validate.bootstrap, params.validate.seed)
    lines = [_line(name, kind == i, user, liked, expected, weights) for i, name in enumerate(KINDS)]
    return "\n".join([HEAD, *lines])


def _of_fold(
    rows: TrainingRows, fold: Fold, spec: tuple[Feature, ...], params: Params
) -> tuple[np.ndarray, ...]:
    names = [f.name for f in spec]
    pair = [names.index("pair_shown"), names.index("pair_liked")]
    ranker = fit_ranker(silenced(rows, pair), fold.cutoff, spec, params.train)
    later = rows.between(fold.cutoff, fold.until)
    shown, liked = later.matrix[:, pair].T
    kind = (shown > 0).astype(int) + (liked > 0)
    return later.user, kind, later.liked, ranker.probability(silenced(later, pair).matrix)


def _line(
    name: str,
    kept: np.ndarray,
    user: np.ndarray,
    liked: np.ndarray,
    expected: np.ndarray,
    weights: np.ndarray,
) -> str:
    n = int(kept.sum())
    if not n:
        return f"| {name} | 0 | | | |"
    _, of = np.unique(user, return_inverse=True)
    likes, hoped = (
        np.bincount(of[kept], values[kept].astype(np.float64), weights.shape[1])
        for values in (liked, expected)
    )
    some = (weights @ hoped) > 0
    low, high = np.quantile((weights @ likes)[some] / (weights @ hoped)[some], [0.025, 0.975])
    return (
        f"| {name} | {n:,} | {likes.sum() / n:.4f} | {hoped.sum() / n:.4f} "
        f"| {likes.sum() / hoped.sum():.3f} [{low:.3f}, {high:.3f}] |"
    )
