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


@dataclass(frozen=True)
class MostLiked(Baseline):
    """The like rate before the cutoff, the same order for everyone of a segment.

    Attributes:
        rate: shape (n_segments, n_posts); one row for the same order for all.
        segment: of each user, shape (n_users,).
    """

    rate: np.ndarray
    segment: np.ndarray

    @property
    def n_posts(self) -> int:  # type: ignore[override]
        """Posts of the catalogue."""
        return self.rate.shape[1]

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """The rate, whatever the moment."""
        return self.rate[self.segment[user], post]

    @classmethod
    def of_all(cls, knowledge: Knowledge, step: int) -> MostLiked:
        """One order for everyone, from counts before a step."""
        counts = _counts(knowledge, step)
        n_users = len(knowledge.catalogue.user_ids)
        total = Tally(counts.shown.sum(0, keepdims=True), counts.liked.sum(0, keepdims=True))
        return cls(_smoothed(total), np.zeros(n_users, dtype=np.int64))

    @classmethod
    def of_segments(cls, knowledge: Knowledge, step: int) -> MostLiked:
        """An order for each segment of users."""
        counts = _counts(knowledge, step)
        return cls(_smoothed(counts), knowledge.encodings.segment(knowledge.catalogue.codes))


@dataclass(frozen=True)
class Classic(Baseline):
    """Static target encoding and XGBoost on a random sample, as most solutions do it.

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


def _counts(knowledge: Knowledge, step: int) -> Tally:
    shape = (knowledge.encodings.n_segments, knowledge.encodings.n_posts)
    return knowledge.shared.by_post.before(step).reshape(*shape)


def _smoothed(counts: Tally) -> np.ndarray:
    overall = (counts.liked.sum() + 1) / (counts.shown.sum() + 10)
    return (counts.liked + LIKED_PRIOR * overall) / (counts.shown + LIKED_PRIOR)
