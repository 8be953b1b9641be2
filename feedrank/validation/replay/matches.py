"""Matches of other requests: impressions of lists that were not kept, so that all evidence counts.

Lists are replayed for a sample of the requests. An impression of any other request tells as much of
a method's shift if it stands in the list that the method would have answered. Few do: of 7,023
posts a list of five holds one impression in 1,400. A request is ranked only if it was shown posts
that the method's lists often hold; which posts it was shown says nothing of what was liked.
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

# A match costs 50 rankings at most: of posts that a list of its segment holds less often, a
# request is shown too few for one.
LEAST_CHANCE = 0.02
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
        step_seconds: of a step.
        first: step of the first row of `n_lists`.
        n_posts: of the catalogue.
    """

    held: Sequence[tuple[np.ndarray, np.ndarray]]
    n_lists: np.ndarray
    segment: np.ndarray
    step_seconds: int
    first: int
    n_posts: int

    @classmethod
    def of(
        cls, replayed: ReplayResult, segment: np.ndarray, step_seconds: int, n_posts: int
    ) -> ListShares:
        """From the lists of some requests."""
        step, n_segments = replayed.at // step_seconds, int(segment.max(initial=0)) + 1
        first, n_steps = (int(step.min()), int(np.ptp(step)) + 1) if len(step) else (0, 0)
        cell = (step - first) * n_segments + segment[replayed.user]
        n_lists = np.bincount(cell, minlength=n_steps * n_segments).reshape(n_steps, n_segments)
        cells = ((cell[:, None] * n_posts + lists)[lists >= 0] for lists in replayed.top)
        held = [np.unique(own, return_counts=True) for own in cells]
        return cls(held, n_lists, segment, step_seconds, first, n_posts)

    def likely_matches(
        self, of: np.ndarray, user: np.ndarray, at: np.ndarray, post: np.ndarray, n: int
    ) -> np.ndarray:
        """Whether a request has a fair chance of a match, by method, bool, shape (n_methods, n).

        Args:
            of: request of each impression, shape (n_shown,).
            user: of the request of each, same shape.
            at: seconds since the log's origin, within the request's step, same shape.
            post: of each, same shape.
            n: requests.
        """
        row = at // self.step_seconds - self.first
        # Few posts are held by any list.
        held = np.unique(np.concatenate([cells % self.n_posts for cells, _ in self.held]))
        column = np.full(self.n_posts, -1)
        column[held] = np.arange(len(held))
        within = (row >= 0) & (row < len(self.n_lists)) & (column[post] >= 0)
        of, post, row, user = (x[within] for x in (of, post, row, user))
        place = (row * self.n_lists.shape[1] + self.segment[user]) * len(held) + column[post]
        n_lists, found = self.n_lists.ravel(), []
        share = np.zeros((n_lists.size, len(held)))
        for cells, n_holding in self.held:
            cell, own = cells // self.n_posts, column[cells % self.n_posts]
            share[cell, own] = n_holding / n_lists[cell]
            found.append(np.bincount(of, share.ravel()[place], n) >= LEAST_CHANCE)
            share[cell, own] = 0
        return np.stack(found)


def matches_of(
    methods: Sequence[Ranks],
    ours: Recommender,
    open_posts: OpenPosts,
    requests: Requests,
    likely: np.ndarray,
    depth: int,
    shown_near: Callable[[int], np.ndarray],
) -> Matches:
    """Impressions of some requests in the lists of each method.

    Args:
        methods: that answer.
        ours: whose probabilities are used for every method's posts.
        open_posts: as of `replay_requests`.
        requests: of the test period.
        likely: which requests each method ranks, bool, shape (n_methods, n_requests).
        depth: length of the lists.
        shown_near: as of `replay_requests`.
    """
    parts = [NO_MATCHES]
    for rows in blocks(ours, requests.at):
        candidates = [*map(open_posts, requests.user[rows].tolist(), requests.at[rows].tolist())]
        found: list[tuple[int, int, np.ndarray]] = []
        for m, method in enumerate(methods):
            some = np.flatnonzero(likely[m, rows])
            if not len(some):
                continue
            of, own = rows.start + some, [candidates[i] for i in some]
            lists = method.rank_many(requests.user[of], requests.at[of], depth, own)
            shown = zip(of.tolist(), lists, strict=True)
            place = [(i, places(ranked.post, requests.shown(i)[0])) for i, ranked in shown]
            found += [(m, i, p) for i, p in place if (p >= 0).any()]
        parts += _scored(found, ours, requests, shown_near)
    return Matches.joined(parts)


def _scored(
    found: Sequence[tuple[int, int, np.ndarray]],
    ours: Recommender,
    requests: Requests,
    shown_near: Callable[[int], np.ndarray],
) -> list[Matches]:
    """Matches of one step: method, request, and the place of each of its impressions or -1."""
    matched = np.unique([i for _, i, _ in found]).astype(np.int64)
    if not len(matched):
        return []
    posts = [requests.shown(i)[0] for i in matched.tolist()]
    scores = ours.score_many(requests.user[matched], requests.at[matched], posts)
    of = dict(zip(matched.tolist(), scores, strict=True))
    shown = shown_near(ours.step(int(requests.at[matched[0]])))
    parts = []
    for m, i, place in found:
        (own,) = np.nonzero(place >= 0)
        rows, n = requests.offsets[i] + own, len(own)
        others = np.maximum(shown[requests.post[rows]] - requests.n_times[rows], 0)
        mean = float(log_odds_of(of[i]).mean())
        parts.append(
            Matches(
                np.full(n, m), np.full(n, requests.user[i]), place[own], of[i][own],
                np.full(n, mean), requests.propensity[rows], presence(others, shown),
                requests.liked[rows],
            )
        )  # fmt: skip
    return parts
