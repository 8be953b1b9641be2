"""Methods of a fold: our ranker in two states, and the baselines, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from feedrank.features.row_files import StoredRows
from feedrank.features.rows import TrainingRows
from feedrank.features.spec import features_of
from feedrank.io.storage import Location, fetched
from feedrank.log.calendar import Fold
from feedrank.params import Params, ValidateParams
from feedrank.ranking.ranker import Ranker
from feedrank.ranking.recommender import Recommender
from feedrank.state.feature_store import FeatureStore
from feedrank.training.fit import fit_ranker
from feedrank.validation.baselines.als import Als, has_implicit
from feedrank.validation.baselines.baseline import Random
from feedrank.validation.baselines.classic import Classic
from feedrank.validation.baselines.logistic import Logistic, LogisticWeights
from feedrank.validation.baselines.most_liked import MostLiked
from feedrank.validation.replay.replay import Ranks, ReplayResult, replay_requests
from feedrank.validation.replay.requests import Requests

OURS, FRESH, AGED = "feedrank", "feedrank_fresh", "feedrank_aged"
BASELINES = ("random", "most_liked", "most_liked_by_segment", "classic")
COSTLY = ("logistic", "als")
# Matches are looked for in the best twentieth of all posts. A match at ten times k weighs 1 / 100,
# so what lies deeper adds little; fewer than 50 places would leave small catalogues without any.
DEPTH_SHARE, LEAST_DEPTH = 0.05, 50


def method_names(params: ValidateParams) -> tuple[str, ...]:
    """Ours first, then ours in the other state, then the baselines that are installed."""
    other = FRESH if params.state == "aged" else AGED
    costly = COSTLY if params.baselines == "all" else ()
    return (OURS, other, *BASELINES, *(n for n in costly if n != "als" or has_implicit()))


def clusters_at(store: FeatureStore, fold: Fold) -> np.ndarray:
    """Cluster of each post by the refit at a fold's cutoff, shape (n_posts,)."""
    return store.fitted.refit(fold.cutoff // store.fitted.step_seconds).clusters.cluster


def depth_of(n_posts: int, validate: ValidateParams) -> int:
    """Length of the lists that shown posts are looked up in."""
    return max(LEAST_DEPTH, int(DEPTH_SHARE * n_posts), *validate.k)


@dataclass(frozen=True)
class FoldRanker:
    """Our ranker of one fold, with the state of each request and with that of the cutoff.

    Attributes:
        features: directory of `FeatureStore`.
        fold: the fold.
        ranker: trained on rows before the cutoff.
        params: of validation and of lists.
    """

    features: Location
    fold: Fold
    ranker: Ranker
    params: Params

    @cached_property
    def store(self) -> FeatureStore:
        """Loaded once a process, with the states that were derived of it."""
        return FeatureStore.load(fetched(self.features))

    @cached_property
    def fresh(self) -> Recommender:
        """Ours with the state of each request."""
        return self._recommender(self.params.export.candidates, None)

    @cached_property
    def aged(self) -> Recommender:
        """Ours with the state frozen at the cutoff."""
        return self._recommender(self.params.export.candidates, self.fold.cutoff)

    def without_cut(self) -> Recommender:
        """Ours, fresh, with every post scored by the trees."""
        return self._recommender(len(self.store.catalogue.post_ids), None)

    def _recommender(self, candidates: int, as_of: int | None) -> Recommender:
        return Recommender(
            self.store, self.ranker, candidates, self.params.export.exclude, as_of=as_of
        )

    @property
    def as_of(self) -> int | None:
        """Seconds at which the state of the headline is frozen; None: it is fresh."""
        return self.fold.cutoff if self.params.validate.state == "aged" else None

    @property
    def headline(self) -> Recommender:
        """Ours in the state of the headline."""
        return self.fresh if self.as_of is None else self.aged

    def replay(self, methods: Sequence[Ranks], requests: Requests) -> ReplayResult:
        """Lists of methods for some requests, scored by our own fresh probabilities."""
        return replay_requests(
            methods,
            self.fresh,
            self.headline.open_posts,
            requests,
            depth_of(len(self.store.catalogue.post_ids), self.params.validate),
            max(self.params.validate.k),
            clusters_at(self.store, self.fold),
        )


@dataclass(frozen=True)
class FoldModels:
    """Models that are fitted before a fold's cutoff.

    Attributes:
        ours: our ranker.
        classic: fitted on the same rows.
        logistic: fitted on the same rows; None unless `validate.baselines` is 'all'.
        als: of likes before the cutoff; None likewise, or without its library.
    """

    ours: FoldRanker
    classic: Classic
    logistic: LogisticWeights | None
    als: Als | None

    @classmethod
    def fit(
        cls,
        features: Location,
        rows: TrainingRows | StoredRows,
        fold: Fold,
        params: Params,
    ) -> FoldModels:
        """All models, from rows before the cutoff."""
        store = FeatureStore.load(fetched(features))
        earlier = rows.between(0, fold.cutoff)
        step, seed = fold.cutoff // store.fitted.step_seconds, params.validate.seed
        names = method_names(params.validate)
        ranker = fit_ranker(rows, fold.cutoff, features_of(store.fitted), params.train)
        return cls(
            FoldRanker(features, fold, ranker, params),
            Classic.fit(store, earlier, seed),
            LogisticWeights.fit(earlier, seed) if "logistic" in names else None,
            Als.fit(store, step, seed) if "als" in names else None,
        )

    def methods(self) -> list[Ranks]:
        """The methods in the order of `method_names`.

        Those that count or read features have the state of the headline; trained models have what
        they were fitted on.
        """
        ours = self.ours
        found: list[Ranks] = [
            ours.headline,
            ours.aged if ours.headline is ours.fresh else ours.fresh,
            Random(len(ours.store.catalogue.post_ids), ours.params.validate.seed),
            MostLiked(ours.store, by_segment=False, as_of=ours.as_of),
            MostLiked(ours.store, by_segment=True, as_of=ours.as_of),
            self.classic,
        ]
        if self.logistic is not None:
            found.append(Logistic(ours.headline, self.logistic))
        return found if self.als is None else [*found, self.als]
