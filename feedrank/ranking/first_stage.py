"""First stage: a linear model of log ratios and terms, which generates candidates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from typing import Callable, NamedTuple

import numpy as np
from scipy.special import softmax

from feedrank.features.feature import PAIR, RATIO, TERM, Feature
from feedrank.stats.logistic import LogisticFit, fit_logistic

FITTED_ROWS = 1_000_000  # at most, evenly spread: of 64 columns two copies take 512 MB
# Prior standard deviation of a weight around 1; other values: docs/ranking.md, "Constants".
WEIGHT_SPREAD = 0.3
# Of the terms' weights around 0, if they count. Terms are logarithms and counts, whose own units
# bound a weight; in units of its spread, a column that hardly varies had a weight of any size. 0.2
# to 1 order alike: docs/ranking.md, "Terms".
TERM_SPREAD = 0.5
NO_SPREAD = 2.0**-13  # of terms that do not count
# Groups of several terms cost each request, and must count in most models (the median probability
# model: Barbieri and Berger 2004). A term of pairs may save a list where few rows tell of it.
LIKELY_SHARE, LEAST_SHARE = 0.5, 0.02
MOST_GROUPS, MOST_TOGETHER = 12, 6  # groups, and those of several terms: 2**12 models take .1 s
# Log-odds by which a term moves the rows that hold it (root mean square), for it to count: what
# moves the odds by less than a fiftieth costs requests, and lists are as good without it.
LEAST_TERM = 0.02
MODELS_AT_ONCE = 64  # any number: bounds memory
BIAS_PRECISION = 1e-6  # as good as no prior


@dataclass(frozen=True)
class FirstStage:
    """Log-odds of a like as a weighted sum of features.

    Added up grain by grain, so that a list adds what a post, or a user and a cluster, has once.

    Attributes:
        columns: of the matrix, in order.
        weights: one a column.
        bias: added.
        grains: of the features, one a column.
    """

    columns: tuple[int, ...]
    weights: tuple[float, ...]
    bias: float
    grains: tuple[str, ...]

    def __call__(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds, float32, shape (n,), from all features; added up in one order everywhere."""
        return self.total(lambda grain: self.part(grain, lambda c: matrix[:, c]), matrix.shape[:1])

    def total(self, part_of: Callable[[str], np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """Log-odds, float32, of parts, one for each grain, that broadcast to the shape."""
        total = np.full(shape, self.bias)
        for grain in self._of_grain:
            total += part_of(grain)
        return total.astype(np.float32)

    def reads(self, grain: str) -> bool:
        """Whether a column of this grain has a weight."""
        return grain in self._of_grain

    def part(self, grain: str, column_of: Callable[[int], np.ndarray | float]) -> np.ndarray:
        """Weighted sum, float64, of the columns of one grain; they broadcast to each other."""
        total = np.zeros(())
        for column, weight in self._of_grain.get(grain, ()):
            values = np.asarray(column_of(column), dtype=np.float32)
            total = total + np.multiply(values, weight, dtype=np.float64)
        return total

    @cached_property
    def _of_grain(self) -> dict[str, list[tuple[int, float]]]:
        """Columns and weights by grain, in order; a column without weight is not read."""
        found: dict[str, list[tuple[int, float]]] = {}
        for column, weight, grain in zip(self.columns, self.weights, self.grains):
            if weight:
                found.setdefault(grain, []).append((column, weight))
        return dict(sorted(found.items()))

    def to_json(self) -> str:
        """All of it as a text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> FirstStage:
        """The first stage of a text that `to_json` made."""
        values = json.loads(text)
        bias = values.pop("bias")
        return cls(**{name: tuple(of_columns) for name, of_columns in values.items()}, bias=bias)

    @classmethod
    def fit(cls, matrix: np.ndarray, liked: np.ndarray, features: Sequence[Feature]) -> FirstStage:
        """Logistic regression on log ratios and terms, with the prior of `Design`."""
        thin = slice(None, None, max(1, -(-len(liked) // FITTED_ROWS)))
        design = Design.of(matrix[thin], features)
        rows = np.column_stack([design.values, np.ones(len(design.values), np.float32)])
        mean = np.array([*design.mean, 0.0])
        precision = np.array([*design.precision, BIAS_PRECISION])
        wide = fit_logistic(rows, liked[thin], mean, precision)
        weights = averaged_weights(wide, mean, precision, design.groups())
        return design.stage(weights[:-1], float(weights[-1]))


class TermGroup(NamedTuple):
    """Terms that count together or not at all.

    Attributes:
        places: of their columns.
        least_share: of all models by their evidence, in which they must count.
    """

    places: np.ndarray
    least_share: float


def averaged_weights(
    wide: LogisticFit, mean: np.ndarray, precision: np.ndarray, groups: Sequence[TermGroup]
) -> np.ndarray:
    """Mean of the weights over all models, in each of which some groups of terms count.

    Bayesian model averaging (Hoeting et al. 1999); a model weighs as much as its evidence (MacKay
    1992). The likelihood is taken for normal, as the fit with all terms found it, so that no other
    model needs a fit of its own. A group that counts in too small a share of them never does, and
    costs no request.

    Args:
        wide: posterior mode with all terms.
        mean: of each weight's prior, 0 of terms.
        precision: of each weight's prior.
        groups: of terms, none of which is in two.
    """
    pull, likelihood = wide.curvature @ wide.weights, wide.curvature - np.diag(precision)
    sizes = [len(group.places) for group in groups]
    terms = np.concatenate([np.empty(0, np.int64), *(group.places for group in groups)])
    others = np.setdiff1d(np.arange(len(mean)), terms)
    # What counts in all models is eliminated once (Schur complement): few columns are terms.
    cross, both = likelihood[np.ix_(terms, others)], np.ix_(others, others)
    given = np.linalg.solve(wide.curvature[both], np.column_stack([cross.T, pull[others]]))
    likelihood = likelihood[np.ix_(terms, terms)] - cross @ given[:, :-1]
    pull = pull[terms] - cross @ given[:, -1]
    models = np.array([*product((True, False), repeat=len(groups))], dtype=bool)
    counts = models[:, np.repeat(np.arange(len(groups)), sizes)]
    priors = np.where(counts, precision[terms], NO_SPREAD**-2)
    modes, evidence = [], []
    for prior in np.array_split(priors, -(-len(priors) // MODELS_AT_ONCE)):
        posterior = likelihood + prior[:, None] * np.eye(len(terms))
        modes.append(np.linalg.solve(posterior, pull[:, None])[..., 0])
        fit = modes[-1] @ pull
        evidence.append((fit + np.log(prior).sum(1) - np.linalg.slogdet(posterior)[1]) / 2)
    share = softmax(np.concatenate(evidence))
    least = np.array([group.least_share for group in groups])
    # One after another, for of two groups that tell the same, each may count in half of the models.
    while ((counted := share @ models) < least).any(where=counted > 0):
        rarest = np.argmin(np.where((counted < least) & (counted > 0), counted, np.inf))
        share = np.where(models[:, rarest], 0, share)
        share /= share.sum()
    weights = np.empty(len(mean))
    weights[terms] = share @ np.concatenate(modes)
    weights[others] = given[:, -1] - given[:, :-1] @ weights[terms]
    return weights


def _at_most(groups: list[np.ndarray], most: int) -> list[np.ndarray]:
    """The first groups, and the rest as one."""
    rest = groups[most - 1 :]
    return groups[: most - 1] + ([np.concatenate(rest)] if rest else [])


@dataclass(frozen=True)
class Design:
    """Columns of a first stage before its fit, and the Gaussian prior of their weights.

    A posterior log ratio or log-odds would weigh 1 if features were independent and calibrated;
    rows correct redundant ones, and one that hardly varies keeps 1. A term's prior is around 0.

    Attributes:
        columns: of the matrix, in order.
        values: float32, shape (n, len(columns)).
        mean: of each weight's prior.
        precision: inverse variance of each weight's prior.
        grains: of the features, one a column.
        groups_of: of the features, one a column.
    """

    columns: tuple[int, ...]
    values: np.ndarray
    mean: np.ndarray
    precision: np.ndarray
    grains: tuple[str, ...]
    groups_of: tuple[str, ...]

    @classmethod
    def of(cls, matrix: np.ndarray, features: Sequence[Feature]) -> Design:
        """Log ratios and terms of a matrix of shape (n, n_features)."""
        columns = tuple(i for i, f in enumerate(features) if f.weight is not None)
        mean = np.array([features[i].weight for i in columns], dtype=np.float64)
        values = matrix[:, list(columns)]
        precision = np.where(mean == RATIO, WEIGHT_SPREAD, TERM_SPREAD) ** -2.0
        grains = tuple(features[i].grain for i in columns)
        groups = tuple(features[i].group or features[i].grain for i in columns)
        return cls(columns, values, mean, precision, grains, groups)

    def groups(self) -> list[TermGroup]:
        """Groups of terms, the last of pairs and of others together where there are too many.

        All of posts are one group, whose noise lifts the same posts in all lists, those of topics
        are a few. A term of pairs is alone: few rows may hold it, and many posts of a list.
        """
        places = np.flatnonzero(self.mean == TERM)
        groups = np.array(self.groups_of)[places]
        named = [places[groups == group] for group in dict.fromkeys(groups) if group != PAIR]
        together = _at_most(named, MOST_TOGETHER)
        alone = _at_most([*places[groups == PAIR][:, None]], MOST_GROUPS - len(together))
        shares = zip((together, alone), (LIKELY_SHARE, LEAST_SHARE))
        return [TermGroup(group, share) for some, share in shares for group in some]

    def stage(self, weights: np.ndarray, bias: float) -> FirstStage:
        """The first stage of fitted weights, one a column; terms that do not count weigh 0."""
        n_held = np.maximum(np.count_nonzero(self.values, axis=0), 1)
        typical = np.sqrt(np.einsum("ij,ij->j", self.values, self.values) / n_held)
        size = np.abs(weights)
        counts_not = (self.mean == TERM) & ((size < NO_SPREAD) | (size * typical < LEAST_TERM))
        weights = np.where(counts_not, 0.0, weights)
        return FirstStage(self.columns, tuple(weights.tolist()), bias, self.grains)
