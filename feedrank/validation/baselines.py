"""What our lists are compared with: random, most liked, and the classic solution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xgboost as xgb
from category_encoders import TargetEncoder

from feedrank.columns import fit_and_encode
from feedrank.counts import Tally
from feedrank.knowledge import Knowledge
from feedrank.ordering import best_rows
from feedrank.recommender import Ranked
from feedrank.rows import TrainingRows

LIKED_PRIOR = 50.0  # impressions at the overall rate, so that one lucky like makes no best post
CLASSIC_ROWS, CLASSIC_TREES, CLASSIC_DEPTH = 300_000, 40, 5


class Baseline(ABC):
    """An order of posts for a user and a moment; equal scores are ordered by post."""

    n_posts: int

    @abstractmethod
    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Higher is better, shape (n,)."""

    def rank(self, user: int, at: int, k: int, candidates: np.ndarray | None = None) -> Ranked:
        """The k best of the candidates, or of all posts."""
        post = np.arange(self.n_posts) if candidates is None else candidates
        score = self.score(user, at, post)
        best = best_rows(score, k)
        return Ranked(post[best], score[best], len(post))


@dataclass(frozen=True)
class Random(Baseline):
    """Any order is as good: seeded by user and moment, so that it repeats."""

    n_posts: int
    seed: int

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Uniform numbers."""
        return np.random.default_rng((self.seed, user, at)).random(len(post))


class MostLiked(Baseline):
    """The like rate before each moment's step, the same order for everyone or for a segment.

    Args:
        knowledge: whose counts are read.
        by_segment: whether each segment of users has an order of its own.
        as_of: seconds since the log's origin after which nothing is known; None: the whole log.
    """

    def __init__(self, knowledge: Knowledge, by_segment: bool, as_of: int | None = None) -> None:
        encodings, catalogue = knowledge.encodings, knowledge.catalogue
        self.n_posts = len(catalogue.post_ids)
        segment = encodings.segment(catalogue.codes)
        self._segment = segment if by_segment else np.zeros_like(segment)
        self._by_segment = by_segment
        self._states = knowledge.states
        self._seconds = encodings.step_seconds
        end = knowledge.shared.n_steps
        self._last_step = end if as_of is None else as_of // self._seconds
        self._step, self._rate = -1, np.empty((0, 0))

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """The rate in the steps before the moment's own."""
        return np.asarray(self._as_of(at)[self._segment[user], post])

    def _as_of(self, at: int) -> np.ndarray:
        """Rates, shape (n_segments, n_posts), or of one row; those of the last step are kept."""
        step = min(max(at // self._seconds, 0), self._last_step)
        if step != self._step:
            self._step, self._rate = step, self._rates(step)
        return self._rate

    def _rates(self, step: int) -> np.ndarray:
        counts = self._states.counts_as_of(step)
        if self._by_segment:
            return _smoothed(counts)
        return _smoothed(Tally(*(c.sum(0, keepdims=True) for c in (counts.shown, counts.liked))))


@dataclass(frozen=True)
class Classic(Baseline):
    """Static target encoding and XGBoost on a random sample, as most solutions do it.

    It knows what its rows say, whatever the moment: a trained model does not move with the feed.

    Attributes:
        user: encoded profile of each user, float32, shape (n_users, n_columns).
        post: encoded topic and post, float32, shape (n_posts, 2).
        booster: on hour, user and post columns.
    """

    user: np.ndarray
    post: np.ndarray
    booster: xgb.Booster

    @property
    def n_posts(self) -> int:  # type: ignore[override]
        """Posts of the catalogue."""
        return len(self.post)

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Predicted probability."""
        return self.booster.inplace_predict(_classic_rows(self, np.full(len(post), user), post, at))

    @classmethod
    def fit(cls, knowledge: Knowledge, rows: TrainingRows, seed: int) -> Classic:
        """Encoders and booster on a random sample of the given rows."""
        rng = np.random.default_rng(seed)
        sample = rows[np.sort(rng.permutation(len(rows))[:CLASSIC_ROWS])]
        codes = np.asarray(knowledge.catalogue.codes)
        topic = knowledge.encodings.topic
        columns = list(range(codes.shape[1]))
        user = _encode(codes[sample.user], sample.liked, codes, columns)
        posts = np.stack([topic, np.arange(len(topic))], axis=1)
        post = _encode(posts[sample.post], sample.liked, posts, [0, 1])
        model = cls(user, post, xgb.Booster())
        matrix = _classic_rows(model, sample.user, sample.post, sample.at)
        train = xgb.QuantileDMatrix(matrix, label=sample.liked, nthread=1)
        settings = {"objective": "binary:logistic", "max_depth": CLASSIC_DEPTH, "eta": 0.1,
                    "seed": seed, "nthread": 1}  # fmt: skip
        return cls(user, post, xgb.train(settings, train, CLASSIC_TREES))


def _classic_rows(
    model: Classic, user: np.ndarray, post: np.ndarray, at: np.ndarray | int
) -> np.ndarray:
    hour = np.broadcast_to(np.float32(np.asarray(at) % 86_400 // 3600), len(post))[:, None]
    return np.hstack([hour, model.user[user], model.post[post]])


def _encode(
    seen: np.ndarray, liked: np.ndarray, every: np.ndarray, columns: list[int]
) -> np.ndarray:
    if not columns:
        return np.zeros((len(every), 0), np.float32)
    names = [f"c{c}" for c in columns]
    known, all_rows = (pd.DataFrame(a.astype(str), columns=names) for a in (seen, every))
    return fit_and_encode(TargetEncoder(cols=names), known, liked, all_rows).to_numpy(np.float32)


def _smoothed(counts: Tally) -> np.ndarray:
    overall = (counts.liked.sum() + 1) / (counts.shown.sum() + 10)
    return np.asarray((counts.liked + LIKED_PRIOR * overall) / (counts.shown + LIKED_PRIOR))
