"""Recommender: the one scoring path, from a request to the posts most likely to be liked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from feedrank.features.question import Question
from feedrank.features.spec import Feature, assemble, features_of
from feedrank.ranking.ranker import Ranker
from feedrank.ranking.top_k import best_rows
from feedrank.state.catalogue import Id, plain_ids
from feedrank.state.counts.by_user import PairCounts
from feedrank.state.feature_store import FeatureStore
from feedrank.state.users import UserState

# Log-odds within which posts tie at the cut. Versions of numpy differ by some 1e-6 there, which
# must not decide what is ranked: before the log all posts of a topic are alike.
CUT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Ranked:
    """A list: posts (rows of the catalogue), best first, with their probability of a like.

    Attributes:
        n_ranked: candidates that the first stage kept for the trees.
    """

    post: np.ndarray
    probability: np.ndarray
    n_ranked: int


class UnknownUserError(KeyError):
    """Nobody of this id is in the catalogue."""


class Recommender:
    """Answers for any user and moment from the state as of the moment's step.

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
        self.store = store
        self.catalogue = store.catalogue
        self.meta = store.meta
        self.ranker = ranker
        self.features = features_of(store.fitted)
        self._linear = [self.features[i] for i in ranker.first_stage.columns]
        self._history = store.history
        self._shared = store.states
        self._candidates, self._exclude = candidates, exclude
        self._step_seconds = store.fitted.step_seconds
        end = store.shared.n_steps
        self._last_step = end if as_of is None else as_of // self._step_seconds

    def recommend(
        self, user_id: Id, at: datetime, k: int, candidates: np.ndarray | None = None
    ) -> list[tuple[Id, float]]:
        """Ids and probabilities of the `k` best posts, best first.

        Args:
            user_id: as in the database.
            at: a naive moment on the database's clock; before the data the priors answer, after
                it the last state.
            k: length of the list; shorter if there are fewer candidates.
            candidates: ids of posts to choose from; all posts if None. Unknown ids and hidden
                posts are left out.

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

        Equal probabilities are ordered by post id. The first stage keeps at least `k`, and the
        posts that nearly tie with the last of them.
        """
        post, state = self.open_posts(user, at, candidates), self._state(user, at)
        n_kept = max(self._candidates, k)
        if len(post) > n_kept:
            first = self.ranker.first_stage.of_linear(self._matrix(self._linear, state, post, at))
            kept = np.argpartition(-first, n_kept - 1)[:n_kept]
            threshold = first[kept].min()
            post = post[np.flatnonzero(first >= threshold - CUT_TOLERANCE)]
        probability = self._probability(state, post, at)
        best = best_rows(probability, k)
        return Ranked(post[best], probability[best], len(post))

    def open_posts(self, user: int, at: int, candidates: np.ndarray | None = None) -> np.ndarray:
        """Rows of the posts that a user may be shown: of the candidates, or of all not hidden.

        Candidates may be hidden: what the feed has shown is replayed, whatever became of it.
        """
        post = self.catalogue.open_posts(at) if candidates is None else candidates
        barred = self._history.barred(user, self.step(at), self._exclude)
        return post[~np.isin(post, barred)] if len(barred) else post

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Probability of a like for each of the given posts, float32, shape (n,)."""
        return self._probability(self._state(user, at), post, at)

    def matrix(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """All features of the given posts, float32, shape (n, n_features)."""
        return self._matrix(self.features, self._state(user, at), post, at)

    def step(self, at: int) -> int:
        """Step of a moment: only earlier steps count; clamped to the log, or to `as_of`."""
        return min(max(at // self._step_seconds, 0), self._last_step)

    def _probability(self, state: UserState, post: np.ndarray, at: int) -> np.ndarray:
        return self.ranker.probability(self._matrix(self.features, state, post, at))

    def _matrix(
        self, features: Sequence[Feature], state: UserState, post: np.ndarray, at: int
    ) -> np.ndarray:
        shared = self._shared.as_of(self.step(at))
        only_user = np.zeros(len(post), dtype=np.int64)
        return assemble(features, Question(shared, state, only_user, post, np.full(len(post), at)))

    def _state(self, user: int, at: int) -> UserState:
        post, step, liked = self._history.before(user, self.step(at))
        only_user = np.zeros(len(post), dtype=np.int64)
        fitted = self._shared.fitted
        pairs = PairCounts(only_user, post, step, liked, fitted.n_posts)
        codes = self.catalogue.codes[user : user + 1]
        state = UserState(fitted, fitted.refit(self.step(at)), codes, pairs)
        state.update(only_user, post, liked)
        return state
