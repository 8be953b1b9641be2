"""Choice at a refit between tastes in latent factors and in clusters, by later impressions."""

from __future__ import annotations

import numpy as np
from scipy.special import logit

from feedrank.learning.posts.fit import FittedPosts
from feedrank.learning.posts.sample import user_post_matrix, user_ratios
from feedrank.state.counts.tally import Tally
from feedrank.state.history import InteractionSample
from feedrank.state.posts.clusters import PostClusters, post_state
from feedrank.state.posts.factors import Factors, UserEvidence
from feedrank.stats.logistic import fit_logistic
from feedrank.stats.shrinkage import HIGHEST_RATE, PRIOR_LOG_STRENGTH, ratio

LOWEST_RATE = 1e-6  # above 0, as log-odds need; a post's like rate is some percent
# Nats an impression by which factors must be ahead. Where a log is just long enough for clusters of
# tastes to be found, factors lead by .0001 and are behind at the next refit; where tastes lie in
# factors (*films*), they lead by .005: docs/ranking-results.md.
LEAST_LEAD = 1e-3
CALIBRATION_PRECISION = 1e-6  # as good as no prior


def choose_kind(
    kinds: list[FittedPosts],
    trial: list[FittedPosts],
    counts: Tally,
    since: int,
    sample: InteractionSample,
) -> FittedPosts:
    """Clusters of tastes, unless factors of a trial explain later likes better.

    Args:
        kinds: of a refit, by `fit_posts`.
        trial: of its earlier steps alone.
        counts: of these steps, shape (n_segments, n_posts).
        since: the first step after them.
        sample: impressions of some users before the refit.
    """
    if min(len(kinds), len(trial)) == 1:
        return kinds[-1]
    of_factors, of_clusters = (late_loss(kind, counts, since, sample) for kind in trial)
    return kinds[int(of_factors > of_clusters - LEAST_LEAD)]


def late_loss(fitted: FittedPosts, counts: Tally, since: int, sample: InteractionSample) -> float:
    """Mean log loss of the impressions from a step on, level and slope calibrated on them.

    Args:
        fitted: clusters and factors of the steps before.
        counts: of these, shape (n_segments, n_posts).
        since: the step; users are known by their earlier impressions.
        sample: impressions of some users.
    """
    clusters, factors = fitted
    state = post_state(clusters, counts)
    rate = np.clip(state.rate, LOWEST_RATE, HIGHEST_RATE)
    early, late = sample[sample.step < since], sample[sample.step >= since]
    own = user_ratios(early, rate)
    score = logit(rate[late.segment[late.user], late.post]) + np.log(own)[late.user]
    of_user = np.hstack([_tastes(clusters, early, rate, own), _factors(factors, early)])
    of_post = np.hstack([state.membership, factors.post])
    for user, post in zip(of_user.T, of_post.T, strict=True):
        score += user[late.user] * post[late.post]
    return _calibrated_loss(score, late.liked)


def _tastes(
    clusters: PostClusters, sample: InteractionSample, rate: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """Each user's log ratios by cluster, 0 if no tastes told clusters, (n_users, n_clusters)."""
    n_posts, n_clusters = clusters.log_gate.shape
    if clusters.taste_strength is None:
        return np.zeros((sample.n_users, n_clusters))
    expected = rate[sample.segment[sample.user], sample.post] * own[sample.user]
    member = np.eye(n_clusters, dtype=np.float32)[clusters.cluster]
    liked, total = (user_post_matrix(sample, x, n_posts) @ member for x in (sample.liked, expected))
    return np.log(ratio(liked, total, clusters.taste_strength))


def _factors(factors: Factors, sample: InteractionSample) -> np.ndarray:
    """Each user's latent factors, shape (n_users, n_factors)."""
    evidence = UserEvidence(factors, sample.segment)
    evidence.update(sample.user, sample.post, sample.liked)
    return evidence.factors_of(np.arange(sample.n_users), float(np.exp(PRIOR_LOG_STRENGTH)))


def _calibrated_loss(score: np.ndarray, liked: np.ndarray) -> float:
    if not len(score):
        return 0.0
    design = np.stack([score, np.ones(len(score))], axis=1)
    precision = np.full(2, CALIBRATION_PRECISION)
    log_odds = design @ fit_logistic(design, liked, np.array([1.0, 0.0]), precision).weights
    return float(np.mean(np.logaddexp(0, log_odds) - liked * log_odds))
