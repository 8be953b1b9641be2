"""Explanations: the exact contribution of each feature to a post's log-odds, and its words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from feedrank.features.feature import Feature
from feedrank.ranking.rankers.learned import LearnedRanker
from feedrank.ranking.recommender import Ranked, Recommender

LEAST_EFFECT = 0.01  # log-odds, one percent of the odds: less is not worth a line
REST, REST_WORDS = "rest", "the ranker, beyond single features"
MOST_AVERAGED = 2_000  # posts at most whose mean is the average post: bounds the time


@dataclass(frozen=True)
class Reasons:
    """Contributions to the log-odds of each listed post.

    `base + effects.sum(1)` is the log-odds of the probability.

    Attributes:
        base: of an average post for this user at this moment.
        names: the features, and `REST` for what a learned ranker cannot tell by feature.
        values: of each, NaN of the rest, shape (n, len(names)).
        effects: contribution of each, float64, shape (n, len(names)).
        words: of each for this user.
    """

    base: float
    names: tuple[str, ...]
    values: np.ndarray
    effects: np.ndarray
    words: tuple[str, ...]

    @property
    def base_probability(self) -> float:
        """Of an average post."""
        return float(expit(self.base))

    def strongest(self, row: int, n: int) -> list[tuple[int, float]]:
        """The `n` largest contributions, up or down, of `LEAST_EFFECT` at least.

        Features of the same words, as the terms of a post's age, are one reason.

        Returns:
            Of each reason the feature that contributes most, and the sum of all its features.
        """
        effects = self.effects[row]
        alike: dict[str, list[int]] = {}
        for i in np.argsort(-np.abs(effects), kind="stable").tolist():
            alike.setdefault(self.words[i], []).append(i)
        reasons = [(same[0], float(effects[same].sum())) for same in alike.values()]
        reasons = [reason for reason in reasons if abs(reason[1]) >= LEAST_EFFECT]
        return sorted(reasons, key=lambda reason: -abs(reason[1]))[:n]


def explain(recommender: Recommender, user: int, at: int, ranked: Ranked) -> Reasons:
    """The reasons of a list.

    In the first stage, a weighted sum, a feature contributes its weight times the post's distance
    from the average post. In trees it contributes its SHAP value (Lundberg et al. 2018), relative
    to the trees' mean. Of a learned ranker the rest is one contribution more, with a calibration in
    it. Contributions add up to the log-odds exactly.

    Args:
        recommender: of the list.
        user: row of the catalogue.
        at: seconds since the log's origin.
        ranked: the list.
    """
    ranker = recommender.ranker
    matrix = recommender.matrix(user, at, ranked.post)
    n_posts = len(recommender.catalogue.post_ids)
    some = np.arange(0, n_posts, max(1, -(-n_posts // MOST_AVERAGED)))
    average = recommender.matrix(user, at, some).mean(0, dtype=np.float64)

    first = ranker.first_stage
    columns, weights = list(first.columns), np.array(first.weights)
    effects, trees_base = ranker.contributions(matrix)
    effects[:, columns] += weights * (matrix[:, columns].astype(np.float64) - average[columns])
    base = first.bias + float(weights @ average[columns]) + trees_base
    names, words = tuple(f.name for f in recommender.features), words_for(recommender, user)
    if not isinstance(ranker, LearnedRanker):
        return Reasons(base, names, matrix, effects, words)
    rest = logit(ranked.probability.astype(np.float64)) - base - effects.sum(1)
    matrix = np.column_stack([matrix, np.full(len(matrix), np.nan)])
    effects = np.column_stack([effects, rest])
    return Reasons(base, (*names, REST), matrix, effects, (*words, REST_WORDS))


def words_for(recommender: Recommender, user: int) -> tuple[str, ...]:
    """Words of each feature, with this user's own profile values named."""
    store = recommender.store
    ((codes,), _) = store.catalogue.profiles_of(np.array([user]))
    named = {c.name: c.label(int(codes[i])) for i, c in enumerate(store.columns)}
    return tuple(_words(feature, named) for feature in recommender.features)


def _words(feature: Feature, named: dict[str, str]) -> str:
    for column, value in named.items():
        for before in (f"with this {column} ", f"the user's {column}"):
            if before in feature.words:
                return feature.words.replace(before, f"{before.rstrip()} ({value}) ").rstrip()
    return feature.words


def sentence(words: str, effect: float) -> str:
    """A reason as one line for people."""
    side = "for it" if effect > 0 else "against it"
    return f"{side} (odds x {np.exp(effect):.2f}): {words}"
