"""Candidate generation: first-stage log-odds of users and posts, to the bits of single pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Callable
from weakref import WeakKeyDictionary

import numpy as np

from feedrank.features.feature import CLUSTER, PAIR, POST, SHOWN, TOPIC, USER, Feature
from feedrank.features.question import Question
from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.step_requests import StepRequests
from feedrank.ranking.tiles import Tiles, highest
from feedrank.ranking.top_k import Reach
from feedrank.state.counts.by_user import PairCounts
from feedrank.state.fitted import FittedParameters
from feedrank.state.shared import FEWEST_SHOWN, SharedState
from feedrank.state.users import UserState

# A rough score is a sum of some 40 float32, each off by 2**-24 of itself at most: of log-odds up to
# 100, by a hundredth of this in all.
ROUGH = 2.0**-6
# Candidates from which on tiles are used: of 7,000, products of matrices take as long.
FEWEST_TILED = 20_000
# Posts that are looked into first, about: 128 to 512 cost the same. Then twice as many each time,
# up to a share of the tiles: more pairs take longer than products of matrices over all posts.
FIRST_POSTS, MOST_TILES = 256, 1 / 16
NO_POST, NO_LOG_ODDS = np.zeros(0, np.int64), np.zeros(0, np.float32)
ONE = np.zeros(1, np.int64)  # any post, as of the only column of what a user has for all


def split(values: np.ndarray, posts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Values of pairs, by user."""
    ends = accumulate(map(len, posts))
    return [values[end - len(post) : end] for post, end in zip(posts, ends)]


