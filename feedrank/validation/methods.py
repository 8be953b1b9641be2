"""Methods of a fold: our ranker in two states, and the baselines, by name."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np

from feedrank.features.row_files import StoredRows
from feedrank.features.rows import TrainingRows
from feedrank.features.spec import features_of
from feedrank.io.storage import Location, fetched
from feedrank.log.calendar import Fold
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.params import Params, ValidateParams
from feedrank.state.feature_store import FeatureStore
from feedrank.training.fit import fit_ranker
from feedrank.validation.baselines.als import Als
from feedrank.validation.baselines.baseline import Random
from feedrank.validation.baselines.classic import Classic
from feedrank.validation.baselines.decayed_likes import DecayedLikes, choose_half_life
from feedrank.validation.baselines.ease import Ease, EaseWeights
from feedrank.validation.baselines.lightgbm_peer import OBJECTIVES, LightGbm, PeerRows, fit_lightgbm
from feedrank.validation.baselines.logistic import Logistic, LogisticWeights
from feedrank.validation.baselines.most_liked import MostLiked
from feedrank.validation.baselines.peer_features import PeerFeatures
from feedrank.validation.fold_ranker import FoldRanker
from feedrank.validation.own_baselines import own_baselines
from feedrank.validation.replay.matches import Matches, matches_of
from feedrank.validation.replay.replay import Ranks
from feedrank.validation.replay.requests import Requests

logger = logging.getLogger(__name__)
OURS, FRESH, AGED = "feedrank", "feedrank_fresh", "feedrank_aged"
BY_SEGMENT = "most_liked_by_segment"
BASELINES = ("random", "most_liked", BY_SEGMENT, "decayed_likes", "classic")
MOST_LATE = 7 * SECONDS_A_DAY  # before a cutoff, whose requests choose the half-life
COSTLY = ("logistic", "ease", "als", *OBJECTIVES)
LIBRARIES = {"als": "implicit", **dict.fromkeys(OBJECTIVES, "lightgbm")}  # requirements-extra.txt


def method_names(params: ValidateParams, n_segments: int = 2) -> tuple[str, ...]:
    """Ours first, then ours in the other state, then the baselines that have what they need."""
    other = FRESH if params.state == "aged" else AGED
    return (OURS, other, *(n for n in _wanted(params) if not _lack(n, n_segments)))


def _wanted(params: ValidateParams) -> tuple[str, ...]:
    """Baselines that the parameters name, by the name that reports give them."""
    shipped = (*BASELINES, *COSTLY) if "all" in params.baselines else BASELINES
    return (*shipped, *own_baselines(params.baselines))


def _lack(name: str, n_segments: int) -> str:
    """Reason why a baseline is left out; empty: it is not."""
    if name == BY_SEGMENT and n_segments == 1:
        return "no profile column splits the users, so it would repeat 'most_liked'"
    library = LIBRARIES.get(name)
    if library is not None and importlib.util.find_spec(library) is None:
        return f"'{library}' is not installed: pip install -r requirements-extra.txt"
    return ""


def log_lacks(params: ValidateParams, n_segments: int) -> None:
    """Say which baselines are left out and why."""
    for name in _wanted(params):
        if reason := _lack(name, n_segments):
            logger.info("Baseline '%s' is left out: %s.", name, reason)


@dataclass(frozen=True)
class FoldModels:
    """Models that are fitted before a fold's cutoff.

    Attributes:
        ours: our ranker.
        names: of the methods.
        fitted: what a baseline learned before the cutoff, by name.
    """

    ours: FoldRanker
    names: Sequence[str]
    fitted: Mapping[str, Any]

    @classmethod
    def fit(
        cls, features: Location, rows: TrainingRows | StoredRows, fold: Fold, params: Params
    ) -> FoldModels:
        """All models, from rows before the cutoff."""
        store = FeatureStore.load(fetched(features))
        names = method_names(params.validate, store.fitted.n_segments)
        ranker = fit_ranker(rows, fold.cutoff, features_of(store.fitted), params.train, store)
        fitted = fit_baselines(names, store, rows.between(0, fold.cutoff), fold, params)
        return cls(FoldRanker(features, fold, ranker, params), names, fitted)

    @cached_property
    def methods(self) -> list[Ranks]:
        """The methods in the order of `names`, made once a process.

        Those that count or read features have the state of the headline; trained models have what
        they were fitted on.
        """
        return [self._makers[name](name) for name in self.names]

    @property
    def matched(self) -> list[int]:
        """Rows of the methods for which matches are looked for in other requests.

        No decision rests on ours in the other state; no post is often in a random list.
        """
        left_out = (FRESH, AGED, "random")
        return [row for row, name in enumerate(self.names) if name not in left_out]

    def matches(self, requests: Requests, asked: np.ndarray) -> Matches:
        """Matches of some requests with the `matched` methods, each of which ranks some of them.

        Args:
            requests: of the test period.
            asked: which requests each method ranks, bool, shape (n_matched, n_requests).
        """
        ours, rows = self.ours, np.array(self.matched)
        methods, open_posts = [self.methods[row] for row in rows], ours.headline.open_posts
        near = lru_cache(maxsize=1)(ours.support.near)
        found = matches_of(methods, ours.fresh, open_posts, requests, asked, ours.depth, near)
        return replace(found, method=rows[found.method])

    @cached_property
    def _makers(self) -> Mapping[str, Callable[[str], Ranks]]:
        ours, fitted = self.ours, self.fitted
        store, as_of = ours.store, ours.as_of
        own = own_baselines(ours.params.validate.baselines)
        features = cache(lambda: PeerFeatures(store))  # one for all that read them
        return {
            OURS: lambda _: ours.headline,
            FRESH: lambda _: ours.fresh,
            AGED: lambda _: ours.aged,
            "random": lambda _: Random(ours.params.validate.seed),
            "most_liked": lambda _: MostLiked(store, by_segment=False, as_of=as_of),
            BY_SEGMENT: lambda _: MostLiked(store, by_segment=True, as_of=as_of),
            "decayed_likes": lambda n: DecayedLikes(store, fitted[n], as_of),
            "classic": fitted.__getitem__,
            "logistic": lambda n: Logistic(ours.headline, fitted[n]),
            "ease": lambda n: Ease(store, fitted[n], as_of),
            "als": fitted.__getitem__,
            **dict.fromkeys(OBJECTIVES, lambda n: LightGbm(features(), fitted[n], store, as_of)),
            **dict.fromkeys(own, lambda n: own[n](store, fitted[n], as_of)),
        }


def fit_baselines(
    names: Sequence[str], store: FeatureStore, rows: TrainingRows, fold: Fold, params: Params
) -> dict[str, Any]:
    """What baselines learn before a cutoff, by name.

    Args:
        names: of the methods; others are not fitted.
        store: of the whole log; steps of the cutoff or later are not read.
        rows: our training rows before the cutoff.
        fold: the fold.
        params: of validation and of the ranker, whose number of threads is everyone's.
    """
    seconds, seed = store.fitted.step_seconds, params.validate.seed
    step, late = fold.cutoff // seconds, min(fold.until - fold.cutoff, MOST_LATE)
    found: dict[str, Any] = {
        "decayed_likes": choose_half_life(store, step, -(-late // seconds)),
        "classic": Classic.fit(store, rows, seed),
    }
    own = own_baselines(params.validate.baselines)
    found |= {name: baseline.learned_from(rows) for name, baseline in own.items()}
    if "logistic" in names:
        found["logistic"] = LogisticWeights.fit(rows, seed)
    if "ease" in names:
        found["ease"] = EaseWeights.fit(store, step)
    if "als" in names:
        found["als"] = Als.fit(store, step, seed)
    if trees := [n for n in OBJECTIVES if n in names]:
        requests = PeerRows.of(store, fold.since // seconds, step, seed)
        threads = params.train.threads
        found |= {n: fit_lightgbm(requests, OBJECTIVES[n], threads, seed) for n in trees}
    return found
