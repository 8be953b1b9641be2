"""Recommender: the one scoring path, from a request to the posts most likely to be liked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np

from feedrank.features.spec import assemble, features_of
from feedrank.ranking.candidates import CandidateGenerator, split
from feedrank.ranking.rankers.ranker import Asked, Ranker
from feedrank.ranking.step_requests import StepRequests
from feedrank.ranking.top_k import Reach, best_rows
from feedrank.state.catalogue import NOBODY, Id, plain_ids
from feedrank.state.counts.by_user import PairCounts
from feedrank.state.feature_store import FeatureStore
from feedrank.state.past import Past
from feedrank.state.users import UserState

BLOCK_PAIRS = 1 << 18  # of a grid of the first stage: 2**17 to 2**19 cost the same within a tenth


@dataclass(frozen=True)
class Ranked:
    """A list: posts (rows of the catalogue), best first, with their probability of a like.

    Attributes:
        n_ranked: candidates that the first stage kept for the trees.
        propensity: with which each post is in the list, float64; 1 where no place explores.
        n_explored: how many of the last places explore.
    """

    post: np.ndarray
    probability: np.ndarray
    n_ranked: int
    propensity: np.ndarray = None  # type: ignore[assignment]  # ones, made below
    n_explored: int = 0

    def __post_init__(self) -> None:
        if self.propensity is None:
            object.__setattr__(self, "propensity", np.ones(len(self.post)))


class UnknownUserError(KeyError):
    """Nobody of this id is in the catalogue."""


class Recommender:
    """Answers for any user and moment from the state as of its step.

    Args:
        store: point-in-time state of users and posts.
        ranker: trained before the moments of the requests.
        candidates: posts that the first stage keeps, then ranked.
        exclude: 'nothing', 'liked' or 'seen': posts that a user is not shown again.
        as_of: seconds since the origin from which on nothing counts; None: the whole log.
    """

    def __init__(
        self,
        store: FeatureStore,
        ranker: Ranker,
        candidates: int,
        exclude: str,
        as_of: int | None = None,
    ) -> None:
        self.store, self.ranker = store, ranker
        self.catalogue, self.meta = store.catalogue, store.meta
        self.features = features_of(store.fitted)
        self.first_stage = CandidateGenerator(self.features, ranker.first_stage, store.fitted)
        self._history, self._shared = store.history, store.states
        self._candidates, self._exclude = candidates, exclude
        self._step_seconds = store.fitted.step_seconds
        self._last_step = store.shared.n_steps if as_of is None else as_of // self._step_seconds

    def with_store(self, store: FeatureStore) -> Recommender:
        """The same ranker and rules on another store of the same features."""
        return Recommender(store, self.ranker, self._candidates, self._exclude)

    def recommend(
        self, user_id: Id, at: datetime, k: int, candidates: np.ndarray | None = None
    ) -> list[tuple[Id, float]]:
        """Ids and probabilities of the `k` best posts, best first.

        Args:
            user_id: as in the database.
            at: a naive moment on the database's clock; before the data the priors answer, after
                it the last state.
            k: length of the list; shorter if there are fewer candidates.
            candidates: ids of posts to choose from; if None, all that the feed has shown.
                Unknown ids and hidden posts are left out.

        Raises:
            UnknownUserError: nobody of this id is in the catalogue.

        >>> moment = datetime(2021, 10, 20, 18)
        >>> best = recommender.recommend(user_id, moment, k=3)  # [(post id, probability), ...]
        >>> len(best)
        3
        >>> third = np.array([best[2][0]])
        >>> recommender.recommend(user_id, moment, k=3, candidates=third) == best[2:]
        True
        """
        user = self.catalogue.user(user_id)
        if user < 0:
            raise UnknownUserError(user_id)
        rows = None
        if candidates is not None:
            found = self.catalogue.posts(np.asarray(candidates).tolist())
            rows = np.intersect1d(found, self.catalogue.open_posts(self.meta.seconds(at)))
        ranked = self.rank(user, self.meta.seconds(at), k, rows)
        ids = plain_ids(self.catalogue.post_ids[ranked.post])
        return list(zip(ids, ranked.probability.tolist()))

    def rank(self, user: int, at: int, k: int, candidates: np.ndarray | None = None) -> Ranked:
        """As `recommend`, by rows and seconds; `candidates` are sorted rows of posts.

        The user may be `NOBODY`: the best posts for a new user of whom nothing is known.

        Equal probabilities are ordered by post id. The first stage keeps at least `k`, and the
        posts that tie with the last of them.
        """
        own = None if candidates is None else [candidates]
        return self.rank_many(np.array([user]), np.array([at]), k, own)[0]

    def rank_many(
        self,
        users: np.ndarray,
        at: np.ndarray,
        k: int,
        candidates: Sequence[np.ndarray] | None = None,
    ) -> list[Ranked]:
        """As `rank` for many users, to the last bit, in a third of the time.

        Args:
            users: rows, shape (n,).
            at: seconds since the origin, all of one step, shape (n,).
            k: length of each list.
            candidates: sorted rows of posts for each user; None: all that the feed has shown.
        """
        lists: list[Ranked] = []
        for block in self.blocks(len(users)):
            own = None if candidates is None else candidates[block]
            lists += self.rank_block(self.requests(users[block], at[block]), users[block], k, own)
        return lists

    def blocks(self, n: int) -> list[slice]:
        """Of `n` users, those that are ranked together."""
        size = max(1, BLOCK_PAIRS // max(len(self.catalogue.post_ids), 1))
        return [slice(first, first + size) for first in range(0, n, size)]

    def score_many(
        self, users: np.ndarray, at: np.ndarray, posts: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """As `score` for many users, each with posts of their own; `at` as in `rank_many`."""
        return self.scores(self.requests(users, at), posts, None)

    def rank_block(
        self,
        requests: StepRequests,
        users: np.ndarray,
        k: int,
        candidates: Sequence[np.ndarray] | None,
    ) -> list[Ranked]:
        """As `rank_many` for the users of one block, of their requests."""
        each, kept = list(zip(users.tolist(), requests.at.tolist())), None
        rules = max(self._candidates, k), Reach(k, self.ranker.spread)
        if candidates is None:
            is_open = [partial(self._open_among, *of) for of in each]
            kept = self.first_stage.search(requests, is_open, *rules)
        if kept is None:
            among = [None] * len(users) if candidates is None else candidates
            own = [self.open_posts(*of, some, k) for of, some in zip(each, among)]
            kept = self.first_stage.cut(requests, own, *rules)
        posts, log_odds = kept
        scored = zip(posts, self.scores(requests, posts, log_odds))
        best = [(post, probability, best_rows(probability, k)) for post, probability in scored]
        return [Ranked(post[rows], chance[rows], len(post)) for post, chance, rows in best]

    def open_posts(
        self, user: int, at: int, candidates: np.ndarray | None = None, k: int = 0
    ) -> np.ndarray:
        """Rows for a list of `k`: the candidates, hidden or not, or all that the feed has shown."""
        if candidates is not None:
            return self._without_barred(user, at, candidates)
        post = self._without_barred(user, at, self.catalogue.open_posts(at))
        return self._shared.candidates_among(post, self.step(at), k)

    def _open_among(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        return self._without_barred(user, at, self.catalogue.open_among(post, at))

    def _without_barred(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        if user == NOBODY:
            return post
        barred = self._history.barred(user, self.step(at), at, self._exclude)
        return post[~np.isin(post, barred)] if len(barred) else post

    def history_before(self, user: int, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Post, step and liked of a user's impressions strictly before a step; none of `NOBODY`."""
        return self._history.before(*((0, 0) if user == NOBODY else (user, step)))

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Probability of a like for each of the given posts, float32, shape (n,)."""
        return self.score_many(np.array([user]), np.array([at]), [post])[0]

    def matrix(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """All features of the given posts, float32, shape (n, n_features)."""
        requests = self.requests(np.array([user]), np.array([at]))
        return assemble(self.features, requests.pairs([post]))

    def step(self, at: int) -> int:
        """Step of a moment: only earlier steps count; clamped to the log, or to `as_of`."""
        return min(max(at // self._step_seconds, 0), self._last_step)

    def scores(
        self,
        requests: StepRequests,
        posts: Sequence[np.ndarray],
        log_odds: Sequence[np.ndarray] | None,
    ) -> list[np.ndarray]:
        """Probability of a like for each user's posts, whose first-stage log-odds may be known."""
        pairs = requests.pairs(posts)
        if log_odds is None:
            first = self.first_stage.log_odds(pairs, self.first_stage.parts(requests))
        else:
            first = np.concatenate(log_odds)
        matrix = assemble(self.features, pairs, self.ranker.columns)
        assert requests.past is not None
        asked = Asked(pairs.post, pairs.at, pairs.user, requests.past)
        return split(self.ranker.probability(matrix, first, asked), posts)

    def requests(self, users: np.ndarray, at: np.ndarray) -> StepRequests:
        """Requests of users at moments of one step, with the states that they are answered from."""
        (step,) = {self.step(moment) for moment in at.tolist()}
        past = Past(self.history_before, users, np.full(len(users), step))
        return StepRequests.of(self._shared.as_of(step), self._states(users, step), at, past)

    def _states(self, users: np.ndarray, step: int) -> UserState:
        parts = [self.history_before(user, step) for user in users.tolist()]
        user = np.repeat(np.arange(len(users)), [len(post) for post, _, _ in parts])
        post, shown_step, liked = (np.concatenate(column) for column in zip(*parts))
        fitted = self._shared.fitted
        pairs = PairCounts(user, post, shown_step, liked, fitted.n_posts)
        codes, moments = self.catalogue.profiles_of(users)
        states = UserState(fitted, fitted.refit(step), codes, pairs, moments)
        states.update(user, post, liked)
        return states
