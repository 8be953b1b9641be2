"""Tables of posts as of a step: what features read of each post, of all or of some of them."""

from __future__ import annotations

import numpy as np

from feedrank.state.counts.tally import Tally, ordered_sum
from feedrank.state.posts.clusters import post_state
from feedrank.state.rates import WINDOW_STRENGTH, StepRates
from feedrank.stats.shrinkage import as_feature, log_ratio

LEAST_RATE = 1e-5  # rates are clipped this far from 0 and 1, as log-odds need
# Of a cluster; less is 0. A post of thousands of impressions is in other clusters with 1e-40, and
# products of such numbers, which are denormal as float32, take ten times as long.
LEAST_MEMBERSHIP = 1e-30


def post_tables(
    rates: StepRates,
    counts: Tally,
    recent: np.ndarray,
    first_step: np.ndarray,
    posts: np.ndarray | slice,
) -> dict[str, np.ndarray]:
    """Tables of `SharedState` by name, their last axis some posts; equal bits, whichever they are.

    Args:
        rates: as of the step.
        counts: as of the step, shape (n_segments, n_posts).
        recent: impressions and likes by half-life, shape (n_half_lives, 2, n_posts).
        first_step: at which each post was first shown, shape (n_posts,).
        posts: rows of the posts, or a slice of them.
    """
    strengths, state = (
        rates.refit.strengths,
        post_state(rates.refit.clusters, counts, rates.posterior_rate, posts),
    )
    n_shown, first_step = counts.shown.sum(0), first_step[posts]
    own = counts.columns(posts)
    lifetime_rate = ordered_sum(state.rate * own.shown) / np.maximum(n_shown[posts], 1)
    (shown, liked), recent_shown = recent[:, :, posts].swapaxes(0, 1), recent[0, 0]
    expected = shown * lifetime_rate
    age = np.where(first_step < rates.step, rates.step - first_step, 0)
    return {
        "post_logit": _logit(state.rate),
        "cluster_logit": _logit(state.base),
        "segment_post": log_ratio(own.liked, own.shown * state.rate, strengths.segment_post),
        "membership": _membership(state.membership),
        "quality": as_feature(np.log(state.quality)),
        "trend": log_ratio(liked[0], expected[0], strengths.trend),
        "log_age": as_feature(np.log1p(age)),
        "impression_count": _over_average(n_shown, posts),
        "recent_impression_count": _over_average(recent_shown, posts),
        "window_impressions": as_feature(np.log1p(shown[1:])),
        "window_likes": as_feature(np.log1p(liked[1:])),
        "window_trend": log_ratio(liked[1:], expected[1:], WINDOW_STRENGTH),
    }


def _membership(probability: np.ndarray) -> np.ndarray:
    """Float32, shape (n_clusters, n_posts), of probabilities of shape (n_posts, n_clusters)."""
    known = np.where(probability < LEAST_MEMBERSHIP, 0.0, probability)
    return np.ascontiguousarray(known.T, np.float32)


def _logit(rate: np.ndarray) -> np.ndarray:
    rate = np.clip(rate, LEAST_RATE, 1 - LEAST_RATE)
    return as_feature(np.log(rate / (1 - rate)))


def _over_average(shown: np.ndarray, posts: np.ndarray | slice) -> np.ndarray:
    return as_feature(np.log((shown[posts] + 1) / (shown.mean() + 1)))