class CandidateGenerator:
    """The posts whose first-stage log-odds are the highest.

    The part that a segment's users share is added up once a state, for all posts; a user's part of
    a cluster or topic once, for one of its posts.

    Args:
        features: in the order of the matrix.
        first_stage: of these features.
        fitted: parameters of the states.
    """

    def __init__(
        self, features: Sequence[Feature], first_stage: FirstStage, fitted: FittedParameters
    ) -> None:
        self._features, self._first_stage, self._fitted = features, first_stage, fitted
        # 56 kB a segment at the reference size; a state that is forgotten takes its table along.
        self._tables: WeakKeyDictionary[SharedState, np.ndarray] = WeakKeyDictionary()
        self._tiles: WeakKeyDictionary[SharedState, Tiles | None] = WeakKeyDictionary()
        self._weights = dict(zip(first_stage.columns, first_stage.weights))
        own = [features[column] for column in first_stage.columns]
        self._has_bounds = all(f.has_extremes or f.grain != PAIR for f in own)
        self._of_topics = _one_of_each(fitted.topic)
        self._of_clusters = {r.first_step: _one_of_each(r.clusters.cluster) for r in fitted.refits}

    def cut(
        self, requests: StepRequests, posts: Sequence[np.ndarray], n_kept: int, reach: Reach
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The best posts of each user that can still come into the list, and their log-odds.

        Args:
            requests: of the users.
            posts: sorted rows that each may be shown.
            n_kept: how many are kept at most, beside those that tie with the last of them.
            reach: of the trees that follow.
        """
        parts = self.parts(requests)
        kept = list(posts)
        if max(map(len, posts), default=0) > n_kept:
            rough = self.log_odds(requests.whole(), parts)
            kept = [
                post[reach.rows(own if len(post) == len(own) else own.take(post), n_kept, ROUGH)]
                for own, post in zip(rough, posts)
            ]
        return _within(reach, n_kept, kept, self._exact(requests, parts, kept))

    def search(
        self,
        requests: StepRequests,
        open_among: Sequence[Callable[[np.ndarray], np.ndarray]],
        n_kept: int,
        reach: Reach,
    ) -> tuple[list[np.ndarray], list[np.ndarray]] | None:
        """As `cut` of all candidates of the state, few tiles of which are looked into.

        Args:
            requests: of the users.
            open_among: those of some rows that each user may be shown.
            n_kept: how many are kept at most, beside those that tie with the last of them.
            reach: of the trees that follow.

        Returns:
            None where too many tiles can hold the best, so that `cut` takes less time, or a user
            may be shown so few posts that all posts are candidates.
        """
        tiles = self._tiles_of(requests.shared)
        if tiles is None:
            return None
        parts = self.parts(requests)
        bounds = self._bounds(requests, parts, tiles)
        n = 1 + FIRST_POSTS * len(tiles) // len(tiles.post)
        posts, log_odds = [NO_POST] * len(bounds), [NO_LOG_ODDS] * len(bounds)
        while True:
            least = [reach.least(own, n_kept) - ROUGH for own in log_odds]
            numbers = [highest(own, enough, n) for own, enough in zip(bounds, least)]
            if not any(map(len, numbers)):
                break
            if n > MOST_TILES * len(tiles):
                return None
            found = [is_open(tiles.posts(own)) for is_open, own in zip(open_among, numbers)]
            log_odds = _joined(log_odds, self._exact(requests, parts, found))
            posts = _joined(posts, found)
            for own, looked_into in zip(bounds, numbers):
                own[looked_into] = np.nan
            n *= 2
        if min(map(len, posts)) < max(reach.k, FEWEST_SHOWN):
            return None
        return _within(reach, n_kept, posts, log_odds)

    def _bounds(
        self, requests: StepRequests, parts: Mapping[str, np.ndarray], tiles: Tiles
    ) -> np.ndarray:
        """Log-odds that a tile's posts exceed by rounding alone, shape (n_users, n_tiles)."""
        low, high = (requests.extremes(tiles, are_highest) for are_highest in (False, True))

        def extreme(column: int) -> np.ndarray | float:
            return self._features[column].read(high if self._weights[column] > 0 else low)

        of_tiles = {
            POST: tiles.highest[requests.users.segment],
            CLUSTER: parts[CLUSTER].take(high.cluster, axis=1),
            TOPIC: parts[TOPIC].take(high.topic, axis=1),
            USER: parts[USER],
            PAIR: self._first_stage.part(PAIR, extreme),
        }
        if SHOWN in parts:
            shown = requests.shown()
            of_tiles[SHOWN] = tiles.highest_of(shown, parts[SHOWN][shown.of, shown.post])
        return self._first_stage.total(of_tiles.__getitem__, of_tiles[POST].shape)

    def _tiles_of(self, shared: SharedState) -> Tiles | None:
        """Tiles of a state's candidates; None where they save no time, or bounds are unknown."""
        if shared not in self._tiles:
            is_candidate = shared.n_shown > 0
            is_candidate[self._fitted.n_fitted_posts :] = True
            post, tiles = np.flatnonzero(is_candidate), None
            if len(post) >= FEWEST_TILED and self._has_bounds:
                tiles = Tiles.of(post, shared, self._fitted.topic, self._of_posts(shared))
            self._tiles[shared] = tiles
        return self._tiles[shared]

    def parts(self, requests: StepRequests) -> dict[str, np.ndarray]:
        """The parts of the sum that many pairs share, by grain.

        Shapes are (n_segments, n_posts), (n_users, n_clusters), (n_users, n_topics), (n_users, 1)
        and, of pairs that were shown before, (n_users, n_posts).
        """
        of_clusters = self._of_clusters[requests.shared.refit.first_step]
        one_of_each = {CLUSTER: of_clusters, TOPIC: self._of_topics, USER: ONE}
        parts = {POST: self._of_posts(requests.shared)}
        for grain, post in one_of_each.items():
            of_users = self._part(grain, requests.grid(post))
            # In a sixth of the time of `np.broadcast_to`.
            parts[grain] = np.zeros((len(requests.at), len(post))) + of_users
        if self._first_stage.reads(SHOWN):
            shown = requests.shown()
            parts[SHOWN] = np.zeros((len(requests.at), self._fitted.n_posts))
            parts[SHOWN][shown.of, shown.post] = self._part(SHOWN, shown)
        return parts

    def log_odds(self, pairs: Question, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """Log-odds of pairs, one by one or of a grid, float32; `parts` are of their users."""
        cells = {
            POST: (pairs.segment, pairs.post),
            CLUSTER: (pairs.of, pairs.cluster),
            TOPIC: (pairs.of, pairs.topic),
            USER: (pairs.of, ONE),
            SHOWN: (pairs.of, pairs.post),
        }

        def part(grain: str) -> np.ndarray:
            if grain in cells:
                return pairs.cell(parts[grain], *cells[grain])
            return self._part(grain, pairs)

        return self._first_stage.total(part, np.broadcast_shapes(pairs.of.shape, pairs.post.shape))

    def _exact(
        self, requests: StepRequests, parts: Mapping[str, np.ndarray], posts: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Log-odds of each user's own posts."""
        return split(self.log_odds(requests.pairs(posts), parts), posts)

    def _part(self, grain: str, pairs: Question) -> np.ndarray:
        return self._first_stage.part(grain, lambda column: self._features[column].read(pairs))

    def _of_posts(self, shared: SharedState) -> np.ndarray:
        table = self._tables.get(shared)
        if table is None:
            table = self._tables[shared] = self._table(shared)
        return table

    def _table(self, shared: SharedState) -> np.ndarray:
        """The part of each segment and post, shape (n_segments, n_posts)."""
        fitted, nobody = self._fitted, np.zeros(0, np.int64)
        codes = fitted.knowing(shared.step).codes_of_segments()
        n_segments = len(codes)
        pairs = PairCounts(nobody, nobody, nobody, nobody, fitted.n_posts)
        one_of_each = UserState(fitted, shared.refit, codes, pairs)
        requests = StepRequests.of(shared, one_of_each, np.zeros(n_segments, np.int64))
        part = self._part(POST, requests.grid(np.arange(fitted.n_posts)))
        return np.broadcast_to(part, (n_segments, fitted.n_posts))


def _within(
    reach: Reach, n_kept: int, posts: Sequence[np.ndarray], log_odds: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Those of each user's posts that can come into the list, sorted, and their log-odds."""
    rows = [reach.rows(own, n_kept) for own in log_odds]
    rows = [r[np.argsort(post[r])] for post, r in zip(posts, rows)]
    return [post[r] for post, r in zip(posts, rows)], [o[r] for o, r in zip(log_odds, rows)]


def _joined(some: list[np.ndarray], more: list[np.ndarray]) -> list[np.ndarray]:
    return [np.concatenate(both) for both in zip(some, more)]


def _one_of_each(part_of: np.ndarray) -> np.ndarray:
    """A post of each cluster or topic; of one without posts any, since nobody asks for it."""
    one = np.zeros(int(part_of.max()) + 1, np.int64)
    one[part_of] = np.arange(len(part_of))
    return one
