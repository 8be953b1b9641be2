"""What is learned of posts at the begin of an era: their groups, and factors beyond these."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from feedrank.counts import Tally
from feedrank.factoring import fit_factors
from feedrank.factors import Factors
from feedrank.grouping import fit_groups
from feedrank.params import FeaturesParams
from feedrank.posts import PostGroups, dispersion_of, post_state
from feedrank.priors import HIGHEST_RATE
from feedrank.seen import Seen
from feedrank.tastes import Tastes, taste_ratios


def fit_posts(
    counts: Tally, seen: Seen, texts: csr_matrix, params: FeaturesParams
) -> tuple[PostGroups, Factors]:
    """Groups and factors of posts from everything before an era.

    Where people of one segment differ in what they like, by more than chance, the groups are found
    once more with that for evidence, and the factors in what they leave.

    Args:
        counts: impressions and likes, shape (n_segments, n_posts).
        seen: impressions of some users.
        texts: what each post's text and topic say, shape (n_posts, d).
        params: of the features.
    """
    groups = fit_groups(counts, texts, params.clusters, params.seed)
    rate = post_state(groups, counts).rate
    expected = seen.expected(rate)
    positions = fit_factors(seen, expected, texts, params.factors, params.seed)
    if positions.shape[1]:
        tastes = Tastes(seen, rate, positions, dispersion_of(counts))
        groups = fit_groups(counts, texts, params.clusters, params.seed, tastes)
        rate = post_state(groups, counts).rate
        expected = seen.expected(rate)
        expected *= taste_ratios(seen, expected, groups.cluster, tastes.strength)
        expected = np.minimum(expected, HIGHEST_RATE)
        positions = fit_factors(seen, expected, texts, params.factors, params.seed)
        positions = _within(positions, groups.cluster)
    return groups, Factors.of(positions, rate)


def _within(positions: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Positions against the mean of their group: tastes for groups are known apart."""
    member = np.eye(int(group.max()) + 1)[group]
    mean = member.T @ positions / np.maximum(member.sum(0), 1)[:, None]
    return np.asarray(positions - mean[group])
