"""Replay: every method answers the logged requests, beside what the feed showed in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from feedrank.ranking.recommender import Ranked, Recommender
from feedrank.stats.hits import hits_at_each_k
from feedrank.validation.replay.requests import Requests, are_liked
from feedrank.validation.replay.support import presence

# Requests of a step that are answered together: as many as make so many pairs with a post, within
# bounds. 128 take a tenth less time than 32, a fifth less where each method ranks a third of them.
PAIRS_AT_ONCE, FEWEST_AT_ONCE, MOST_AT_ONCE = 1 << 20, 16, 128


class Ranks(Protocol):
    """A method that answers requests: the recommender or a baseline."""

    def rank_many(
        self, users: np.ndarray, at: np.ndarray, k: int, candidates: Sequence[np.ndarray]
    ) -> list[Ranked]:
        """The best posts of the candidates of each request; all requests are of one step."""


class OpenPosts(Protocol):
    """The rule of what a user may be shown, as `Recommender.open_posts`."""

    def __call__(self, user: int, at: int, candidates: np.ndarray | None = None) -> np.ndarray:
        """Rows of the posts: of the candidates, or of all that are not hidden."""


@dataclass(frozen=True)
class ReplayResult:
    """Lists of all methods for some requests, and what came of them.

    The axis of requests, or of shown posts in `shown_...`, is the only one or the second one.

    Attributes:
        user: row, shape (n_requests,).
        at: seconds since the log's origin, shape (n_requests,).
        top: lists out of the open posts, best first, -1 where too short, int32,
            shape (n_methods, n_requests, k).
        top_probability: our own of the posts of `top`, 0 where too short, same shape.
        top_supported: whether the feed showed the post of `top` near the request, bool, same shape.
        top_presence: of the post of `top` near the request, see `support.presence`, same shape.
        top_spread: standard deviation of the post's quality given what is known, same shape.
        of_shown: lists out of the open posts among those shown, int32, same shape.
        hit_shown: whether `of_shown` holds a liked post, by length of list, float64, NaN where no
            more open posts were shown than the list is long, same shape.
        hit_catalogue: whether `top` holds a post that was shown and liked, same shape.
        shown_rank: place of every shown post in each method's longer list, -1 if beyond it, int32,
            shape (n_methods, n_shown).
        shown_post: every shown post, shape (n_shown,).
        shown_propensity: of the post, as in `Requests`, shape (n_shown,).
        shown_presence: of the post near the request, its own left out, shape (n_shown,).
        shown_probability: our own of every shown post, shape (n_shown,).
        shown_liked: bool, shape (n_shown,).
        shown_request: row of the request, shape (n_shown,).
    """

    user: np.ndarray
    at: np.ndarray
    top: np.ndarray
    top_probability: np.ndarray
    top_supported: np.ndarray
    top_presence: np.ndarray
    top_spread: np.ndarray
    of_shown: np.ndarray
    hit_shown: np.ndarray
    hit_catalogue: np.ndarray
    shown_rank: np.ndarray
    shown_post: np.ndarray
    shown_propensity: np.ndarray
    shown_presence: np.ndarray
    shown_probability: np.ndarray
    shown_liked: np.ndarray
    shown_request: np.ndarray

    def of_requests(self, kept: np.ndarray) -> ReplayResult:
        """Some of the requests: a mask, shape (n_requests,)."""
        of_shown = kept[self.shown_request]
        some = {
            name: column.compress(of_shown if name.startswith("shown_") else kept, _axis(column))
            for name, column in vars(self).items()
        }
        place = np.cumsum(kept) - 1
        return ReplayResult(**some | {"shown_request": place[some["shown_request"]]})

    @classmethod
    def joined(cls, parts: Sequence[ReplayResult]) -> ReplayResult:
        """Requests of several parts, one after another."""
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts], _axis(column))
            for name, column in vars(parts[0]).items()
        }
        firsts = np.cumsum([0, *(len(part.user) for part in parts[:-1])])
        of_shown = np.repeat(firsts, [len(part.shown_request) for part in parts])
        return cls(**columns | {"shown_request": columns["shown_request"] + of_shown})


def _axis(column: np.ndarray) -> int:
    return min(1, column.ndim - 1)


def replay_requests(
    methods: Sequence[Ranks],
    ours: Recommender,
    open_posts: OpenPosts,
    requests: Requests,
    depth: int,
    k: int,
    shown_near: Callable[[int], np.ndarray],
    quality_spread: Callable[[int], np.ndarray],
) -> ReplayResult:
    """Lists of every method for every request.

    Args:
        methods: that answer the same requests.
        ours: whose probabilities are used for every method's posts.
        open_posts: what a user may be shown at a moment, sorted: all methods choose from it, or
            from those of the shown posts.
        requests: of the test period.
        depth: length of the longer list that shown posts are looked up in.
        k: longest list that is scored.
        shown_near: impressions of each post near a step, of anybody, shape (n_posts,).
        quality_spread: standard deviation of each post's quality in log-odds, given what is known
            as of a step, shape (n_posts,).
    """
    shape = (len(methods), len(requests), k)
    top, of_shown = np.full((2, *shape), -1, np.int32)
    top_probability, top_presence, top_spread = np.zeros((3, *shape))
    supported = np.zeros(shape, bool)
    rank = np.full((len(methods), len(requests.post)), -1, np.int32)
    shown_probability, shown_presence = np.zeros((2, len(requests.post)))
    n_open = np.zeros(len(requests), np.int64)
    for rows in blocks(ours, requests.at):
        users, at = requests.user[rows], requests.at[rows]
        shown = [requests.shown(i)[0] for i in range(rows.start, rows.stop)]
        of = slice(requests.offsets[rows.start], requests.offsets[rows.stop])
        request = np.repeat(np.arange(len(users)), [*map(len, shown)])
        step = ours.step(int(at[0]))
        near = shown_near(step)
        candidates = [*map(open_posts, users.tolist(), at.tolist())]
        open_shown = [*map(open_posts, users.tolist(), at.tolist(), shown)]
        n_open[rows] = [len(posts) for posts in open_shown]
        for m, method in enumerate(methods):
            longer = method.rank_many(users, at, depth, candidates)
            best = method.rank_many(users, at, k, open_shown)
            top[m, rows], of_shown[m, rows] = _lists(longer, k), _lists(best, k)
            rank[m, of] = places(longer, request, requests.post[of], len(near))
        is_taken = top[:, rows] >= 0
        n_near = np.where(is_taken, near[top[:, rows]], 0)
        top_spread[:, rows] = np.where(is_taken, quality_spread(step)[top[:, rows]], 0)
        supported[:, rows], top_presence[:, rows] = n_near > 0, presence(n_near, near)
        others = near[requests.post[of]] - requests.n_times[of]
        shown_presence[of] = presence(np.maximum(others, 0), near)
        listed = top[:, rows].swapaxes(0, 1).reshape(len(users), -1)
        posts = [np.unique(x[x >= 0]) for x in map(np.append, shown, listed)]
        p = ours.score_many(users, at, posts)
        shown_probability[of] = np.concatenate([*map(_looked_up, posts, p, shown)])
        of_listed = np.stack([*map(_looked_up, posts, p, listed)])
        top_probability[:, rows] = of_listed.reshape(len(users), -1, k).swapaxes(0, 1)
    outcome = (requests.shown_request, requests.post, requests.liked)
    hit_shown = hits_at_each_k(are_liked(of_shown, *outcome))
    hit_shown[:, np.arange(1, k + 1) >= n_open[:, None]] = np.nan
    return ReplayResult(
        user=requests.user,
        at=requests.at,
        top=top,
        top_probability=top_probability,
        top_supported=supported,
        top_presence=top_presence,
        top_spread=top_spread,
        of_shown=of_shown,
        hit_shown=hit_shown,
        hit_catalogue=hits_at_each_k(are_liked(top, *outcome)),
        shown_rank=rank,
        shown_post=requests.post,
        shown_propensity=requests.propensity,
        shown_presence=shown_presence,
        shown_probability=shown_probability,
        shown_liked=requests.liked,
        shown_request=requests.shown_request,
    )


def blocks(ours: Recommender, at: np.ndarray) -> Iterator[slice]:
    """Requests that are answered together: neighbours of one step.

    Args:
        ours: whose steps they are, and whose histories are let go after each block.
        at: of the requests, in order of time, shape (n,).
    """
    n_posts = max(len(ours.catalogue.post_ids), 1)
    at_once = min(max(PAIRS_AT_ONCE // n_posts, FEWEST_AT_ONCE), MOST_AT_ONCE)
    changes = np.flatnonzero(np.diff([ours.step(one) for one in at.tolist()])) + 1
    for first, last in pairwise([0, *changes.tolist(), len(at)]):
        for start in range(first, last, at_once):
            yield slice(start, min(start + at_once, last))
            ours.store.history.let_go()


def _lists(ranked: Sequence[Ranked], k: int) -> np.ndarray:
    """The first k posts of each list, -1 where it is shorter, shape (len(ranked), k)."""
    found = np.full((len(ranked), k), -1, np.int32)
    for row, own in zip(found, ranked, strict=True):
        row[: len(own.post)] = own.post[:k]
    return found


def places(ranked: Sequence[Ranked], of: np.ndarray, post: np.ndarray, n_posts: int) -> np.ndarray:
    """Place of each shown post in the list of its request, -1 if absent, shape (n_shown,).

    Args:
        ranked: list of each request.
        of: request of each shown post, shape (n_shown,).
        post: row of each, same shape.
        n_posts: of the catalogue.
    """
    table = np.full((len(ranked), n_posts), -1, np.int32)
    for row, own in zip(table, ranked, strict=True):
        row[own.post] = np.arange(len(own.post))
    return table[of, post]


def _looked_up(posts: np.ndarray, probability: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Probability of each wanted post, shape (n,); 0 for -1, the empty place. `posts` is sorted."""
    found = np.zeros(len(wanted))
    is_post = wanted >= 0
    found[is_post] = probability[np.searchsorted(posts, wanted[is_post])]
    return found
