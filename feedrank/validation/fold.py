"""Time-split validation: rolling folds, the three hit rates, baselines on the same requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from feedrank.engines.engine import map_parts
from feedrank.features.row_files import StoredRows
from feedrank.features.rows import TrainingRows
from feedrank.io.storage import Location, fetched
from feedrank.log.calendar import Fold
from feedrank.log.files import Log
from feedrank.params import ExportParams, TrainParams, ValidateParams
from feedrank.ranking.ranker import Ranker
from feedrank.state.feature_store import FeatureStore
from feedrank.validation.feed.randomness import Finding, randomness_of
from feedrank.validation.learning_curve import learning_curve
from feedrank.validation.methods import FoldModels, method_names
from feedrank.validation.replay.propensity import Exposure
from feedrank.validation.replay.replay import ReplayResult, replay_requests
from feedrank.validation.replay.requests import Requests, requests_of

N_PARTS = 16
DEPTH_SHARE, LEAST_DEPTH = 0.05, 50
UNCUT_A_PART = 4  # requests of a part that are also ranked without the candidate cut


@dataclass(frozen=True)
class FoldResult:
    """One fold's judged requests, and its ranker's probabilities of later rows.

    Attributes:
        fold: the fold.
        names: of the methods, in the order of `judged`.
        n_posts: of the catalogue.
        judged: requests of the test period.
        kept: of some requests, the share of the best k of all posts that the candidate cut left,
            float64, NaN for the others, shape (n_requests,).
        randomness: what the tests of the feed in the test period found.
        liked: of the test period's rows.
        probability: our own of them.
        curve: log loss by number of trees, see `learning_curve`.
    """

    fold: Fold
    names: tuple[str, ...]
    n_posts: int
    judged: ReplayResult
    kept: np.ndarray
    randomness: Sequence[Finding]
    liked: np.ndarray
    probability: np.ndarray
    curve: list[tuple[int, float, float]]


def run_fold(
    log: Log,
    features: Location,
    rows: TrainingRows | StoredRows,
    fold: Fold,
    validate: ValidateParams,
    train: TrainParams,
    recommend: ExportParams,
    alter: Callable[[Ranker], Ranker] | None = None,
) -> FoldResult:
    """Fit everything before the cutoff, then replay the requests after it.

    Args:
        log: extracted feed.
        features: directory of `FeatureStore`.
        rows: training rows of all days.
        fold: whose test period is replayed.
        validate: of validation.
        train: of the ranker.
        recommend: how lists are made.
        alter: changes the fitted ranker, as an ablation does.
    """
    models = FoldModels.fit(features, rows, fold, validate, train, recommend)
    if alter is not None:
        models = replace(models, ranker=alter(models.ranker))
    store = FeatureStore.load(fetched(features))
    requests, _ = requests_in(log, store, fold, validate)
    depth = depth_of(log.meta.n_posts, validate)
    cluster = clusters_at(store, fold)
    job = partial(_judge_part, models, requests, depth, max(validate.k), cluster)
    parts = list(map_parts(job, N_PARTS, "replaying requests"))
    earlier, later = rows.between(0, fold.cutoff), rows.between(fold.cutoff, fold.until)
    return FoldResult(
        fold,
        method_names(validate),
        log.meta.n_posts,
        ReplayResult.joined([judged for judged, _ in parts]),
        np.concatenate([kept for _, kept in parts]),
        randomness_of(store, np.unique(requests.user), *_test_steps(store, fold)),
        later.liked,
        models.ranker.probability(later.matrix),
        learning_curve(models.ranker, earlier, later),
    )


def requests_in(
    log: Log, store: FeatureStore, fold: Fold, validate: ValidateParams
) -> tuple[Requests, Exposure]:
    """The requests that a fold is judged by, and how often the feed shows what they show."""
    fitted = store.fitted
    steps = _test_steps(store, fold)
    exposure = Exposure.estimate(store.shared.by_post, fitted, *steps)
    requests = requests_of(log, fold, fitted.step_seconds, validate.requests, validate.seed)
    segment = fitted.segment(np.asarray(store.catalogue.codes))
    return requests.exposed(exposure, segment), exposure


def clusters_at(store: FeatureStore, fold: Fold) -> np.ndarray:
    """Cluster of each post as it was known at a fold's cutoff, shape (n_posts,)."""
    return store.fitted.refit(_test_steps(store, fold)[0]).clusters.cluster


def depth_of(n_posts: int, validate: ValidateParams) -> int:
    """How far down a method's list shown posts are looked for."""
    return max(LEAST_DEPTH, int(DEPTH_SHARE * n_posts), *validate.k)


def _test_steps(store: FeatureStore, fold: Fold) -> tuple[int, int]:
    """First step of a fold's test, and the first one after it."""
    seconds = store.fitted.step_seconds
    return fold.cutoff // seconds, min(-(-fold.until // seconds), store.shared.n_steps)


def _judge_part(
    models: FoldModels, requests: Requests, depth: int, k: int, cluster: np.ndarray, part: int
) -> tuple[ReplayResult, np.ndarray]:
    fresh, aged = models.recommenders()
    some = requests.part(part, N_PARTS)
    open_posts = models.headline(fresh, aged).open_posts
    judged = replay_requests(
        models.methods(fresh, aged), fresh, open_posts, some, depth, k, cluster
    )
    kept, every = np.full(len(some), np.nan), models.without_cut()
    for i in range(min(UNCUT_A_PART, len(some))):
        user, at = int(some.user[i]), int(some.at[i])
        best = every.rank(user, at, k).post
        kept[i] = np.isin(best, fresh.rank(user, at, k).post).mean() if len(best) else np.nan
    return judged, kept


def barred_posts(
    results: Sequence[FoldResult], store: FeatureStore, state: str, rule: str
) -> list[np.ndarray]:
    """Posts that no method may list, of each request of all folds.

    Args:
        results: of all folds.
        store: whose history says what a user has seen.
        state: 'fresh' or 'aged': of the headline.
        rule: 'nothing', 'liked' or 'seen'.
    """
    seconds, found = store.fitted.step_seconds, []
    for result in results:
        at = result.judged.at
        known = at if state == "fresh" else np.minimum(at, result.fold.cutoff)
        asked = zip(result.judged.user.tolist(), (known // seconds).tolist(), strict=True)
        found += [store.history.barred(user, step, rule) for user, step in asked]
    return found


def joined(results: Sequence[FoldResult]) -> ReplayResult:
    """The requests of all folds."""
    return ReplayResult.joined([r.judged for r in results])
