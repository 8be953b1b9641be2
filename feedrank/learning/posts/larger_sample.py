"""Larger sample: refits that found tastes are fitted again, where the log has more impressions.

What tells a taste apart from chance is the number of impressions: twice as many find a good part of
the clusters that the first sample leaves unclear. A log without tastes has nothing to find, and is
not looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.sparse import csr_matrix

from feedrank.engines.engine import map_parts
from feedrank.learning.posts.fit import FittedPosts, fit_posts
from feedrank.params import FeaturesParams
from feedrank.state.counts.tally import Tally
from feedrank.state.history import History, InteractionSample

# Impressions and users at most: bounds memory and time; a twentieth of full size is used whole.
FIRST, MOST_USERS = 3_000_000, 100_000
# Of the larger sample: four times as many would take 3.7 GB, and add a fourth of what twice as many
# do (docs/ranking-results.md).
LARGER = 6_000_000
WORTHWHILE = 1.25  # times as many impressions before a refit as its first sample has


def sample_of(
    history: History, segment: np.ndarray, step: int, is_larger: bool = False
) -> InteractionSample:
    """Impressions of users spread evenly, before a step.

    Args:
        history: of all users.
        segment: of each user.
        step: the step.
        is_larger: whether about `LARGER` are wanted at most, not `FIRST`.
    """
    users = history.spread_users(step, LARGER if is_larger else FIRST, MOST_USERS)
    return InteractionSample.of(history, users, segment[users], step)


def fitted_again(
    posts: Sequence[FittedPosts],
    n_first: Sequence[int],
    firsts: Sequence[int],
    before: Sequence[Tally],
    history: History,
    segments: Sequence[np.ndarray],
    design: tuple[csr_matrix, np.ndarray],
    params: FeaturesParams,
) -> list[FittedPosts]:
    """Clusters and factors of all refits, those with tastes from the larger sample.

    Args:
        posts: of each refit, from its first sample.
        n_first: impressions of each of these samples.
        firsts: first step of each refit.
        before: impressions and likes before each, shape (n_segments, n_posts).
        history: of all users.
        segments: of each user, of each refit.
        design: of the posts' texts, and its components.
        params: of the features.
    """
    found = list(posts)
    if not any(map(_has_tastes, posts)) or before[-1].shown.sum() < WORTHWHILE * n_first[-1]:
        return found
    sample = sample_of(history, segments[-1], firsts[-1], is_larger=True)
    n_larger = [int((sample.step < first).sum()) for first in firsts]
    sizes = enumerate(zip(n_first, n_larger, strict=True))
    again = [n for n, (less, more) in sizes if _has_tastes(posts[n]) and more > WORTHWHILE * less]
    job = partial(_fit_again, again, posts, firsts, before, sample, segments, design, params)
    refits = map_parts(job, len(again), "finding tastes in more impressions") if again else ()
    for number, refit in zip(again, refits, strict=True):
        found[number] = refit
    return found


def _has_tastes(posts: FittedPosts) -> bool:
    clusters, factors = posts
    return clusters.taste_strength is not None or factors.n_factors > 0


def _fit_again(
    again: Sequence[int],
    posts: Sequence[FittedPosts],
    firsts: Sequence[int],
    before: Sequence[Tally],
    sample: InteractionSample,
    segments: Sequence[np.ndarray],
    design: tuple[csr_matrix, np.ndarray],
    params: FeaturesParams,
    number: int,
) -> FittedPosts:
    """A refit of the kind that it was: tastes in clusters, or in factors."""
    refit = again[number]
    some = replace(sample, segment=segments[refit][sample.users])[sample.step < firsts[refit]]
    kinds = fit_posts(before[refit], some, *design, params)
    are_in_clusters = posts[refit][0].taste_strength is not None
    return kinds[are_in_clusters and len(kinds) > 1]
