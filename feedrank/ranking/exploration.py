"""Exploration: the last places of some lists hold posts that may be better than is known yet.

How many explore, and with which posts, is drawn from a hash of the request, so that an equal
request gets an equal list. Inclusion probabilities are exact: docs/exploration.md.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Sequence
from weakref import WeakKeyDictionary

import numpy as np
from scipy.special import expit, logit, ndtr, polygamma

from feedrank.ranking.recommender import Ranked, Recommender
from feedrank.state.catalogue import NOBODY, plain_ids
from feedrank.state.shared import SharedState

# Of the chance to be drawn, what is even over all posts, so that each has a propensity: of 7,000
# posts, 5 places and a share of .05 it is 4e-6 or more. The rest is by what is unknown.
EVEN_SHARE = 0.1


class Explorer:
    """Lists of a recommender, a share of whose places explores.

    Args:
        recommender: whose lists are the best that is known.
        share: of the places of a list that explore, on average, from 0 (none) to .5.
        version: of the artifact, part of every draw's seed.
    """

    def __init__(self, recommender: Recommender, share: float, version: str) -> None:
        self.share = share
        self._recommender, self._version = recommender, version
        # 0.7 MB a state at the reference size, which takes them along when it is forgotten.
        self._spreads: WeakKeyDictionary[SharedState, np.ndarray] = WeakKeyDictionary()

    def rank_many(
        self,
        users: np.ndarray,
        at: int,
        k: int,
        candidates: np.ndarray | None = None,
        among: np.ndarray | None = None,
    ) -> list[Ranked]:
        """Lists of many users at one moment; those of the recommender where the share is 0.

        Args:
            users: rows, shape (n,).
            at: seconds since the origin.
            k: length of each list.
            candidates: sorted rows of posts for the best places; None: all that the feed has shown.
            among: sorted rows, of which `candidates` are some, for places that explore, whether the
                feed has shown them or not; None: all that are not hidden.
        """
        moments = np.full(len(users), at)
        own = None if candidates is None else [candidates] * len(users)
        if not self.share:
            return self._recommender.rank_many(users, moments, k, own)
        if among is None:
            among = self._recommender.catalogue.open_posts(at)
        lists: list[Ranked] = []
        for block in self._recommender.blocks(len(users)):
            best = None if own is None else own[block]
            lists += self._block(users[block], moments[block], k, best, among)
        return lists

    def _block(
        self,
        users: np.ndarray,
        at: np.ndarray,
        k: int,
        candidates: Sequence[np.ndarray] | None,
        among: np.ndarray,
    ) -> list[Ranked]:
        recommender = self._recommender
        requests = recommender.requests(users, at)
        best = recommender.rank_block(requests, users, k, candidates)
        first_stage = recommender.first_stage
        log_odds = first_stage.log_odds(requests.grid(among), first_stage.parts(requests))
        spread = self._spread(requests.shared)[requests.users.segment]
        chosen, lists = [], []
        for row, (user, moment) in enumerate(zip(users.tolist(), at.tolist())):
            posts = recommender.open_posts(user, moment, among)
            score = log_odds[row, np.searchsorted(among, posts)]
            weight = chances_to_be_better(score, spread[row, posts], len(best[row].post))
            draws = self._draws(user, moment, k)
            kept, drawn, propensity = explored(best[row].post, posts, weight, self.share, draws)
            chosen.append(drawn)
            lists.append((kept, propensity))
        scores = recommender.scores(requests, chosen, None) if any(map(len, chosen)) else chosen
        return [
            _joined(ranked, kept, drawn, probability, propensity)
            for ranked, (kept, propensity), drawn, probability in zip(best, lists, chosen, scores)
        ]

    def _spread(self, shared: SharedState) -> np.ndarray:
        table = self._spreads.get(shared)
        if table is None:
            table = self._spreads[shared] = unknown_spread(shared)
        return table

    def _draws(self, user: int, at: int, k: int) -> tuple[float, float]:
        """Two independent uniform numbers of a request, in [0, 1)."""
        ids = self._recommender.catalogue.user_ids
        user_id = "" if user == NOBODY else plain_ids(ids[user : user + 1])[0]
        digest = sha256(f"{self._version}:{user_id}:{at}:{k}".encode()).digest()
        number, post = (int.from_bytes(digest[i : i + 8], "big") >> 11 for i in (0, 8))
        return number * 2.0**-53, post * 2.0**-53


def unknown_spread(shared: SharedState) -> np.ndarray:
    """Standard deviation of each post's log-odds in each segment given what is known.

    Two things are unknown of a post (`feedrank.state.posts.clusters`): its cluster, whose rates a
    segment likes more or less, weighed by the probability of each; and its quality, whose logarithm
    has the variance trigamma(quality_strength) before the first impression. n impressions of like
    rate p add the information n p (1 - p).

    Returns:
        float64, shape (n_segments, n_posts).
    """
    of_cluster, member = logit(shared.cluster_rate), shared.membership.astype(np.float64)
    by_cluster = np.square(of_cluster) @ member - np.square(of_cluster @ member)
    rate = expit(shared.post_logit.astype(np.float64))
    information = 1 / polygamma(1, shared.refit.clusters.quality_strength)
    information = information + shared.n_shown * rate * (1 - rate)
    return np.asarray(np.sqrt(np.maximum(by_cluster, 0) + 1 / information))


def chances_to_be_better(score: np.ndarray, spread: np.ndarray, n_best: int) -> np.ndarray:
    """Probability that each post is better than the list's last one.

    Args:
        score: log-odds of posts, shape (n,).
        spread: their standard deviation, same shape.
        n_best: the list's last post has the last of so many best scores.
    """
    if not 0 < n_best <= len(score):
        return np.zeros(len(score))
    threshold = -np.partition(-score, n_best - 1)[n_best - 1]
    return np.asarray(ndtr((score - threshold) / spread))


def explored(
    best: np.ndarray,
    posts: np.ndarray,
    weight: np.ndarray,
    share: float,
    draws: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Posts that are kept, posts that are drawn, and the probability that each is in the list.

    Args:
        best: rows of the list's posts, best first.
        posts: sorted rows of all that may be listed, those of the list among them.
        weight: of each, not negative.
        share: of the list's places that explore, on average.
        draws: uniform numbers in [0, 1): of how many places explore, and of their posts.

    Returns:
        Rows of posts twice, and the propensity of each kept and each drawn post, float64.
    """
    if len(posts) == len(best):
        return best, best[:0], np.ones(len(best))
    fewest, fraction = divmod(len(best) * share, 1)
    n_drawn, place = int(fewest) + (draws[0] < fraction), np.searchsorted(posts, best)
    propensity, drawn = np.zeros(len(posts)), place[:0]
    for n, probability in ((int(fewest), 1 - fraction), (int(fewest) + 1, fraction)):
        kept = place[: len(place) - n]
        propensity[kept] += probability
        if n and probability:
            is_open = np.ones(len(posts), dtype=bool)
            is_open[kept] = False
            rest = np.flatnonzero(is_open)
            chance = inclusion(_mixed(weight[rest]), n)
            propensity[rest] += probability * chance
            drawn = rest[systematic(chance, draws[1])] if n == n_drawn else drawn
    kept = place[: len(place) - n_drawn]
    return posts[kept], posts[drawn], propensity[np.concatenate([kept, drawn])]


