"""Requests become lists, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from feedrank.ranking.recommender import Ranked, Recommender
from feedrank.stats.hits import hits_at_each_k
from feedrank.validation.replay.requests import Requests


class Ranks(Protocol):
    """A method that is judged: the recommender, a baseline, or a limit."""

    def rank(self, user: int, at: int, k: int, candidates: np.ndarray | None = None) -> Ranked:
        """The best posts of the candidates, or of the whole catalogue."""


@dataclass(frozen=True)
class ReplayResult:
    """What the methods recommended for some requests, and what is known of it.

    Attributes:
        user: row, shape (n_requests,).
        at: seconds since the log's origin, shape (n_requests,).
        top: lists out of the open posts, best first, -1 where too short, int32,
            shape (n_methods, n_requests, k).
        of_shown: lists out of the open posts among those shown, same shape.
        hit_shown: whether `of_shown` holds a liked post, by length of list, float64, NaN where no
            more open posts were shown than the list is long, shape (n_methods, n_requests, k).
        hit_catalogue: whether `top` holds a post that was shown and liked, same shape.
        top_cluster: cluster of the posts of `top`, -1 where too short, int32, same shape.
        probability: our own of the posts of `top`, same shape.
        rank: place of every shown post in each method's longer list, -1 if beyond it, int32,
            shape (n_methods, n_shown).
        shown_post: every shown post, shape (n_shown,).
        shown_cluster: cluster of the post, int32, shape (n_shown,).
        shown_exposure: how often the feed shows it to the segment, 1 for an average post, shape
            (n_shown,).
        shown_probability: our own of every shown post, shape (n_shown,).
        shown_liked: bool, shape (n_shown,).
        shown_request: row of the request, shape (n_shown,).
    """

    user: np.ndarray
    at: np.ndarray
    top: np.ndarray
    top_cluster: np.ndarray
    of_shown: np.ndarray
    hit_shown: np.ndarray
    hit_catalogue: np.ndarray
    probability: np.ndarray
    rank: np.ndarray
    shown_post: np.ndarray
    shown_cluster: np.ndarray
    shown_exposure: np.ndarray
    shown_probability: np.ndarray
    shown_liked: np.ndarray
    shown_request: np.ndarray

    def of_requests(self, kept: np.ndarray) -> ReplayResult:
        """Some of the requests: a mask, shape (n_requests,)."""
        of_shown = kept[self.shown_request]
        place = np.cumsum(kept) - 1
        some = {
            name: np.compress(
                of_shown if name in _BY_SHOWN else kept, getattr(self, name), axis=axis
            )
            for name, axis in _REQUEST_AXIS.items()
        }
        return ReplayResult(**some, shown_request=place[self.shown_request[of_shown]])

    @classmethod
    def joined(cls, parts: Sequence[ReplayResult]) -> ReplayResult:
        """Requests of several workers, one after another."""
        sizes = np.cumsum([0, *(len(p.user) for p in parts)])
        joined = {
            name: np.concatenate([getattr(p, name) for p in parts], axis=axis)
            for name, axis in _REQUEST_AXIS.items()
        }
        requests = [p.shown_request + size for p, size in zip(parts, sizes, strict=False)]
        return cls(**joined, shown_request=np.concatenate(requests))


_REQUEST_AXIS = {
    "user": 0, "at": 0, "top": 1, "top_cluster": 1, "of_shown": 1, "hit_shown": 1,
    "hit_catalogue": 1,
    "probability": 1, "rank": 1, "shown_post": 0, "shown_cluster": 0, "shown_exposure": 0,
    "shown_probability": 0, "shown_liked": 0,
}  # fmt: skip

_BY_SHOWN = (
    "rank",
    "shown_post",
    "shown_cluster",
    "shown_exposure",
    "shown_probability",
    "shown_liked",
)


def replay_requests(
    methods: Sequence[Ranks],
    ours: Recommender,
    open_posts: Callable[[int, int], np.ndarray],
    requests: Requests,
    depth: int,
    k: int,
    cluster: np.ndarray,
) -> ReplayResult:
    """Ask every method for its lists.

    Args:
        methods: judged on the same requests.
        ours: whose probabilities are used for every method's posts.
        open_posts: what a user may be shown at a moment, sorted: all methods choose from it.
        requests: of the test period.
        depth: how far down a method's list shown posts are looked for.
        k: longest list judged.
        cluster: of each post, as it was known at the cutoff, shape (n_posts,).
    """
    shape = (len(methods), len(requests), k)
    top, of_shown = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
    hit_shown, hit_catalogue = np.full(shape, np.nan), np.zeros(shape)
    probability = np.zeros(shape)
    rank = np.full((len(methods), len(requests.post)), -1, np.int32)
    shown_probability = np.zeros(len(requests.post))
    for i, (user, at) in enumerate(zip(requests.user.tolist(), requests.at.tolist(), strict=True)):
        shown, liked = requests.shown(i)
        rows = slice(requests.offsets[i], requests.offsets[i + 1])
        candidates = open_posts(user, at)
        open_shown = shown[np.isin(shown, candidates)]
        for m, method in enumerate(methods):
            longer = method.rank(user, at, depth, candidates).post
            among = method.rank(user, at, k, open_shown).post
            top[m, i, : len(longer[:k])] = longer[:k]
            of_shown[m, i, : len(among)] = among
            rank[m, rows] = _places(longer, shown)
            hit_shown[m, i] = _hits(among, shown, liked, k)
            hit_catalogue[m, i] = _hits(longer[:k], shown, liked, k)
        hit_shown[:, i, max(len(open_shown) - 1, 0) :] = np.nan
        asked, back = np.unique(np.concatenate([shown, top[:, i].ravel()]), return_inverse=True)
        known = asked >= 0
        p = np.zeros(len(asked))
        p[known] = ours.score(user, at, asked[known])
        shown_probability[rows] = p[back[: len(shown)]]
        probability[:, i] = p[back[len(shown) :]].reshape(len(methods), k)
    cluster = cluster.astype(np.int32)
    top_cluster = np.where(top >= 0, cluster[top], np.int32(-1))
    return ReplayResult(
        requests.user, requests.at, top, top_cluster, of_shown, hit_shown, hit_catalogue,
        probability, rank, requests.post, cluster[requests.post], requests.exposure,
        shown_probability, requests.liked,
        np.repeat(np.arange(len(requests)), np.diff(requests.offsets)),
    )  # fmt: skip


def _places(ranked: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Place of each shown post in a list, -1 if absent; `shown` is sorted."""
    if not len(ranked):
        return np.full(len(shown), -1)
    order = np.argsort(ranked, kind="stable")
    at = np.minimum(np.searchsorted(ranked[order], shown), len(ranked) - 1)
    return np.where(ranked[order][at] == shown, order[at], -1)


def _hits(ranked: np.ndarray, shown: np.ndarray, liked: np.ndarray, k: int) -> np.ndarray:
    """Whether the first 1, 2, ... k posts of a list hold a liked one, shape (k,)."""
    is_liked = np.zeros(k, bool)
    is_liked[: len(ranked)] = np.isin(ranked, shown[liked])
    return hits_at_each_k(is_liked)
