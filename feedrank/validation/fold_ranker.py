"""Fold ranker: ours, trained before a fold's cutoff, in two states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import expit, polygamma

from feedrank.io.storage import Location, fetched
from feedrank.log.calendar import Fold
from feedrank.params import Params
from feedrank.ranking.rankers.ranker import Ranker
from feedrank.ranking.recommender import Recommender
from feedrank.state.feature_store import FeatureStore
from feedrank.validation.replay.matches import NEAR
from feedrank.validation.replay.replay import Ranks, ReplayResult, replay_requests
from feedrank.validation.replay.requests import Requests
from feedrank.validation.replay.support import Support


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
        exclude = self.params.export.exclude
        return Recommender(self.store, self.ranker, candidates, exclude, as_of=as_of)

    @property
    def as_of(self) -> int | None:
        """Seconds at which the state of the headline is frozen; None: it is fresh."""
        return self.fold.cutoff if self.params.validate.state == "aged" else None

    @property
    def headline(self) -> Recommender:
        """Ours in the state of the headline."""
        return self.fresh if self.as_of is None else self.aged

    @cached_property
    def support(self) -> Support:
        """Of the test period."""
        by_post, seconds = self.store.shared.by_post, self.store.fitted.step_seconds
        until = min(-(-self.fold.until // seconds), by_post.n_steps)
        return Support.of(by_post, self.store.fitted.n_posts, self.fold.cutoff // seconds, until)

    def replay(self, methods: Sequence[Ranks], requests: Requests) -> ReplayResult:
        """Lists of methods for some requests, scored by our own fresh probabilities."""
        return replay_requests(
            methods,
            self.fresh,
            self.headline.open_posts,
            requests,
            self.depth,
            max(self.params.validate.k),
            lru_cache(maxsize=1)(self.support.near),
            lru_cache(maxsize=1)(self._quality_spread),
        )

    def _quality_spread(self, step: int) -> np.ndarray:
        """Standard deviation of each post's quality in log-odds as of a step, shape (n_posts,).

        As in `feedrank.ranking.exploration`, but for the cluster, which one segment of users likes
        more and another less: n impressions of like rate p tell n p (1 - p).
        """
        shared = self.store.states.as_of(step)
        rate = expit(shared.post_logit.astype(np.float64)).mean(axis=0)
        before = 1 / polygamma(1, shared.refit.clusters.quality_strength)
        return np.asarray((before + shared.n_shown * rate * (1 - rate)) ** -0.5)

    @property
    def depth(self) -> int:
        """Length of the lists that shown posts are looked up in."""
        return NEAR * max(self.params.validate.k)
