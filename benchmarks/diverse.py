"""Lists of posts that are not only the most likely ones: capped, of one group, diversified.

The functions take candidates in order of probability and give the places of those they list.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, polygamma

from feedrank.knowledge import Knowledge

USER_NODES, USER_WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
GROUP_NODES, GROUP_WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
USER_WEIGHTS = USER_WEIGHTS / USER_WEIGHTS.sum()
GROUP_WEIGHTS = GROUP_WEIGHTS / GROUP_WEIGHTS.sum()


def capped(group: np.ndarray, k: int, most: int) -> np.ndarray:
    """The best `k` with at most `most` of one group; without enough groups, the next best."""
    allowed = np.flatnonzero(_place_within(group) < most)[:k]
    others = np.setdiff1d(np.arange(len(group)), allowed)[: k - len(allowed)]
    return np.concatenate([allowed, others])


def of_one_group(group: np.ndarray, k: int) -> np.ndarray:
    """The best `k` of the best post's group, then the next best of others."""
    return np.argsort(group != group[0], kind="stable")[:k]


def diversified(
    probability: np.ndarray, group: np.ndarray, k: int, of_user: float, of_group: np.ndarray
) -> np.ndarray:
    """Greedily the next post that makes a like most likely: the least E prod (1 - p).

    The expectation is over two normal shifts of the log-odds, of all posts and of those of each
    group; log-odds are stretched so that every p keeps its mean (MacKay's approximation).

    Args:
        probability: of each candidate, descending, shape (n,).
        group: of each candidate, shape (n,).
        k: length of the list.
        of_user: variance of the user's own level.
        of_group: variance of the user's taste for each group, shape (n_groups,).
    """
    asked = np.flatnonzero(_place_within(group) < k)  # of one group the best come first
    variance = of_group[group[asked]]
    stretched = logit(np.clip(probability[asked], 1e-6, 1 - 1e-6)) * np.sqrt(
        1 + np.pi * (of_user + variance) / 8
    )
    shift = np.sqrt(of_user) * USER_NODES[None, :, None]
    shift = shift + np.sqrt(variance)[:, None, None] * GROUP_NODES
    missed = expit(-(stretched[:, None, None] + shift))  # (n_asked, user nodes, group nodes)
    so_far = np.ones((len(of_group), len(USER_NODES), len(GROUP_NODES)))
    chosen: list[int] = []
    for _ in range(min(k, len(asked))):
        of_groups = so_far @ GROUP_WEIGHTS
        with_post = (so_far[group[asked]] * missed) @ GROUP_WEIGHTS
        others = np.prod(of_groups, axis=0) / of_groups[group[asked]]
        no_like = (with_post * others) @ USER_WEIGHTS
        no_like[chosen] = np.inf
        best = int(np.argmin(no_like))
        chosen.append(best)
        so_far[group[asked[best]]] *= missed[best]
    return asked[chosen]


def taste_variance(knowledge: Knowledge, user: int, step: int) -> tuple[float, np.ndarray]:
    """Posterior variance of the log of a user's like ratio: overall, and within each group.

    A ratio with a gamma posterior of `likes + strength` has the trigamma of it as the variance of
    its logarithm.
    """
    era = knowledge.encodings.era(step)
    post, _, liked = knowledge.history.before(user, step)
    likes = np.bincount(
        era.groups.cluster[post[liked.astype(bool)]], minlength=knowledge.encodings.n_groups
    )
    strengths = era.strengths
    of_user = float(polygamma(1, likes.sum() + strengths.user))
    return of_user, np.asarray(polygamma(1, likes + strengths.user_cluster))


def _place_within(group: np.ndarray) -> np.ndarray:
    """How many of a post's group stand before it, shape (n,)."""
    order = np.argsort(group, kind="stable")
    _, first, n = np.unique(group[order], return_index=True, return_counts=True)
    place = np.empty(len(group), np.int64)
    place[order] = np.arange(len(group)) - np.repeat(first, n)
    return place
