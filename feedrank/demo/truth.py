"""True like probabilities of the simulated network, which the pipeline never reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from feedrank.demo.lives import Lives
from feedrank.errors import SourceError
from feedrank.log.metadata import SECONDS_A_DAY

N_CLUSTERS = 10  # of posts liked alike; `texts.PHRASES` has a line for each
# Choices of the demo: factors that a log of its size can teach, and a drift of which half is over
# after a quarter of the period.
N_FACTORS = 4
DRIFT_PACE = 2.5  # e-folds of the drift within the period
ARRAYS, SCALARS = "truth.npz", "truth.json"


@dataclass(frozen=True)
class Effects:
    """Effect sizes, in logits: everything that makes a like more or less likely.

    A profile column acts on its own (`gender`) and together with a post's latent cluster
    (`gender_clusters`): there its levels, from one end to the other, like the clusters in reverse
    order, and the size is the logit of the best loved cluster against an average one.
    Sizes of effects that are random by post or user are standard deviations. The defaults give the
    like rates of the reference installation by week, hour, age, city and group of the experiment
    (`tests/demo/test_simulation.py`).
    """

    base_rate: float = 0.1195  # share of impressions that are liked
    drift: float = 0.5  # the last moment against the first
    hour: float = 0.33  # the edges of the day against midday
    exp_group: tuple[float, ...] = (-0.16, 0.26, 0.25, -0.16, 0.0)
    metropolis: float = 0.31  # Moscow and Saint Petersburg against all others
    abroad: float = -0.15  # other countries against Russia
    gender: float = -0.13  # 1 against 0
    topic: float = 0.03
    cluster: float = 0.03  # of a cluster, for everyone
    age_clusters: float = 0.66
    gender_clusters: float = 0.0
    country_clusters: float = 0.0
    exp_group_clusters: float = 0.0
    quality: float = 0.03  # of a post
    like_rate: float = 0.2  # of a user, for any post
    taste: float = 0.12  # of a user for a cluster
    factors: float = 0.02  # of a user for a post, through `N_FACTORS` latent factors

    def scaled(self, scale: float) -> Effects:
        """The same effects, each `scale` times as strong, around the same base rate."""
        sizes: dict[str, Any] = {f.name: _times(getattr(self, f.name), scale) for f in fields(self)}
        return replace(Effects(**sizes), base_rate=self.base_rate)


@dataclass(frozen=True)
class Truth:
    """The true probability that a user likes a post, had it been shown at a moment.

    Users are rows by ascending `user_id`, posts rows by ascending `post_id`, moments seconds
    since `origin`: the conventions of `feedrank.log.files`. Posts that were never shown have a
    truth too.

    Attributes:
        cluster: latent cluster of a post, shape (n_posts,).
        post_offset: logits of cluster and topic, shape (n_posts,).
        quality: logits of the post's own, shape (n_posts,).
        post_factors: shape (n_posts, N_FACTORS).
        user_offset: logits of the profile, shape (n_users,).
        like_rate: logits of the user's own, for any post, shape (n_users,).
        affinity: logits of the profile for each cluster, shape (n_users, N_CLUSTERS).
        taste: logits of the user's own for each cluster, shape (n_users, N_CLUSTERS).
        user_factors: shape (n_users, N_FACTORS).
        was_shown: bool, shape (n_posts,): posts that the feed may show.
        lives: of posts; None: they do not age.
    """

    effects: Effects
    origin: str
    days: int
    intercept: float
    cluster: np.ndarray
    post_offset: np.ndarray
    quality: np.ndarray
    post_factors: np.ndarray
    user_offset: np.ndarray
    like_rate: np.ndarray
    affinity: np.ndarray
    taste: np.ndarray
    user_factors: np.ndarray
    was_shown: np.ndarray
    lives: Lives | None = None

    @property
    def n_users(self) -> int:
        """How many users there are."""
        return len(self.user_offset)

    @property
    def n_posts(self) -> int:
        """How many posts there are, never-shown ones included."""
        return len(self.cluster)

    def seconds(self, at: datetime) -> int:
        """Whole seconds from the origin to a moment."""
        return round((at - datetime.fromisoformat(self.origin)).total_seconds())

    def moment_logit(self, at: np.ndarray) -> np.ndarray:
        """Logits of the moment, for everyone: a drift that flattens out, and the hour."""
        passed = np.clip(at / (self.days * SECONDS_A_DAY), 0, 1)
        progress = np.expm1(-DRIFT_PACE * passed) / np.expm1(-DRIFT_PACE)
        from_midday = np.clip((at % SECONDS_A_DAY / 3600 - 14.5) / 8.5, -1, 1)
        return np.asarray(self.effects.drift * progress + self.effects.hour * from_midday**2)

    def known_logit(self, users: np.ndarray, posts: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Logit from all but qualities and tastes: moment, age of the post, profile, cluster."""
        known = self.intercept + self.user_offset[users] + self.post_offset[posts]
        known += self.affinity[users, self.cluster[posts]]
        if self.lives is not None:
            known = known + self.lives.logit(posts, at)
        return np.asarray(known + self.moment_logit(at))

    def logit(self, users: np.ndarray, posts: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Logit of `probability`, shape (n,)."""
        own = self.quality[posts] + self.like_rate[users]
        own += self.taste[users, self.cluster[posts]]
        own += np.einsum("...j,...j->...", self.user_factors[users], self.post_factors[posts])
        return np.asarray(self.known_logit(users, posts, at) + own)

    def probability(self, users: np.ndarray, posts: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Probability of a like for each (user, post, moment), shape (n,).

        Args:
            users: rows of users, whole numbers, shape (n,); or (), if one asks for all posts.
            posts: rows of posts, shape (n,).
            at: seconds since the origin, shape (n,), or ().
        """
        return np.asarray(expit(self.logit(users, posts, at)))

    def probabilities(self, user: int, at: int) -> np.ndarray:
        """Probability of a like for one request over the whole catalogue, shape (n_posts,)."""
        return self.probability(np.asarray(user), np.arange(self.n_posts), np.asarray(at))

    def hit_probability(self, users: np.ndarray, at: np.ndarray, lists: np.ndarray) -> np.ndarray:
        """Probability that at least one post of each list would be liked, shape (n_requests,).

        Args:
            users: rows of users, shape (n_requests,).
            at: seconds since the origin, shape (n_requests,).
            lists: rows of posts, shape (n_requests, k).
        """
        k = lists.shape[1]
        p = self.probability(np.repeat(users, k), lists.ravel(), np.repeat(at, k))
        return np.asarray(1 - np.prod(1 - p.reshape(lists.shape), axis=1))

    def save(self, directory: Path) -> None:
        """Write the truth as plain arrays and JSON; an older one is replaced."""
        directory.mkdir(parents=True, exist_ok=True)
        arrays = {n: v for n, v in vars(self).items() if isinstance(v, np.ndarray)}
        scalars = {n: v for n, v in vars(self).items() if n not in arrays}
        scalars["effects"] = asdict(self.effects)
        lives = scalars.pop("lives")
        if lives is not None:
            scalars["life"] = asdict(lives.span)
            arrays |= lives.arrays()
        np.savez(directory / ARRAYS, allow_pickle=False, **arrays)
        text = json.dumps(scalars, indent=2, sort_keys=True)
        (directory / SCALARS).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Truth:
        """The truth that `save` wrote.

        Raises:
            SourceError: the directory holds none.
        """
        if not (directory / SCALARS).exists():
            raise SourceError(
                f"'{directory}' holds no truth. It is written when the demo is filled: "
                "unset FEED_DSN and run `dvc repro extract`."
            )
        scalars: dict[str, Any] = json.loads((directory / SCALARS).read_text(encoding="utf-8"))
        effects = scalars.pop("effects")
        effects["exp_group"] = tuple(effects["exp_group"])
        with np.load(directory / ARRAYS, allow_pickle=False) as arrays:
            of_posts, life = dict(arrays), scalars.pop("life", None)
        if life is not None:
            scalars["lives"] = Lives.of_arrays(of_posts, life)
        return cls(effects=Effects(**effects), **scalars, **of_posts)


def _times(size: float | tuple[float, ...], scale: float) -> float | tuple[float, ...]:
    return tuple(scale * s for s in size) if isinstance(size, tuple) else scale * size
