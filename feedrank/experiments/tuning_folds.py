"""Tuning folds: weeks before those of validation, on which a search scores parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from feedrank.engines.engine import map_parts
from feedrank.errors import FeedrankError
from feedrank.features.row_files import StoredRows
from feedrank.features.rows import TrainingRows
from feedrank.features.spec import features_of
from feedrank.io.storage import Location, fetched
from feedrank.log.calendar import Calendar, Fold
from feedrank.log.files import Log
from feedrank.log.sampling import uniform_of
from feedrank.params import Params
from feedrank.schema import USER_ID
from feedrank.state.feature_store import FeatureStore
from feedrank.training.fit import fit_ranker
from feedrank.validation.fold import N_PARTS
from feedrank.validation.fold_ranker import FoldRanker
from feedrank.validation.hitrate.doubt import shared_normals
from feedrank.validation.hitrate.scores import Scores, score
from feedrank.validation.methods import OURS
from feedrank.validation.replay.period import requests_in
from feedrank.validation.replay.replay import ReplayResult
from feedrank.validation.replay.requests import Requests, numbers_of

NOW, BETTER = "now", "better"  # of two that are compared
SALT = 2  # of the hash that halves the users: any number
RESAMPLES = 50  # the least that `validate` allows: a search reads the estimate, not its interval


def earlier_folds(calendar: Calendar, n_validation: int, n: int) -> list[Fold]:
    """Up to `n` folds that end where validation's first test begins, or before.

    Args:
        calendar: of the log.
        n_validation: folds of validation.
        n: wanted.

    Raises:
        FeedrankError: the log is too short for any.
    """
    folds = calendar.folds(n_validation + n)[:-n_validation]
    if not folds:
        raise FeedrankError(
            f"the log has {calendar.n_days} days: too few for a test to search on before the "
            f"{n_validation} of 'validate.folds', with a day of training before it. Lower "
            "'validate.folds' or 'validate.test_days', or extract a longer period."
        )
    return folds


@dataclass(frozen=True)
class EarlierWeeks:
    """Data that all trials of a search have in common.

    Attributes:
        features: directory of the store.
        rows: training rows of all days; those of a test week and later are never trained on.
        folds: whose test weeks are replayed.
        requests: of each fold, of half of the users.
    """

    features: Location
    rows: TrainingRows | StoredRows
    folds: Sequence[Fold]
    requests: Sequence[Requests]

    @classmethod
    def of(
        cls,
        log: Log,
        features: Location,
        rows: TrainingRows | StoredRows,
        params: Params,
        n_folds: int,
        half: int,
    ) -> EarlierWeeks:
        """The weeks before validation's own, answered for half of the users.

        Args:
            log: extracted feed.
            features: directory of the store.
            rows: training rows of all days.
            params: of the run.
            n_folds: weeks at most.
            half: 0 or 1: no user is in both.

        Raises:
            FeedrankError: there is no such week.
        """
        calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
        folds = earlier_folds(calendar, len(calendar.folds(params.validate.folds)), n_folds)
        store = FeatureStore.load(fetched(features))
        kept = halves(log, params.validate.seed) == half
        periods = [requests_in(log, store, fold, params.validate) for fold in folds]
        return cls(features, rows, folds, [period.of_users(kept) for period in periods])

    def scores(self, params: Params) -> Scores:
        """Hit rates of our lists under these parameters, on the same requests every time."""
        validate = replace(params.validate, bootstrap=RESAMPLES)
        return score(self._replayed(params), (OURS,), validate.k[0], validate)

    def compared(self, now: Params, better: Params) -> Scores:
        """Hit rates of our lists under two sets of parameters, the methods `NOW` and `BETTER`.

        What no request tells is shared as far as their lists are.
        """
        both, validate = [self._replayed(params) for params in (now, better)], now.validate
        k = validate.k[0]
        lists, spread = (
            np.concatenate([getattr(replayed, name)[:, :, :k] for replayed in both])
            for name in ("top", "top_spread")
        )
        normal = shared_normals(lists, spread, validate)
        first, second = (
            score(replayed, (OURS,), k, validate, normal=normal[[m]])
            for m, replayed in enumerate(both)
        )
        methods = {NOW: first.methods[OURS], BETTER: second.methods[OURS]}
        return replace(first, methods=methods)

    def _replayed(self, params: Params) -> ReplayResult:
        store = FeatureStore.load(fetched(self.features))
        spec = features_of(store.fitted)
        parts: list[ReplayResult] = []
        for fold, requests in zip(self.folds, self.requests, strict=True):
            ranker = fit_ranker(self.rows, fold.cutoff, spec, params.train, store)
            ours = FoldRanker(self.features, fold, ranker, params)
            parts += map_parts(partial(_part, ours, requests), N_PARTS, "")
        return ReplayResult.joined(parts)


def halves(log: Log, seed: int) -> np.ndarray:
    """0 or 1 for each user of the log, by a hash of the id, shape (n_users,).

    Another hash than that which draws the users of a large test period.
    """
    ids = numbers_of(log.users[USER_ID].to_numpy())
    draw = uniform_of((ids, np.full(len(ids), SALT)), seed)
    return (draw < 0.5).astype(np.int64)


def _part(ours: FoldRanker, requests: Requests, number: int) -> ReplayResult:
    return ours.replay([ours.headline], requests.part(number, N_PARTS))
