from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feedrank.learning.posts.choice import choose_kind, late_loss
from feedrank.learning.posts.fit import FittedPosts
from feedrank.state.counts.tally import Tally, tally
from feedrank.state.history import InteractionSample
from feedrank.state.posts.clusters import PostClusters
from feedrank.state.posts.factors import Factors
from tests.support.network.taste_samples import likes

N_USERS, N_POSTS, N_CLUSTERS, RATE, FIRST = 400, 60, 3, 0.2, 5
CLUSTER = np.arange(N_POSTS) % N_CLUSTERS
POST = np.random.default_rng(1).normal(0, 0.6, (N_POSTS, 1))


def _kinds() -> tuple[FittedPosts, FittedPosts]:
    """The true factors with clusters that say nothing, and the true clusters of tastes."""
    flat, sure = np.zeros((N_POSTS, N_CLUSTERS)), 20 * np.eye(N_CLUSTERS)[CLUSTER]
    rate = np.full((1, N_CLUSTERS), RATE)
    of_posts = np.full((1, N_POSTS), RATE)
    factors, none = Factors.of(POST, of_posts), Factors.of(np.empty((N_POSTS, 0)), of_posts)
    log = [gate - np.log(np.exp(gate).sum(1, keepdims=True)) for gate in (flat, sure)]
    return (
        (PostClusters(log[0], rate, 50.0, CLUSTER), factors),
        (PostClusters(log[1], rate, 50.0, CLUSTER, 4.0), none),
    )


def _sample(in_clusters: bool) -> tuple[Tally, InteractionSample]:
    rng = np.random.default_rng(2)
    log_ratio = rng.normal(0, 0.6, (N_USERS, N_CLUSTERS))[:, CLUSTER]
    if not in_clusters:
        log_ratio = rng.normal(size=(N_USERS, 1)) * POST.T
    sample = likes(log_ratio, 100, RATE, seed=3)
    sample = replace(sample, step=rng.integers(0, 2 * FIRST, len(sample)))
    early = sample[sample.step < FIRST]
    return tally(early.post, early.liked, N_POSTS).reshape(1, N_POSTS), sample


@pytest.mark.parametrize("in_clusters", [True, False])
def test_the_kind_that_later_likes_follow_is_chosen(in_clusters: bool) -> None:
    kinds = list(_kinds())
    assert choose_kind(kinds, kinds, *_judge(in_clusters)) is kinds[in_clusters]


def test_without_two_kinds_of_a_trial_clusters_of_tastes_are_chosen() -> None:
    kinds, judge = list(_kinds()), _judge(in_clusters=False)
    assert choose_kind(kinds, kinds[:1], *judge) is kinds[1]
    assert choose_kind(kinds[:1], kinds, *judge) is kinds[0]


def test_factors_that_lead_by_little_are_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds, judge = list(_kinds()), _judge(in_clusters=False)
    monkeypatch.setattr("feedrank.learning.posts.choice.LEAST_LEAD", 1.0)
    assert choose_kind(kinds, kinds, *judge) is kinds[1]


def test_later_likes_that_follow_no_taste_are_explained_no_better_than_by_their_mean() -> None:
    """Else a late like would be known to the score that is judged by it."""
    counts, sample = _sample(in_clusters=True)
    late = sample.step >= FIRST
    drawn = np.random.default_rng(4).random(len(sample)) < RATE
    sample = replace(sample, liked=np.where(late, drawn, sample.liked))
    mean = drawn[late].mean()
    entropy = -mean * np.log(mean) - (1 - mean) * np.log1p(-mean)
    for kind in _kinds():
        assert late_loss(kind, counts, FIRST, sample) > entropy - 3 / late.sum()


def _judge(in_clusters: bool) -> tuple[Tally, int, InteractionSample]:
    counts, sample = _sample(in_clusters)
    return counts, FIRST, sample
