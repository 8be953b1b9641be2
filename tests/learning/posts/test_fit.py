from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.metrics import normalized_mutual_info_score

from feedrank.learning.posts.factors import text_components
from feedrank.learning.posts.fit import fit_posts
from feedrank.learning.texts.design import text_design
from feedrank.params import FeaturesParams, load_params
from feedrank.state.counts.tally import Tally, tally
from feedrank.state.history import InteractionSample
from tests.support.network.taste_samples import likes

N_USERS, N_POSTS, N_GROUPS, RATE = 1500, 200, 4, 0.2
GROUP = np.arange(N_POSTS) % N_GROUPS
TEXTS = text_design([""] * N_POSTS, np.zeros(N_POSTS, np.int64), 10, np.empty((N_POSTS, 0)))[0]

TEXT = text_components(TEXTS, 1)


def _params(factors: int = 6) -> FeaturesParams:
    return replace(load_params().features, clusters=N_GROUPS, factors=factors)


def _network(taste: float, within: float = 0.0) -> tuple[Tally, InteractionSample]:
    rng = np.random.default_rng(0)
    log_ratio = rng.normal(0, taste, (N_USERS, N_GROUPS))[:, GROUP]
    log_ratio += within * rng.normal(size=(N_USERS, 1)) * rng.normal(size=N_POSTS)
    sample = likes(log_ratio, 150, RATE, seed=1)
    return tally(sample.post, sample.liked, N_POSTS).reshape(1, N_POSTS), sample


def test_groups_that_only_users_tastes_tell_are_found() -> None:
    """One segment, no text: nothing else could tell them."""
    counts, sample = _network(taste=0.7)
    clusters, factors = fit_posts(counts, sample, TEXTS, TEXT, _params())[-1]
    assert normalized_mutual_info_score(GROUP, clusters.cluster) > 0.9
    assert factors.n_factors == 0, "the clusters have told all"
    assert clusters.taste_strength is not None
    assert 1 < clusters.taste_strength < 5  # a Gamma of that shape varies as exp of N(0, 0.7) does
    [(without, _)] = fit_posts(counts, sample, TEXTS, TEXT, _params(factors=0))
    assert normalized_mutual_info_score(GROUP, without.cluster) < 0.1
    assert without.taste_strength is None


def test_factors_are_what_tastes_for_groups_leave() -> None:
    counts, sample = _network(taste=0.7, within=0.6)
    clusters, factors = fit_posts(counts, sample, TEXTS, TEXT, _params())[-1]
    assert factors.n_factors >= 1
    for cluster in range(N_GROUPS):
        mean = factors.post[clusters.cluster == cluster].mean(0)
        np.testing.assert_allclose(mean, 0, atol=0.01)  # units of 1/256


def test_an_refit_before_which_nobody_was_shown_anything_is_learned_all_the_same() -> None:
    none = np.zeros(0, np.int64)
    nothing = Tally(*np.zeros((2, 1, N_POSTS), np.int64))
    [(clusters, factors)] = fit_posts(
        nothing, InteractionSample(none, none, none, none, none, none), TEXTS, TEXT, _params()
    )
    assert np.isfinite(clusters.rate).all()
    assert factors.n_factors == 0


def test_without_tastes_there_is_nothing_of_users() -> None:
    counts, sample = _network(taste=0.0)
    [(clusters, factors)] = fit_posts(counts, sample, TEXTS, TEXT, _params())
    assert factors.n_factors == 0
    assert clusters.taste_strength is None
