"""Parameters of training and lists, judged on the weeks before those that validation judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from feedrank.engines.engine import map_parts
from feedrank.errors import FeedrankError
from feedrank.features.row_files import StoredRows
from feedrank.features.rows import TrainingRows
from feedrank.features.spec import features_of
from feedrank.io.storage import Location, fetched
from feedrank.log.calendar import Calendar, Fold
from feedrank.log.files import Log
from feedrank.params import ExportParams, Params
from feedrank.ranking.ranker import Ranker
from feedrank.ranking.recommender import Recommender
from feedrank.state.feature_store import FeatureStore
from feedrank.training.fit import fit_ranker
from feedrank.validation.fold import N_PARTS, clusters_at, depth_of, requests_in
from feedrank.validation.hitrate.scores import Scores, score
from feedrank.validation.methods import OURS
from feedrank.validation.replay.replay import ReplayResult, replay_requests
from feedrank.validation.replay.requests import Requests


def earlier_folds(calendar: Calendar, n_judged: int, n: int) -> list[Fold]:
    """Up to `n` folds that end where validation's first test begins, or before.

    Args:
        calendar: of the log.
        n_judged: folds of validation.
        n: wanted.

    Raises:
        FeedrankError: the log is too short for any.
    """
    folds = calendar.folds(n_judged + n)[:-n_judged]
    if not folds:
        raise FeedrankError(
            f"the log has {calendar.n_days} days: too few for a week to search on before the "
            f"{n_judged} of 'validate.folds', with a day of training before it. Lower "
            "'validate.folds' or 'validate.test_days', or extract a longer period."
        )
    return folds


@dataclass(frozen=True)
class EarlierWeeks:
    """What all trials of a search have in common.

    Attributes:
        features: directory of the store.
        rows: training rows of all days; those of a test week and later are never trained on.
        folds: whose test weeks are judged.
        requests: of each fold.
        n_posts: of the catalogue.
    """

    features: Location
    rows: TrainingRows | StoredRows
    folds: Sequence[Fold]
    requests: Sequence[Requests]
    n_posts: int

    @classmethod
    def of(
        cls,
        log: Log,
        features: Location,
        rows: TrainingRows | StoredRows,
        params: Params,
        n_folds: int,
    ) -> EarlierWeeks:
        """The weeks before validation's own; raises `FeedrankError` where there is none."""
        calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
        folds = earlier_folds(calendar, len(calendar.folds(params.validate.folds)), n_folds)
        store = FeatureStore.load(fetched(features))
        requests = [requests_in(log, store, fold, params.validate)[0] for fold in folds]
        return cls(features, rows, folds, requests, log.meta.n_posts)

    def scores(self, params: Params) -> Scores:
        """Hit rates of our lists under these parameters, on the same requests every time."""
        spec, validate = (
            features_of(FeatureStore.load(fetched(self.features)).fitted),
            params.validate,
        )
        parts: list[ReplayResult] = []
        for fold, requests in zip(self.folds, self.requests, strict=True):
            ranker = fit_ranker(self.rows, fold.cutoff, spec, params.train)
            as_of = fold.cutoff if validate.state == "aged" else None
            maker = _Maker(self.features, ranker, params.export, as_of, fold)
            job = partial(maker.judged, requests, depth_of(self.n_posts, validate), max(validate.k))
            parts += map_parts(job, N_PARTS, "")
        # The estimate is wanted, not its interval: a few resamples will do.
        few = replace(validate, bootstrap=50)
        return score(ReplayResult.joined(parts), (OURS,), validate.k[0], few)


@dataclass(frozen=True)
class _Maker:
    """Lists of one fold in the state of the headline, in any process."""

    features: Location
    ranker: Ranker
    export: ExportParams
    as_of: int | None
    fold: Fold

    @cached_property
    def store(self) -> FeatureStore:
        return FeatureStore.load(fetched(self.features))

    def judged(self, requests: Requests, depth: int, k: int, part: int) -> ReplayResult:
        rules = (self.export.candidates, self.export.exclude)
        fresh = ours = Recommender(self.store, self.ranker, *rules)
        if self.as_of is not None:
            ours = Recommender(self.store, self.ranker, *rules, as_of=self.as_of)
        some = requests.part(part, N_PARTS)
        group = clusters_at(self.store, self.fold)
        return replay_requests([ours], fresh, ours.open_posts, some, depth, k, group)