def _mixed(weight: np.ndarray) -> np.ndarray:
    """Weights of which `EVEN_SHARE` is even."""
    total = weight.sum()
    own = weight / total if total else np.full(len(weight), 1 / len(weight))
    return np.asarray((1 - EVEN_SHARE) * own + EVEN_SHARE / len(weight))


def inclusion(weight: np.ndarray, n: int) -> np.ndarray:
    """Probability of each unit to be among `n` drawn in proportion to its weight, capped at 1.

    >>> inclusion(np.array([8.0, 1.0, 1.0, 2.0]), 2)
    array([1.  , 0.25, 0.25, 0.5 ])
    """
    is_sure = np.full(len(weight), len(weight) <= n)
    while not is_sure.all():
        free = np.where(is_sure, 0.0, weight)
        chance = (n - is_sure.sum()) * free / free.sum()
        if not (chance >= 1).any():
            return np.where(is_sure, 1.0, chance)
        is_sure |= chance >= 1
    return is_sure.astype(np.float64)


def systematic(chance: np.ndarray, draw: float) -> np.ndarray:
    """Sorted rows of a systematic sample with these inclusion probabilities (Madow 1949).

    Args:
        chance: of each unit, in [0, 1], with a whole sum, which is the sample's size.
        draw: a uniform number in [0, 1).

    >>> systematic(np.array([0.5, 0.5, 1.0, 0.5, 0.5]), draw=0.7)
    array([1, 2, 4])
    """
    is_sure = chance >= 1
    free = np.flatnonzero(~is_sure)
    n = int(np.rint(chance[free].sum()))
    ends = np.cumsum(chance[free])
    drawn = np.searchsorted(ends, draw + np.arange(n), side="right")
    found = free[np.minimum(drawn, len(free) - 1)] if n else free[:0]
    return np.sort(np.concatenate([np.flatnonzero(is_sure), found]))


def _joined(
    ranked: Ranked,
    kept: np.ndarray,
    drawn: np.ndarray,
    probability: np.ndarray,
    propensity: np.ndarray,
) -> Ranked:
    """The list of its kept places, and of the drawn posts, the likeliest first."""
    order = np.argsort(-probability, kind="stable")
    n_kept = len(kept)
    return replace(
        ranked,
        post=np.concatenate([kept, drawn[order]]),
        probability=np.concatenate([ranked.probability[:n_kept], probability[order]]),
        propensity=np.concatenate([propensity[:n_kept], propensity[n_kept:][order]]),
        n_explored=len(drawn),
    )
