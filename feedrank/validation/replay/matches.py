"""Matches of other requests: impressions of lists that were not kept, so that all evidence counts.

Lists are replayed for a sample of the requests. An impression of any other request tells as much of
a method's shift if it stands in the list that the method would have answered. Few do: of 7,023
posts a list of five holds one impression in 1,400. So each method ranks the requests that were
shown posts which its lists often hold; which posts these are says nothing of what was liked. How
many they are may say much of it, where users stop after posts that they do not like: requests are
chosen among those of as many impressions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.log.columns import Columns
from feedrank.ranking.recommender import Recommender
from feedrank.stats.logistic import log_odds_of
from feedrank.validation.replay.replay import OpenPosts, Ranks, ReplayResult, blocks, places
from feedrank.validation.replay.requests import Requests
from feedrank.validation.replay.support import presence

# Matches are looked for in lists so many times as long as those that are judged. A match at place
# 10 k weighs 1 / 100; lists of 3 k take as long, those of 70 k 30 % longer:
# docs/validation-results.md, "Tried and not taken".
NEAR = 10


@dataclass(frozen=True)
class Matches(Columns):
    """Impressions that stand high in a method's list for their request.

    Attributes:
        method: row of the method, shape (n,).
        user: row, shape (n,).
        place: in the list, from 0, shape (n,).
        probability: our own, shape (n,).
        of_request: mean of our log-odds over the posts shown in the request, shape (n,).
        propensity: of the post, as in `Requests`, shape (n,).
        presence: of the post near the request, its own left out, shape (n,).
        liked: bool, shape (n,).
    """

    method: np.ndarray
    user: np.ndarray
    place: np.ndarray
    probability: np.ndarray
    of_request: np.ndarray
    propensity: np.ndarray
    presence: np.ndarray
    liked: np.ndarray


_NONE, _NO_NUMBERS = np.zeros(0, np.int64), np.zeros(0)
NO_MATCHES = Matches(
    _NONE, _NONE, _NONE, _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, np.zeros(0, bool)
)


@dataclass(frozen=True)
class ListShares:
    """How often lists of each step hold each post, by method and segment of users.

    A request of a step is judged by lists of that step alone, which know nothing of what came of
    it. By those of other days it would be looked at because its posts were liked, and rose.

    Attributes:
        held: by method, cells (step, segment, post) and the lists that hold each.
        n_lists: of a step and segment, shape (n_steps, n_segments).
        segment: of each user of the log, shape (n_users,).
        first: step of the first row of `n_lists`.
        n_posts: of the catalogue.
    """

    held: Sequence[tuple[np.ndarray, np.ndarray]]
    n_lists: np.ndarray
    segment: np.ndarray
    first: int
    n_posts: int

    @classmethod
    def of(
        cls,
        replayed: ReplayResult,
        methods: Sequence[int],
        segment: np.ndarray,
        step_seconds: int,
        n_posts: int,
    ) -> ListShares:
        """From the lists of some requests, by the methods of these rows."""
        step, n_segments = replayed.at // step_seconds, int(segment.max(initial=0)) + 1
        first, n_steps = (int(step.min()), int(np.ptp(step)) + 1) if len(step) else (0, 0)
        cell = (step - first) * n_segments + segment[replayed.user]
        n_lists = np.bincount(cell, minlength=n_steps * n_segments).reshape(n_steps, n_segments)
        lists = (replayed.top[method] for method in methods)
        cells = ((cell[:, None] * n_posts + own)[own >= 0] for own in lists)
        held = [np.unique(own, return_counts=True) for own in cells]
        return cls(held, n_lists, segment, first, n_posts)

    def chances(
        self, user: np.ndarray, step: np.ndarray, of: np.ndarray, post: np.ndarray
    ) -> np.ndarray:
        """Expected matches of each request with each method, shape (n_methods, n_requests).

        Args:
            user: of each request, shape (n_requests,).
            step: of each request, same shape.
            of: request of each impression, shape (n_shown,).
            post: of each impression, same shape; one that is shown again counts once.
        """
        cell = (step - self.first) * self.n_lists.shape[1] + self.segment[user]
        held = np.unique(np.concatenate([cells for cells, _ in self.held]))
        # Most posts are in no list at all.
        is_held = np.zeros(self.n_posts, bool)
        is_held[held % self.n_posts] = True
        some = np.flatnonzero(is_held[post])
        of, shown = of[some], cell[of[some]] * self.n_posts + post[some]
        place = np.searchsorted(held, shown)
        some = np.flatnonzero(held[np.minimum(place, len(held) - 1)] == shown)
        of, place = np.divmod(np.unique(of[some] * len(held) + place[some]), max(len(held), 1))
        share, found = np.zeros(len(held)), []
        for cells, n_holding in self.held:
            own = np.searchsorted(held, cells)
            share[own] = n_holding / self.n_lists.ravel()[cells // self.n_posts]
            found.append(np.bincount(of, share[place], len(user)))
            share[own] = 0
        return np.stack(found)


def matches_of(
    methods: Sequence[Ranks],
    ours: Recommender,
    open_posts: OpenPosts,
    requests: Requests,
    asked: np.ndarray,
    depth: int,
    shown_near: Callable[[int], np.ndarray],
) -> Matches:
    """Impressions of some requests in the lists of each method.

    Args:
        methods: that answer.
        ours: whose probabilities are used for every method's posts.
        open_posts: as of `replay_requests`.
        requests: of the test period.
        asked: which requests each method ranks, bool, shape (n_methods, n_requests).
        depth: length of the lists.
        shown_near: as of `replay_requests`.
    """
    parts = [NO_MATCHES]
    for rows in blocks(ours, requests.at):
        user, at = requests.user[rows], requests.at[rows]
        first, last = requests.offsets[[rows.start, rows.stop]].tolist()
        of = np.repeat(np.arange(len(user)), np.diff(requests.offsets[rows.start : rows.stop + 1]))
        near = shown_near(ours.step(int(at[0])))
        candidates = [*map(open_posts, user.tolist(), at.tolist())]
        placed = [np.empty((4, 0), np.int64)]
        for m, method in enumerate(methods):
            is_asked = asked[m, rows]
            if len(some := np.flatnonzero(is_asked)):
                lists = method.rank_many(user[some], at[some], depth, [candidates[i] for i in some])
                (row,) = np.nonzero(is_asked[of])
                number = (np.cumsum(is_asked) - 1)[of[row]]
                place = places(lists, number, requests.post[first:last][row], len(near))
                row, place = row[place >= 0], place[place >= 0]
                placed.append(
                    np.stack([np.full(len(row), m), rows.start + of[row], first + row, place])
                )
        parts.append(_scored(np.hstack(placed), ours, requests, near))
    return Matches.joined(parts)


def _scored(placed: np.ndarray, ours: Recommender, requests: Requests, near: np.ndarray) -> Matches:
    """Matches of one step, given method, request, row and place of each, shape (4, n)."""
    if not placed.size:
        return NO_MATCHES
    method, request, row, place = placed
    matched, of = np.unique(request, return_inverse=True)
    posts = [requests.shown(i)[0] for i in matched.tolist()]
    scores = ours.score_many(requests.user[matched], requests.at[matched], posts)
    sizes = np.array([*map(len, posts)])
    begins, every = np.cumsum(sizes) - sizes, np.concatenate(scores)
    mean = np.add.reduceat(log_odds_of(every), begins) / sizes
    others = np.maximum(near[requests.post[row]] - requests.n_times[row], 0)
    return Matches(
        method,
        requests.user[request],
        place,
        every[begins[of] + row - requests.offsets[request]],
        mean[of],
        requests.propensity[row],
        presence(others, near),
        requests.liked[row],
    )
