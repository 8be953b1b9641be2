"""The one scoring path: the posts that a user is most likely to like at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from feedrank.counts import PairCounts
from feedrank.features import Question, assemble, features_of
from feedrank.history import History
from feedrank.meta import LogMeta
from feedrank.ordering import best_rows
from feedrank.ranker import Ranker
from feedrank.state import SharedHistory
from feedrank.users import UserState


@dataclass(frozen=True)
class Ranked:
    """A list: posts (rows of the catalogue), best first, with their probability of a like.

    Attributes:
        n_ranked: candidates that the first score left for the trees.
    """

    post: np.ndarray
    probability: np.ndarray
    n_ranked: int


@dataclass(frozen=True)
class Catalogue:
    """Who can ask and what can be recommended.

    Attributes:
        user_ids: sorted, int64, shape (n_users,).
        post_ids: sorted, int64, shape (n_posts,).
        codes: profile codes, uint16, shape (n_users, n_columns).
    """

    user_ids: np.ndarray
    post_ids: np.ndarray
    codes: np.ndarray

    def user(self, user_id: int) -> int:
        """Row of a user; -1 if unknown."""
        return _row(self.user_ids, user_id)

    def post(self, post_id: int) -> int:
        """Row of a post; -1 if unknown."""
        return _row(self.post_ids, post_id)


class UnknownUserError(KeyError):
    """Nobody of this id is in the catalogue."""


class Recommender:
    """Answers for any user and moment from what was known before it.

    Args:
        catalogue: of users and posts.
        history: of all users.
        shared: counts over time.
        ranker: trained before the moments that are to be judged.
        meta: of the log: its origin and end.
        n_candidates: kept by the first score, then ranked.
        exclude: 'nothing', 'liked' or 'seen': what a user is not shown again.
        as_of: seconds since the origin after which nothing is known; None: the whole log.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        history: History,
        shared: SharedHistory,
        ranker: Ranker,
        meta: LogMeta,
        n_candidates: int,
        exclude: str = "nothing",
        as_of: int | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.meta = meta
        self.ranker = ranker
        self.features = features_of(shared.encodings)
        self._linear = [self.features[i] for i in ranker.first_score.columns]
        self._history = history
        self._shared = shared
        self._n_candidates = n_candidates
        self._exclude = exclude
        seconds = shared.encodings.step_seconds
        self._step_seconds = seconds
        self._last_step = shared.counts.n_steps if as_of is None else as_of // seconds

    def recommend(
        self, user_id: int, at: datetime, k: int, candidates: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """Ids and probabilities of the `k` best posts, best first.

        Args:
            user_id: as in the database.
            at: a naive moment on the database's clock; before the data only priors speak, after it
                the last state.
            k: length of the list; shorter if there are fewer candidates.
            candidates: ids of posts to choose from; all posts if None. Unknown ids are left out.

        Raises:
            UnknownUserError: nobody of this id is in the catalogue.
        """
        user = self.catalogue.user(user_id)
        if user < 0:
            raise UnknownUserError(user_id)
        rows = None
        if candidates is not None:
            found = np.array([self.catalogue.post(int(c)) for c in candidates], dtype=np.int64)
            rows = np.unique(found[found >= 0])
        ranked = self.rank(user, self.meta.seconds(at), k, rows)
        ids = self.catalogue.post_ids[ranked.post]
        return list(zip(ids.tolist(), ranked.probability.tolist()))

    def rank(self, user: int, at: int, k: int, candidates: np.ndarray | None = None) -> Ranked:
        """The same by rows and seconds; `candidates` are sorted rows of posts.

        Equal probabilities are ordered by post id. The first score keeps no fewer than `k`.
        """
        post, state = self.open_posts(user, at, candidates), self._state(user, at)
        n_kept = max(self._n_candidates, k)
        if len(post) > n_kept:
            first = self.ranker.first_score.of_linear(self._matrix(self._linear, state, post, at))
            kept = np.argpartition(-first, n_kept - 1)[:n_kept]
            threshold = first[kept].min()
            post = post[np.flatnonzero(first >= threshold)]
        probability = self._probability(state, post, at)
        best = best_rows(probability, k)
        return Ranked(post[best], probability[best], len(post))

    def open_posts(self, user: int, at: int, candidates: np.ndarray | None = None) -> np.ndarray:
        """Rows of the posts that a user may be shown: of the candidates, or of all."""
        post = np.arange(len(self.catalogue.post_ids)) if candidates is None else candidates
        barred = self._history.barred(user, self.step(at), self._exclude)
        return post[~np.isin(post, barred)] if len(barred) else post

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Probability of a like for each of the given posts, float32, shape (n,)."""
        return self._probability(self._state(user, at), post, at)

    def matrix(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """All features of the given posts, float32, shape (n, n_features)."""
        return self._matrix(self.features, self._state(user, at), post, at)

    def step(self, at: int) -> int:
        """The step whose beginning bounds what is known at a moment."""
        return min(max(at // self._step_seconds, 0), self._last_step)

    def _probability(self, state: UserState, post: np.ndarray, at: int) -> np.ndarray:
        return self.ranker.probability(self._matrix(self.features, state, post, at))

    def _matrix(self, features, state: UserState, post: np.ndarray, at: int) -> np.ndarray:  # type: ignore[no-untyped-def]
        shared = self._shared.as_of(self.step(at))
        nobody = np.zeros(len(post), dtype=np.int64)
        return assemble(features, Question(shared, state, nobody, post, np.full(len(post), at)))

    def _state(self, user: int, at: int) -> UserState:
        post, step, liked = self._history.before(user, self.step(at))
        nobody = np.zeros(len(post), dtype=np.int64)
        encodings = self._shared.encodings
        pairs = PairCounts(nobody, post, step, liked, encodings.n_posts)
        codes = self.catalogue.codes[user : user + 1]
        state = UserState(encodings, encodings.era(self.step(at)), codes, pairs)
        state.update(nobody, post, liked)
        return state


def _row(ids: np.ndarray, wanted: int) -> int:
    row = int(np.searchsorted(ids, wanted))
    return row if row < len(ids) and int(ids[row]) == wanted else -1
