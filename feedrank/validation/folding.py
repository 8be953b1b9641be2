"""Time-split validation: rolling folds, the three hit rates, baselines on the same requests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from feedrank.folds import Fold
from feedrank.knowledge import Knowledge
from feedrank.log import Log
from feedrank.params import ExportParams, TrainParams, ValidateParams
from feedrank.ranker import Ranker
from feedrank.rows import TrainingRows
from feedrank.validation.baselines import Classic, MostLiked, Random
from feedrank.validation.expected import Expected, expected_hitrate
from feedrank.validation.metrics import Estimate, estimate, user_weights
from feedrank.validation.replay import Judged, Ranks, Requests, judge, requests_of
from feedrank.workers import map_parts

OURS, AGED = "feedrank", "feedrank_aged"
METHODS = (OURS, AGED, "random", "most_liked", "most_liked_by_segment", "classic")
N_PARTS = 16
DEPTH_SHARE, LEAST_DEPTH = 0.05, 50


@dataclass(frozen=True)
class FoldModels:
    """What is fitted before a fold's cutoff, and where the knowledge lies.

    Attributes:
        features: directory of `Knowledge`.
        fold: the fold.
        ranker: trained on rows before the cutoff.
        classic: fitted on the same rows.
        recommend: how lists are made.
        seed: of the random baseline.
    """

    features: Path
    fold: Fold
    ranker: Ranker
    classic: Classic
    recommend: ExportParams
    seed: int

    def methods(self) -> list[Ranks]:
        """The methods in the order of `METHODS`."""
        knowledge = Knowledge.load(self.features)
        step = self.fold.cutoff // knowledge.encodings.step_seconds
        return [
            knowledge.recommender(self.ranker, self.recommend),
            knowledge.recommender(self.ranker, self.recommend, as_of=self.fold.cutoff),
            Random(len(knowledge.catalogue.post_ids), self.seed),
            MostLiked.of_all(knowledge, step),
            MostLiked.of_segments(knowledge, step),
            self.classic,
        ]


@dataclass(frozen=True)
class FoldResult:
    """One fold's judged requests, and its ranker's probabilities of later rows."""

    fold: Fold
    judged: Judged
    liked: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True)
class Scores:
    """One method's hit rates at one k; `draws` are the resamples of each, for differences."""

    expected: Expected
    shown: Estimate
    catalogue: Estimate


def run_fold(
    log: Log,
    features: Path,
    rows: TrainingRows,
    fold: Fold,
    validate: ValidateParams,
    train: TrainParams,
    recommend: ExportParams,
) -> FoldResult:
    """Fit everything before the cutoff, then replay the requests after it."""
    knowledge = Knowledge.load(features)
    earlier = rows[np.flatnonzero(rows.at < fold.cutoff)]
    later = rows[np.flatnonzero((rows.at >= fold.cutoff) & (rows.at < fold.until))]
    ranker = Ranker.fit(earlier.matrix, earlier.liked, earlier.at, knowledge.features, train)
    classic = Classic.fit(knowledge, earlier, validate.seed)
    models = FoldModels(features, fold, ranker, classic, recommend, validate.seed)
    step_seconds = knowledge.encodings.step_seconds
    requests = requests_of(log, fold, step_seconds, validate.requests, validate.seed)
    depth = max(LEAST_DEPTH, int(DEPTH_SHARE * log.meta.n_posts), *validate.k)
    job = partial(_judge_part, models, requests, depth, max(validate.k))
    parts = list(map_parts(job, N_PARTS, "replaying requests"))
    return FoldResult(fold, Judged.joined(parts), later.liked, ranker.probability(later.matrix))


def _judge_part(models: FoldModels, requests: Requests, depth: int, k: int, part: int) -> Judged:
    methods = models.methods()
    ours = methods[0]
    return judge(methods, ours, requests.part(part, N_PARTS), depth, k)  # type: ignore[arg-type]


def scores(judged: Judged, method: int, k: int, weights: np.ndarray) -> Scores:
    """The three hit rates of one method at one length of list."""
    expected = expected_hitrate(
        judged.probability[method, :, :k],
        judged.rank[method],
        judged.shown_probability,
        judged.shown_liked,
        judged.shown_request,
        weights,
    )
    shown = estimate(judged.hit_shown[method, :, k - 1], weights)
    return Scores(expected, shown, estimate(judged.hit_catalogue[method, :, k - 1], weights))


def all_scores(judged: Judged, k: int, params: ValidateParams) -> dict[str, Scores]:
    """Every method's hit rates, on the same resamples."""
    weights = user_weights(judged.user, params.bootstrap, params.seed)
    return {name: scores(judged, m, k, weights) for m, name in enumerate(METHODS)}


def lead(ours: Expected, other: Expected) -> Estimate:
    """By how much our `expected` exceeds another's, with the paired interval."""
    low, high = np.quantile(ours.draws - other.draws, [0.025, 0.975])
    value = ours.estimate.value - other.estimate.value
    return Estimate(value, float(low), float(high), ours.estimate.n_requests)
