"""Fold: models fitted before the cutoff, then the requests after it, replayed by every method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from feedrank.engines import processes
from feedrank.engines.engine import in_use, map_parts
from feedrank.features.row_files import StoredRows
from feedrank.features.rows import TrainingRows
from feedrank.io.storage import Location, fetched
from feedrank.log.calendar import Fold
from feedrank.log.files import Log
from feedrank.params import Params
from feedrank.ranking.rankers.ranker import Asked, Ranker
from feedrank.state.feature_store import FeatureStore
from feedrank.validation.feed.randomness import Finding, randomness_of
from feedrank.validation.feed.strata import Strata
from feedrank.validation.learning_curve import learning_curve
from feedrank.validation.methods import FoldModels
from feedrank.validation.replay.matches import NO_MATCHES, ListShares, Matches
from feedrank.validation.replay.period import PeriodRequests, requests_in, test_steps
from feedrank.validation.replay.policies import Policies
from feedrank.validation.replay.replay import ReplayResult
from feedrank.validation.replay.requests import Requests

# Jobs of a replay, whatever the number of workers: results are of the same bytes for any number.
N_PARTS = 16
T = TypeVar("T")
Tests = Callable[[], list[Finding]]  # of the feed of one fold
UNCUT_A_PART = 4  # requests of a part that are also ranked without the first stage: 64 a fold


@dataclass(frozen=True)
class FoldResult:
    """One fold's replayed requests, and its ranker's probabilities of later rows.

    Attributes:
        fold: the fold.
        names: of the methods, in the order of `replayed`.
        n_posts: of the catalogue.
        replayed: requests of the test period.
        others: matches of its requests that were not replayed.
        kept: of some requests, the share of the best of all posts, as many as the headline's list
            is long, that the first stage keeps, float64, NaN for the others, shape (n_requests,).
        strata_columns: names of the profile columns that the feed depends on.
        randomness: findings of the tests of the feed in the test period.
        policies: that chose the impressions of the requests.
        liked: of the test period's rows, shape (n_rows,).
        probability: our own of these rows, shape (n_rows,).
        curve: log loss by number of trees, see `learning_curve`.
    """

    fold: Fold
    names: tuple[str, ...]
    n_posts: int
    replayed: ReplayResult
    others: Matches
    kept: np.ndarray
    strata_columns: tuple[str, ...]
    randomness: Sequence[Finding]
    policies: Policies
    liked: np.ndarray
    probability: np.ndarray
    curve: list[tuple[int, float, float]]


def run_fold(
    log: Log,
    features: Location,
    rows: TrainingRows | StoredRows,
    fold: Fold,
    params: Params,
    alter: Callable[[Ranker], Ranker] | None = None,
) -> FoldResult:
    """Fit everything before the cutoff, then replay the requests after it.

    Args:
        log: extracted feed.
        features: directory of `FeatureStore`.
        rows: training rows of all days.
        fold: whose test period is replayed.
        params: of validation, of the ranker and of lists.
        alter: changes the fitted ranker, as an ablation does.
    """
    models = FoldModels.fit(features, rows, fold, params)
    if alter is not None:
        models = replace(models, ours=replace(models.ours, ranker=alter(models.ours.ranker)))
    return _tested([_replayed(log, features, rows, models)])[0]


def run_folds(
    log: Log,
    features: Location,
    rows: TrainingRows | StoredRows,
    folds: Sequence[Fold],
    params: Params,
) -> list[FoldResult]:
    """`run_fold` of each, whose models are fitted, and whose feeds are tested, side by side."""
    fits = [partial(FoldModels.fit, features, rows, fold, params) for fold in folds]
    # Of a cluster the driver alone can start the job that grows trees.
    workers = 1 if in_use().is_cluster else None
    models = list(processes.map_parts(partial(_done, fits), len(fits), "fitting models", workers))
    return _tested([_replayed(log, features, rows, of_fold) for of_fold in models])


def _done(tasks: Sequence[Callable[[], T]], number: int) -> T:
    return tasks[number]()


def _tested(folds: Sequence[tuple[FoldResult, Tests]]) -> list[FoldResult]:
    """The results with the tests of their feeds."""
    tests = [of_fold for _, of_fold in folds]
    found = map_parts(partial(_done, tests), len(tests), "testing the feed")
    return [replace(fold, randomness=own) for (fold, _), own in zip(folds, found, strict=True)]


def _findings(features: Location, users: np.ndarray, strata: Strata, steps: range) -> list[Finding]:
    return randomness_of(FeatureStore.load(fetched(features)), users, strata, steps)


def _replayed(
    log: Log, features: Location, rows: TrainingRows | StoredRows, models: FoldModels
) -> tuple[FoldResult, Tests]:
    """The fold without tests of its feed, and these."""
    fold, params = models.ours.fold, models.ours.params
    ranker, store = models.ours.ranker, FeatureStore.load(fetched(features))
    period = requests_in(log, store, fold, params.validate)
    requests, strata = period.requests, period.strata
    parts = list(map_parts(partial(_part, models, requests), N_PARTS, "replaying requests"))
    replayed = ReplayResult.joined([replayed for replayed, _ in parts])
    others = _matches(models, period, replayed)
    earlier, later = rows.between(0, fold.cutoff), rows.between(fold.cutoff, fold.until)
    result = FoldResult(
        fold,
        tuple(models.names),
        log.meta.n_posts,
        replayed,
        others,
        np.concatenate([kept for _, kept in parts]),
        tuple(store.fitted.column_names[column] for column in strata.columns),
        (),
        Policies.of(requests, log.meta.policies),
        later.liked,
        ranker.probability(later.matrix, None, Asked.of_rows(later, store)),
        learning_curve(ranker, earlier, later, store),
    )
    users, steps = np.unique(requests.user), test_steps(store, fold)
    return result, partial(_findings, features, users, strata, steps)


def _part(models: FoldModels, requests: Requests, number: int) -> tuple[ReplayResult, np.ndarray]:
    """One part of the requests, replayed, and the share that the first stage keeps of its best."""
    ours, some = models.ours, requests.part(number, N_PARTS)
    kept, every, k = np.full(len(some), np.nan), ours.without_cut(), ours.params.validate.k[0]
    for i in range(min(UNCUT_A_PART, len(some))):
        user, at = int(some.user[i]), int(some.at[i])
        best = every.rank(user, at, k).post
        kept[i] = np.isin(best, ours.fresh.rank(user, at, k).post).mean() if len(best) else np.nan
    return ours.replay(models.methods, some), kept


def _matches(models: FoldModels, period: PeriodRequests, replayed: ReplayResult) -> Matches:
    """Impressions of requests that were not replayed in the lists that methods would answer."""
    store = FeatureStore.load(fetched(models.ours.features))
    segment = store.fitted.segment(store.catalogue.codes)
    seconds, n_posts = store.fitted.step_seconds, len(store.catalogue.post_ids)
    shares = ListShares.of(replayed, models.matched, segment, seconds, n_posts)
    requests, asked = period.others(shares)
    parts = partial(_matches_part, models, requests, asked)
    name = f"looking for matches in {len(requests):,} other requests"
    return Matches.joined([NO_MATCHES, *(map_parts(parts, N_PARTS, name) if len(requests) else ())])


def _matches_part(
    models: FoldModels, requests: Requests, asked: np.ndarray, number: int
) -> Matches:
    low, high = (len(requests) * i // N_PARTS for i in (number, number + 1))
    return models.matches(requests.part(number, N_PARTS), asked[:, low:high])


def barred_posts(
    results: Sequence[FoldResult], store: FeatureStore, state: str, rule: str
) -> list[np.ndarray]:
    """Posts that no method may list, of each request of all folds.

    Args:
        results: of all folds.
        store: whose history holds a user's earlier impressions.
        state: 'fresh' or 'aged': of the headline.
        rule: 'nothing', 'liked' or 'seen'.
    """
    seconds, found = store.fitted.step_seconds, []
    for result in results:
        at = result.replayed.at
        known = at if state == "fresh" else np.minimum(at, result.fold.cutoff)
        pairs = zip(result.replayed.user.tolist(), known.tolist(), strict=True)
        found += [store.history.barred(user, at // seconds, at, rule) for user, at in pairs]
    return found


def joined(results: Sequence[FoldResult]) -> ReplayResult:
    """The requests of all folds."""
    return ReplayResult.joined([r.replayed for r in results])
